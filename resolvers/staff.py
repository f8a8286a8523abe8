"""The id of a member of staff or a program, from a typed number."""

from __future__ import annotations

from db import staff
from domain.identifiers import folded, staff_number


async def id_of(typed: str) -> str:
    """
    Return the id that the typed number stands for in the database.

    Staff numbers are upper-case; a program's id, which takes payments too, keeps its letters.
    """
    number, plain = staff_number(typed), folded(typed)
    if plain != number and await staff.by_id(plain) is not None:
        return plain
    return number

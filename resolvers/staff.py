"""Members of staff and programs, by whatever somebody typed for their number."""

from __future__ import annotations

from db import staff
from domain.identifiers import folded, staff_number


async def id_of(typed: str) -> str:
    """
    Return the id under which the typed number is kept here.

    Staff numbers are in capitals; the ids of programs, which take payments too, are as they were given.
    """
    number, plain = staff_number(typed), folded(typed)
    if plain != number and await staff.by_id(plain) is not None:
        return plain
    return number

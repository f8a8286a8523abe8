"""Asking once for all that a page asks for at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar, cast

from strawberry.dataloader import DataLoader

from resolvers.context import Context

K = TypeVar("K")
V = TypeVar("V")


def batched(
    context: Context, load: Callable[[Context, list[K]], Awaitable[list[V]]]
) -> DataLoader[K, V]:
    """
    Return the request's one asker of *load*, which answers many keys in their order.

    Nothing is remembered: who asks again, after a change, hears what is true then.
    """
    name = f"{load.__module__}.{load.__qualname__}"
    loader = context.memo.get(name)
    if loader is None:
        loader = context.memo[name] = DataLoader(partial(load, context), cache=False)
    return cast("DataLoader[K, V]", loader)

"""Loading the related rows of many objects at once."""

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
    Return the request's batching loader of *load*, which returns values in the order of its keys.

    It does not cache: a later load reads the current state.
    """
    name = f"{load.__module__}.{load.__qualname__}"
    loader = context.memo.get(name)
    if loader is None:
        loader = context.memo[name] = DataLoader(partial(load, context), cache=False)
    return cast("DataLoader[K, V]", loader)

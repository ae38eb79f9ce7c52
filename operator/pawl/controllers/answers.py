"""One answer for many who ask the same: single flight with freshness.

A caller says how old an answer may be; one that was begun later than that serves, a running one is joined, else one
call is made. A failure is told to all who waited and is not kept. Neighbours: `gather` shares lookups of manifests,
which a thousand policies on one repository want at once. Not here: tag lists (`registry.scans` shares those).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Answers(Generic[T]):
    """Shares answers by key; keeps at most `limit` of them, the least recently used go first."""

    def __init__(self, clock: Callable[[], float], limit: int = 2048) -> None:
        self._clock = clock
        self._limit = limit
        self._known: OrderedDict[Hashable, tuple[float, asyncio.Task[T]]] = OrderedDict()

    async def get(self, key: Hashable, not_before: float, ask: Callable[[], Awaitable[T]]) -> T:
        """Return an answer that was asked for at `not_before` (monotonic seconds) or later.

        A caller that is cancelled leaves the call to the others who wait. Raises what `ask` raised.
        """
        known = self._known.get(key)
        if known is None or known[0] < not_before or _failed(known[1]):
            known = (self._clock(), asyncio.ensure_future(_as_coroutine(ask)))
            self._known[key] = known
            known[1].add_done_callback(_seen)
            self._trim()
        self._known.move_to_end(key)
        return await asyncio.shield(known[1])

    def _trim(self) -> None:
        while len(self._known) > self._limit:
            self._known.popitem(last=False)


async def _as_coroutine(ask: Callable[[], Awaitable[T]]) -> T:
    return await ask()


def _failed(task: asyncio.Task[object]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


def _seen(task: asyncio.Task[object]) -> None:
    """Mark a failure as seen, or asyncio complains about one whose callers were all cancelled."""
    if not task.cancelled():
        task.exception()

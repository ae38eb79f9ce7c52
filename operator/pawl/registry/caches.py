"""Two small shapes that several caches share: a bounded map, and one flight for many passengers.

Not here: what is cached, and for how long.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from pawl.api.errors import RegistryError

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Bounded(Generic[K, V]):
    """A map that forgets what was unused for longest when it holds more than `capacity`."""

    __slots__ = ("_capacity", "_items")

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._items: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        """The value, which counts as a use, or None."""
        value = self._items.get(key)
        if value is not None:
            self._items.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> None:
        """Keep the value; forget the one unused for longest if there are too many."""
        self._items[key] = value
        self._items.move_to_end(key)
        if len(self._items) > self._capacity:
            self._items.popitem(last=False)

    def drop(self, key: K) -> None:
        """Forget the key, if it is there."""
        self._items.pop(key, None)

    def __len__(self) -> int:
        return len(self._items)


class Flights(Generic[K, V]):
    """Runs one call for all who ask for the same key at the same time.

    A passenger who is cancelled leaves alone: the call goes on for the others. A failure is shared by those who waited
    for it and is not kept.
    """

    __slots__ = ("_running",)

    def __init__(self) -> None:
        self._running: dict[K, asyncio.Task[V]] = {}

    async def join(self, key: K, start: Callable[[], Awaitable[V]]) -> V:
        """The result of the running call for `key`, or of a new one made by `start`."""
        return await ride(self._running.get(key) or self._take_off(key, start))

    def _take_off(self, key: K, start: Callable[[], Awaitable[V]]) -> asyncio.Task[V]:
        task = take_off(start)
        self._running[key] = task
        task.add_done_callback(lambda done: self._land(key, done))
        return task

    def _land(self, key: K, task: asyncio.Task[V]) -> None:
        if self._running.get(key) is task:
            del self._running[key]

    async def aclose(self) -> None:
        """Cancel what still runs."""
        await cancel_all(list(self._running.values()))


def take_off(start: Callable[[], Awaitable[V]]) -> asyncio.Task[V]:
    """Start a call as a task of its own, whose failure nobody has to hear."""

    async def run() -> V:
        return await start()

    task = asyncio.get_running_loop().create_task(run())
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task


async def ride(task: asyncio.Task[V]) -> V:
    """Wait for a shared task. Cancelling the waiter does not cancel the task."""
    try:
        return await asyncio.shield(task)
    except RegistryError as error:
        # One instance is raised at every passenger; without this each would append its frames to the traceback.
        raise error.with_traceback(None) from error.__cause__


async def cancel_all(tasks: list[asyncio.Task[V]]) -> None:
    """Cancel tasks and wait until they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

"""What a copy asks of a store beyond `jobs.store`: many small objects at once, and large ones as a stream.

Neighbours: `filesystem` and `bucket` are the two, `copy` uses them. Not here: digests; a stream that is not to be
kept ends with an error, and no store keeps what ended so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from pawl.jobs.store import Store, StoreError

T = TypeVar("T")
MIB: Final = 1 << 20
PIECE: Final = 8 * MIB
"""Bytes that are read, hashed and written in one go."""
SMALL: Final = MIB
"""Objects up to this are copied in batches: they cost a round trip each, not bandwidth."""
SCRATCH: Final = ".pawl/tmp/"
"""Half-written objects of a filesystem."""

Body = bytes | memoryview


class Damaged(StoreError):
    """An object whose bytes are not what its name says, or cannot be read from its disk."""


class Hash(Protocol):
    """A running hash, as `hashlib` makes it."""

    def update(self, data: Body, /) -> None:
        """Take further bytes in."""
        ...

    def hexdigest(self) -> str:
        """Return the hash of all that was taken in."""
        ...


class CopyStore(Store, Protocol):
    """A store that can be the source or the target of a copy."""

    def pieces(self, key: str, start: int, size: int, *, cold: bool = False) -> AsyncIterator[Body]:
        """Yield bytes `start` to `size` of an object. `cold`: from the disk, not from memory."""
        ...

    async def read_many(self, wanted: Sequence[tuple[str, int]], *, cold: bool = False) -> Sequence[Body | StoreError]:
        """Return small objects whole, given key and size, each or why it could not be read."""
        ...

    async def write_many(self, bodies: Sequence[tuple[str, Body]]) -> None:
        """Write small objects as wholes. All that was written before survives a power cut if one of these does."""
        ...

    async def settle(self) -> None:
        """Return when all that was written survives a power cut."""
        ...

    async def resume(self, key: str, size: int, taken: Hash) -> int:
        """Return how many bytes of an object that was begun are there, after `taken` has taken them in."""
        ...

    async def put(self, key: str, size: int, start: int, pieces: AsyncIterator[Body]) -> None:
        """Write an object from `start` on, to its final key only when `pieces` ends without an error."""
        ...

    async def forget(self, key: str, size: int) -> None:
        """Throw away what `resume` would find."""
        ...

    async def append(self, key: str, lines: bytes) -> None:
        """Add whole lines to a log; its parts are found by listing, under keys that begin with `key`."""
        ...

    async def delete_many(self, keys: Sequence[str]) -> None:
        """Take objects away; those that are not there are no error."""
        ...

    async def prove(self) -> None:
        """Write, rename and read a small object, and tell apart names that differ by case. Raises StoreError."""
        ...

    def holds(self, size: int, *, writing: bool) -> int:
        """Return how many bytes of memory an object of this size takes while it is copied."""
        ...


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a refusal or a failure is borne: credentials may be changed while a copy runs."""

    first: float = 1.0
    longest: float = 30.0
    total: float = 300.0

    def waits(self) -> Iterator[float]:
        """Yield the seconds to wait before each further try, until `total` has passed since the first failure."""
        wait, end = self.first, time.monotonic() + self.total
        while (left := end - time.monotonic()) > 0:
            yield min(wait, self.longest, left)
            wait *= 2


PATIENT: Final = Patience()
HURRY: Final = Patience(total=0.0)
"""For people who wait: the first failure is told."""


async def together(*work: Coroutine[Any, Any, None]) -> None:
    """Run all; the first failure ends the others and is raised once they have ended."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def windowed(starts: Sequence[int], fetch: Callable[[int], Awaitable[Body]], ahead: int) -> AsyncIterator[Body]:
    """Yield what `fetch` gives for each start in order, while up to `ahead` of the next ones are on their way."""
    pending: list[asyncio.Future[Body]] = []
    upcoming = iter(starts)
    try:
        for start in starts:
            del start
            while len(pending) < ahead and (begin := next(upcoming, None)) is not None:
                pending.append(asyncio.ensure_future(fetch(begin)))
            yield await pending.pop(0)
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

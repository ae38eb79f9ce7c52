"""Stores that die, forget, refuse and count: wrapped around real ones and handed to the engine at its edge."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tests.registry.migrations import QUICK

from pawl.api.registrywork import Place
from pawl.decide import layout
from pawl.jobs.copystore import Body, CopyStore, Patience
from pawl.jobs.migrate import Edges
from pawl.jobs.open import open_store


class Died(BaseException):
    """The worker is no more; nothing in the engine may catch this."""


@dataclass
class Life:
    """Writes until death: `how` it comes. A life that is long enough ends by itself."""

    left: int
    how: Callable[[], None]
    streams_only: bool = False
    """Whether only pieces of large objects count."""

    def spend(self, *, piece: bool = False) -> None:
        self.left -= 1 if piece or not self.streams_only else 0
        if self.left < 0:
            self.how()


def die() -> None:
    raise Died


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Wrapped:
    """A store that does what the other one does."""

    def __init__(self, inner: CopyStore) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Mortal(Wrapped):
    """A target whose every object, piece, line and deletion may be the last, also within a batch."""

    def __init__(self, inner: CopyStore, life: Life) -> None:
        super().__init__(inner)
        self.life = life

    async def write_many(self, bodies: Sequence[tuple[str, Body]]) -> None:
        for each in bodies:
            self.life.spend()
            await self.inner.write_many([each])

    async def write(self, key: str, body: bytes) -> None:
        await self.write_many([(key, body)])

    async def append(self, key: str, lines: bytes) -> None:
        self.life.spend()
        await self.inner.append(key, lines)

    async def delete_many(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.life.spend()
            await self.inner.delete_many([key])

    async def put(self, key: str, size: int, start: int, pieces: AsyncIterator[Body]) -> None:
        await self.inner.put(key, size, start, self._mortal(pieces))
        self.life.spend()

    async def _mortal(self, pieces: AsyncIterator[Body]) -> AsyncIterator[Body]:
        async for piece in pieces:
            self.life.spend(piece=True)
            yield piece


@dataclass
class Reads:
    """Bytes of blobs that were read, by key."""

    bytes: dict[str, int] = field(default_factory=dict)

    def add(self, key: str, size: int) -> None:
        if key.startswith(layout.BLOBS):
            self.bytes[key] = self.bytes.get(key, 0) + size


class Counted(Wrapped):
    """A source that counts what is read of its blobs."""

    def __init__(self, inner: CopyStore, reads: Reads) -> None:
        super().__init__(inner)
        self.reads = reads

    async def read_many(self, wanted: Sequence[tuple[str, int]], *, cold: bool = False) -> Sequence[Any]:
        bodies = await self.inner.read_many(wanted, cold=cold)
        for (key, _), body in zip(wanted, bodies, strict=True):
            self.reads.add(key, 0 if isinstance(body, Exception) else len(body))
        return bodies

    async def pieces(self, key: str, start: int, size: int, *, cold: bool = False) -> AsyncIterator[Body]:
        async for piece in self.inner.pieces(key, start, size, cold=cold):
            self.reads.add(key, len(piece))
            yield piece


def edges(target: str, life: Life, reads: Reads | None = None) -> Edges:
    """Edges where the store at `target` is mortal and every other one is counted."""

    def opened(place: Place, patience: Patience) -> Any:
        store = open_store(place, patience)
        return Mortal(store, life) if place.path == target else Counted(store, reads or Reads())

    return replace(QUICK, open=opened)

"""Many small objects read in batches, several batches on their way at once, in bounded memory.

Neighbours: `copystore` reads one batch, `inventory` and `verify` read whole registries. Not here: what is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from pawl.jobs.copystore import CopyStore, together
from pawl.jobs.store import ObjectMissing, StoreError

Item = TypeVar("Item")

BATCH: Final = 64
"""Objects a batch."""
BATCH_BYTES: Final = 4 << 20
"""Bytes a batch, but for its last object."""


@dataclass(frozen=True, slots=True)
class Wanted(Generic[Item]):
    """One object to be read. `size` is its size, or a bound."""

    item: Item
    key: str
    size: int


async def read_all(
    store: CopyStore, wanted: Iterable[Wanted[Item]], take: Callable[[Item, bytes], None], parallel: int
) -> None:
    """Read objects in any order and hand each to `take`, an empty body for one that is not there. Raises StoreError."""
    waiting = _batches(wanted)

    async def go_on() -> None:
        for batch in waiting:
            bodies = await store.read_many([(one.key, one.size) for one in batch])
            for one, body in zip(batch, bodies, strict=True):
                take(one.item, _bytes(body))
            await asyncio.sleep(0)

    await together(*(go_on() for _ in range(max(1, parallel // 8))))


def _bytes(body: bytes | memoryview | StoreError) -> bytes:
    if isinstance(body, ObjectMissing):
        return b""
    if isinstance(body, StoreError):
        raise body
    return bytes(body)


def _batches(wanted: Iterable[Wanted[Item]]) -> Iterator[list[Wanted[Item]]]:
    batch, size = list[Wanted[Item]](), 0
    for one in wanted:
        batch.append(one)
        size += one.size
        if len(batch) >= BATCH or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


async def each(items: Iterable[Item], work: Callable[[Item], Awaitable[None]], parallel: int) -> None:
    """Do something with each item, so many at once. The first error ends all and is raised."""
    waiting = iter(items)

    async def go_on() -> None:
        for item in waiting:
            await work(item)

    await together(*(go_on() for _ in range(parallel)))

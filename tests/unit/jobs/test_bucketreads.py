"""Threads that read small objects: each answer stands at its place, one that fails spoils no other, and all end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from threading import Barrier, Event
from typing import cast

import pytest
from obstore.store import MemoryStore, S3Store

from pawl.jobs.bucketreads import THREADS, Readers
from pawl.jobs.copystore import Body
from pawl.jobs.store import StoreError


def fault(error: Exception, key: str) -> StoreError:
    return StoreError(f"{key}: {error}")


@pytest.fixture
def readers() -> Iterator[Readers]:
    made = Readers("blobs/", fault)
    yield made
    made.close()


def holding(count: int) -> S3Store:
    store = MemoryStore()
    for number in range(count):
        store.put(f"blobs/{number}", b"%d" % number)
    return cast("S3Store", store)


def shown(body: Body | StoreError) -> bytes | str:
    return str(body) if isinstance(body, StoreError) else bytes(body)


async def test_every_object_stands_at_the_place_of_its_key(readers: Readers) -> None:
    store = holding(100)
    found = await readers.read(lambda: store, [(str(number), 9) for number in range(100)])
    assert [shown(body) for body in found] == [b"%d" % number for number in range(100)]


async def test_one_that_is_missing_or_too_large_is_said_and_spoils_no_other(readers: Readers) -> None:
    store = holding(20)
    wanted = [(str(number), 1 if number == 12 else 9) for number in range(20)] + [("none", 9)]
    found = await readers.read(lambda: store, wanted)
    assert shown(found[12]) == "12: it has more than 1 bytes"
    assert isinstance(found[20], StoreError)
    assert str(found[20]).startswith("none: ")
    assert [shown(body) for number, body in enumerate(found[:20]) if number != 12] == [
        b"%d" % number for number in range(20) if number != 12
    ]


async def test_a_cancelled_read_asks_for_nothing_more_and_its_threads_serve_the_next(readers: Readers) -> None:
    held, asked, all_hang = Event(), list[int](), Barrier(THREADS + 1, timeout=30)

    def hanging() -> S3Store:
        asked.append(1)
        all_hang.wait()
        held.wait(30)
        raise OSError("gone")

    reading = asyncio.ensure_future(readers.read(hanging, [("0", 9)] * 1000))
    await asyncio.to_thread(all_hang.wait)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    held.set()
    store = holding(THREADS)
    async with asyncio.timeout(30):
        found = await readers.read(lambda: store, [(str(number), 9) for number in range(THREADS)])
    assert [shown(body) for body in found] == [b"%d" % number for number in range(THREADS)]
    assert len(asked) == THREADS

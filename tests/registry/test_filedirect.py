"""Files written and read past the cache are what the usual way makes of them, wherever their bytes are cut."""

from __future__ import annotations

import asyncio
import mmap
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pawl.jobs.copystore import PIECE
from pawl.jobs.filedirect import BLOCK, BUFFER, Reader, Writer, in_thread, pages, past_the_cache

NOISE = os.urandom(BUFFER + 3 * BLOCK)
EDGES = st.sampled_from([0, 1, BLOCK - 1, BLOCK, BLOCK + 1, BUFFER - 1, BUFFER, BUFFER + 1, BUFFER + BLOCK])
CUTS = st.lists(st.one_of(EDGES, st.integers(0, 3 * BLOCK)), max_size=4)


def slanted(size: int) -> memoryview:
    """Memory that does not begin on a page, so that no device takes it."""
    return memoryview(mmap.mmap(-1, size + BLOCK))[1 : size + 1]


@contextmanager
def opened(path: Path, flags: int = os.O_RDWR | os.O_CREAT) -> Iterator[int]:
    descriptor = os.open(path, flags, 0o644)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("memory", [pages, slanted])
@settings(max_examples=40, deadline=None)
@given(start=EDGES, cuts=CUTS)
def test_a_file_holds_what_was_written_in_whatever_pieces(
    tmp_path_factory: pytest.TempPathFactory, memory: Callable[[int], memoryview], start: int, cuts: list[int]
) -> None:
    path = tmp_path_factory.getbasetemp() / "file"
    path.write_bytes(NOISE[:start])
    with opened(path) as descriptor:
        writer = Writer(descriptor, start, memory)
        for cut in cuts:
            writer.write(NOISE[:cut])
        writer.end()
    assert path.read_bytes() == NOISE[:start] + b"".join(NOISE[:cut] for cut in cuts)


def test_large_pieces_do_not_stay_in_the_cache(tmp_path: Path) -> None:
    with opened(tmp_path / "file") as descriptor:
        if not past_the_cache(descriptor, wanted=True):
            pytest.skip("this filesystem has no O_DIRECT")
        writer = Writer(descriptor, 0)
        writer.write(memoryview(NOISE)[:BUFFER])
        writer.end()
    with opened(tmp_path / "file", os.O_RDONLY) as descriptor, pytest.raises(BlockingIOError):
        os.preadv(descriptor, [bytearray(BLOCK)], 0, os.RWF_NOWAIT)


@pytest.mark.parametrize("size", [0, 1, BLOCK, PIECE - 1, PIECE, PIECE + 1, 4 * PIECE + 17])
def test_a_reader_gives_every_byte_once(tmp_path: Path, size: int) -> None:
    body = (NOISE * (size // len(NOISE) + 1))[:size]
    (tmp_path / "file").write_bytes(body)
    with opened(tmp_path / "file", os.O_RDONLY) as descriptor:
        read = Reader(descriptor, size)
        assert b"".join(bytes(read.piece(begin)) for begin in range(0, size, PIECE)) == body


def test_a_file_that_is_longer_than_it_should_be_is_read_to_its_size(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(NOISE)
    with opened(tmp_path / "file", os.O_RDONLY) as descriptor:
        assert bytes(Reader(descriptor, BLOCK + 5).piece(0)) == NOISE[: BLOCK + 5]


async def test_a_call_that_blocks_is_over_before_its_cancellation_is_heard() -> None:
    begun, go_on, over = threading.Event(), threading.Event(), list[str]()

    def call() -> None:
        begun.set()
        go_on.wait(30)
        over.append("over")

    running = asyncio.ensure_future(in_thread(call))
    assert await asyncio.to_thread(begun.wait, 30)
    for _ in range(2):
        running.cancel()
        await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(0.05, go_on.set)
    with pytest.raises(asyncio.CancelledError):
        await running
    assert over == ["over"]

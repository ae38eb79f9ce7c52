"""Bytes of large files past the kernel's cache (O_DIRECT), where the filesystem lets them.

A blob that is copied is not read again soon. In the cache it costs a copy and, where memory is short or lent by a
hypervisor, several times that, and it drives out what the node's other Pods have there. What is read so comes from the
disk for certain, which is what a proof asks for. Blocks are of 4 KiB and so are addresses: bytes go through a buffer
that begins on a page, and what is left at the end of a file goes the usual way.
Neighbours: `filesystem` uses it for large blobs, `filecalls` writes the usual way. Not here: syncs.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import mmap
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from pawl.jobs.copystore import MIB, PIECE, Body
from pawl.jobs.filecalls import write_at

BLOCK: Final = 4096
BUFFER: Final = 4 * MIB
"""Bytes of one write."""
_RING: Final = 3
"""Pieces that are read at once: two on their way, and the one that is being used."""


def pages(size: int) -> memoryview:
    """Return memory that begins on a page; pages that are never used cost nothing."""
    return memoryview(mmap.mmap(-1, size))


class Writer:
    """Writes a file from `offset` on. `descriptor` stays open until `end` has returned."""

    def __init__(self, descriptor: int, offset: int, pages: Callable[[int], memoryview] = pages) -> None:
        self._descriptor = descriptor
        self._offset = offset
        self._held = 0
        self._direct = offset % BLOCK == 0 and past_the_cache(descriptor, wanted=True)
        self._buffer = pages(BUFFER)

    def write(self, piece: Body) -> None:
        """Take a piece. Blocks."""
        rest = memoryview(piece)
        while self._direct and rest:
            part = rest[: BUFFER - self._held]
            self._buffer[self._held : self._held + len(part)] = part
            self._held += len(part)
            rest = rest[len(part) :]
            if self._held == BUFFER:
                self._flush(BUFFER)
        if rest:
            self._usual(rest)

    def end(self) -> None:
        """Write what is held; the rest of a block goes the usual way. Blocks."""
        whole = self._held - self._held % BLOCK
        tail = bytes(self._buffer[whole : self._held])
        if whole:
            self._flush(whole)
        self._held = 0
        if tail:
            self._to_the_cache()
            self._usual(tail)

    def _flush(self, count: int) -> None:
        held = self._buffer[:count]
        self._held = 0
        try:
            written = 0
            while written < count:
                written += os.pwrite(self._descriptor, held[written:], self._offset + written)
            self._offset += count
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            self._to_the_cache()  # it took the flag, and does not take the write
            self._usual(held)

    def _usual(self, rest: Body) -> None:
        write_at(self._descriptor, rest, self._offset)
        self._offset += len(rest)

    def _to_the_cache(self) -> None:
        past_the_cache(self._descriptor, wanted=False)
        self._direct = False


def reader(descriptor: int, size: int, *, cold: bool) -> Callable[[int], Body]:
    """Return what reads up to a piece of a file from where it is told to; it blocks.

    If `cold`, from the disk: what it returns is overwritten when the third piece after it is read.
    """
    if not cold:
        return lambda begin: os.pread(descriptor, min(PIECE, size - begin), begin)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    return Reader(descriptor, size).piece


class Reader:
    """Reads a file of `size` bytes past the cache, into a ring of its own."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._size = size
        self._direct = past_the_cache(descriptor, wanted=True)
        ring = pages(_RING * PIECE)
        self._ring = [ring[number * PIECE : (number + 1) * PIECE] for number in range(_RING)]

    def piece(self, begin: int) -> Body:
        """Return up to a piece from `begin` on. Blocks."""
        if self._direct and begin % BLOCK == 0:
            room = self._ring[begin // PIECE % _RING]
            with suppress(OSError):  # the usual way reads it, or says what is wrong
                return room[: os.preadv(self._descriptor, [room], begin)][: self._size - begin]
        past_the_cache(self._descriptor, wanted=False)
        self._direct = False
        return os.pread(self._descriptor, min(PIECE, self._size - begin), begin)


def past_the_cache(descriptor: int, *, wanted: bool) -> bool:
    """Set whether a file is read and written past the cache. Returns whether it is."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    with suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_DIRECT if wanted else flags & ~os.O_DIRECT)
        return wanted
    return False


async def in_thread(call: Any, *words: Any) -> None:  # noqa: ANN401
    """Run a call that blocks, to its end whatever happens: nobody may close a descriptor that it uses."""
    running = asyncio.ensure_future(asyncio.to_thread(call, *words))
    try:
        await asyncio.shield(running)
    finally:
        while not running.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([running])

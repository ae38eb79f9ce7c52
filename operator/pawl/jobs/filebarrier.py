"""One sync of a whole filesystem for all who wait for it: `syncfs`, shared.

Neighbours: `filesystem` says why a copy syncs so. Not here: files.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable
from pathlib import Path


class Barrier:
    """Makes what was written before `wait` durable. A sync that began earlier does not count for a later caller."""

    def __init__(self, directory: Path, sync: Callable[[int], None] | None = None) -> None:
        self._directory = directory
        self._call = sync or syncfs
        self._descriptor: int | None = None
        self._running = asyncio.Lock()
        self._next: asyncio.Task[None] | None = None

    def open(self) -> int:
        """Open the descriptor that is told of failed writes from here on. Call it before the first write."""
        if self._descriptor is None:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        return self._descriptor

    async def wait(self) -> None:
        """Return when all that was written before is on the disk. Raises OSError where that failed."""
        if self._next is None:
            self._next = asyncio.ensure_future(self._sync())
        await asyncio.shield(self._next)

    def close(self) -> None:
        """Let go of the descriptor."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    async def _sync(self) -> None:
        async with self._running:
            # Whoever comes from here on may have written after this sync began, and waits for another.
            self._next = None
            descriptor = self.open()
            await asyncio.to_thread(self._call, descriptor)


def syncfs(descriptor: int) -> None:
    """Write all of a filesystem to its disk. Raises OSError where a write failed since the descriptor was opened."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.syncfs(descriptor) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))

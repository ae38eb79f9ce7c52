"""A store on a mounted filesystem: each key is a file below one directory.

How a write survives a power cut. New bytes go to files of their own under `.pawl/`, then they are synced, then renamed
to their keys: only a file whose bytes are on the disk ever gets a name that the server reads. A stream syncs its own
file; a batch of small objects syncs the whole filesystem once, a thousand objects for the price of one. Names are not
synced at once. They need not be: a batch of links is synced, and with it every name that was given before, before one
of its links gets a name, so that no link outlives what it names; a blob whose name is lost is missing in the next
listing, whatever a ledger says, and is copied again; and `settle`, which syncs all, comes before anybody hears that the
work is done. `syncfs` tells of failed write-back since its descriptor was opened, before the first write (Linux 5.8 and
later; on older kernels only a deep verification finds that). Neighbours: `bucket` is the other store,
`filebarrier` shares the syncs, `filecalls` are the calls. Not here: what keys mean.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import uuid
from collections.abc import AsyncIterator, Iterator, MutableSequence, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

from pawl.jobs.copystore import PIECE, SCRATCH, Body, Hash, windowed
from pawl.jobs.filebarrier import Barrier
from pawl.jobs.filecalls import discard, give_name, hash_file, listed, open_partial, told, write_new
from pawl.jobs.filedirect import BUFFER, Writer, in_thread, reader
from pawl.jobs.store import Object, Space, StoreError, StoreRefused

PAGE: Final = 1000


class Filesystem:
    """Objects as files below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._barrier = Barrier(root)

    @property
    def label(self) -> str:
        """What people call it."""
        return f"directory {self._root}"

    async def list(self, prefix: str = "") -> AsyncIterator[list[Object]]:
        """Yield pages of what is below a directory; files that vanish meanwhile are passed over."""
        walk = self._walk(prefix)
        while page := await asyncio.to_thread(lambda: list(islice(walk, PAGE))):
            yield page

    async def stat(self, key: str) -> Object | None:
        """Return size and time of a file, None where there is none."""
        try:
            found = await asyncio.to_thread(self._path(key).stat)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise told(error, self.label, key) from error
        return Object(key, found.st_size, found.st_mtime)

    async def read(self, key: str, limit: int) -> bytes:
        """Return a small file whole."""
        body = (await self.read_many([(key, limit)]))[0]
        if isinstance(body, StoreError):
            raise body
        if len(body) > limit:
            raise StoreError(f"{self.label}, {key} has more than {limit} bytes; it is not what its name says")
        return bytes(body)

    async def read_many(self, wanted: Sequence[tuple[str, int]], *, cold: bool = False) -> Sequence[Body | StoreError]:
        """Return files whole, each or why it could not be read; one byte more than its size shows one that grew."""
        return await asyncio.to_thread(lambda: [self._read(key, size + 1, cold=cold) for key, size in wanted])

    async def write(self, key: str, body: bytes) -> None:
        """Write one file, for good."""
        await self.write_many([(key, body)])
        await self.settle()

    async def write_many(self, bodies: Sequence[tuple[str, Body]]) -> None:
        """Write files with one sync for all of them."""
        await asyncio.to_thread(self._barrier.open)
        staged: list[tuple[Path, str]] = []
        try:
            await asyncio.to_thread(self._stage, bodies, staged)
            await self._barrier.wait()
            await asyncio.to_thread(self._name, staged)
        except OSError as error:
            raise told(error, self.label, bodies[0][0], writing=True) from error
        finally:
            await asyncio.to_thread(discard, staged)

    async def delete(self, key: str) -> None:
        """Take a file away, and directories that are empty without it: the server takes one for a tag."""
        await self.delete_many([key])

    async def delete_many(self, keys: Sequence[str]) -> None:
        """Take files away."""
        await asyncio.to_thread(self._delete_all, keys)

    async def pieces(self, key: str, start: int, size: int, *, cold: bool = False) -> AsyncIterator[Body]:
        """Yield a file piece by piece, the next one read while the last one is used.

        If `cold`, a piece is good only until the next is asked for.
        """
        path = self._path(key)
        try:
            descriptor = await asyncio.to_thread(os.open, path, os.O_RDONLY)
            try:
                read = reader(descriptor, size, cold=cold)

                def fetch(begin: int) -> asyncio.Future[Body]:
                    return asyncio.ensure_future(asyncio.to_thread(read, begin))

                async for piece in windowed(range(start, size, PIECE), fetch, 2):
                    yield piece
            finally:
                os.close(descriptor)
        except OSError as error:
            raise told(error, self.label, key) from error

    async def resume(self, key: str, size: int, taken: Hash) -> int:
        """Hash what a killed copy left of a file; what it left beyond the size is thrown away with the rest."""
        partial = self._partial(key)
        try:
            return await asyncio.to_thread(hash_file, partial, size, taken)
        except OSError as error:
            raise told(error, self.label, key) from error

    async def put(self, key: str, size: int, start: int, pieces: AsyncIterator[Body]) -> None:
        """Write a file from `start` on. What came before a failure stays for the next try."""
        await asyncio.to_thread(self._barrier.open)
        partial = self._partial(key)
        try:
            descriptor = await asyncio.to_thread(open_partial, partial)
            try:
                await self._fill(descriptor, start, pieces)
                if os.fstat(descriptor).st_size != size:
                    raise StoreError(f"{self.label}, {key}: another worker writes it; end that one")
                await asyncio.to_thread(os.fsync, descriptor)
                await asyncio.to_thread(self._name, [(partial, key)])
            finally:
                os.close(descriptor)
        except OSError as error:
            raise told(error, self.label, key, writing=True) from error

    async def forget(self, key: str, size: int) -> None:
        """Throw away what a killed copy left of a file."""
        del size
        await asyncio.to_thread(self._partial(key).unlink, missing_ok=True)

    async def append(self, key: str, lines: bytes) -> None:
        """Add lines to a file. Not synced: a line that is lost costs one more hash, and none is there too early."""
        try:
            await asyncio.to_thread(self._append, key, lines)
        except OSError as error:
            raise told(error, self.label, key, writing=True) from error

    async def settle(self) -> None:
        """Sync the filesystem."""
        try:
            await self._barrier.wait()
        except OSError as error:
            raise told(error, self.label, "", writing=True) from error

    async def space(self) -> Space:
        """Return room and inodes of the filesystem."""
        try:
            found = await asyncio.to_thread(os.statvfs, self._root)
        except FileNotFoundError as error:
            raise StoreRefused(f"{self.label} is not there; is its volume mounted?") from error
        except OSError as error:
            raise told(error, self.label, "") from error
        unit = found.f_frsize
        return Space(found.f_blocks * unit, found.f_bavail * unit, found.f_files, found.f_favail)

    async def prove(self) -> None:
        """Write a file and look for it under the same name in capitals: tags may differ by case alone."""
        name = f"{SCRATCH}proof-{uuid.uuid4().hex}"
        await self.write(f"{name}-case", b"proof")
        try:
            if await self.stat(f"{name}-CASE"):
                raise StoreRefused(f"{self.label} takes names that differ by case for one; use another filesystem")
            if await self.read(f"{name}-case", 16) != b"proof":
                raise StoreError(f"{self.label} does not give back what was written; look at the volume")
        finally:
            await self.delete(f"{name}-case")

    def holds(self, size: int, *, writing: bool) -> int:
        """Return the bytes of two pieces at most, one is read while the other is hashed; or those of one write."""
        return min(size, BUFFER if writing else 2 * PIECE)

    async def close(self) -> None:
        """Close the descriptor of the syncs."""
        self._barrier.close()

    def _path(self, key: str) -> Path:
        if any(part in ("", ".", "..") for part in key.split("/")):
            raise StoreError(f"{self.label}: {key!r} is no key")
        return self._root / key

    def _partial(self, key: str) -> Path:
        return self._root / f"{SCRATCH}{hashlib.sha256(key.encode()).hexdigest()}.partial"

    def _walk(self, prefix: str) -> Iterator[Object]:
        waiting = [str(self._root / prefix).rstrip("/")]
        skip = len(str(self._root)) + 1
        while waiting:
            try:
                with os.scandir(waiting.pop()) as found:
                    for entry in found:
                        if entry.is_symlink():
                            # The server follows it: to pass it over would be to lose what it leads to.
                            said = "is a symbolic link, which is not followed; put in its place what it leads to"
                            raise StoreRefused(f"{self.label}, {entry.path[skip:]} {said}")
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(entry.path)
                        elif entry.is_file(follow_symlinks=False):
                            yield from listed(entry, skip)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise told(error, self.label, prefix) from error

    def _read(self, key: str, length: int, *, cold: bool) -> Body | StoreError:
        try:
            descriptor = os.open(self._path(key), os.O_RDONLY)
            try:
                if cold:
                    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                return os.read(descriptor, length)
            finally:
                os.close(descriptor)
        except OSError as error:
            return told(error, self.label, key)

    def _stage(self, bodies: Sequence[tuple[str, Body]], staged: MutableSequence[tuple[Path, str]]) -> None:
        scratch = self._root / SCRATCH
        scratch.mkdir(parents=True, exist_ok=True)
        batch = uuid.uuid4().hex
        for number, (key, body) in enumerate(bodies):
            path = scratch / f"{batch}-{number}"
            staged.append((path, key))
            write_new(path, body)

    def _name(self, staged: MutableSequence[tuple[Path, str]]) -> None:
        for path, key in staged:
            give_name(path, self._path(key))
        staged.clear()

    async def _fill(self, descriptor: int, start: int, pieces: AsyncIterator[Body]) -> None:
        writer = Writer(descriptor, start)
        try:
            async for piece in pieces:
                await in_thread(writer.write, piece)
        finally:
            await in_thread(writer.end)

    def _append(self, key: str, lines: bytes) -> None:
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as log:
            log.write(lines)

    def _delete_all(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._delete(key)

    def _delete(self, key: str) -> None:
        path = self._path(key)
        try:
            path.unlink(missing_ok=True)
        except NotADirectoryError:
            return
        except OSError as error:
            raise told(error, self.label, key) from error
        with suppress(OSError):
            for parent in path.parents[: len(Path(key).parts) - 1]:
                parent.rmdir()

"""The single calls to the system that a store on a filesystem is made of; they block, and run in threads.

Neighbours: `filesystem` puts them together. Not here: keys.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from pawl.jobs.copystore import PIECE, Body, Damaged, Hash
from pawl.jobs.store import Object, ObjectMissing, StoreError, StoreFull, StoreRefused

_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED: Final = {errno.EACCES, errno.EPERM, errno.EROFS}


def told(error: OSError, label: str, key: str, *, writing: bool = False) -> StoreError:
    """Return the error of a store that this error of the system is."""
    about = f"{label}, {key or 'its directory'}: {error.strerror or error}"
    if error.errno in _FULL:
        return StoreFull(f"{about}; make room, or give it more")
    if error.errno in _REFUSED:
        return StoreRefused(f"{about}; look at owner, mode and mount of the volume")
    if error.errno == errno.EIO and not writing:
        return Damaged(f"{about}; the disk is failing")
    if error.errno == errno.ENOENT:
        return ObjectMissing(about)
    return StoreError(f"{about}; look at the volume")


def listed(entry: os.DirEntry[str], skip: int) -> Iterator[Object]:
    """Yield what a listing tells of a file, nothing if it has vanished."""
    with suppress(FileNotFoundError):
        found = entry.stat(follow_symlinks=False)
        yield Object(entry.path[skip:], found.st_size, found.st_mtime)


def write_new(path: Path, body: Body) -> None:
    """Write a file whole. Of a million small files each call to the system counts, so there are three."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        rest = memoryview(body)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    finally:
        os.close(descriptor)


def give_name(path: Path, final: Path) -> None:
    """Rename a file to where it belongs; its directory is new more often than not."""
    directory = os.path.dirname(final)  # noqa: PTH120 - a third of the cost of pathlib's
    with suppress(FileExistsError):
        try:
            os.mkdir(directory)  # noqa: PTH102
        except FileNotFoundError:
            os.makedirs(directory, exist_ok=True)  # noqa: PTH103
    os.replace(path, final)  # noqa: PTH105


def discard(staged: Sequence[tuple[Path, str]]) -> None:
    """Take away the files that were staged and got no key."""
    for path, _ in staged:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def hash_file(path: Path, size: int, taken: Hash) -> int:
    """Take the bytes of a file into a hash and return how many; one that is too long is thrown away."""
    try:
        if path.stat().st_size > size:
            path.unlink()
        with path.open("rb") as partial:
            while piece := partial.read(PIECE):
                taken.update(piece)
            return partial.tell()
    except FileNotFoundError:
        return 0


def open_partial(path: Path) -> int:
    """Open a file that goes on being written, for this worker alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        # A worker that was believed dead may still write the same file, or have given it its name just now.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.stat().st_ino != os.fstat(descriptor).st_ino:
            raise FileNotFoundError(errno.ENOENT, "another worker has ended it", str(path))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def write_at(descriptor: int, piece: Body, offset: int) -> None:
    """Write all of a piece at its place."""
    view, written = memoryview(piece), 0
    while written < len(view):
        written += os.pwrite(descriptor, view[written:], offset + written)
    # Begins the writing now and gives the memory back: the sync at the end finds little left to do.
    os.posix_fadvise(descriptor, offset, len(view), os.POSIX_FADV_DONTNEED)

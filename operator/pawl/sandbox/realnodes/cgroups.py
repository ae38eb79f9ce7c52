"""A node's place among the cgroups: where its processes are counted, limited and, at last, found to be ended.

Both layouts of Linux are served: one hierarchy a controller (v1) and one for all (v2). Everything that a node ever
started is below its directory, also what outlived its parent, so nothing has to be found by name.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pawl.api.errors import SandboxError

ROOT = Path("/sys/fs/cgroup")
NEEDED = ("cpu", "cpuset", "memory", "pids")
KILL_DEADLINE = 20.0
POLL = 0.02
SYSTEM = "system"
"""The group of a node's own daemons."""
PODS = "pods"
"""The group below which kubelet puts Pods."""


@dataclass(frozen=True)
class Groups:
    """The groups of one sandbox (`path` = `pawl-<key>`) or of one node of it (`pawl-<key>/1`)."""

    path: str
    root: Path = ROOT

    def child(self, name: str) -> Groups:
        """The groups one level below."""
        return Groups(f"{self.path}/{name}", self.root)

    def directories(self) -> list[Path]:
        """This group's directory in each hierarchy, made or not."""
        return [hierarchy / self.path for hierarchy in hierarchies(self.root)]

    def make(self) -> None:
        """Make the group and its parents, able to hold processes. Raises SandboxError."""
        try:
            for hierarchy in hierarchies(self.root):
                _make(hierarchy, self.path)
        except OSError as error:
            raise SandboxError(
                f"real nodes: cgroup {self.path} cannot be made ({error}): run where cgroups can be written"
            ) from error

    def processes(self) -> set[int]:
        """Pids of everything in this group and below."""
        return {pid for top in self.directories() for pid in _pids_below(top)}

    def end(self) -> None:
        """SIGKILL to everything in it until nothing is left. Raises SandboxError when something outlives that."""
        deadline = time.monotonic() + KILL_DEADLINE
        while left := self.processes():
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() > deadline:
                raise SandboxError(f"real nodes: pids {sorted(left)} outlive SIGKILL: look at them with ps")
            time.sleep(POLL)
            _reap(left)

    def remove(self) -> None:
        """Remove the empty group with all below it."""
        for top in self.directories():
            for directory in (*_below(top), top):
                with suppress(OSError):
                    directory.rmdir()


def hierarchies(root: Path = ROOT) -> list[Path]:
    """The directories at whose top groups are made: one for v2, one a controller for v1."""
    if (root / "cgroup.controllers").exists():
        return [root]
    found = [path.parent for path in root.glob("*/cgroup.procs")]
    return sorted(path for path in found if not path.is_symlink())


def controllers(root: Path = ROOT) -> set[str]:
    """Controllers that this machine offers."""
    listed = root / "cgroup.controllers"
    return set(listed.read_text().split()) if listed.exists() else {path.name for path in hierarchies(root)}


def _make(hierarchy: Path, path: str) -> None:
    current = hierarchy
    for part in path.split("/"):
        _open_to_children(current)
        current = current / part
        current.mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):
            # A v1 cpuset begins empty and takes no process before it is filled.
            file = current / name
            if file.exists() and not file.read_text().strip() and not _is_unified(hierarchy):
                file.write_text((current.parent / name).read_text())


def _open_to_children(directory: Path) -> None:
    listed = directory / "cgroup.controllers"
    if not listed.exists():
        return
    wanted = set(listed.read_text().split()) - set((directory / "cgroup.subtree_control").read_text().split())
    for name in sorted(wanted):
        # Some controllers cannot be handed down (rdma on some kernels); a needed one is missed by kubelet by name.
        with suppress(OSError):
            (directory / "cgroup.subtree_control").write_text(f"+{name}")


def _is_unified(hierarchy: Path) -> bool:
    return (hierarchy / "cgroup.controllers").exists()


def _below(top: Path) -> list[Path]:
    """Every group below `top`, children before their parents."""
    return [Path(directory) for directory, _, _ in os.walk(top, topdown=False)][:-1]


def _pids_below(top: Path) -> Iterator[int]:
    for directory in (top, *_below(top)):
        with suppress(OSError):
            yield from (int(line) for line in (directory / "cgroup.procs").read_text().split())


def _reap(pids: set[int]) -> None:
    for pid in pids:
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)

"""Starts, recognises and ends the sandbox's processes.

A process is known by its pid *and* the moment it started: after a reboot, or once the kernel reuses a pid, the same
number belongs to a stranger and must not be touched. Processes are detached (own session, no terminal), so they live on
when the caller ends. What to start is decided in `controlplane`, `kwok` and `registry`.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from pawl.api.errors import SandboxError

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
INHERITED = ("HOME", "PATH", "TMPDIR", "TZ")
POLL = 0.02
KILL_DEADLINE = 10.0
"""Seconds to wait for the kernel to take away a process after SIGKILL."""


@dataclass(frozen=True)
class Command:
    """A process to start: its role in the sandbox (also the log's name), argument list and additional environment."""

    role: str
    argv: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Process:
    """A started process. `mark` tells it from a later one with the same pid."""

    role: str
    pid: int
    mark: str
    log: str


def start(command: Command, log: Path) -> Process:
    """Start `command` detached, output to `log`. Raises SandboxError when it cannot be executed at all."""
    log.parent.mkdir(parents=True, exist_ok=True)
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    # Not subprocess.Popen: its object warns when it is dropped while the process lives, which is what a sandbox does.
    try:
        pid = os.posix_spawn(
            command.argv[0], command.argv, environment(command, os.environ), file_actions=actions, setsid=True
        )
    except OSError as error:
        raise SandboxError(f"{command.role}: {command.argv[0]} cannot be started ({error.strerror})") from error
    return Process(command.role, pid, start_mark(pid) or "gone", str(log))


def environment(command: Command, caller: Mapping[str, str]) -> dict[str, str]:
    """What a process sees; little of the caller's: etcd and the registry take orders from ETCD_*, REGISTRY_*."""
    return {key: caller[key] for key in INHERITED if key in caller} | dict(command.environ)


def start_mark(pid: int) -> str | None:
    """What tells this process from others with its pid, before and after; None when it is gone or a zombie."""
    return _linux_mark(pid) if sys.platform == "linux" else _portable_mark(pid)


def is_alive(process: Process) -> bool:
    """Whether exactly this process still runs. Reaps it when it was our child and has ended."""
    _reap(process.pid)
    return start_mark(process.pid) == process.mark


def stop(processes: Sequence[Process], grace: float) -> None:
    """End `processes` at the same time: SIGTERM, `grace` seconds, then SIGKILL. Gone ones are skipped.

    Raises SandboxError when one outlives SIGKILL (uninterruptible sleep, another user's process).
    """
    _signal(processes, signal.SIGTERM if grace > 0 else signal.SIGKILL)
    if grace > 0 and (left := _wait_gone(processes, grace)):
        _signal(left, signal.SIGKILL)
    if left := _wait_gone(processes, KILL_DEADLINE):
        names = ", ".join(f"{process.role} (pid {process.pid})" for process in left)
        raise SandboxError(f"{names} did not end after SIGKILL: look at it with ps, then run pawl sandbox down again")


def _signal(processes: Iterable[Process], number: signal.Signals) -> None:
    for process in filter(is_alive, processes):
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            continue
        except PermissionError as error:
            raise SandboxError(
                f"{process.role} (pid {process.pid}) belongs to another user: end it as that user"
            ) from error


def _wait_gone(processes: Sequence[Process], seconds: float) -> list[Process]:
    deadline = time.monotonic() + seconds
    left = [process for process in processes if is_alive(process)]
    while left and time.monotonic() < deadline:
        time.sleep(POLL)
        left = [process for process in left if is_alive(process)]
    return left


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def _linux_mark(pid: int) -> str | None:
    # psutil's creation time moves when the clock is stepped; ticks since boot and the boot's own id do not.
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = BOOT_ID.read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else f"{boot}:{fields[19]}"


def _portable_mark(pid: int) -> str | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else repr(process.create_time())
    except psutil.NoSuchProcess:
        return None

"""Servers of tests as processes: started, waited for, ended by pid; they die with the test process, too.

Neighbours: `minio`, `rclone` and `registries` say what to start.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pawl.sandbox.processes import Command, environment

DEADLINE = 30.0
GRACE = 5.0


def free_address(host: str = "127.0.0.1") -> str:
    """`host:port` that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return f"{host}:{probe.getsockname()[1]}"


@contextmanager
def serving(command: Command, log: Path, ready: Callable[[], bool]) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` until the block ends; inside it `ready` holds. AssertionError with its log when it does not."""
    process = spawn(command, log)
    try:
        _wait(process, log, ready)
        yield process
    finally:
        end(process)


def spawn(command: Command, log: Path) -> subprocess.Popen[bytes]:
    """Start `command` with its output in `log`; the kernel ends it when this process is gone."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            [*leash(), *command.argv], env=environment(command, os.environ), stdout=output, stderr=output
        )


def leash() -> Sequence[str]:
    """What to put before a command so that it does not outlive us."""
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", "KILL") if setpriv else ()


def end(process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGTERM) -> None:
    """Signal the process and wait until it is gone; a deaf one is killed."""
    if process.poll() is None:
        process.send_signal(number)
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(GRACE)


def _wait(process: subprocess.Popen[bytes], log: Path, ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not ready():
        assert process.poll() is None, f"{log.name}: it ended: {log.read_text()[-1000:]}"
        assert time.monotonic() < deadline, f"{log.name}: not ready in {DEADLINE:g} s: {log.read_text()[-1000:]}"
        time.sleep(0.02)

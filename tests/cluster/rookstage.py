"""The operator that plays Rook (`pawl.cli.demo_rook`) as a process, with its log.

Neighbours: `pawl.cli.demo_rook_chart` is what its chart installs, `override_stage` the namespace underneath.
Not here: what Pawl does about it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from tests.cluster.api import Json

START = 40.0
"""Seconds for a process to come up, and for an operator to act, on a busy machine."""
POLL = 0.05


class FakeRook:
    """One `python -m pawl.cli.demo_rook`. Its log is JSON lines with `event`, `object` and `detail`."""

    def __init__(self, kubeconfig: Path | str, log: Path, namespace: str, *modes: str) -> None:
        self._log = log
        argv = [sys.executable, "-m", "pawl.cli.demo_rook", "--namespace", namespace, "--kubeconfig", str(kubeconfig)]
        environ = {key: value for key, value in os.environ.items() if not key.startswith("PAWL_")}
        with log.open("wb") as stream:
            self.process = subprocess.Popen([*argv, *modes], env=environ, stderr=stream, stdout=stream)

    @property
    def text(self) -> str:
        return self._log.read_text(errors="replace")

    def lines(self, event: str = "", name: str = "") -> list[Json]:
        """What it said; of one event and one object (`daemonsets/rook-discover`) if named."""
        said = [json.loads(line) for line in self.text.splitlines() if line.startswith("{") and line.endswith("}")]
        return [line for line in said if event in ("", line["event"]) and name in ("", line["object"])]

    def count(self, event: str, name: str = "") -> int:
        return len(self.lines(event, name))

    def until(self, event: str, name: str = "", times: int = 1, seconds: float = START) -> list[Json]:
        """Wait until it said something so often."""
        end = time.monotonic() + seconds
        while len(found := self.lines(event, name)) < times:
            assert self.process.poll() is None, (
                f"the operator ended with {self.process.returncode}:\n{self.text[-3000:]}"
            )
            assert time.monotonic() < end, f"not {times} times {event!r} {name}:\n{self.text[-3000:]}"
            time.sleep(POLL)
        return found

    def turns(self, passed: Callable[[], object], seconds: float = START) -> None:
        """Wait until something holds while it lives."""
        end = time.monotonic() + seconds
        while not passed():
            assert self.process.poll() is None, f"the operator ended with {self.process.returncode}"
            assert time.monotonic() < end, f"after {seconds:g} s not yet; it said:\n{self.text[-3000:]}"
            time.sleep(POLL)

    def terminate(self, seconds: float = 20) -> int:
        """SIGTERM, as Kubernetes does; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def close(self) -> None:
        """End it whatever its state."""
        try:
            self.terminate()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
            raise


@contextmanager
def rook_of(
    kubeconfig: Path | str, directory: Path, namespace: str, *modes: str, period: float = 0.5
) -> Iterator[FakeRook]:
    """The operator of one namespace, in these modes (`--revert`, ...), for the time of a `with` block."""
    log = directory / f"rook-{uuid4().hex[:8]}.log"
    running = FakeRook(kubeconfig, log, namespace, "--period", str(period), *modes)
    try:
        yield running
    finally:
        running.close()

"""The processes of the demo beside the control plane, replicas of the operator and a proxy, recorded with the sandbox.

What is recorded is ended by `pawl sandbox down`, so one command takes all of it away, also after a demo that was
killed. Neighbours: `sandbox.processes` starts and stops, `demo_stage` says what. Not here: what the processes do.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from pawl.api.errors import SandboxError
from pawl.sandbox.paths import state_dir
from pawl.sandbox.ports import allocate
from pawl.sandbox.processes import Command, Process, is_alive, start
from pawl.sandbox.state import Store

DEATH: Final = 5.0
"""Seconds in which a process is gone after SIGKILL."""

Change = Callable[[tuple[Process, ...]], tuple[Process, ...]]
"""From the processes on record to those that are to be."""


class Crew:
    """Processes of one running sandbox."""

    def __init__(self, name: str, environ: Mapping[str, str]) -> None:
        self._name = name
        self._environ = environ
        self._store = Store(state_dir(environ).absolute())

    @property
    def logs(self) -> Path:
        """Where every process of this sandbox logs, one file each."""
        return self._store.directory(self._name) / "logs"

    def free_port(self) -> int:
        """Return a port on loopback that no sandbox uses."""
        return allocate(f"{self._name}-proxy", 1, self._store.taken_ports())[0]

    def start(self, role: str, *arguments: str) -> Process:
        """Start this Python with `arguments`, with its log under its role. Raises SandboxError."""
        inherited = {key: self._environ[key] for key in ("PYTHONPATH",) if key in self._environ}
        command = Command(role, (sys.executable, *arguments), inherited)
        process = start(command, self.logs / f"{role}.log")
        self._record(lambda known: (*known, process))
        return process

    def kill(self, process: Process) -> None:
        """End a process with SIGKILL, as a crash would, and strike it from the record. Raises SandboxError."""
        os.kill(process.pid, signal.SIGKILL)
        self._record(lambda known: tuple(each for each in known if each.pid != process.pid))
        end = time.monotonic() + DEATH
        while is_alive(process):
            if time.monotonic() > end:
                raise SandboxError(f"{process.role} (pid {process.pid}) did not end after SIGKILL")
            time.sleep(0.01)

    def save_logs(self) -> Path:
        """Copy the logs to where they outlive the sandbox, and return the directory."""
        kept = self._store.failed_logs(self._name)
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(self.logs, kept)
        return kept

    def _record(self, change: Change) -> None:
        with self._store.lock(self._name):
            state = self._store.load(self._name)
            if state is None:
                raise SandboxError(f"sandbox {self._name} was taken down meanwhile; run the demo again")
            self._store.save(replace(state, processes=change(state.processes)))

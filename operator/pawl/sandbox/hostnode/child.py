"""One process of a container: started on a leash, watched, ended politely or not.

Its session is its own, so that what it starts ends with it; on Linux the kernel also ends it when we are gone.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pawl.sandbox.hostnode.translate import Start
from pawl.sandbox.processes import Command, environment

POLL = 0.03
SIGNALLED = 128


class Child:
    """A running process. Raises OSError when it cannot be started."""

    def __init__(self, start: Start, directory: Path, log: Path) -> None:
        environ = environment(Command("container", start.argv, start.environ), os.environ)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*leash(), *start.argv],
                env=environ,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process' id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        if self._process.returncode is not None:
            return False
        # Not reaped by the look: until then nobody else can get its number, which is its group's, too.
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    async def ended(self) -> int:
        """Wait for its end; the exit code as a kubelet tells it: 128 and the signal's number for a signal."""
        while True:
            if not self.alive:
                break
            await asyncio.sleep(POLL)
        self.kill()
        code = self._process.returncode
        return code if code >= 0 else SIGNALLED - code

    async def end(self, grace: float) -> None:
        """SIGTERM, `grace` seconds, SIGKILL; on return it is gone."""
        if self.alive and grace > 0:
            self._process.terminate()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.ended(), grace)
        self.kill()

    def kill(self) -> None:
        """End it and what it started at once."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()


def leash() -> Sequence[str]:
    """What to put before a command so that the kernel ends it when we are gone."""
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", "KILL") if setpriv else ()

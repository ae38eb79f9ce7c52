"""An API server that is started again with other flags, on the same store: as one that is upgraded, or downgraded.

It is a sandbox of its own, since the one of the other tests is shared. Neighbours: `gates` for gates in a server.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from pawl.sandbox import Running, SandboxOptions, running
from pawl.sandbox.processes import Command, Process, start, stop
from pawl.sandbox.rest import Api as Rest
from pawl.sandbox.rest import admin_api

ROLE = "kube-apiserver"
_OFF = ",".join(
    f"admissionregistration.k8s.io/v1/{name}=false"
    for name in ("mutatingadmissionpolicies", "mutatingadmissionpolicybindings")
)
WITHOUT_POLICIES = (f"--runtime-config={_OFF}", "--feature-gates=MutatingAdmissionPolicy=false")
"""Neither flag alone will do: without the API the plugin waits for it for ever, without the gate the API is served."""
READY = 60.0


class Server:
    """The control plane of a sandbox whose API server can be changed."""

    def __init__(self, sandbox: Running) -> None:
        self.sandbox = sandbox
        self._directory = sandbox.kubeconfig.parent
        self._process, self._argv = _found(self._directory)
        self._started = False

    @property
    def log(self) -> Path:
        """The log of the API server that runs now."""
        return Path(self._process.log)

    def restart(self, flags: Sequence[str] = (), binary: Path | None = None) -> None:
        """Let the API server end, and begin with further flags, or as another version."""
        stop([self._process], 3.0)
        argv = (str(binary or self._argv[0]), *self._argv[1:], *flags)
        self._process = start(Command(ROLE, argv), self._directory / "logs" / f"{ROLE}-{uuid4().hex[:6]}.log")
        self._started = True
        rest, end = self._rest(), time.monotonic() + READY
        while rest.get("/readyz").status != 200:
            assert time.monotonic() < end, Path(self._process.log).read_text()[-3000:]
            time.sleep(0.1)

    def _rest(self) -> Rest:
        return admin_api(self.sandbox.server, self._directory / "pki")

    def close(self) -> None:
        """End what this object started; the sandbox knows only of what it started itself."""
        if self._started:
            stop([self._process], 5.0)


@contextmanager
def server(nodes: int = 0) -> Iterator[Server]:
    """A control plane of one's own."""
    options = SandboxOptions(name=f"gate-{os.getpid()}-{uuid4().hex[:4]}", nodes=nodes, registry=False)
    with running(options) as sandbox:
        made = Server(sandbox)
        try:
            yield made
        finally:
            made.close()


def _found(directory: Path) -> tuple[Process, tuple[str, ...]]:
    """The API server that a sandbox records, with its arguments."""
    recorded = json.loads((directory / "state.json").read_text())["processes"]
    process = Process(**next(each for each in recorded if each["role"] == ROLE))
    argv = Path(f"/proc/{process.pid}/cmdline").read_bytes().rstrip(b"\0").decode().split("\0")
    return process, tuple(argv)

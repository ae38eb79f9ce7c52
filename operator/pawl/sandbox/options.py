"""The sandbox's parameters and answers, as frozen dataclasses. No behaviour beyond reading them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pawl.sandbox.golang import Run, run
from pawl.sandbox.minio import Minio
from pawl.sandbox.ports import Allocate, allocate
from pawl.sandbox.progress import SILENT, Progress

EMBEDDED = "embedded"
KIND = "kind"


@dataclass(frozen=True)
class SandboxOptions:
    """What is asked for. `nodes` are simulated ones; with kind they are worker containers."""

    name: str = "default"
    nodes: int = 0
    registry: bool = True
    provider: str = EMBEDDED
    state_dir: Path | None = None
    """Instead of `PAWL_STATE_DIR` and the XDG default."""
    real_nodes: int = 0
    """Real ones, by kubelet and containerd: root on Debian or Ubuntu only."""
    binaries: Path | None = None
    """Directory of ready binaries (as in KUBEBUILDER_ASSETS) instead of the built ones; parts it lacks are left out."""
    minio: bool = False
    """Also a MinIO, for registries that keep their data in a bucket."""


@dataclass(frozen=True)
class Runtime:
    """What the sandbox touches of the machine; tests and callers with a screen pass their own."""

    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    progress: Progress = SILENT
    allocate: Allocate = allocate
    command: Run = run


@dataclass(frozen=True)
class RealNode:
    """A real node and where to find it on this machine. `pids` has its processes by part: containerd, kubelet, ..."""

    name: str
    address: str
    pods: str
    """Range of its Pods' addresses."""
    socket: Path
    """containerd's."""
    certs: Path
    """Its `/etc/containerd/certs.d`."""
    enter: tuple[str, ...]
    """What to put before a command to run it in the node's network and mount namespaces; empty when it is stopped."""
    pids: Mapping[str, int]


@dataclass(frozen=True)
class Running:
    """A sandbox that answers. `started` is False when it ran before; `env` goes over a process' environment."""

    name: str
    provider: str
    context: str
    kubeconfig: Path
    server: str
    registry: str | None
    nodes: int
    env: Mapping[str, str]
    started: bool = True
    real: tuple[RealNode, ...] = ()
    minio: Minio | None = None


@dataclass(frozen=True)
class Status:
    """What is left of a recorded sandbox. `state` is running, starting, degraded, stopped or damaged."""

    name: str
    provider: str
    state: str
    server: str
    kubeconfig: str
    registry: str | None
    nodes: int
    dead: tuple[str, ...] = ()
    """Roles of processes that should run and do not."""
    real_nodes: tuple[str, ...] = ()
    """Names of real nodes; a stopped one is followed by ` (stopped)`."""
    minio: str | None = None
    """MinIO's `host:port`."""

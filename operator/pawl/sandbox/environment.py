"""The environment variables that lead a shell or a test to a sandbox, and what is behind them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from pawl.sandbox.minio import ROLE, Minio, found
from pawl.sandbox.state import State, Store


def variables(state: State, path: str, minio: Minio | None = None) -> dict[str, str]:
    """Variables for `state`; `path` is the caller's PATH, which gets the directory of kubectl in front, once."""
    told = {"KUBECONFIG": state.kubeconfig, "PAWL_KUBECONFIG": state.kubeconfig, "PAWL_SANDBOX": state.name}
    if state.registry:
        told["PAWL_REGISTRY"] = state.registry
    if minio:
        told["PAWL_MINIO_ENDPOINT"] = minio.endpoint
        told["PAWL_MINIO_ACCESS_KEY"] = minio.access_key
        told["PAWL_MINIO_SECRET_KEY"] = minio.secret_key
    kubectl = Path(state.binaries) / "kubectl"
    if state.binaries and kubectl.exists():
        told["KUBECTL"] = str(kubectl)
        told["PATH"] = prefixed(state.binaries, path)
    return told


def minio_of(state: State, store: Store) -> Minio | None:
    """The MinIO of a recorded sandbox; None where none was asked for."""
    if not state.minio or state.ports is None:
        return None
    place = store.place(state.name, Path(state.binaries), state.ports, state.network)
    pid = next((process.pid for process in state.processes if process.role == ROLE), 0)
    return found(place.minio_home, place.minio, pid)


def prefixed(directory: str, path: str) -> str:
    """`path` with `directory` in front and nowhere else."""
    rest = [part for part in path.split(os.pathsep) if part and part != directory]
    return os.pathsep.join([directory, *rest])


def export_lines(env: Mapping[str, str]) -> list[str]:
    """Lines that a POSIX shell can evaluate, sorted by name."""
    return [f"export {key}={shlex.quote(value)}" for key, value in sorted(env.items())]

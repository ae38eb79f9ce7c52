"""The environment variables that lead a shell or a test to a sandbox. Pure."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from pawl.sandbox.state import State


def variables(state: State, path: str) -> dict[str, str]:
    """Variables for `state`; `path` is the caller's PATH, which gets the directory of kubectl in front, once."""
    found = {"KUBECONFIG": state.kubeconfig, "PAWL_KUBECONFIG": state.kubeconfig, "PAWL_SANDBOX": state.name}
    if state.registry:
        found["PAWL_REGISTRY"] = state.registry
    kubectl = Path(state.binaries) / "kubectl"
    if state.binaries and kubectl.exists():
        found["KUBECTL"] = str(kubectl)
        found["PATH"] = prefixed(state.binaries, path)
    return found


def prefixed(directory: str, path: str) -> str:
    """`path` with `directory` in front and nowhere else."""
    rest = [part for part in path.split(os.pathsep) if part and part != directory]
    return os.pathsep.join([directory, *rest])


def export_lines(env: Mapping[str, str]) -> list[str]:
    """Lines that a POSIX shell can evaluate, sorted by name."""
    return [f"export {key}={shlex.quote(value)}" for key, value in sorted(env.items())]

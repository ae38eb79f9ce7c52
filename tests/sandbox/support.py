"""Doubles and helpers of the sandbox's tests: a recording command runner, waiting, directories of binaries."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pawl.sandbox.place import Place, Ports
from pawl.sandbox.processes import Command, Process, is_alive, start
from pawl.sandbox.state import State

PORTS = Ports(api=20001, etcd=20002, etcd_peer=20003, registry=20004, dns=20005)


@dataclass
class Recorder:
    """A command runner that starts nothing: `answer` maps an argument list to (exit code, stdout, stderr)."""

    answer: Callable[[Sequence[str]], tuple[int, str, str]]
    calls: list[list[str]] = field(default_factory=list)
    environs: list[Mapping[str, str]] = field(default_factory=list)

    def __call__(self, argv: Sequence[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        self.calls.append(list(argv))
        self.environs.append(environ)
        return subprocess.CompletedProcess(list(argv), *self.answer(argv))


def place_at(directory: Path, *binaries: str, name: str = "s") -> Place:
    """A Place below `directory` whose binaries are empty files called `binaries`."""
    bin_dir = binary_directory(directory / "bin", *binaries)
    return Place(name, directory / name, bin_dir, PORTS)


def binary_directory(directory: Path, *names: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for name in names:
        (directory / name).touch()
    return directory


def linked_binaries(source: Path, directory: Path, *names: str) -> Path:
    """A directory with links to some real binaries, as KUBEBUILDER_ASSETS would have."""
    directory.mkdir(parents=True)
    for name in names:
        (directory / name).symlink_to(source / name)
    return directory


def broken_binary(directory: Path, name: str, says: str) -> None:
    path = directory / name
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\necho first line\necho {says}\nexit 7\n")
    path.chmod(0o755)


def state_of(place: Place, *processes: Process, **changes: object) -> State:
    state = State(
        name=place.name,
        provider="embedded",
        context=place.context,
        kubeconfig=str(place.kubeconfig),
        server=place.server,
        registry=place.registry,
        nodes=0,
        binaries=str(place.binaries),
        ports=place.ports,
        processes=processes,
        ready=True,
    )
    return replace(state, **changes)


def sleeper(log: Path, role: str = "sleeper") -> Process:
    """A real process that waits for SIGTERM."""
    return start(Command(role, ("/bin/sleep", "600")), log)


def stubborn(log: Path, role: str = "stubborn") -> Process:
    """A real process that ignores SIGTERM; it has said so in its log when this returns."""
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    )
    process = start(Command(role, (sys.executable, "-c", code)), log)
    eventually(lambda: "deaf" in log.read_text())
    return process


def eventually(check: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until `check` gives something true; AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"not within {seconds} s: {check}"
        time.sleep(0.05)


def all_gone(processes: Sequence[Process]) -> bool:
    return not any(is_alive(process) for process in processes)


def kubectl(env: Mapping[str, str], *arguments: str) -> str:
    """Run kubectl of the sandbox; AssertionError with its stderr when it fails."""
    answer = subprocess.run([env["KUBECTL"], *arguments], env=dict(env), capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def kubectl_json(env: Mapping[str, str], *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(kubectl(env, *arguments, "-o", "json"))
    return found

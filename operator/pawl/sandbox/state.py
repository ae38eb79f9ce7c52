"""What is remembered of a sandbox between commands: `sandboxes/<name>/state.json`, written whole after each change.

The file is written before the first process starts and after each one, so whatever ends `up` half-way, a later `down`
knows what to stop. Secrets are not in it.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pawl.api.errors import InputError, SandboxError
from pawl.sandbox.files import locked, write_whole
from pawl.sandbox.place import Place, Ports
from pawl.sandbox.processes import Process
from pawl.sandbox.realnodes.network import Network

VERSION = 1
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


@dataclass(frozen=True)
class State:
    """One sandbox as recorded. `ready` is False until `up` has finished; `ports` is None for a kind cluster."""

    name: str
    provider: str
    context: str
    kubeconfig: str
    server: str
    registry: str | None
    nodes: int
    binaries: str
    ports: Ports | None
    processes: tuple[Process, ...] = ()
    ready: bool = False
    network: Network | None = None
    """Where real nodes are asked for; recorded before the first of its links is made."""
    stopped: tuple[int, ...] = ()
    """Numbers of real nodes that were stopped on purpose."""
    minio: str = ""
    """Path of MinIO's binary, where it runs beside the cluster."""


@dataclass(frozen=True)
class Store:
    """All sandboxes below one state directory."""

    root: Path

    @property
    def home(self) -> Path:
        """Directory that holds one directory a sandbox."""
        return self.root / "sandboxes"

    def directory(self, name: str) -> Path:
        """Directory of the sandbox `name`."""
        return self.home / name

    def failed_logs(self, name: str) -> Path:
        """Where the logs of the last failed start are kept."""
        return self.home / f"{name}.failed-logs"

    def place(self, name: str, binaries: Path, ports: Ports, network: Network | None = None) -> Place:
        """The Place of a sandbox in this store."""
        place = Place(name, self.directory(name), binaries, ports)
        return replace(place, host=network.host, services=network.services) if network else place

    def lock(self, name: str) -> AbstractContextManager[None]:
        """Held by `up` and `down` of one sandbox."""
        return locked(self.root / "locks" / f"sandbox-{name}")

    def ports_lock(self) -> AbstractContextManager[None]:
        """Held from choosing ports until they are recorded."""
        return locked(self.root / "locks" / "ports")

    def names(self) -> list[str]:
        """Names of all recorded sandboxes, sorted."""
        return sorted(path.parent.name for path in self.home.glob("*/state.json"))

    def load(self, name: str) -> State | None:
        """The record of `name`, None when there is none. Raises SandboxError when it cannot be read."""
        path = self.directory(name) / "state.json"
        try:
            return decode(path.read_text())
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise SandboxError(
                f"sandbox {name}: {path} is damaged ({error}): end its processes, remove the directory"
            ) from error

    def save(self, state: State) -> None:
        """Record `state`."""
        write_whole(self.directory(state.name) / "state.json", encode(state))

    def remove(self, name: str) -> None:
        """Forget `name` and all its data."""
        shutil.rmtree(self.directory(name), ignore_errors=True)

    def taken_ports(self) -> set[int]:
        """Ports that recorded sandboxes use or are about to use."""
        return set(self._ports())

    def taken_ranges(self) -> set[str]:
        """Private ranges of recorded sandboxes with real nodes."""
        return {state.network.base for state in self._states() if state.network}

    def _ports(self) -> Iterator[int]:
        for state in self._states():
            if state.ports:
                yield from (port for port in asdict(state.ports).values() if port)

    def _states(self) -> Iterator[State]:
        for name in self.names():
            # A neighbour's damaged record is no reason to fail: what it uses is found to be in use.
            with suppress(SandboxError):
                if state := self.load(name):
                    yield state


def check_name(name: str) -> str:
    """`name` itself. Raises InputError unless it fits file names, contexts and kind cluster names alike."""
    if NAME.fullmatch(name):
        return name
    raise InputError(f"sandbox name {name!r}: use 1 to 40 of a-z, 0-9 and '-', not '-' at an end")


def encode(state: State) -> str:
    """The JSON text of `state`."""
    return json.dumps({"version": VERSION, **asdict(state)}, indent=2) + "\n"


def decode(text: str) -> State:
    """The state in a JSON text. Raises ValueError, KeyError or TypeError when it is none of ours."""
    fields: dict[str, Any] = json.loads(text)
    if fields.pop("version") != VERSION:
        raise ValueError("written by another version of pawl")
    fields["processes"] = tuple(Process(**process) for process in fields["processes"])
    fields["ports"] = Ports(**fields["ports"]) if fields["ports"] else None
    fields["network"] = Network(**fields["network"]) if fields.get("network") else None
    fields["stopped"] = tuple(fields.get("stopped", ()))
    return State(**fields)

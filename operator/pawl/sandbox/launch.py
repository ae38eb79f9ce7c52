"""Starts the processes of an embedded sandbox in order, records each, and waits until the whole is usable.

A process that dies while others are waited for ends the wait at once, with its role and log in the error. What to do
with the remains is decided in `sandbox`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from pawl.sandbox import controlplane, kwok, minio, registry
from pawl.sandbox.credentials import write_credentials
from pawl.sandbox.files import write_whole
from pawl.sandbox.place import Place
from pawl.sandbox.processes import Command, Process, is_alive, start, stop
from pawl.sandbox.realnodes import dns, readiness
from pawl.sandbox.realnodes.config import PAUSE
from pawl.sandbox.realnodes.life import Nodes
from pawl.sandbox.rest import Api, admin_api
from pawl.sandbox.state import State, Store
from pawl.sandbox.toolimage import push_pause

DEADLINE = 60.0
"""Seconds for each wait; a warm start on two cores needs under six in all."""
POLL = 0.05
PROBE = 1.0
OK = 200
FRONT = "front"
STOP_ORDER = (("etcd", 5.0), ("kube-apiserver", 5.0), (FRONT, 3.0))
"""Ranks from the bottom up with seconds of grace; what talks to the API server goes first, etcd last."""


class StartFailedError(Exception):
    """A part did not come up. `why` is half a sentence; the caller adds where its log is kept."""

    def __init__(self, role: str, why: str) -> None:
        super().__init__(f"{role} {why}")
        self.role = role
        self.why = why


class Launch:
    """One start. `state` grows with each process and is saved each time."""

    def __init__(self, store: Store, state: State, place: Place, nodes: Nodes | None = None) -> None:
        self.state = state
        self._store = store
        self.place = place
        self._nodes = nodes

    def run(self) -> State:
        """Start everything that `state` asks for and return the record. Raises StartFailedError, SandboxError."""
        write_credentials(self.place, self._nodes.identities() if self._nodes else ())
        if self._nodes:
            self._nodes.make_network()
        if self.state.registry:
            registry.write_config(self.place)
            self._start(registry.registry(self.place))
        if self.state.minio:
            self._start(minio.minio(self.state.minio, self.place.minio_home, self.place.minio))
        self._start(controlplane.etcd(self.place))
        self._start(controlplane.apiserver(self.place))
        api = admin_api(self.place.server, self.place.pki(""))
        # While etcd is missing, /readyz hangs; a short call lets the wait look at the processes in between.
        probe = replace(api, timeout=PROBE)
        self.wait("kube-apiserver", "did not become ready", lambda: probe.get("/readyz").status == OK)
        self._start_clients()
        kwok.create_nodes(api, self.state.nodes)
        if self._nodes:
            self._start_nodes(self._nodes, api)
        self._wait_usable(api)
        return self._record(replace(self.state, ready=True))

    def start_node(self, number: int) -> State:
        """Start one real node of a running sandbox, until it is Ready. Raises StartFailedError, SandboxError."""
        if self._nodes:
            api = admin_api(self.place.server, self.place.pki(""))
            name = self._nodes.node(number).name
            before = readiness.heartbeat(api, name)
            self._nodes.start(number, self._start)
            self._record(replace(self.state, stopped=tuple(each for each in self.state.stopped if each != number)))
            self._wait_ready(name, api, before)
        return self.state

    def wait(self, role: str, why: str, check: Callable[[], bool], deadline: float = DEADLINE) -> None:
        """Poll `check` until it holds. Raises StartFailedError after `deadline` seconds or once a process has died."""
        end = time.monotonic() + deadline
        while not check():
            for process in self.state.processes:
                if not is_alive(process):
                    raise StartFailedError(process.role, "stopped while starting")
            if time.monotonic() > end:
                raise StartFailedError(role, f"{why} within {deadline:g} s")
            time.sleep(POLL)

    def _start_clients(self) -> None:
        if self.place.has("kube-controller-manager"):
            self._start(controlplane.controller_manager(self.place))
        if self.place.has("kube-scheduler"):
            self._start(controlplane.scheduler(self.place))
        if self.state.nodes:
            self._start(kwok.kwok(self.place))

    def _start_nodes(self, nodes: Nodes, api: Api) -> None:
        self._wait_registry(self.place.registry)
        push_pause(self.place.registry, PAUSE, nodes.parts.tool)
        write_whole(self.place.directory / "Corefile", dns.corefile(self.place))
        dns.publish(self.place, nodes.network, api)
        self._start(dns.coredns(self.place, nodes.parts))
        for number in nodes.network.numbers:
            nodes.start(number, self._start)
        nodes.route_services(nodes.network.numbers)
        self.wait("coredns", "did not listen", lambda: dns.answers(self.place))
        for node in nodes.all():
            self._wait_ready(node.name, api)

    def _wait_ready(self, name: str, api: Api, since: str = "") -> None:
        role = name.removeprefix(f"{self.place.name}-")
        self.wait(f"{role}-kubelet", f"did not make Node {name} Ready", lambda: readiness.is_ready(api, name, since))

    def _wait_registry(self, host: str) -> None:
        self.wait("registry", "did not answer", lambda: registry.answers(host))

    def _wait_usable(self, api: Api) -> None:
        default = "/api/v1/namespaces/default"
        self.wait("kube-apiserver", "did not make namespace default", lambda: api.get(default).status == OK)
        if self.place.has("kube-controller-manager"):
            account = f"{default}/serviceaccounts/default"
            why = "did not make ServiceAccount default/default"
            self.wait("kube-controller-manager", why, lambda: api.get(account).status == OK)
        if self.state.nodes:
            wanted = self.state.nodes + (self._nodes.network.count if self._nodes else 0)
            self.wait("kwok", f"did not make {wanted} Nodes Ready", lambda: kwok.ready_nodes(api) >= wanted)
        if host := self.state.registry:
            self._wait_registry(host)
        if self.state.minio:
            self.wait("minio", "did not answer", lambda: minio.answers(self.place.minio))

    def _start(self, command: Command) -> Process:
        process = start(command, self.place.log(command.role))
        self._record(replace(self.state, processes=(*self.state.processes, process)))
        return process

    def _record(self, state: State) -> State:
        self.state = state
        self._store.save(state)
        return state


def stop_all(processes: Sequence[Process], *, unplugged: bool = False) -> None:
    """End a sandbox's processes, clients first, etcd last. Raises SandboxError when one cannot be ended.

    `unplugged`: real nodes were cut off before, so the API server would wait for connections that nobody ends.
    """
    ranks = [name for name, _ in STOP_ORDER]
    ordered = sorted(processes, key=lambda process: ranks.index(_rank(process)), reverse=True)
    etcd_lives = any(process.role == "etcd" and is_alive(process) for process in processes)
    for rank, group in groupby(ordered, key=_rank):
        # Without etcd the API server's graceful end waits for answers that never come.
        hopeless = rank == "kube-apiserver" and (unplugged or not etcd_lives)
        stop(list(group), 0 if hopeless else dict(STOP_ORDER)[rank])


def last_lines(log: Path, count: int = 3) -> str:
    """The end of a log in one line, for an error message."""
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except FileNotFoundError:
        lines = []
    return " | ".join(line.strip()[:300] for line in lines[-count:]) or "empty"


def _rank(process: Process) -> str:
    return process.role if process.role in {"etcd", "kube-apiserver"} else FRONT

"""Pulls the plug of one real node and puts it back, for tests of failover. The record says that it was on purpose.

A stopped node's Pods, kubelet and containerd are gone as in a power cut; its files stay, so it comes back with its
images. Neighbours: `realnodes.life` does it, `launch` records each process.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pawl.api.errors import InputError, SandboxError
from pawl.sandbox.build import Builder, build_node_parts
from pawl.sandbox.launch import Launch, StartFailedError, last_lines
from pawl.sandbox.options import RealNode, Runtime
from pawl.sandbox.paths import state_dir
from pawl.sandbox.realnodes.life import Nodes, describe
from pawl.sandbox.realnodes.nodeplace import node_name
from pawl.sandbox.state import State, Store, check_name


def stop_node(sandbox: str, node: str, directory: Path | None = None, runtime: Runtime | None = None) -> None:
    """Kill everything of the real node `node`; one that is stopped already stays so. Raises InputError, SandboxError.

    Nothing is told to the API server: the Node becomes NotReady once its lease has run out.
    """
    runtime = runtime or Runtime()
    with _opened(sandbox, node, directory, runtime) as (store, state, nodes, number):
        left = tuple(each for each in state.processes if not each.role.startswith(f"node-{number}-"))
        stopped = tuple(sorted({*state.stopped, number}))
        # Recorded first: killed but not recorded would look like a sandbox that broke.
        store.save(replace(state, processes=left, stopped=stopped))
        nodes.stop(number)
        nodes.route_services([each for each in nodes.network.numbers if each not in stopped])


def start_node(sandbox: str, node: str, directory: Path | None = None, runtime: Runtime | None = None) -> RealNode:
    """Start a stopped node and return it when it is Ready. Raises InputError, SandboxError."""
    runtime = runtime or Runtime()
    with _opened(sandbox, node, directory, runtime) as (store, state, nodes, number):
        if number in state.stopped:
            started = _started(Launch(store, state, nodes.place, nodes), number)
            nodes.route_services([each for each in nodes.network.numbers if each not in started.stopped])
            return describe(nodes.node(number), started.processes)
        return describe(nodes.node(number), state.processes)


def _started(launch: Launch, number: int) -> State:
    try:
        return launch.start_node(number)
    except StartFailedError as error:
        log = launch.place.log(error.role)
        raise SandboxError(f"sandbox {launch.place.name}: {error}; read {log}: {last_lines(log)}") from error


@contextmanager
def _opened(
    sandbox: str, node: str, directory: Path | None, runtime: Runtime
) -> Iterator[tuple[Store, State, Nodes, int]]:
    store = Store((directory or state_dir(runtime.environ)).absolute())
    with store.lock(check_name(sandbox)):
        state = store.load(sandbox)
        if state is None or state.network is None or state.ports is None:
            raise InputError(f"sandbox {sandbox} has no real nodes: start it with pawl sandbox up --real-nodes 1")
        place = store.place(sandbox, Path(state.binaries), state.ports, state.network)
        parts = build_node_parts(Builder(runtime.environ, command=runtime.command, progress=runtime.progress))
        yield store, state, Nodes(place, state.network, parts, runtime), _number(state, node)


def _number(state: State, node: str) -> int:
    numbers = state.network.numbers if state.network else ()
    names = {node_name(state.name, number): number for number in numbers}
    if node not in names:
        raise InputError(f"sandbox {state.name} has no real node {node}: there are {', '.join(names)}")
    return names[node]

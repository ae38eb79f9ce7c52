"""Up, down, status: the sandbox as its users see it. Synchronous, one lock a sandbox, nothing in module state.

Order of trust: what `state.json` records, checked against the processes that really run. `launch` starts an embedded
one, `kind` makes one in Docker; this file decides when, and cleans up after either.
"""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from pawl.api.errors import InputError, SandboxError
from pawl.sandbox import kind
from pawl.sandbox.build import Builder, NodeParts, build, build_minio, build_node_parts
from pawl.sandbox.environment import minio_of, variables
from pawl.sandbox.launch import Launch, StartFailedError, last_lines, stop_all
from pawl.sandbox.options import EMBEDDED, KIND, RealNode, Running, Runtime, SandboxOptions, Status
from pawl.sandbox.paths import state_dir
from pawl.sandbox.place import Ports
from pawl.sandbox.processes import is_alive
from pawl.sandbox.realnodes.life import Nodes, clear, describe
from pawl.sandbox.realnodes.machine import prepare
from pawl.sandbox.realnodes.network import MOST, Network, free_range, key_of, routed
from pawl.sandbox.realnodes.nodeplace import NodePlace, node_name
from pawl.sandbox.state import State, Store, check_name

NEEDED = ("etcd", "kube-apiserver")


def up(options: SandboxOptions, runtime: Runtime | None = None) -> Running:
    """Bring a sandbox up and return it when it is usable. One that runs already is returned as it is.

    Remains of one that died are cleaned first, its data included. Raises InputError for a bad name or provider and
    SandboxError when it cannot be built or started; then nothing is left but `sandboxes/<name>.failed-logs`.
    """
    runtime = runtime or Runtime()
    _check(options)
    store = _store(options.state_dir, runtime)
    with store.lock(options.name):
        found = store.load(options.name)
        if found and _state_of(found, runtime) == "running":
            runtime.progress.note(f"sandbox {options.name} is already running")
            return _running(found, store, runtime, started=False)
        if found:
            _clean(found, store, runtime)
        return _running(_create(options, runtime, store), store, runtime, started=True)


def down(name: str = "default", state_dir: Path | None = None, runtime: Runtime | None = None) -> bool:
    """End a sandbox and remove its data; False when there was none. Raises SandboxError when one cannot be ended."""
    runtime = runtime or Runtime()
    store = _store(state_dir, runtime)
    with store.lock(check_name(name)):
        found = store.load(name)
        if found:
            with runtime.progress.step(f"take down sandbox {name}"):
                _clean(found, store, runtime)
        return found is not None


def status(name: str | None = None, state_dir: Path | None = None, runtime: Runtime | None = None) -> list[Status]:
    """What is recorded and what of it lives: of one sandbox, or of all. Asks the process table only."""
    runtime = runtime or Runtime()
    store = _store(state_dir, runtime)
    return [_status(each, store, runtime) for each in store.names() if name in {None, each}]


def environment(name: str = "default", state_dir: Path | None = None, runtime: Runtime | None = None) -> dict[str, str]:
    """Variables that lead to a running sandbox. Raises SandboxError when it does not run."""
    runtime = runtime or Runtime()
    store = _store(state_dir, runtime)
    state = store.load(check_name(name))
    if state is None or _state_of(state, runtime) != "running":
        raise SandboxError(f"sandbox {name} is not running: start it with pawl sandbox up --name {name}")
    return variables(state, runtime.environ.get("PATH", ""), minio_of(state, store))


@contextmanager
def running(options: SandboxOptions, runtime: Runtime | None = None) -> Iterator[Running]:
    """A sandbox for the time of a `with` block; it is taken down however the block ends, SIGTERM included.

    Raises SandboxError when one of that name runs already: it is not ours to take down.
    """
    with terminating_cleanly():
        cluster = up(options, runtime)
        if not cluster.started:
            raise SandboxError(f"sandbox {options.name} is already running: use another name, or take it down first")
        try:
            yield cluster
        finally:
            down(options.name, options.state_dir, runtime)


@contextmanager
def terminating_cleanly() -> Iterator[None]:
    """Turn SIGTERM into SystemExit, so that `finally` runs. No effect outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _exit)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _exit(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


def _check(options: SandboxOptions) -> None:
    check_name(options.name)
    if options.provider not in {EMBEDDED, KIND}:
        raise InputError(f"sandbox provider {options.provider!r}: use {EMBEDDED} or {KIND}")
    if options.nodes < 0:
        raise InputError(f"sandbox {options.name}: {options.nodes} nodes: use 0 or more")
    if options.minio and options.provider != EMBEDDED:
        raise InputError(f"sandbox {options.name}: MinIO runs beside {EMBEDDED} ones only; leave --minio out")
    if options.real_nodes:
        _check_real(options)


def _check_real(options: SandboxOptions) -> None:
    what = f"sandbox {options.name}: {options.real_nodes} real nodes"
    if not 0 < options.real_nodes <= MOST:
        raise InputError(f"{what}: use 0 to {MOST}")
    if options.provider != EMBEDDED:
        raise InputError(f"{what}: nodes of {options.provider} are real already; leave --real-nodes out")
    if not options.registry:
        raise InputError(f"{what}: they pull from the sandbox's registry; leave --no-registry out")


def _store(directory: Path | None, runtime: Runtime) -> Store:
    return Store((directory or state_dir(runtime.environ)).absolute())


def _create(options: SandboxOptions, runtime: Runtime, store: Store) -> State:
    make = _create_kind if options.provider == KIND else _create_embedded
    try:
        state = make(options, runtime, store)
    except BaseException as error:
        logs = _abandon(options.name, store, runtime)
        if isinstance(error, StartFailedError):
            log = logs / f"{error.role}.log"
            raise SandboxError(f"sandbox {options.name}: {error}; read {log}: {last_lines(log)}") from error
        raise
    shutil.rmtree(store.failed_logs(options.name), ignore_errors=True)
    return state


def _create_kind(options: SandboxOptions, runtime: Runtime, store: Store) -> State:
    state = kind.create(options, runtime, store)
    store.save(state)
    return state


def _create_embedded(options: SandboxOptions, runtime: Runtime, store: Store) -> State:
    parts = _node_parts(options, runtime)
    binaries = _binaries(options, runtime)
    minio = build_minio(_builder(runtime)) if options.minio else None
    with store.ports_lock():
        ports = _ports(runtime.allocate(options.name, 4 + bool(parts) + bool(minio), store.taken_ports()), minio)
        network = _network(options, store, runtime)
        place = store.place(options.name, binaries, ports, network)
        state = State(
            name=options.name,
            provider=EMBEDDED,
            context=place.context,
            kubeconfig=str(place.kubeconfig),
            server=place.server,
            registry=place.registry if options.registry and place.has("registry") else None,
            nodes=options.nodes if place.has("kwok") else 0,
            binaries=str(binaries),
            ports=ports,
            network=network,
            minio=str(minio or ""),
        )
        store.save(state)
    nodes = Nodes(place, network, parts, runtime) if network and parts else None
    with runtime.progress.step(f"start sandbox {options.name}"):
        return Launch(store, state, place, nodes).run()


def _ports(numbers: list[int], minio: Path | None) -> Ports:
    return replace(Ports(*numbers[:-1]), minio=numbers[-1]) if minio else Ports(*numbers)


def _builder(runtime: Runtime) -> Builder:
    return Builder(runtime.environ, command=runtime.command, progress=runtime.progress)


def _node_parts(options: SandboxOptions, runtime: Runtime) -> NodeParts | None:
    if not options.real_nodes:
        return None
    prepare(runtime)
    return build_node_parts(_builder(runtime))


def _network(options: SandboxOptions, store: Store, runtime: Runtime) -> Network | None:
    if not options.real_nodes:
        return None
    key = key_of(store.directory(options.name))
    return Network(key, free_range(key, [*routed(runtime), *store.taken_ranges()]), options.real_nodes)


def _binaries(options: SandboxOptions, runtime: Runtime) -> Path:
    if options.binaries is None:
        return build(_builder(runtime))
    for name in NEEDED:
        if not (options.binaries / name).exists():
            raise SandboxError(f"{options.binaries} holds no {name}: put it there, or unset KUBEBUILDER_ASSETS")
    return options.binaries.absolute()


def _clean(state: State, store: Store, runtime: Runtime) -> None:
    if state.network:
        clear(state.network, state.processes, runtime)
    stop_all(state.processes, unplugged=state.network is not None)
    if state.provider == KIND:
        kind.delete(state, runtime)
    store.remove(state.name)


def _abandon(name: str, store: Store, runtime: Runtime) -> Path:
    kept = store.failed_logs(name)
    state = store.load(name)
    if state:
        shutil.rmtree(kept, ignore_errors=True)
        with suppress(FileNotFoundError):
            (store.directory(name) / "logs").rename(kept)
        _clean(state, store, runtime)
    return kept


def _running(state: State, store: Store, runtime: Runtime, *, started: bool) -> Running:
    minio = minio_of(state, store)
    return Running(
        name=state.name,
        provider=state.provider,
        context=state.context,
        kubeconfig=Path(state.kubeconfig),
        server=state.server,
        registry=state.registry,
        nodes=state.nodes,
        env=variables(state, runtime.environ.get("PATH", ""), minio),
        started=started,
        real=_real(state, store),
        minio=minio,
    )


def _real(state: State, store: Store) -> tuple[RealNode, ...]:
    if state.network is None or state.ports is None:
        return ()
    place = store.place(state.name, Path(state.binaries), state.ports, state.network)
    nodes = (NodePlace(place, state.network, number) for number in state.network.numbers)
    return tuple(describe(node, state.processes) for node in nodes)


def _real_names(state: State) -> tuple[str, ...]:
    numbers = state.network.numbers if state.network else ()
    return tuple(
        node_name(state.name, number) + (" (stopped)" if number in state.stopped else "") for number in numbers
    )


def _dead(state: State) -> tuple[str, ...]:
    return tuple(process.role for process in state.processes if not is_alive(process))


def _state_of(state: State, runtime: Runtime) -> str:
    if state.provider == KIND:
        return "running" if kind.exists(state, runtime) else "stopped"
    dead = _dead(state)
    if not dead:
        return "running" if state.ready else "starting"
    return "stopped" if len(dead) == len(state.processes) else "degraded"


def _status(name: str, store: Store, runtime: Runtime) -> Status:
    try:
        state = store.load(name)
    except SandboxError:
        state = None
    if state is None:
        return Status(name, "", "damaged", "", "", None, 0)
    what = _state_of(state, runtime)
    facts = (state.provider, what, state.server, state.kubeconfig, state.registry, state.nodes)
    minio = minio_of(state, store)
    return Status(
        name, *facts, dead=_dead(state), real_nodes=_real_names(state), minio=minio.address if minio else None
    )

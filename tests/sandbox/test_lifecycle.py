"""Real control planes: start, side by side, restart, the ways to die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.sandbox.support import all_gone, broken_binary, eventually, kubectl, kubectl_json, linked_binaries

from pawl.api.errors import SandboxError
from pawl.sandbox import Runtime, SandboxOptions, cluster_for_tests, down, environment, running, status, up
from pawl.sandbox.ports import LOOPBACK, allocate
from pawl.sandbox.processes import Process, is_alive
from pawl.sandbox.state import State, Store

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800), pytest.mark.usefixtures("binaries")]


@pytest.fixture
def store(runtime: Runtime) -> Store:
    return Store(Path(runtime.environ["PAWL_STATE_DIR"]))


@pytest.fixture(autouse=True)
def _take_down(runtime: Runtime, store: Store) -> Iterator[None]:
    yield
    for name in store.names():
        down(name, runtime=runtime)


def recorded(store: Store, name: str) -> State:
    state = store.load(name)
    assert state
    return state


def process_of(state: State, role: str) -> Process:
    return next(process for process in state.processes if process.role == role)


def test_a_sandbox_is_usable_when_up_returns(runtime: Runtime) -> None:
    found = up(SandboxOptions(name="a", nodes=2), runtime)
    env = {**runtime.environ, **found.env}
    assert kubectl(env, "config", "current-context").strip() == "pawl-sandbox-a"
    assert kubectl(env, "get", "serviceaccount", "default", "-o", "name") == "serviceaccount/default\n"
    nodes = kubectl_json(env, "get", "nodes")["items"]
    assert [node["metadata"]["name"] for node in nodes] == ["node-0", "node-1"]
    assert kubectl_json(env, "version")["serverVersion"]["gitVersion"] == "v1.36.3"
    assert environment("a", runtime=runtime) == dict(found.env)


def test_up_and_down_are_idempotent(runtime: Runtime, store: Store) -> None:
    options = SandboxOptions(name="a", registry=False)
    first = up(options, runtime)
    assert up(options, runtime) == replace(first, started=False)
    processes = recorded(store, "a").processes
    assert down("a", runtime=runtime)
    assert not down("a", runtime=runtime)
    assert all_gone(processes)
    assert store.names() == []


def test_two_run_side_by_side(runtime: Runtime, store: Store) -> None:
    one, two = (up(SandboxOptions(name=name), runtime) for name in ("one", "two"))
    assert one.server != two.server
    assert one.registry != two.registry
    kubectl({**runtime.environ, **one.env}, "create", "namespace", "only-in-one")
    assert "only-in-one" not in kubectl({**runtime.environ, **two.env}, "get", "namespaces", "-o", "name")
    assert [each.state for each in status(runtime=runtime)] == ["running", "running"]
    down("one", runtime=runtime)
    assert "default" in kubectl({**runtime.environ, **two.env}, "get", "namespaces", "-o", "name")
    assert store.names() == ["two"]


def test_it_outlives_the_process_that_started_it(runtime: Runtime) -> None:
    code = "from pawl.sandbox import *; up(SandboxOptions(name='orphan', registry=False))"
    subprocess.run([sys.executable, "-c", code], env=_with_source(runtime), check=True)
    assert [each.state for each in status(runtime=runtime)] == ["running"]
    env = {**runtime.environ, **environment("orphan", runtime=runtime)}
    assert kubectl(env, "get", "--raw", "/readyz") == "ok"


def test_after_etcd_was_killed_down_leaves_no_process(runtime: Runtime, store: Store) -> None:
    up(SandboxOptions(name="a", nodes=1), runtime)
    state = recorded(store, "a")
    os.kill(process_of(state, "etcd").pid, signal.SIGKILL)
    eventually(lambda: not is_alive(process_of(state, "etcd")))
    assert [(each.state, each.dead) for each in status(runtime=runtime)] == [("degraded", ("etcd",))]
    assert down("a", runtime=runtime)
    assert all_gone(state.processes)


def test_up_over_a_dead_one_starts_afresh(runtime: Runtime, store: Store) -> None:
    first = up(SandboxOptions(name="a", registry=False), runtime)
    before = recorded(store, "a").processes
    kubectl({**runtime.environ, **first.env}, "create", "namespace", "of-the-first")
    os.kill(process_of(recorded(store, "a"), "kube-apiserver").pid, signal.SIGKILL)
    eventually(lambda: status(runtime=runtime)[0].state == "degraded")
    second = up(SandboxOptions(name="a", registry=False), runtime)
    assert second.started
    assert all_gone(before)
    assert "of-the-first" not in kubectl({**runtime.environ, **second.env}, "get", "namespaces", "-o", "name")


def test_an_occupied_port_leaves_nothing_and_names_the_log(runtime: Runtime, store: Store) -> None:
    import socket

    with socket.socket() as occupied:
        occupied.bind((LOOPBACK, 0))
        occupied.listen()
        ports = [*allocate("a", 1, ()), occupied.getsockname()[1], *allocate("b", 2, ())]
        blocked = replace(runtime, allocate=lambda *_: ports)
        with pytest.raises(
            SandboxError, match=r"sandbox a: etcd stopped while starting; read .*etcd.log: .*address already in use"
        ):
            up(SandboxOptions(name="a"), blocked)
    assert_only_logs(store, "a")


def test_a_broken_binary_leaves_nothing_and_shows_its_last_lines(
    runtime: Runtime, store: Store, binaries: Path, tmp_path: Path
) -> None:
    directory = linked_binaries(binaries, tmp_path / "assets", "etcd", "kube-apiserver", "registry", "kube-scheduler")
    broken_binary(directory, "kube-scheduler", "no such flag")
    broken_binary(directory, "kube-controller-manager", "no such flag")
    with pytest.raises(
        SandboxError, match=r"kube-controller-manager stopped while starting; read .*: first line \| no such flag"
    ):
        up(SandboxOptions(name="a", binaries=directory), runtime)
    assert_only_logs(store, "a")
    down("a", runtime=runtime)
    up(SandboxOptions(name="a", binaries=binaries, registry=False), runtime)
    assert not store.failed_logs("a").exists()


def assert_only_logs(store: Store, name: str) -> None:
    assert [path.name for path in store.home.iterdir()] == [f"{name}.failed-logs"]
    assert (store.failed_logs(name) / "etcd.log").exists()
    assert running_below(store.root) == []


def running_below(directory: Path) -> list[str]:
    """Command lines of processes that work in `directory`, whoever started them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        found += [line] if str(directory) in line else []
    return found


def test_up_killed_half_way_is_cleaned_by_down(runtime: Runtime, store: Store) -> None:
    code = "from pawl.sandbox import *; up(SandboxOptions(name='half'))"
    child = subprocess.Popen([sys.executable, "-c", code], env=_with_source(runtime))
    eventually(lambda: store.names() == ["half"] and len(recorded(store, "half").processes) >= 3)
    child.kill()
    child.wait()
    processes = recorded(store, "half").processes
    assert status(runtime=runtime)[0].state in {"starting", "degraded"}
    assert down("half", runtime=runtime)
    assert all_gone(processes)
    assert running_below(store.root) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_context_manager_takes_down_on_signals(number: signal.Signals, runtime: Runtime, store: Store) -> None:
    code = """if True:
        import threading
        from pawl.sandbox import *
        with running(SandboxOptions(name="with", registry=False)):
            print("up", flush=True)
            threading.Event().wait(60)
    """
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        env=_with_source(runtime),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert child.stdout
    assert child.stdout.readline() == "up\n"
    processes = recorded(store, "with").processes
    child.send_signal(number)
    assert child.wait(60) != 0
    child.stdout.close()
    assert all_gone(processes)
    assert store.names() == []


def test_an_error_in_the_block_takes_down_too(runtime: Runtime, store: Store) -> None:
    def fail_inside() -> None:
        with running(SandboxOptions(name="with", registry=False), runtime):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()
    assert store.names() == []
    assert running_below(store.root) == []


def test_assets_without_controllers_still_serve_the_api(runtime: Runtime, binaries: Path, tmp_path: Path) -> None:
    assets = linked_binaries(binaries, tmp_path / "assets", "etcd", "kube-apiserver", "kubectl")
    from_assets = replace(runtime, environ={**runtime.environ, "KUBEBUILDER_ASSETS": str(assets)})
    with cluster_for_tests(SandboxOptions(name="assets", nodes=1), from_assets) as cluster:
        assert (cluster.source, cluster.registry) == ("KUBEBUILDER_ASSETS", None)
        assert len(cluster.notes) == 4
        env = {**runtime.environ, **cluster.env}
        kubectl(env, "run", "bare", "--image=example.com/x:1")
        assert kubectl_json(env, "get", "pod", "bare")["status"]["phase"] == "Pending"


def _with_source(runtime: Runtime) -> dict[str, str]:
    return {**runtime.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

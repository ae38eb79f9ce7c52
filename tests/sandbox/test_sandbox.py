"""Up, down and status against real but trivial processes; no control plane is started here."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest
from tests.sandbox.support import all_gone, eventually, sleeper, state_of, stubborn

from pawl.api.errors import InputError, SandboxError
from pawl.sandbox import SandboxOptions, down, environment, status, terminating_cleanly, up
from pawl.sandbox.launch import last_lines, stop_all
from pawl.sandbox.options import Runtime
from pawl.sandbox.place import Place
from pawl.sandbox.processes import Command, is_alive, start
from pawl.sandbox.sandbox import running
from pawl.sandbox.state import Store


@pytest.fixture
def store(runtime: Runtime) -> Store:
    return Store(Path(runtime.environ["PAWL_STATE_DIR"]))


def test_down_ends_what_is_recorded_and_is_idempotent(store: Store, place: Place, runtime: Runtime) -> None:
    process = sleeper(place.log("etcd"), "etcd")
    store.save(state_of(place, process))
    assert down(place.name, runtime=runtime)
    assert not is_alive(process)
    assert not store.directory(place.name).exists()
    assert not down(place.name, runtime=runtime)


def test_an_api_server_without_etcd_is_killed_at_once(tmp_path: Path) -> None:
    etcd, api = sleeper(tmp_path / "etcd", "etcd"), stubborn(tmp_path / "api", "kube-apiserver")
    os.kill(etcd.pid, signal.SIGKILL)
    eventually(lambda: not is_alive(etcd))
    timer = threading.Timer(4.0, os.kill, (api.pid, signal.SIGKILL))
    timer.start()
    stop_all([etcd, api])
    in_time = timer.is_alive()
    timer.cancel()
    timer.join()
    assert all_gone([etcd, api])
    assert in_time


def test_the_order_of_the_end_is_clients_server_store(tmp_path: Path) -> None:
    ends = tmp_path / "ends"

    def part(role: str) -> str:
        return f"trap 'echo {role} >> {ends}; exit 0' TERM; echo up; while :; do sleep 0.05; done"

    roles = ("etcd", "kube-apiserver", "kwok")
    processes = [start(Command(role, ("/bin/sh", "-c", part(role))), tmp_path / role) for role in roles]
    for role in roles:
        eventually(lambda role=role: "up" in (tmp_path / role).read_text())
    stop_all(processes)
    assert ends.read_text().split() == ["kwok", "kube-apiserver", "etcd"]


def test_status_tells_which_parts_died(store: Store, place: Place, runtime: Runtime) -> None:
    etcd, api = sleeper(place.log("etcd"), "etcd"), sleeper(place.log("api"), "kube-apiserver")
    store.save(state_of(place, etcd, api))
    assert [(each.state, each.dead) for each in status(runtime=runtime)] == [("running", ())]
    os.kill(api.pid, signal.SIGKILL)
    eventually(lambda: not is_alive(api))
    assert [(each.state, each.dead) for each in status(place.name, runtime=runtime)] == [
        ("degraded", ("kube-apiserver",))
    ]
    stop_all([etcd])
    assert status(runtime=runtime)[0].state == "stopped"
    assert status("another", runtime=runtime) == []


def test_an_unfinished_start_is_not_running(store: Store, place: Place, runtime: Runtime) -> None:
    etcd = sleeper(place.log("etcd"), "etcd")
    store.save(state_of(place, etcd, ready=False))
    assert status(runtime=runtime)[0].state == "starting"
    with pytest.raises(SandboxError, match=f"sandbox {place.name} is not running: start it with"):
        environment(place.name, runtime=runtime)
    down(place.name, runtime=runtime)


def test_a_damaged_record_is_shown_not_raised(store: Store, runtime: Runtime) -> None:
    store.directory("torn").mkdir(parents=True)
    (store.directory("torn") / "state.json").write_text("{")
    assert status(runtime=runtime)[0].state == "damaged"


def test_up_of_a_running_one_is_a_no_op(store: Store, place: Place, runtime: Runtime) -> None:
    etcd = sleeper(place.log("etcd"), "etcd")
    store.save(state_of(place, etcd))
    found = up(SandboxOptions(name=place.name), runtime)
    assert not found.started
    assert found.server == place.server
    assert environment(place.name, runtime=runtime) == dict(found.env)
    assert is_alive(etcd)
    down(place.name, runtime=runtime)


def test_the_context_manager_does_not_take_over_a_running_one(store: Store, place: Place, runtime: Runtime) -> None:
    etcd = sleeper(place.log("etcd"), "etcd")
    store.save(state_of(place, etcd))
    with (
        pytest.raises(SandboxError, match="is already running: use another name"),
        running(SandboxOptions(name=place.name), runtime),
    ):
        pass
    assert is_alive(etcd)
    down(place.name, runtime=runtime)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (SandboxOptions(name="Bad"), "use 1 to 40"),
        (SandboxOptions(provider="vm"), "use embedded or kind"),
        (SandboxOptions(nodes=-1), "use 0 or more"),
        (SandboxOptions(real_nodes=-1), "-1 real nodes: use 0 to 50"),
        (SandboxOptions(real_nodes=51), "51 real nodes: use 0 to 50"),
        (SandboxOptions(real_nodes=1, provider="kind"), "nodes of kind are real already; leave --real-nodes out"),
        (SandboxOptions(real_nodes=1, registry=False), "they pull from the sandbox's registry"),
    ],
)
def test_bad_options_are_refused_before_anything_is_made(
    options: SandboxOptions, message: str, runtime: Runtime
) -> None:
    with pytest.raises(InputError, match=message):
        up(options, runtime)
    assert not Path(runtime.environ["PAWL_STATE_DIR"]).exists()


def test_sigterm_becomes_an_exit_and_the_handler_is_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)

    def be_terminated() -> None:
        with terminating_cleanly():
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Event().wait(5)

    with pytest.raises(SystemExit) as ended:
        be_terminated()
    assert ended.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before


def test_outside_the_main_thread_signals_are_left_alone() -> None:
    seen: list[bool] = []

    def inside() -> None:
        with terminating_cleanly():
            seen.append(True)

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [True]


def test_the_last_lines_of_a_log_in_one_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("one\ntwo\n three \nfour\n")
    assert last_lines(log) == "two | three | four"
    assert last_lines(tmp_path / "none") == "empty"

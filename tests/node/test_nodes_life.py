"""From `up` to `down`: what real nodes take of this machine, and that all of it is given back, however they ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from tests.cluster.api import Api
from tests.node.node_kit import create, eventually, get_pod, is_ready, pod

from pawl.api.errors import SandboxError
from pawl.sandbox import Running, Runtime, SandboxOptions, ToolImage, down, status, tool_image, up
from pawl.sandbox.processes import start_mark
from pawl.sandbox.realnodes.cgroups import Groups, hierarchies
from pawl.sandbox.realnodes.network import Network
from pawl.sandbox.realnodes.nodeplace import KERNEL, groups, run_directory
from pawl.sandbox.state import State, Store

NAME = "life"


@dataclass(frozen=True)
class Machine:
    """What `up` must not change, or must change back: as seen at one moment."""

    routes: frozenset[str]
    rules: str
    kernel: dict[str, str]

    @staticmethod
    def seen() -> Machine:
        # Other sandboxes come and go beside these tests: their routes are on links of their own.
        routes = (json.dumps(each) for each in ip("route", "show", "table", "all") if "pawl-" not in str(each))
        rules = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout
        kernel = {key: (Path("/proc/sys") / key).read_text() for key in KERNEL}
        return Machine(frozenset(routes), rules, kernel)


@dataclass(frozen=True)
class Taken:
    """Everything a running sandbox holds: its processes with the moment of their start, its network namespaces."""

    network: Network
    processes: dict[int, str | None]
    namespaces: frozenset[str]

    def left(self) -> dict[str, list[str]]:
        """What of it is still there, by kind."""
        found = {
            "processes": [str(pid) for pid, mark in self.processes.items() if mark and start_mark(pid) == mark],
            "links": [each["ifname"] for each in ip("link", "show") if self.network.key in each["ifname"]],
            "cgroups": [str(path) for top in hierarchies() for path in top.glob(f"{self.network.bridge}*")],
            "mounts": [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if self._own(line)],
            "namespaces": sorted(self.namespaces & {netns(pid) for pid in psutil.pids()}),
            "files": [str(path) for path in (run_directory(self.network),) if path.exists()],
        }
        return {kind: each for kind, each in found.items() if each}

    def _own(self, line: str) -> bool:
        return self.network.key in line or f"/sandboxes/{NAME}/" in line


def ip(*arguments: str) -> list[dict[str, object]]:
    answer = subprocess.run(["ip", "-json", *arguments], capture_output=True, text=True, check=True)
    return list(json.loads(answer.stdout or "[]"))


def netns(pid: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/net").readlink())
    except OSError:
        return ""


def taken(state: State) -> Taken:
    assert state.network
    pids = {*groups(state.network).processes(), *(each.pid for each in state.processes)}
    own = frozenset(netns(pid) for pid in groups(state.network).processes()) - {netns(os.getpid()), ""}
    return Taken(state.network, {pid: start_mark(pid) for pid in pids}, own)


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    return Runtime(environ={**os.environ, "PAWL_STATE_DIR": str(tmp_path)})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    yield Store(tmp_path)
    down(NAME, tmp_path)


def recorded(store: Store) -> State:
    state = store.load(NAME)
    assert state
    return state


def run_a_pod(found: Running) -> None:
    image = ToolImage("life/pod", "v1")
    digest = tool_image(str(found.registry), image)
    api = Api(found.kubeconfig)
    create(api, "/api/v1/namespaces/default/pods", pod("one", f"{found.registry}/life/pod@{digest}", "pause"))
    eventually(lambda: is_ready(get_pod(api, "default", "one")), what="Pod one is Ready")
    api.close()


def test_down_gives_everything_back_and_up_can_come_again(runtime: Runtime, store: Store) -> None:
    before = Machine.seen()
    for _ in range(2):
        found = up(SandboxOptions(NAME, real_nodes=1), runtime)
        run_a_pod(found)
        held = taken(recorded(store))
        assert {"processes", "links", "cgroups", "namespaces", "files"} <= held.left().keys()
        assert down(NAME, runtime=runtime)
        assert held.left() == {}
    assert Machine.seen() == before
    assert not store.directory(NAME).exists()


def test_up_of_a_running_one_changes_nothing(runtime: Runtime, store: Store) -> None:
    first = up(SandboxOptions(NAME, real_nodes=1), runtime)
    before = recorded(store)
    again = up(SandboxOptions(NAME, real_nodes=1), runtime)
    assert (again.started, again.real) == (False, first.real)
    assert recorded(store) == before


def test_after_all_of_it_was_killed_down_leaves_nothing(runtime: Runtime, store: Store) -> None:
    run_a_pod(up(SandboxOptions(NAME, real_nodes=2), runtime))
    state = recorded(store)
    held = taken(state)
    for pid in held.processes:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: "processes" not in held.left(), what="all are dead")
    assert [each.state for each in status(NAME, runtime=runtime)] == ["stopped"]
    assert down(NAME, runtime=runtime)
    assert held.left() == {}


def test_a_runtime_that_was_killed_leaves_its_pods_to_down(runtime: Runtime, store: Store) -> None:
    run_a_pod(up(SandboxOptions(NAME, real_nodes=1), runtime))
    held = taken(recorded(store))
    for role in ("containerd", "kubelet", "holder"):
        os.kill(next(each.pid for each in recorded(store).processes if each.role == f"node-1-{role}"), signal.SIGKILL)
    eventually(lambda: [each.state for each in status(NAME, runtime=runtime)] == ["degraded"])
    assert "processes" in held.left()
    assert down(NAME, runtime=runtime)
    assert held.left() == {}


def test_a_start_that_fails_half_way_leaves_nothing(runtime: Runtime, store: Store) -> None:
    seen: list[Network] = []

    def broken(argv: object, environ: object) -> object:
        words = list(argv)  # type: ignore[call-overload]
        if words[0] == "nsenter":
            state = recorded(store)
            assert state.network
            seen.append(state.network)
            return subprocess.CompletedProcess(words, 1, "", "no such device")
        return runtime.command(words, environ)  # type: ignore[arg-type]

    faulty = Runtime(environ=runtime.environ, command=broken)  # type: ignore[arg-type]
    with pytest.raises(SandboxError, match=r"inside.ip failed \(no such device\)"):
        up(SandboxOptions(NAME, real_nodes=1), faulty)
    (network,) = seen
    assert Taken(network, {}, frozenset()).left() == {}
    assert Groups(network.bridge).processes() == set()
    assert store.load(NAME) is None


def test_two_sandboxes_with_real_nodes_and_simulated_ones_live_side_by_side(
    runtime: Runtime, store: Store, nodes: Running
) -> None:
    found = up(SandboxOptions(NAME, nodes=2, real_nodes=1), runtime)
    run_a_pod(found)
    api = Api(found.kubeconfig)
    names = {each["metadata"]["name"] for each in api.get("/api/v1/nodes").body["items"] if is_ready(each)}
    api.close()
    assert names == {"node-0", "node-1", f"{NAME}-node-1"}
    assert {node.address for node in found.real}.isdisjoint(node.address for node in nodes.real)
    assert found.registry != nodes.registry
    assert store.names() == [NAME]

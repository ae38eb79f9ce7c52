"""The installed operator on two real nodes: how it comes up, what it may, and what it survives.

One release for all tests of this file, which go from calm to storm. Times are told, not held against anything.
Neighbours: `node_release` installs, `tests.chart` for values, `test_node_webhook` for clusters without policies.
Not here: NetworkPolicies at work: the sandbox's network enforces none.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.cluster.api import Api, Json
from tests.cluster.operators import Shop, selected, spec, tell
from tests.cluster.override_stage_specs import enforcement, override, rollout
from tests.cluster.override_stage_workloads import bare_pod, deployment
from tests.node.node_images import Placed, Program
from tests.node.node_release import Release, Wish, name_of, processes, release_of
from tests.node.node_scene import NodeScene, node_scene_of, quick

from pawl.sandbox import Cluster, Running, Runtime, start_node, stop_node

pytestmark = [pytest.mark.node, pytest.mark.timeout(400)]

DEADLINE = 90.0
"""Seconds for what should take twenty: a busy machine is no failure."""


@dataclass(frozen=True)
class Site:
    """A namespace whose Deployment follows a policy by an override, and the release that sees to it."""

    release: Release
    scene: NodeScene
    shop: Shop

    def push(self, tag: str) -> Placed:
        self.scene.public_of(Program("web", tag))
        return self.scene.mirror_of(Program("web", tag))

    def sequence(self) -> int:
        """Where the selection is; reading it judges the status as a whole."""
        return int(selected(self.shop.read())["sequence"])

    def runs(self, placed: Placed, seconds: float = DEADLINE) -> None:
        """Wait until the Deployment's Pods run an image, proved."""
        self.scene.wait(
            lambda: self.scene.pod_images("web") == [placed.pinned], f"the Pods to run {placed.tagged}", seconds=seconds
        )
        self.scene.done(seconds=seconds)
        assert self.scene.image_ids("web")["app"] <= placed.acceptable

    def acts(self, seconds: float = DEADLINE) -> float:
        """Ask for a run of the policy; the seconds until it was done."""
        wish, start = self.shop.annotate(), time.monotonic()
        asked = lambda: self.shop.read()["status"].get("lastHandledReconcileAt") == wish  # noqa: E731
        self.scene.wait(asked, "the operator to act", seconds=seconds)
        return time.monotonic() - start


@pytest.fixture(scope="module")
def release(api: Api, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory, pawl_image: str) -> Iterator[Release]:
    wish = Wish("pawl-system", pawl_image, {"plainHTTPHosts": [cluster.registry]})
    with release_of(api, cluster, tmp_path_factory.mktemp("release"), wish) as made:
        yield made


@pytest.fixture(scope="module")
def site(
    api: Api, cluster: Cluster, tool: bytes, release: Release, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    with node_scene_of(api, cluster, tmp_path_factory.mktemp("site"), release.log, tool) as scene:
        made = Site(release, scene, Shop(api, scene.stage.namespace, release.log))
        first = made.push("v1.0.0")
        made.shop.create(spec(scene.stage.registry, first.program.repository))
        scene.start(quick(deployment("web", f"{scene.public}/web:v1.0.0")))
        follow = {"source": f"{scene.public}/web", "target": {"policyRef": {"name": "web"}}}
        scene.stage.apply(override(follow, enforcement=enforcement(), rollout=rollout()))
        yield made


@pytest.fixture
def steady(site: Site) -> Iterator[Site]:
    """The site, whose selection only goes forward whatever the test does."""
    before = site.sequence()
    yield site
    assert site.sequence() >= before


def other_than(release: Release, pod: Json) -> Json:
    (found,) = [each for each in release.pods() if name_of(each) != name_of(pod)]
    return found


def test_it_comes_up_with_a_replica_on_each_node(
    release: Release, nodes_named: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    figures = release.figures()
    tell(capsys, f"helm install to Ready {figures['install']} s")
    for name, one in figures["pods"].items():
        tell(capsys, f"{name}: start {one['start']} s, RSS {one['rss']} MiB, working set {one['working_set']} MiB")
    assert release.nodes() == sorted(nodes_named)


def test_it_runs_with_no_rights_on_its_node(release: Release) -> None:
    """In a namespace that enforces restricted Pods: another user than root, no capability, a seccomp filter, and a root
    that nobody can write to, as the kernel sees it."""
    for pod in release.pods():
        (pid,) = processes(pod)
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        assert status["Uid"].split() == ["65532"] * 4
        assert (int(status["CapEff"], 16), int(status["CapBnd"], 16)) == (0, 0)
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        root = next(line.split() for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines() if " / / " in line)
        assert "ro" in root[5].split(",")


def test_helm_test_passes(release: Release) -> None:
    """A Pod of the same image finds the operator by the name of its Service."""
    assert "Phase:          Succeeded" in release.helm("test", "pawl")


def test_a_selection_reaches_pods(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """The policy selects from the registry, the Pods run it; a newer version is pushed and they follow."""
    site.runs(site.push("v1.0.0"))
    newer = site.push("v1.1.0")
    start = time.monotonic()
    site.shop.annotate()
    site.runs(newer)
    tell(capsys, f"from the wish to proved Pods {time.monotonic() - start:.1f} s")


def test_the_other_replica_goes_on_when_the_leader_is_killed(steady: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """kill -9 on the node: no SIGTERM, no released Lease."""
    release, before = steady.release, steady.release.holder()
    release.kill(release.leader())
    start = time.monotonic()
    waited = steady.acts()
    tell(capsys, f"kill -9 of the leader: another acts after {waited:.1f} s")
    assert release.holder() != before
    assert time.monotonic() - start < DEADLINE
    release.until_settled()


def test_a_drain_leaves_one_replica_at_work(
    steady: Site, nodes_named: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The leader's node is drained: its Pod goes when the budget lets it, and the work goes on. Uncordoned, the node
    gets a Pod again."""
    release = steady.release
    leader = release.leader()
    node = leader["spec"]["nodeName"]
    flags = ("--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=120s")
    start = time.monotonic()
    answer = steady.scene.stage.kubectl("drain", node, *flags)
    tell(capsys, f"drain of the leader's node {time.monotonic() - start:.1f} s")
    try:
        assert answer.returncode == 0, answer.stderr
        tell(capsys, f"after it the operator acts after {steady.acts():.1f} s")
        release.until_settled()
        assert set(release.nodes()) == {name for name in nodes_named if name != node}
    finally:
        steady.scene.stage.kubectl("uncordon", node)
    release.stage.delete("pods", name_of(other_than(release, release.leader())))
    release.stage.wait(lambda: release.settled() and release.nodes() == sorted(nodes_named), "both nodes to have one")


def test_a_power_cut_of_the_leaders_node_moves_nothing_back(
    steady: Site, nodes: Running, nodes_runtime: Runtime, capsys: pytest.CaptureFixture[str]
) -> None:
    """The node of the leader is gone at once, with everything on it: the other replica takes over and selects what is
    newer. When the power is back, so is the replica there, and the selection stays."""
    release, before = steady.release, steady.release.holder()
    newer, node = steady.push("v1.2.0"), release.leader()["spec"]["nodeName"]
    stop_node(nodes.name, node, runtime=nodes_runtime)
    try:
        tell(capsys, f"power cut of the leader's node: another acts after {steady.acts():.1f} s")
        assert release.holder() != before
        assert selected(steady.shop.read())["digest"] == newer.digest
    finally:
        start_node(nodes.name, node, runtime=nodes_runtime)
    release.until_settled()
    steady.runs(newer)
    assert release.holder() != before


def test_new_pods_are_rewritten_while_no_replica_is_there(steady: Site) -> None:
    """All Pods of Pawl are gone: the API server itself rewrites what starts."""
    release, stage = steady.release, steady.scene.stage
    release.scale(0)
    release.stage.wait(lambda: not release.stage.find_all("pods"), "all Pods to be gone")
    stage.apply(quick(bare_pod("alone", f"{steady.scene.public}/web:v1.0.0")))
    stage.wait(lambda: [pod["status"]["phase"] for pod in stage.pods("alone")] == ["Running"], "the Pod to run")
    found = selected(steady.shop.read())
    assert stage.image("pods", "alone") == f"{found['reference']}"
    assert steady.scene.image_ids("alone")["app"] == {found["digest"]}
    stage.delete("pods", "alone")
    release.scale(2)
    release.until_settled()

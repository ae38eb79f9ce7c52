"""Rollouts on real kubelets: what a node names as imageID after the mirror took over, and what Pawl makes of it.

One override in one namespace with every kind of workload and every relation that a mirror's image may have to the
public one; the tests look at it. Neighbours: `tests.cluster.test_override_rollouts` for batches and budgets on
simulated nodes. Not here: registries that ask for credentials (`test_node_private`), Jobs that wait in vain.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.cluster.api import Api, Json
from tests.cluster.operators import Operator, tell
from tests.cluster.override_stage_specs import enforcement, override, rollout, rule
from tests.cluster.override_stage_workloads import bare_pod, cron_job, daemon_set, deployment, job, stateful_set
from tests.node.node_images import AMD64, MULTI, ONCE, Placed, Program
from tests.node.node_scene import (
    NodeScene,
    node_names,
    node_scene_of,
    phases,
    pinned,
    pod_spec_of,
    quick,
    two_replicas,
)

from pawl.sandbox import Cluster

pytestmark = [pytest.mark.node, pytest.mark.timeout(300), pytest.mark.usefixtures("installed")]

KINDS = ("agent", "web", "db")
RELATIONS = ("index", "single", "reindexed", "pinned", "repacked")
PATIENCE = 120.0


@dataclass(frozen=True)
class Mirrored:
    """The namespace after the rollout, with what was pushed under both names."""

    scene: NodeScene
    public: dict[str, Placed]
    mirror: dict[str, Placed]


@pytest.fixture(scope="module")
def pawl(cluster: Cluster, installed: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    assert installed
    with two_replicas(cluster, tmp_path_factory.mktemp("pawl")) as running:
        yield running


@pytest.fixture(scope="module")
def mirrored(
    api: Api, cluster: Cluster, pawl: Operator, tool: bytes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mirrored]:
    with node_scene_of(api, cluster, tmp_path_factory.mktemp("scene"), pawl, tool) as scene:
        public, mirror = push_all(scene)
        scene.start(*workloads(public, node_names(api)[0]))
        scene.stage.apply(quick(cron_job("nightly", public["web"].tagged, suspend=True)))
        scene.stage.apply(scene.mirror())
        scene.done(seconds=PATIENCE)
        yield Mirrored(scene, public, mirror)


@pytest.fixture
def scene(mirrored: Mirrored) -> NodeScene:
    return mirrored.scene


def push_all(scene: NodeScene) -> tuple[dict[str, Placed], dict[str, Placed]]:
    """Every relation of a mirror's image to the public one, by the name of the workload that runs it."""
    pairs = {name: scene.both(Program(name)) for name in ("agent", "web", "db", "single", "pinned")}
    pairs["index"] = scene.both(Program("index", platforms=MULTI))
    again = Program("reindexed", platforms=MULTI)
    pairs["reindexed"] = scene.public_of(again), scene.mirror_of(Program("reindexed", indexed=True))
    pairs["repacked"] = scene.public_of(Program("repacked")), scene.mirror_of(Program("repacked", packed=True))
    return {name: pair[0] for name, pair in pairs.items()}, {name: pair[1] for name, pair in pairs.items()}


def workloads(public: dict[str, Placed], node: str) -> list[Json]:
    """One of each kind, and a Deployment a relation on the one node that ran the public image before."""
    image = {name: placed.tagged for name, placed in public.items()} | {"pinned": public["pinned"].by_digest}
    found = [daemon_set("agent", image["agent"]), deployment("web", image["web"], replicas=2)]
    found += [stateful_set("db", image["db"]), *(pinned(deployment(name, image[name]), node) for name in RELATIONS)]
    first = {"name": "first", "image": image["web"], "args": list(ONCE)}
    beside = {"name": "beside", "image": image["web"], "restartPolicy": "Always"}
    pod_spec_of(found[1])["initContainers"] = [first, beside]
    return [quick(body) for body in found]


@pytest.mark.parametrize("name", KINDS)
def test_a_workload_of_each_kind_runs_from_the_mirror(mirrored: Mirrored, name: str) -> None:
    """DaemonSet, Deployment and StatefulSet: every Pod has the mirror's image, and its node the mirror's content."""
    scene, wanted = mirrored.scene, mirrored.mirror[name]
    assert {image for pod in scene.stage.images(name).values() for image in pod.values()} == {wanted.tagged}
    assert scene.image_ids(name)["app"] <= wanted.acceptable


def test_init_containers_and_sidecars_are_proved_too(mirrored: Mirrored) -> None:
    """A container that ended and one that runs beside: both came from the mirror, both show its content."""
    shown = mirrored.scene.image_ids("web")
    assert set(shown) == {"app", "first", "beside"}
    assert all(digests <= mirrored.mirror["web"].acceptable for digests in shown.values())


@pytest.mark.parametrize("name", RELATIONS)
def test_the_node_shows_a_digest_and_pawl_knows_it(
    mirrored: Mirrored, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever digest of whichever name containerd shows: nothing is called wrong, nothing stays unproved."""
    scene, public, mirror = mirrored.scene, mirrored.public[name], mirrored.mirror[name]
    (shown,) = scene.image_ids(name)["app"]
    tell(capsys, f"{name}: wanted {kind_of(shown, mirror)}, shown {scene.shown(name)[0].removeprefix(scene.public)}")
    assert shown in public.acceptable | mirror.acceptable
    assert [each for each in scene.verdicts() if each[0] == name] == []


@pytest.mark.parametrize("name", ["reindexed", "repacked"])
def test_a_digest_that_the_mirror_never_had_is_what_is_proved_here(mirrored: Mirrored, name: str) -> None:
    """The mirror was written by a tool that made another manifest or index of the same image: the node, which ran the
    public one before, goes on naming that one, and the mirror's repository knows nothing of its digest."""
    (shown,) = mirrored.scene.image_ids(name)["app"]
    public, mirror = mirrored.public[name], mirrored.mirror[name]
    assert public.configs[AMD64] == mirror.configs[AMD64]
    assert shown in public.acceptable - mirror.acceptable


def test_jobs_that_are_made_now_run_from_the_mirror(scene: NodeScene, mirrored: Mirrored) -> None:
    """A Job, and one of a CronJob, whose templates say the public name: their Pods came rewritten, and their nodes
    agree, also of a Pod that ended."""
    answer = scene.stage.kubectl("create", "job", "nightly-1", "--from=cronjob/nightly")
    assert answer.returncode == 0, answer.stderr
    once = quick(job("once", mirrored.public["web"].tagged))
    pod_spec_of(once)["containers"][0]["args"] = list(ONCE)
    scene.stage.apply(once)
    scene.stage.wait(lambda: phases(scene.stage.pods("nightly")) == ["Running"], "the CronJob's Pod to run")
    scene.stage.wait(lambda: phases(scene.stage.pods("once")) == ["Succeeded"], "the Job's Pod to end")
    for app in ("nightly", "once"):
        assert scene.image_ids(app)["app"] <= mirrored.mirror["web"].acceptable
    template = pod_spec_of(scene.stage.read("cronjobs", "nightly"))
    assert template["containers"][0]["image"] == mirrored.public["web"].tagged


def test_a_debug_container_comes_from_the_mirror(scene: NodeScene, mirrored: Mirrored) -> None:
    """`kubectl debug` with the public image: the ephemeral container is rewritten, and proved like the others."""
    (pod,) = scene.stage.pods("single")
    name, image = pod["metadata"]["name"], mirrored.public["web"].tagged
    answer = scene.stage.kubectl("debug", name, f"--image={image}", "--container=look", "--", "/tool", "pause")
    assert answer.returncode == 0, answer.stderr
    scene.stage.wait(lambda: scene.image_ids("single").get("look", {""}) != {""}, "the ephemeral container to run")
    assert scene.stage.images("single")[name]["look"] == mirrored.mirror["web"].tagged
    assert scene.image_ids("single")["look"] <= mirrored.mirror["web"].acceptable
    scene.ask("after kubectl debug")
    scene.done()


def test_an_image_volume_is_rewritten(scene: NodeScene, mirrored: Mirrored) -> None:
    """The reference in a volume is the mirror's. Whether it can be mounted is the runtime's matter."""
    volume = {"name": "data", "image": {"reference": mirrored.public["single"].tagged}}
    body = quick(bare_pod("volume", mirrored.public["web"].tagged), volumes=[volume])
    body["spec"]["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    scene.stage.apply(body)
    found = scene.stage.read("pods", "volume")["spec"]["volumes"][0]["image"]["reference"]
    assert found == mirrored.mirror["single"].tagged
    state = scene.stage.wait(lambda: begun(scene.stage.read("pods", "volume")), "the kubelet to try")
    scene.stage.delete("pods", "volume")
    if "running" not in state:
        pytest.skip(f"the container runtime mounts no image volumes: {json.dumps(state)[:200]}")


def test_an_old_copy_of_a_moved_tag_is_found(
    api: Api, cluster: Cluster, pawl: Operator, tool: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A node pulled the mirror's tag before it moved, and IfNotPresent never looks again: the Pod has the right name
    and the wrong content. Pawl says Mismatch; with the digest in the rule the right one is pulled and proved."""
    with node_scene_of(api, cluster, tmp_path_factory.mktemp("moved"), pawl, tool) as scene:
        public, _ = scene.both(Program("web", text="as it was"))
        there = node_names(api)[0]
        scene.start(pinned(deployment("before", f"{scene.place}/web:v1"), there))
        scene.stage.delete("deployments", "before")
        moved = scene.mirror_of(Program("web", text="as it is now"))
        scene.start(pinned(deployment("web", public.tagged), there))
        scene.stage.apply(scene.mirror())
        scene.until("Verified", "False/Mismatch", seconds=PATIENCE)
        assert ("web", "Mismatch", "Mismatch") in scene.verdicts()
        assert scene.pod_images("web") == [moved.tagged]
        assert scene.image_ids("web")["app"] <= public.acceptable
        exact = rule(f"{scene.public}/web", moved.name, tag="v1", digest=moved.digest)
        scene.stage.apply(override(exact, enforcement=enforcement(), rollout=rollout()))
        scene.done(seconds=PATIENCE)
        assert scene.image_ids("web")["app"] <= moved.acceptable


def begun(pod: Json) -> Json:
    """How far the first container came: {} while the kubelet is still at it."""
    states: list[Json] = pod["status"].get("containerStatuses", [])
    state: Json = states[0]["state"] if states else {}
    return {} if state.get("waiting", {}).get("reason") == "ContainerCreating" else state


def kind_of(digest: str, placed: Placed) -> str:
    """What a digest is to the wanted image."""
    names = {placed.configs[AMD64]: "its config", placed.platforms[AMD64]: "its manifest", placed.digest: "its tag"}
    return names.get(digest, "another digest")

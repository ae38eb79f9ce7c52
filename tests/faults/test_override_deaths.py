"""kill -9 at every write of a rollout: the end is that of an undisturbed life, and no step is done twice.

What an operator knows is in the world, so dying after each write of one rollout, one operator after another, goes
through every state that a crash can leave behind. Neighbours: `override_lives` is the stage. Not here: policies.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.api import Api
from tests.cluster.conftest import install
from tests.cluster.operators import tell
from tests.cluster.override_registry import registry_of
from tests.cluster.override_scene import PUBLIC, Scene, fresh, keeper_of
from tests.cluster.override_stage import stage_of
from tests.cluster.override_stage_scenes import RookScene
from tests.cluster.override_stage_specs import enforcement, override, rollout, rule
from tests.cluster.override_stage_workloads import deployment
from tests.faults.override_lives import WEBS, Lives, faults, rollout_stage, verified, wish
from tests.faults.replicas import crew_of

from pawl.api.crd import crds
from pawl.cli.demo_rook_objects import DISCOVER
from pawl.sandbox import Cluster, SandboxOptions, cluster_for_tests

pytestmark = [pytest.mark.cluster, pytest.mark.faults, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A cluster with a node and a registry, which the others of this folder need not."""
    with cluster_for_tests(SandboxOptions(name=fresh("lives"), nodes=1, registry=True)) as found:
        yield found


@pytest.fixture(scope="module")
def api(cluster: Cluster) -> Iterator[Api]:
    client = Api(cluster.kubeconfig)
    for document in crds():
        install(client, document)
    yield client
    client.close()


@pytest.fixture
def scene(api: Api, cluster: Cluster, tmp_path: Path) -> Iterator[RookScene]:
    with rollout_stage(api, cluster, tmp_path) as made:
        yield made


@pytest.fixture
def lives(api: Api, cluster: Cluster, tmp_path: Path) -> Lives:
    return Lives(cluster, api, tmp_path, fresh("ops"), str(cluster.registry))


@pytest.mark.parametrize("writes", [(1, 1, 3), (2,), (3,)], ids=str)
def test_an_operator_that_dies_at_every_write(
    scene: RookScene, lives: Lives, capsys: pytest.CaptureFixture[str], writes: tuple[int, ...]
) -> None:
    """Each operator dies at its n-th write and the next one goes on: parent, child, Job and batches come out as one.
    One write a life for ever would save a Job and forget it again, so a third one may do three."""
    stage = scene.stage
    with stage.rook("--skip-if-exists") as rook:
        stage.wait(lambda: stage.settled("daemonsets", DISCOVER), "the child")
        with stage.recording() as recorder:
            stage.apply(wish(scene))
            deaths = lives.until(lambda: verified(scene), writes, seconds=200)
            assert faults(scene, recorder) == [], lives.deaths()
            assert rook.process.poll() is None
    assert deaths >= 5
    tell(capsys, f"{deaths} deaths at writes {writes}: {lives.deaths()}")


def test_the_other_replica_goes_on_in_the_middle_of_the_batches(
    cluster: Cluster, scene: RookScene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two replicas; the leader is killed when the first Deployments roll: the other takes the Lease and ends the work,
    with each template written once."""
    flags = ("--manage-gate", "--plain-http-hosts", str(cluster.registry))
    stage, namespace = scene.stage, fresh("ops")
    with (
        stage.rook("--skip-if-exists"),
        crew_of(cluster.kubeconfig, tmp_path, namespace, *flags) as crew,
        stage.recording() as recorder,
    ):
        first = crew.start()
        first.wait_log("this replica leads")
        second = crew.start()
        second.wait_log("ready")
        stage.wait(lambda: stage.settled("daemonsets", DISCOVER), "the child")
        stage.apply(wish(scene))
        stage.wait(lambda: any(recorder.writes("Deployment", name, "pawl") for name in WEBS), "the first to roll")
        first.kill()
        assert not verified(scene)
        second.wait_log("this replica leads")
        stage.wait(lambda: verified(scene), "the other to end the work")
        assert faults(scene, recorder) == []
    tell(capsys, f"the second replica acted {len(second.lines('acted'))} times")


def test_an_outage_of_the_registry_takes_nothing_back(
    api: Api, cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The registry answers errors in the middle, and an operator starts then: tables stay, what was seen counts."""
    with registry_of() as registry, stage_of(api, cluster, tmp_path) as stage:
        place = f"{registry.host}/{stage.namespace}"
        digests = {name: registry.push(f"{stage.namespace}/{name}", "v1") for name in WEBS}
        stage.apply(*(deployment(name, f"{PUBLIC}/{name}:v1@{digests[name]}") for name in WEBS))
        stage.wait(lambda: all(stage.settled("deployments", name) for name in WEBS), "all to settle")
        steps = rollout(batches=[1, "100%"], paused=True)
        stage.apply(override(rule(PUBLIC, place), enforcement=enforcement(), rollout=steps))
        with keeper_of(cluster, tmp_path, plain=[registry.host]) as pawl:
            Scene(stage, pawl).until("Preflight", "True")
        table = stage.read("imagerules", "pawl")
        registry.behave(fail=503)
        with keeper_of(cluster, tmp_path, plain=[registry.host]) as pawl:
            scene = Scene(stage, pawl)
            stage.edit("imageoverrides", "private", {"spec": {"rollout": {"paused": False}}})
            scene.wait(
                lambda: all(scene.pod_images(n) == [f"{place}/{n}:v1@{digests[n]}"] for n in WEBS), "the rollout"
            )
            assert stage.read("imagerules", "pawl") == table
            tell(capsys, f"while the registry is down: {scene.conditions()}")
            registry.behave()
            scene.done(seconds=90)

"""Jobs that cannot pull, for real: the kubelet is refused, backs off, and the override brings them back.

One namespace and one override for all of them, since each waits for the same kubelets. Neighbours:
`tests.cluster.test_override_jobs` for what else happens to Jobs; `tests.unit.decide.test_jobcases` has every row of the
table. Not here: Jobs of an operator that is itself restarted (`test_node_rook`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.cluster.api import Api, Json
from tests.cluster.operators import Operator, good
from tests.cluster.override_stage_recorder import Recorder
from tests.cluster.override_stage_specs import enforcement, override, rollout, rule
from tests.cluster.override_stage_workloads import cron_job, job
from tests.node.node_images import ONCE, Placed, Program
from tests.node.node_scene import NodeScene, node_scene_of, phases, pod_spec_of, quick, two_replicas

from pawl.cli.demo_rook_objects import owner_of
from pawl.decide.objects import RECREATED_FROM
from pawl.sandbox import Cluster

pytestmark = [pytest.mark.node, pytest.mark.timeout(300), pytest.mark.usefixtures("installed")]

NOWHERE = "registry.invalid"
"""A host that no name server knows."""
WAITING = {"ErrImagePull", "ImagePullBackOff"}
STUCK = ("owned", "alone", "nightly")
PATIENCE = 120.0


@dataclass(frozen=True)
class Stuck:
    """The namespace as the override found it, and all that happened since."""

    scene: NodeScene
    recorder: Recorder
    before: dict[str, str]
    wanted: Placed


@pytest.fixture(scope="module")
def pawl(cluster: Cluster, installed: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    assert installed
    with two_replicas(cluster, tmp_path_factory.mktemp("pawl")) as running:
        yield running


@pytest.fixture(scope="module")
def stuck(
    api: Api, cluster: Cluster, pawl: Operator, tool: bytes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stuck]:
    with node_scene_of(api, cluster, tmp_path_factory.mktemp("scene"), pawl, tool) as scene:
        wanted = scene.mirror_of(Program("batch", words=ONCE))
        running = scene.public_of(Program("running"))
        scene.mirror_of(Program("running"))
        install(scene, running)
        for name in STUCK:
            scene.stage.wait(lambda name=name: waits(scene, name), f"{name} to be refused")  # type: ignore[misc]
        scene.stage.wait(lambda: phases(scene.stage.pods("running")) == ["Running"], "the fourth Job to run")
        before = {each["metadata"]["name"]: each["metadata"]["uid"] for each in scene.stage.find_all("jobs")}
        with scene.stage.recording() as recorder:
            rules = [rule(f"{NOWHERE}/shop", scene.place), rule(scene.public, scene.place)]
            scene.stage.apply(override(*rules, enforcement=enforcement(), rollout=rollout()))
            yield Stuck(scene, recorder, before, wanted)


def install(scene: NodeScene, running: Placed) -> None:
    """A Job of an operator, one of a user, a run of a CronJob, and one that runs. Two kinds of refusal: a registry that
    has no such image, and one that is not there."""
    stage, absent = scene.stage, f"{scene.public}/batch:v1"
    stage.apply(owner())
    stage.apply(operators_job(scene), quick(job("alone", absent, backoffLimit=3)))
    stage.apply(quick(cron_job("nightly", f"{NOWHERE}/shop/batch:v1", suspend=True, concurrencyPolicy="Forbid")))
    answer = stage.kubectl("create", "job", "nightly-29384750", "--from=cronjob/nightly")
    assert answer.returncode == 0, answer.stderr
    stage.apply(quick(job("running", running.tagged)))


def owner() -> Json:
    """What stands for the custom resource of an operator."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cluster"}}


def operators_job(scene: NodeScene) -> Json:
    """The Job that an operator makes, and makes again when it is gone."""
    body = quick(job("owned", f"{NOWHERE}/shop/batch:v1"))
    metadata = scene.stage.read("configmaps", "cluster")["metadata"]
    body["metadata"]["ownerReferences"] = [owner_of("v1", "ConfigMap", metadata)]
    return body


def waits(scene: NodeScene, app: str) -> bool:
    found = scene.stage.waiting(app)
    return bool(found) and set(found) <= WAITING


def complete(scene: NodeScene, name: str) -> bool:
    found = (scene.stage.find("jobs", name) or {}).get("status", {}).get("conditions", [])
    return any(each["type"] == "Complete" for each in found)


def test_a_job_of_an_operator_is_deleted_once_and_comes_back(stuck: Stuck) -> None:
    """No name server knows its registry. Pawl deletes the Job, its owner makes it again as it was, and the new Pod
    runs from the mirror."""
    scene = stuck.scene
    scene.stage.wait(lambda: scene.stage.find("jobs", "owned") is None, "the Job to be deleted", PATIENCE)
    good(scene.stage.api.post(scene.stage.path("jobs"), operators_job(scene)))
    scene.stage.wait(lambda: complete(scene, "owned"), "the new one to complete")
    assert stuck.recorder.deleted("Job", "owned") == [stuck.before["owned"]]
    assert scene.image_ids("owned")["app"] <= stuck.wanted.acceptable


def test_a_job_of_nobody_is_made_again_under_its_name(stuck: Stuck) -> None:
    """Its registry answers that there is no such image. Nobody would make the Job again, so Pawl does."""
    scene = stuck.scene
    scene.stage.wait(lambda: complete(scene, "alone"), "the Job to complete", PATIENCE)
    found = scene.stage.read("jobs", "alone")
    assert found["metadata"]["annotations"][RECREATED_FROM] == stuck.before["alone"]
    assert found["spec"]["backoffLimit"] == 3
    assert scene.image_ids("alone")["app"] <= stuck.wanted.acceptable


def test_a_stuck_run_of_a_cronjob_goes_and_the_next_one_runs(stuck: Stuck) -> None:
    """The run is deleted and not made again; the next one, of the same template, comes rewritten."""
    scene, old = stuck.scene, "nightly-29384750"
    scene.stage.wait(lambda: scene.stage.find("jobs", old) is None, "the stuck run to be deleted", PATIENCE)
    answer = scene.stage.kubectl("create", "job", "nightly-29384751", "--from=cronjob/nightly")
    assert answer.returncode == 0, answer.stderr
    scene.stage.wait(lambda: complete(scene, "nightly-29384751"), "the next run to complete")
    assert stuck.recorder.created("Job", old) == [stuck.before[old]]
    assert scene.image_ids("nightly")["app"] <= stuck.wanted.acceptable


def test_a_job_that_runs_is_left(stuck: Stuck) -> None:
    """It runs the public image and goes on with it; the override names it, and is not Verified meanwhile."""
    scene = stuck.scene
    scene.wait(lambda: ("running", "Drifted", "JobRunning") in scene.verdicts(), "the finding about it")
    assert scene.conditions()["Verified"].startswith("False")
    (pod,) = scene.stage.pods("running")
    assert (pod["status"]["phase"], pod_spec_of(pod)["containers"][0]["image"]) == (
        "Running",
        f"{scene.public}/running:v1",
    )
    assert scene.stage.read("jobs", "running")["metadata"]["uid"] == stuck.before["running"]

"""The operator that plays Rook, by itself: it behaves as Rook does before Pawl touches anything.

Every behaviour that an override has to live with is pinned here, so that a scenario that fails says something of Pawl.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.api import Api, Json
from tests.cluster.operators import good
from tests.cluster.override_stage import Stage, images_of, stage_of

from pawl.cli.demo_rook import Actor
from pawl.cli.demo_rook_chart import chart
from pawl.cli.demo_rook_hands import Hands
from pawl.cli.demo_rook_objects import DISCOVER, MON, OPERATOR, PREPARE, WORKER, Modes
from pawl.cluster.client import Cluster as Client
from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

OLD = "registry.example.com/rook/ceph:v1.15.0"
NEW = "registry.example.com/rook/ceph:v1.16.4"
STUCK = "registry.invalid/ceph/ceph:v18"
THEIRS = "registry.example.com/foreign/ceph:v1"
JOB = f"{PREPARE}-node-0"
DISCOVERS, JOBS, WORKERS = f"daemonsets/{DISCOVER}", f"jobs/{JOB}", f"pods/{WORKER}-0"


@pytest.fixture
def stage(api: Api, cluster: Cluster, tmp_path: Path) -> Iterator[Stage]:
    with stage_of(api, cluster, tmp_path) as made:
        yield made


def current_replica_set(stage: Stage) -> Json:
    """The ReplicaSet of the operator that has Pods."""
    return next(each for each in stage.find_all("replicasets", f"app={OPERATOR}") if each["spec"]["replicas"])


def uid_of(stage: Stage, plural: str, name: str) -> str:
    found = stage.find(plural, name)
    return str(found["metadata"]["uid"]) if found else ""


def complete(stage: Stage, name: str = JOB) -> bool:
    found = stage.find("jobs", name) or {}
    return any(each["type"] == "Complete" for each in found.get("status", {}).get("conditions", []))


# the image


def test_children_carry_the_image_of_the_operators_own_pod(stage: Stage) -> None:
    with stage.rook("--workers", "2") as rook:
        stage.install(OLD, ceph=THEIRS)
        rook.until("created", f"deployments/{MON}")
        stage.wait(lambda: complete(stage), "the Job to complete")
        stage.wait(lambda: stage.settled("daemonsets", DISCOVER), "the DaemonSet to be Ready")
    assert stage.image("daemonsets", DISCOVER) == OLD
    assert images_of(stage.read("jobs", JOB)["spec"]["template"]["spec"]) == {"copy-bins": OLD, "provision": OLD}
    assert [stage.image("pods", f"{WORKER}-{index}") for index in range(2)] == [OLD, OLD]
    assert stage.image("deployments", MON) == THEIRS


def test_nothing_is_made_before_the_operators_pod_is_ready(stage: Stage) -> None:
    with stage.rook() as rook:
        stage.apply(*chart(STUCK, OLD))
        stage.wait(lambda: stage.waiting(OPERATOR) == ["ImagePullBackOff"], "the operator's Pod to be stuck")
        assert rook.lines() == []
        stage.upgrade(OLD)
        rook.until("created", DISCOVERS)
    assert stage.image("daemonsets", DISCOVER) == OLD
    assert [line["detail"] for line in rook.lines("started")] == [OLD]


async def test_a_pod_that_runs_and_is_not_ready_has_no_operator_yet(stage: Stage) -> None:
    stage.install(OLD)
    pod = stage.path("pods", f"{stage.pods(OPERATOR)[0]['metadata']['name']}/status")
    said: list[str] = []

    def say(event: str, name: str, detail: str) -> None:
        said.append(f"{event} {name} {detail}")

    async with await Client.connect(str(stage.cluster.kubeconfig)) as client:
        actor = Actor(Modes(stage.namespace), Hands(client, stage.namespace, say), say)
        good(stage.api.merge(pod, {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}))
        await actor.turn()
        assert said == []
        good(stage.api.merge(pod, {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}))
        await actor.turn()
    assert said[0].startswith("started pods/")
    assert f"created {DISCOVERS} {OLD}" in said


def test_a_new_image_in_the_chart_restarts_the_operator_which_puts_its_children(stage: Stage) -> None:
    with stage.rook() as rook:
        stage.install(OLD)
        rook.until("created", DISCOVERS)
        with stage.recording() as recorder:
            stage.upgrade(NEW)
            rook.until("put", DISCOVERS)
            stage.wait(lambda: stage.images(DISCOVER) and all_of(stage, NEW), "the DaemonSet's Pods to follow")
    assert recorder.images("DaemonSet", DISCOVER) == [OLD, NEW]
    assert len(recorder.writes("DaemonSet", DISCOVER, "rook")) == 2
    assert [line["detail"] for line in rook.lines("started")] == [OLD, NEW]
    assert rook.count("put", DISCOVERS) == 1


def all_of(stage: Stage, image: str) -> bool:
    return all(image in images.values() for images in stage.images(DISCOVER).values())


def test_the_image_is_read_once_a_life(stage: Stage) -> None:
    """A Pod whose image is patched keeps its operator, which knows nothing of it (an image is mutable in a Pod)."""
    with stage.rook("--put-loop", "0.5") as rook:
        stage.install(OLD)
        rook.until("created", DISCOVERS)
        stage.set_image("pods", stage.pods(OPERATOR)[0]["metadata"]["name"], NEW)
        before = rook.count("put", DISCOVERS)
        rook.until("put", DISCOVERS, times=before + 3)
    assert stage.image("daemonsets", DISCOVER) == OLD
    assert rook.count("started") == 1


def test_an_older_daemonset_keeps_its_image_where_existing_ones_are_skipped(stage: Stage) -> None:
    with stage.rook():
        stage.install(OLD)
        stage.wait(lambda: stage.image("daemonsets", DISCOVER) == OLD, "the DaemonSet of the older operator")
    before = stage.read("daemonsets", DISCOVER)
    with stage.rook("--skip-if-exists") as rook:
        rook.until("started")
        stage.upgrade(NEW)
        rook.until("started", times=2)
        rook.until("created", JOBS)  # it has been through the DaemonSet by then
    after = stage.read("daemonsets", DISCOVER)
    assert (after["spec"], after["metadata"]["uid"]) == (before["spec"], before["metadata"]["uid"])
    assert rook.count("put") == 0


# writes


def test_a_put_loop_takes_back_what_others_wrote_and_all_of_it(stage: Stage) -> None:
    with stage.rook("--put-loop", "1") as rook, stage.recording() as recorder:
        stage.install(OLD)
        rook.until("created", DISCOVERS)
        stage.edit("daemonsets", DISCOVER, {"metadata": {"annotations": {"example.com/note": "kept?"}}})
        for turn in range(2):
            stage.set_image("daemonsets", DISCOVER, THEIRS)
            stage.wait(lambda: stage.image("daemonsets", DISCOVER) == OLD, f"revert {turn}")
    assert recorder.images("DaemonSet", DISCOVER) == [OLD, THEIRS, OLD, THEIRS, OLD]
    assert recorder.generations("DaemonSet", DISCOVER) == [1, 2, 3, 4, 5]
    assert "example.com/note" not in stage.read("daemonsets", DISCOVER)["metadata"].get("annotations", {})


def test_a_put_that_changes_nothing_leaves_the_generation(stage: Stage) -> None:
    with stage.rook("--put-loop", "0.5") as rook, stage.recording() as recorder:
        stage.install(OLD)
        rook.until("put", DISCOVERS, times=4)
    assert recorder.generations("DaemonSet", DISCOVER) == [1]
    assert len(recorder.writes("DaemonSet", DISCOVER)) == 1


def test_without_a_loop_a_change_by_others_stays_until_the_next_start(stage: Stage) -> None:
    with stage.rook() as rook:
        stage.install(OLD)
        rook.until("created", JOBS)
        stage.set_image("daemonsets", DISCOVER, THEIRS)
        stage.delete("jobs", JOB)
        rook.until("created", JOBS, times=2)  # a turn has passed
        assert stage.image("daemonsets", DISCOVER) == THEIRS
        stage.delete("pods", stage.pods(OPERATOR)[0]["metadata"]["name"])
        rook.until("put", DISCOVERS)
    assert stage.image("daemonsets", DISCOVER) == OLD


def test_writes_are_booked_under_a_manager_of_its_own(stage: Stage) -> None:
    with stage.rook("--revert") as rook:
        stage.install(OLD)
        rook.until("created", f"deployments/{MON}")
    for plural, name in (("daemonsets", DISCOVER), ("deployments", MON)):
        entries = stage.read(plural, name)["metadata"]["managedFields"]
        writers = {(entry["manager"], entry["operation"]) for entry in entries if "f:spec" in entry["fieldsV1"]}
        assert writers == {("rook", "Update")}


# the custom resource's image


@pytest.mark.parametrize("mode", ["--revert", ""])
def test_a_drifted_deployment_is_reverted_in_that_mode_only(stage: Stage, mode: str) -> None:
    with stage.rook(*([mode] if mode else [])) as rook:
        stage.install(OLD)
        rook.until("created", f"deployments/{MON}")
        own = stage.image("deployments", MON)
        stage.set_image("deployments", MON, THEIRS)
        stage.delete("pods", stage.pods(OPERATOR)[0]["metadata"]["name"])
        rook.until("put", DISCOVERS)  # the next life has begun
        stage.delete("jobs", JOB)
        rook.until("created", JOBS, times=2)
        if mode:
            rook.until("put", f"deployments/{MON}")
    assert stage.image("deployments", MON) == (own if mode else THEIRS)


def test_an_edited_custom_resource_is_followed(stage: Stage) -> None:
    with stage.rook() as rook:
        stage.install(OLD)
        rook.until("created", f"deployments/{MON}")
        stage.set_cluster_image(THEIRS)
        rook.until("put", f"deployments/{MON}")
    assert stage.image("deployments", MON) == THEIRS

"""Jobs, bare Pods and owners of the operator that plays Rook, as Rook, Arroyo and CloudNativePG treat them.

Neighbours: `test_demo_rook` pins images and writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.api import Api, Json
from tests.cluster.override_stage import Stage, stage_of
from tests.cluster.test_demo_rook import (
    DISCOVERS,
    JOB,
    JOBS,
    NEW,
    OLD,
    STUCK,
    THEIRS,
    WORKERS,
    complete,
    current_replica_set,
    uid_of,
)

from pawl.cli.demo_rook_objects import CLUSTER, DISCOVER, MON, OPERATOR, PREPARE, WORKER
from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


@pytest.fixture
def stage(api: Api, cluster: Cluster, tmp_path: Path) -> Iterator[Stage]:
    with stage_of(api, cluster, tmp_path) as made:
        yield made


def restart(stage: Stage) -> None:
    """Delete the operator's Pod; its ReplicaSet makes another."""
    stage.delete("pods", stage.pods(OPERATOR)[0]["metadata"]["name"])


def active(stage: Stage) -> int:
    return int(stage.read("jobs", JOB)["status"].get("active", 0))


# Jobs


def test_a_job_that_cannot_pull_counts_as_active_and_stays(stage: Stage) -> None:
    with stage.rook("--job-image", STUCK):
        stage.install(OLD)
        stage.wait(lambda: stage.waiting(PREPARE) == ["ImagePullBackOff"], "the Job's Pod to be stuck")
        stage.wait(lambda: active(stage) == 1, "the Job to be active")
    stuck = uid_of(stage, "jobs", JOB)
    with stage.rook() as rook:  # a better image is known by now, and does not help
        rook.until("put", DISCOVERS)
        restart(stage)
        rook.until("put", DISCOVERS, times=2)
        stage.wait(lambda: rook.count("started") == 2, "another life")
    assert uid_of(stage, "jobs", JOB) == stuck
    assert rook.count("deleted") == rook.count("created", JOBS) == 0


def test_a_stuck_job_that_is_deleted_comes_back(stage: Stage) -> None:
    with stage.rook("--job-image", STUCK) as rook:
        stage.install(OLD)
        stage.wait(lambda: stage.waiting(PREPARE) == ["ImagePullBackOff"], "the Job's Pod to be stuck")
        stuck = uid_of(stage, "jobs", JOB)
        stage.delete("jobs", JOB)
        rook.until("created", JOBS, times=2)
        stage.wait(lambda: stage.waiting(PREPARE) == ["ImagePullBackOff"], "the next one to be stuck")
    assert uid_of(stage, "jobs", JOB) != stuck
    assert len(stage.pods(PREPARE)) == 1


def test_a_finished_job_is_made_anew_once_a_start(stage: Stage) -> None:
    with stage.rook() as rook, stage.recording() as recorder:
        stage.install(OLD)
        stage.wait(lambda: complete(stage), "the Job to complete")
        first = uid_of(stage, "jobs", JOB)
        restart(stage)
        rook.until("created", JOBS, times=2)
        stage.wait(lambda: complete(stage), "the second Job to complete")
        stage.delete("daemonsets", DISCOVER)  # is not made again: only a start makes it
        stage.delete("deployments", MON)
        rook.until("created", f"deployments/{MON}", times=2)
    assert recorder.deleted("Job", JOB) == [first]
    assert [line["detail"] for line in rook.lines("deleted")] == ["Foreground"]
    assert len(recorder.created("Job", JOB)) == 2
    assert stage.find("daemonsets", DISCOVER) is None


def test_a_running_job_is_left_alone(stage: Stage) -> None:
    with stage.rook("--job-runs", "1h") as rook:
        stage.install(OLD)
        stage.wait(lambda: [pod["status"]["phase"] for pod in stage.pods(PREPARE)] == ["Running"], "the Job to run")
        stage.wait(lambda: active(stage) == 1, "the Job to be active")
        running = uid_of(stage, "jobs", JOB)
        stage.upgrade(NEW)
        rook.until("put", DISCOVERS)
        rook.turns(lambda: rook.count("started") == 2)
    assert uid_of(stage, "jobs", JOB) == running
    assert stage.image("jobs", JOB) == OLD


# bare Pods


def test_a_worker_that_is_missing_is_made_again(stage: Stage) -> None:
    with stage.rook("--workers", "2") as rook:
        stage.install(OLD)
        rook.until("created", WORKERS)
        stage.delete("pods", f"{WORKER}-0")
        rook.until("created", WORKERS, times=2)
    assert rook.count("created", f"pods/{WORKER}-1") == 1
    pod = stage.read("pods", f"{WORKER}-0")
    assert pod["spec"]["serviceAccountName"] == WORKER
    assert "imagePullSecrets" not in pod["spec"]


def test_a_worker_with_another_image_stays_unless_pods_are_compared(stage: Stage) -> None:
    with stage.rook("--workers", "1") as rook:
        stage.install(OLD)
        rook.until("created", WORKERS)
        before = uid_of(stage, "pods", f"{WORKER}-0")
        stage.set_image("pods", f"{WORKER}-0", THEIRS)
        stage.delete("jobs", JOB)
        rook.until("created", JOBS, times=2)
    assert (uid_of(stage, "pods", f"{WORKER}-0"), stage.image("pods", f"{WORKER}-0")) == (before, THEIRS)


def test_comparing_pods_churns_as_long_as_they_are_changed(stage: Stage) -> None:
    with stage.rook("--workers", "1", "--pod-compare") as rook, stage.recording() as recorder:
        stage.install(OLD)
        rook.until("created", WORKERS)
        for turn in range(3):
            stage.set_image("pods", f"{WORKER}-0", THEIRS)
            rook.until("created", WORKERS, times=turn + 2)
        stage.delete("jobs", JOB)
        rook.until("created", JOBS, times=2)
    assert len(recorder.deleted("Pod", f"{WORKER}-0")) == rook.count("deleted", WORKERS) == 3
    assert stage.image("pods", f"{WORKER}-0") == OLD


# owners


def test_the_daemonset_leads_to_the_operators_deployment(stage: Stage) -> None:
    with stage.rook() as rook:
        stage.install(OLD)
        rook.until("created", DISCOVERS)
    replica_set, deployment = current_replica_set(stage), stage.read("deployments", OPERATOR)
    assert stage.read("daemonsets", DISCOVER)["metadata"]["ownerReferences"] == [reference(replica_set)]
    assert replica_set["metadata"]["ownerReferences"][0]["uid"] == deployment["metadata"]["uid"]


def reference(body: Json, *, controller: bool = True) -> Json:
    """An ownerReference without blockOwnerDeletion."""
    kinds = {"replicasets": "ReplicaSet"}
    named = {key: body["metadata"][key] for key in ("name", "uid")}
    kind = body.get("kind") or kinds["replicasets"]
    version = body.get("apiVersion") or "apps/v1"
    return {"apiVersion": version, "kind": kind, "controller": controller, **named}


@pytest.mark.parametrize("owner", ["replicaset", "deployment", "configmap"])
def test_what_owns_jobs_and_workers_can_be_chosen(stage: Stage, owner: str) -> None:
    with stage.rook("--workers", "1", "--owner", owner) as rook:
        stage.install(OLD)
        rook.until("created", WORKERS)
        rook.until("created", JOBS)
    wanted = {
        "replicaset": lambda: current_replica_set(stage),
        "deployment": lambda: stage.read("deployments", OPERATOR),
        "configmap": lambda: stage.read("configmaps", CLUSTER),
    }[owner]()
    assert stage.read("jobs", JOB)["metadata"]["ownerReferences"] == [reference(wanted)]
    worker = stage.read("pods", f"{WORKER}-0")["metadata"]["ownerReferences"]
    assert worker == [reference(wanted, controller=owner != "replicaset")]


def test_the_old_replicaset_takes_only_what_is_still_its_own(stage: Stage) -> None:
    """The DaemonSet was PUT under the new one; Jobs that were left alone still belong to the old one and go."""
    with stage.rook("--job-runs", "1h") as rook:
        stage.install(OLD)
        stage.wait(lambda: [pod["status"]["phase"] for pod in stage.pods(PREPARE)] == ["Running"], "the Job to run")
        stage.wait(lambda: active(stage) == 1, "the Job to be active")
        old, job, kept = current_replica_set(stage), uid_of(stage, "jobs", JOB), uid_of(stage, "daemonsets", DISCOVER)
        stage.upgrade(NEW)
        rook.until("put", DISCOVERS)
    stage.delete("replicasets", old["metadata"]["name"])
    stage.wait(lambda: stage.find("jobs", JOB) is None, "the Job of the old ReplicaSet to be collected")
    assert job
    assert uid_of(stage, "daemonsets", DISCOVER) == kept


def test_a_skipped_daemonset_goes_with_the_old_replicaset(stage: Stage) -> None:
    with stage.rook("--skip-if-exists") as rook:
        stage.install(OLD)
        rook.until("created", DISCOVERS)
        old = current_replica_set(stage)
        stage.upgrade(NEW)
        rook.until("started", times=2)
        stage.delete("replicasets", old["metadata"]["name"])
        stage.wait(lambda: stage.find("daemonsets", DISCOVER) is None, "the DaemonSet to be collected")


def test_sigterm_ends_it_cleanly_and_leaves_all_as_it_is(stage: Stage) -> None:
    with stage.rook("--put-loop", "0.5") as rook:
        stage.install(OLD)
        rook.until("put", DISCOVERS)
        assert rook.terminate() == 0
        assert rook.lines()[-1]["event"] == "stopped"
    assert stage.image("daemonsets", DISCOVER) == OLD

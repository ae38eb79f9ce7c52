"""Deployments, Pods, Jobs and claims as facts: what counts as rolled, who is asked, whose words are believed."""

from __future__ import annotations

from typing import Any

import pytest

from pawl.api.registrywork import Progress, Report, Task
from pawl.decide.registrynames import Names
from pawl.decide.registryview import askable, server_of
from pawl.decide.registryworkview import claim_of, report_of, stray, works_of

Json = dict[str, Any]
NAMES = Names("main")


def deployment(replicas: int = 1, generation: int = 2, **status: Any) -> Json:
    seen = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1, "observedGeneration": 2}
    template = {"metadata": {"annotations": {"pawl.dev/config": "c1"}}}
    return {
        "metadata": {"name": "main-registry", "generation": generation},
        "spec": {"replicas": replicas, "template": template},
        "status": seen | status,
    }


def pod(name: str = "p", *, ready: bool = True, notes: Json | None = None, **more: Any) -> Json:
    meta = {"name": name, "annotations": {"pawl.dev/store": "s1", "pawl.dev/read-only": "false"} | (notes or {})}
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    status = {"phase": "Running", "podIP": "10.0.0.1", "conditions": conditions} | more.pop("status", {})
    return {"metadata": meta | more.pop("metadata", {}), "spec": {"nodeName": "n1"}, "status": status}


READ_ONLY = {"pawl.dev/read-only": "true"}


def test_a_server_is_rolled_when_every_pod_is_of_the_newest_template() -> None:
    server = server_of(deployment(), [pod()], {})
    assert (server.exists, server.rolled, server.scale, server.config) == (True, True, 1, "c1")
    (seen,) = server.pods
    assert (seen.store, seen.read_only, seen.ready, seen.node, seen.address) == ("s1", False, True, "n1", "10.0.0.1")


@pytest.mark.parametrize(
    ("found", "pods"),
    [
        (deployment(generation=3), [pod()]),
        (deployment(updatedReplicas=0), [pod()]),
        (deployment(availableReplicas=None), [pod()]),
        (deployment(replicas=2), [pod()]),
        (deployment(), [pod(), pod("q", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})]),
        (deployment(), [pod(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})]),
        (deployment(), []),
    ],
    ids=["template is newer", "old Pod", "not available", "too few", "one ends", "the only one ends", "no Pod"],
)
def test_a_server_is_not_rolled(found: Json, pods: list[Json]) -> None:
    assert not server_of(found, pods, {}).rolled


def test_a_pod_that_ended_is_no_pod_of_the_server() -> None:
    assert server_of(deployment(), [pod(), pod("old", status={"phase": "Failed"})], {}).rolled


def test_only_ready_pods_that_must_refuse_pushes_are_asked() -> None:
    frozen, ending = pod("a", notes=READ_ONLY), {"deletionTimestamp": "2026-01-01T00:00:00Z"}
    others = [pod("b"), pod("c", notes=READ_ONLY, ready=False), pod("d", notes=READ_ONLY, metadata=ending)]
    assert askable([frozen, *others]) == [frozen]
    server = server_of(deployment(), [frozen], {"a": False})
    assert server.proved("s1", read_only=True)
    assert not server_of(deployment(), [frozen], {"a": None}).proved("s1", read_only=True)
    assert not server_of(deployment(), [frozen], {}).proved("s1", read_only=True)


def test_trouble_is_told_in_the_words_of_scheduler_and_kubelet() -> None:
    placed = [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}]
    assert "0/1 nodes" in server_of(deployment(), [pod(status={"conditions": placed})], {}).trouble
    waiting = {"name": "registry", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
    assert (
        "ImagePullBackOff: no such image"
        in server_of(deployment(), [pod(status={"containerStatuses": [waiting]})], {}).trouble
    )
    crashed = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
    last = {"name": "registry", "state": crashed, "lastState": {"terminated": {"exitCode": 1, "message": "bad config"}}}
    assert "bad config" in server_of(deployment(), [pod(status={"containerStatuses": [last]})], {}).trouble
    refused = [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}]
    assert "exceeded quota" in server_of(deployment(conditions=refused), [], {}).trouble


def job(task: str = "bulk", order: str = "m1/bulk/1", uid: str = "j1", **status: Any) -> Json:
    meta = {"name": f"main-registry-{task}-0123456789", "uid": uid, "annotations": {"pawl.dev/order": order}}
    return {"metadata": meta | status.pop("metadata", {}), "spec": {}, "status": status}


def worker(uid: str = "j1", name: str = "w", **status: Any) -> Json:
    return {"metadata": {"name": name, "ownerReferences": [{"uid": uid}]}, "spec": {}, "status": status}


def ended(code: int, message: str, name: str = "bulk") -> Json:
    return {"name": name, "state": {"terminated": {"exitCode": code, "message": message}}}


def test_a_job_at_work_tells_what_its_pod_said_last() -> None:
    said = Report(task=Task.BULK, progress=Progress(bytes=10, bytes_done=5))
    work = works_of([job()], [worker(phase="Running")], {"w": said}, NAMES)[Task.BULK]
    assert (work.order, work.active, work.succeeded, work.failed, work.report) == (
        "m1/bulk/1",
        True,
        False,
        False,
        said,
    )


def test_an_ended_job_tells_its_termination_message() -> None:
    text = Report(task=Task.BULK, done=True, ok=True).model_dump_json(by_alias=True)
    done = job(conditions=[{"type": "Complete", "status": "True"}])
    work = works_of([done], [worker(containerStatuses=[ended(0, text)])], {}, NAMES)[Task.BULK]
    assert work.succeeded
    assert not work.active
    assert work.report is not None
    assert work.report.ok


def test_the_first_program_that_failed_is_the_one_that_is_told() -> None:
    failed = job("prepare", conditions=[{"type": "Failed", "status": "True"}])
    statuses = {"initContainerStatuses": [ended(0, "", "prepare"), ended(2, "panic: no store", "collect")]}
    work = works_of([failed], [worker(**statuses)], {}, NAMES)[Task.PREPARE]
    assert work.failed
    assert work.report is not None
    assert not work.report.ok
    assert "collect ended with code 2: panic: no store" in work.report.message


def test_a_report_of_another_task_or_form_or_size_is_none() -> None:
    good = Report(task=Task.BULK, done=True).model_dump_json()
    assert report_of(good, Task.BULK) is not None
    assert report_of(good, Task.FINAL) is None
    assert report_of("{}", Task.BULK) is None
    assert report_of("[" * 9999, Task.BULK) is None
    assert report_of(good + " " * 20_000, Task.BULK) is None
    assert report_of(Report(task=Task.ACCOUNT, done=True).model_dump_json(), Task.PREPARE) is not None


def test_a_job_that_is_going_is_none_and_its_pods_are_stray() -> None:
    going = job(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    assert works_of([going], [], {}, NAMES) == {}
    assert stray([worker("j1", phase="Running")], []) == ["w"]
    assert stray([worker("j1", phase="Running")], [job()]) == []
    assert stray([worker("j0", phase="Failed")], []) == []


def test_the_newest_job_of_a_task_counts() -> None:
    old, new = job(order="m1/bulk/1"), job(order="m1/bulk/2", uid="j2")
    old["metadata"]["creationTimestamp"], new["metadata"]["creationTimestamp"] = (
        "2026-01-01T00:00:00Z",
        "2026-01-02T00:00:00Z",
    )
    assert works_of([new, old], [], {}, NAMES)[Task.BULK].order == "m1/bulk/2"


def claim(phase: str = "Bound", **meta: Any) -> Json:
    labels = {"pawl.dev/registry": "main", "app.kubernetes.io/managed-by": "pawl"}
    spec = {"resources": {"requests": {"storage": "10Gi"}}}
    conditions = [{"type": "FileSystemResizePending", "status": "True"}]
    status = {"phase": phase, "capacity": {"storage": "5Gi"}, "conditions": conditions}
    return {"metadata": {"name": "c", "labels": labels} | meta, "spec": spec, "status": status}


def test_a_claim_is_read_whole() -> None:
    found = claim_of(claim(), "main", grows=True)
    assert (found.bound, found.requested, found.capacity) == (True, 10 << 30, 5 << 30)
    assert (found.grows, found.resizing, found.own, found.trouble) == (True, True, True, "")
    assert not claim_of(claim(), "other", grows=None).own
    assert not claim_of(claim(labels={}), "main", grows=None).own
    assert "lost its volume" in claim_of(claim("Lost"), "main", grows=None).trouble
    assert "being deleted" in claim_of(claim(deletionTimestamp="2026-01-01T00:00:00Z"), "main", grows=None).trouble

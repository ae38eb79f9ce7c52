"""Rows of bytes: what each field means, what is shared, what is refused."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawl.cluster.rows import RowReader, Shared
from pawl.cluster.rows_workloads import WorkloadReader, decoders
from pawl.decide.objects import ContainerState, ImageAt, NodeTerm, Owner, Placement, PodRow, WorkloadRow

META = {"name": "web", "namespace": "shop", "uid": "u1", "resourceVersion": "7"}


def raw(body: object) -> bytes:
    return json.dumps(body).encode()


def pod(spec: dict[str, Any] | None = None, status: dict[str, Any] | None = None, **metadata: Any) -> PodRow:
    return RowReader().pod(raw({"metadata": {**META, **metadata}, "spec": spec or {}, "status": status or {}}))


def workload(kind: str, spec: dict[str, Any], status: dict[str, Any] | None = None, **metadata: Any) -> WorkloadRow:
    row = decoders()[kind](raw({"metadata": {**META, **metadata}, "spec": spec, "status": status or {}}))
    assert isinstance(row, WorkloadRow)
    return row


def template(**annotations: str) -> dict[str, Any]:
    return {"metadata": {"annotations": annotations}, "spec": {"containers": [{"name": "web", "image": "a:1"}]}}


def test_every_image_place_of_a_pod() -> None:
    row = pod(
        {
            "containers": [{"name": "web", "image": "a:1"}, {"name": "later"}],
            "initContainers": [{"name": "init", "image": "b:1"}],
            "ephemeralContainers": [{"name": "debug", "image": "c:1"}],
            "volumes": [{"name": "model", "image": {"reference": "d:1"}}, {"name": "tmp", "emptyDir": {}}],
        }
    )
    assert row.spec.images == (
        ImageAt("containers", "web", "a:1"),
        ImageAt("initContainers", "init", "b:1"),
        ImageAt("ephemeralContainers", "debug", "c:1"),
        ImageAt("volumes", "model", "d:1"),
    )


def test_the_rest_of_a_pod() -> None:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "rs", "uid": "o1", "controller": True}
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": "1970-01-01T00:01:00Z"}
    row = pod(
        {"imagePullSecrets": [{"name": "s"}, {}], "serviceAccountName": "sa", "nodeName": "n1"},
        {"phase": "Running", "conditions": [ready]},
        creationTimestamp="1970-01-01T00:00:30Z",
        labels={"b": "2", "a": "1"},
        ownerReferences=[owner],
    )
    assert (row.namespace, row.name, row.uid, row.version, row.created) == ("shop", "web", "u1", "7", 30.0)
    assert (row.node, row.phase, row.ready_since, row.deleting, row.mirror) == ("n1", "Running", 60.0, False, False)
    assert row.owners == (Owner("apps/v1", "ReplicaSet", "rs", "o1", controller=True),)
    assert (row.spec.pull_secrets, row.spec.account, row.spec.labels) == (("s",), "sa", (("a", "1"), ("b", "2")))
    assert row.live


@pytest.mark.parametrize("status", ["False", "Unknown"])
def test_a_pod_that_is_not_ready_has_no_time(status: str) -> None:
    condition = {"type": "Ready", "status": status, "lastTransitionTime": "1970-01-01T00:01:00Z"}
    assert pod(status={"conditions": [condition, {"type": "PodScheduled", "status": "True"}]}).ready_since is None


def test_marks_of_a_pod() -> None:
    assert pod(annotations={"kubernetes.io/config.mirror": "x"}).mirror
    assert not pod(annotations={"other": "x"}).mirror
    assert pod(deletionTimestamp="2026-01-01T00:00:00Z").deleting
    assert pod(labels={"pawl.dev/ignore": "true"}).spec.ignored
    assert not pod(labels={"pawl.dev/ignore": "false"}).spec.ignored


STATES = [
    ({}, ContainerState("web")),
    ({"state": {"waiting": {"reason": "ErrImagePull"}}}, ContainerState("web", waiting="ErrImagePull")),
    ({"state": {"running": {"startedAt": "x"}}, "imageID": "i@d"}, ContainerState("web", "i@d", started=True)),
    ({"state": {"terminated": {"exitCode": 0}}}, ContainerState("web", started=True)),
    (
        {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 1}}},
        ContainerState("web", waiting="CrashLoopBackOff", started=True),
    ),
    (
        {"state": {"waiting": {"reason": "ImagePullBackOff"}}, "restartCount": 2},
        ContainerState("web", waiting="ImagePullBackOff", started=True),
    ),
    ({"state": {"waiting": {}}}, ContainerState("web")),
]


@pytest.mark.parametrize(("status", "wanted"), STATES)
@pytest.mark.parametrize("where", ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"])
def test_what_the_kubelet_says(where: str, status: dict[str, Any], wanted: ContainerState) -> None:
    assert pod(status={where: [{"name": "web", **status}]}).states == (wanted,)


def affinity(*terms: dict[str, Any]) -> dict[str, Any]:
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}
    return {"affinity": {"nodeAffinity": required}}


def test_where_a_pod_may_run() -> None:
    arch = {"key": "kubernetes.io/arch", "operator": "In", "values": ["arm64"]}
    name = {"key": "metadata.name", "operator": "In", "values": ["n1"]}
    spec = {"nodeSelector": {"disk": "ssd"}, **affinity({"matchExpressions": [arch], "matchFields": [name]}, {})}
    assert pod(spec).spec.placement == Placement(
        (("disk", "ssd"),),
        (
            (NodeTerm("kubernetes.io/arch", "In", ("arm64",)), NodeTerm("metadata.name", "In", ("n1",))),
            (NodeTerm("metadata.name", "In"),),
        ),
    )
    assert pod({**spec, "nodeName": "n1"}).spec.placement == Placement()
    assert pod({"affinity": {"podAntiAffinity": {}}}).spec.placement == Placement()


def test_a_node() -> None:
    info = {"operatingSystem": "linux", "architecture": "arm64"}
    ready = [{"type": "Ready", "status": "True"}]
    body = {"metadata": {"name": "n1", "labels": {"z": "1"}}, "status": {"nodeInfo": info, "conditions": ready}}
    row = RowReader().node(raw(body))
    assert (row.name, row.platform, row.ready) == ("n1", "linux/arm64", True)
    assert row.labels == (("metadata.name", "n1"), ("z", "1"))
    assert not RowReader().node(raw({"metadata": {"name": "n1"}})).ready


def test_a_namespace() -> None:
    body = {"metadata": {"name": "shop", "labels": {"pawl.dev/ignore": "true"}, "deletionTimestamp": None}}
    row = RowReader().namespace(raw(body))
    assert (row.name, row.ignored, row.terminating) == ("shop", True, False)


def test_a_deployment() -> None:
    status = {"observedGeneration": 4, "replicas": 3, "updatedReplicas": 2, "readyReplicas": 1}
    row = workload("Deployment", {"replicas": 3, "paused": True, "template": template()}, status, generation=4)
    assert (row.wanted, row.updated, row.ready, row.total, row.generation, row.observed) == (3, 2, 1, 3, 4, 4)
    assert (row.paused, row.settled, row.kind) == (True, False, "Deployment")
    assert row.spec.images == (ImageAt("containers", "web", "a:1"),)


@pytest.mark.parametrize(("replicas", "wanted"), [(None, 1), (0, 0), (5, 5)])
def test_replicas_default_to_one(replicas: int | None, wanted: int) -> None:
    spec: dict[str, Any] = {} if replicas is None else {"replicas": replicas}
    assert workload("Deployment", spec).wanted == workload("StatefulSet", spec).wanted == wanted


def test_a_stateful_set() -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    row = workload("StatefulSet", {"replicas": 3, "updateStrategy": strategy, "template": template()})
    assert (row.partition, row.on_delete) == (2, False)
    assert workload("StatefulSet", {"updateStrategy": {"type": "OnDelete"}}).on_delete


def test_a_daemon_set() -> None:
    status = {
        "observedGeneration": 1,
        "desiredNumberScheduled": 3,
        "currentNumberScheduled": 3,
        "updatedNumberScheduled": 3,
        "numberReady": 2,
    }
    row = workload("DaemonSet", {"updateStrategy": {"type": "OnDelete"}}, status, generation=1)
    assert (row.wanted, row.updated, row.ready, row.total, row.on_delete) == (3, 3, 2, 3, True)
    assert row.settled


@pytest.mark.parametrize(
    ("spec", "status", "wanted", "finished"),
    [
        ({}, {"active": 1}, 1, False),
        ({"parallelism": 4}, {"active": 3, "ready": 2, "succeeded": 1}, 4, False),
        ({"suspend": True}, {}, 0, False),
        ({}, {"conditions": [{"type": "Complete", "status": "True"}]}, 0, True),
        ({}, {"conditions": [{"type": "Failed", "status": "True"}]}, 0, True),
        ({}, {"conditions": [{"type": "Failed", "status": "False"}]}, 1, False),
    ],
)
def test_a_job(spec: dict[str, Any], status: dict[str, Any], wanted: int, finished: bool) -> None:  # noqa: FBT001
    row = workload("Job", {**spec, "manualSelector": True}, status, annotations={"pawl.dev/recreated-from": "old"})
    assert row.job is not None
    assert (row.wanted, row.job.finished, row.job.active) == (wanted, finished, status.get("active", 0))
    assert (row.job.manual_selector, row.job.recreated_from) == (True, "old")
    assert row.job.suspended == spec.get("suspend", False)


def test_a_cron_job_has_its_template_further_down() -> None:
    spec = {"suspend": True, "jobTemplate": {"spec": {"template": template(**{"pawl.dev/rollout": "h"})}}}
    row = workload("CronJob", spec, {"active": [{"name": "x"}]})
    assert (row.spec.images, row.rollout, row.paused) == ((ImageAt("containers", "web", "a:1"),), "h", True)
    assert row.job is None
    assert row.settled


def test_a_replica_set_is_a_link() -> None:
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "d", "controller": True}
    row = workload("ReplicaSet", {"template": template()}, ownerReferences=[owner])
    assert (row.kind, row.spec.images, row.owners[0].uid) == ("ReplicaSet", (), "d")


def test_annotations_of_a_workload() -> None:
    notes = {"pawl.dev/rollout": "h", "pawl.dev/restart": "r"}
    row = workload("Deployment", {"template": template(**notes)}, annotations={"pawl.dev/original": "{}"})
    assert (row.rollout, row.restart, row.original, row.hook) == ("h", "r", "{}", False)


@pytest.mark.parametrize("key", ["helm.sh/hook", "argocd.argoproj.io/hook"])
def test_hooks(key: str) -> None:
    assert workload("Job", {}, annotations={key: "PreSync"}).hook


@pytest.mark.parametrize("kind", sorted(decoders()))
def test_nulls_are_absent_fields(kind: str) -> None:
    meta = {**META, "labels": None, "annotations": None, "ownerReferences": None, "creationTimestamp": None}
    inner = {"template": {"metadata": {"creationTimestamp": None}, "spec": {"containers": None}}}
    spec = {"jobTemplate": {"spec": inner}} if kind == "CronJob" else {"containers": None, **inner}
    assert decoders()[kind](raw({"metadata": meta, "spec": spec, "status": {"conditions": None}}))


@pytest.mark.parametrize("kind", sorted(decoders()))
@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"metadata": 1}'])
def test_what_is_no_object_is_refused(kind: str, text: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decoders()[kind](text)


def test_equal_pods_share_everything_but_their_names() -> None:
    reader = RowReader()
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "rs", "uid": "o1", "controller": True}

    def row(uid: str) -> PodRow:
        spec = {"containers": [{"name": "web", "image": "a:1"}], "nodeName": "n1"}
        status = {"phase": "Running", "containerStatuses": [{"name": "web", "imageID": "x"}]}
        meta = {**META, "uid": uid, "labels": {"a": "b"}, "ownerReferences": [owner]}
        return reader.pod(raw({"metadata": meta, "spec": spec, "status": status}))

    one, two = row("u1"), row("u2")
    assert one.spec is two.spec
    assert one.owners is two.owners
    assert one.states is two.states
    assert one.namespace is two.namespace
    assert one.node is two.node


def test_a_pod_and_its_template_share_images() -> None:
    shared = Shared()
    of_pod = RowReader(shared).pod(raw({"metadata": META, "spec": template()["spec"]}))
    of_set = WorkloadReader(shared).deployment(raw({"metadata": META, "spec": {"template": template()}}))
    assert of_pod.spec.images is of_set.spec.images


@given(st.lists(st.tuples(st.text(max_size=3), st.integers()), max_size=40), st.integers(1, 8))
def test_shared_values_stay_equal_however_much_is_forgotten(values: list[tuple[str, int]], capacity: int) -> None:
    shared = Shared(capacity)
    assert [shared.one(value) for value in values] == values

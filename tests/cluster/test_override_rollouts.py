"""How running workloads follow an override: what is held by its owner stays held, batches stop at what fails.

Neighbours: `test_override_plan` for what a person holds back. Not here: parents, Jobs, GitOps.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.api import Api, Json
from tests.cluster.operators import Operator, good
from tests.cluster.override_scene import Scene, keeper_of, scene_of
from tests.cluster.override_stage_specs import enforcement, rollout
from tests.cluster.override_stage_workloads import daemon_set, deployment, stateful_set

from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180), pytest.mark.usefixtures("installed")]
IMAGE_ID = "sandbox.pawl.dev/image-id.app"
"""Annotation of a Pod by which a simulated node says that other content runs."""
WRONG = "@sha256:" + "0" * 64


@pytest.fixture(scope="module")
def pawl(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with keeper_of(cluster, tmp_path_factory.mktemp("pawl")) as running:
        yield running


@pytest.fixture
def scene(api: Api, cluster: Cluster, tmp_path: Path, pawl: Operator) -> Iterator[Scene]:
    with scene_of(api, cluster, tmp_path, pawl) as made:
        yield made


def counts(**named: int) -> Json:
    """`status.workloads`; what is not named is 0."""
    words = ("matched", "compliant", "drifted", "contested", "skipped", "mismatched", "unverifiable")
    return dict.fromkeys(words, 0) | named


def budget(app: str, least: int) -> Json:
    spec = {"minAvailable": least, "selector": {"matchLabels": {"app": app}}}
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": app}, "spec": spec}


def telling(body: Json, image_id: str) -> Json:
    """The workload with Pods of which the node says that this content runs."""
    body["spec"]["template"]["metadata"]["annotations"] = {IMAGE_ID: image_id}
    return body


def test_a_deployment_runs_from_the_mirror_and_is_rolled_once(scene: Scene) -> None:
    """The user applies an override; soon the Pods run the mirror's image, proved, and Git sees no diff."""
    scene.push()
    scene.start(deployment("web", scene.source(), replicas=2))
    with scene.stage.recording() as recorder:
        scene.stage.apply(scene.mirror())
        scene.done()
    assert scene.pod_images("web") == [scene.target()] * 2
    assert len(recorder.writes("Deployment", "web", "pawl")) == 1
    assert recorder.images("Deployment", "web") == [scene.source()]
    assert scene.status()["workloads"] == counts(matched=1, compliant=1)


def test_a_partition_is_kept(scene: Scene) -> None:
    """Two of three Pods are held by the StatefulSet's partition: they stay, and the finding says what to lower."""
    scene.push()
    held = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    scene.start(stateful_set("db", scene.source(), replicas=3, updateStrategy=held))
    with scene.stage.recording() as recorder:
        scene.stage.apply(scene.mirror())
        scene.wait(lambda: scene.pod_images("db").count(scene.target()) == 1, "the one Pod above the partition")
        scene.until("RolledOut", "True")
    assert {pod["metadata"]["name"]: pod["spec"]["containers"][0]["image"] for pod in scene.stage.pods("db")} == {
        "db-0": scene.source(),
        "db-1": scene.source(),
        "db-2": scene.target(),
    }
    (finding,) = scene.findings()
    assert (finding["reason"], finding["verdict"], finding["name"]) == ("HeldByPartition", "Skipped", "db")
    assert "lower the partition" in finding["message"]
    assert scene.status()["workloads"] == counts(matched=1, drifted=1, skipped=1)
    assert scene.stage.read("statefulsets", "db")["spec"]["updateStrategy"] == held
    assert len(recorder.writes("StatefulSet", "db", "pawl")) == 1


def test_a_lowered_partition_lets_the_rest_follow(scene: Scene) -> None:
    """The user lowers the partition: the held Pods come anew with the mirror's image, and no write of Pawl's."""
    scene.push()
    held = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    scene.start(stateful_set("db", scene.source(), replicas=3, updateStrategy=held))
    scene.stage.apply(scene.mirror())
    scene.until("RolledOut", "True")
    rolled = scene.template("statefulsets", "db")
    scene.stage.edit("statefulsets", "db", {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}})
    scene.done()
    assert scene.pod_images("db") == [scene.target()] * 3
    assert scene.template("statefulsets", "db") == rolled


def test_a_paused_deployment_stays_paused(scene: Scene) -> None:
    """A paused Deployment keeps its Pods and stays paused; the finding says so, and resuming it lets them follow."""
    scene.push()
    scene.start(deployment("web", scene.source()))
    scene.stage.edit("deployments", "web", {"spec": {"paused": True}})
    scene.stage.apply(scene.mirror())
    scene.wait(lambda: scene.findings("RolloutPaused"), "the finding")
    assert scene.stage.read("deployments", "web")["spec"]["paused"] is True
    assert scene.pod_images("web") == [scene.source()]
    scene.stage.edit("deployments", "web", {"spec": {"paused": None}})
    scene.done()
    assert scene.pod_images("web") == [scene.target()]


def test_pods_of_on_delete_are_reported_and_left(scene: Scene) -> None:
    """By default the Pods of a workload with the strategy OnDelete are left to their owner, who reads what to do."""
    scene.push()
    scene.start(daemon_set("agent", scene.source(), updateStrategy={"type": "OnDelete"}))
    uid = scene.stage.pods("agent")[0]["metadata"]["uid"]
    scene.stage.apply(scene.mirror())
    scene.wait(lambda: scene.findings("OnDelete"), "the finding")
    scene.until("RolledOut", "True")
    assert scene.stage.pods("agent")[0]["metadata"]["uid"] == uid
    scene.stage.delete("pods", scene.stage.pods("agent")[0]["metadata"]["name"])
    scene.done()
    assert scene.pod_images("agent") == [scene.target()]


def test_a_budget_holds_evictions_back(scene: Scene) -> None:
    """With onDelete: Evict a Pod whose PodDisruptionBudget forbids it waits; when the budget goes, it is evicted."""
    scene.push()
    scene.start(daemon_set("agent", scene.source(), updateStrategy={"type": "OnDelete"}))
    scene.stage.apply(budget("agent", 1))
    scene.stage.wait(
        lambda: scene.stage.read("poddisruptionbudgets", "agent").get("status", {}).get("currentHealthy") == 1,
        "the budget to count its Pod",
    )
    with scene.stage.recording() as recorder:
        scene.stage.apply(scene.mirror(enforcement=enforcement(onDelete="Evict")))
        scene.wait(lambda: "disruption budget" in str(scene.status().get("conditions")), "the refusal to be told")
        assert scene.pod_images("agent") == [scene.source()]
        assert recorder.deleted("Pod") == []
        assert scene.conditions()["Ready"].startswith("False")
        good(scene.stage.delete("poddisruptionbudgets", "agent"))
        scene.done()
    assert scene.pod_images("agent") == [scene.target()]
    assert len(recorder.deleted("Pod")) == 1


def test_a_batch_that_runs_other_content_stops_the_rest(scene: Scene) -> None:
    """The first Deployment does not run what its image says: the others wait, and go on when it is mended."""
    for name in ("a", "b", "c"):
        scene.push(name)
    scene.start(telling(deployment("a", scene.source("a")), f"{scene.place}/a{WRONG}"))
    scene.start(*(deployment(name, scene.source(name)) for name in ("b", "c")))
    with scene.stage.recording() as recorder:
        scene.stage.apply(scene.mirror(rollout=rollout(batches=[1, "100%"])))
        assert "Deployment" in scene.until("Stalled", "True/BatchNotVerified")
        assert scene.annotated("deployments", "a")
        assert [scene.pod_images(name) for name in ("b", "c")] == [[scene.source("b")], [scene.source("c")]]
        assert not recorder.writes("Deployment", "b", "pawl") + recorder.writes("Deployment", "c", "pawl")
        annotations = {"spec": {"template": {"metadata": {"annotations": {IMAGE_ID: None}}}}}
        scene.stage.edit("deployments", "a", annotations)
        scene.done()
    assert [scene.pod_images(name) for name in ("a", "b", "c")] == [[scene.target(name)] for name in ("a", "b", "c")]
    assert [len(recorder.writes("Deployment", name, "pawl")) for name in ("a", "b", "c")] == [1, 1, 1]
    assert "Stalled" not in scene.conditions()


def sized(body: Json) -> Json:
    """The workload with a request, so that a quota for such Pods counts it and not the trial Pods of the gate."""
    body["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"memory": "1Gi"}}
    return body


def test_a_rollout_that_does_not_progress_stops_and_goes_on(scene: Scene) -> None:
    """A quota keeps the new Pod from being made: after progressDeadline the rest waits, until somebody makes room."""
    scene.push("a")
    scene.push("b")
    surge = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    scene.start(*(sized(deployment(name, scene.source(name), strategy=surge)) for name in ("a", "b")))
    hard = {"requests.memory": "2100Mi"}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full"}, "spec": {"hard": hard}}
    place = f"api/v1/namespaces/{scene.stage.namespace}/resourcequotas"
    good(scene.stage.api.post(place, quota))
    scene.stage.apply(scene.mirror(rollout=rollout(batches=[1, "100%"], progressDeadline="10s")))
    assert "not verified 10s after it began" in scene.until("Stalled", "True/ProgressDeadlineExceeded")
    assert not scene.annotated("deployments", "b")
    good(scene.stage.api.merge(f"{place}/full", {"spec": {"hard": {"requests.memory": "20Gi"}}}))
    scene.done()
    assert [scene.pod_images(name) for name in ("a", "b")] == [[scene.target(name)] for name in ("a", "b")]


def test_nothing_is_written_once_all_is_done(scene: Scene) -> None:
    """Steady state is silence: asked to look again at what is done, Pawl echoes the wish and writes nothing else."""
    scene.push()
    scene.start(deployment("web", scene.source()), daemon_set("agent", scene.source()))
    scene.stage.apply(scene.mirror())
    scene.done()
    before = [scene.stage.read(*what) for what in (("deployments", "web"), ("daemonsets", "agent"))]
    table = scene.stage.read("imagerules", "pawl")
    with scene.stage.recording() as recorder:
        for wish in ("1", "2"):
            scene.ask(wish)
        assert {change.type for change in recorder.changes()} == {"ADDED"}
    assert [scene.stage.read(*what) for what in (("deployments", "web"), ("daemonsets", "agent"))] == before
    assert scene.stage.read("imagerules", "pawl") == table

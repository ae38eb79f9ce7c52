"""What comes in between: workloads that go, that somebody writes to all the time, that rename a container, and those
that an override must never touch.

Neighbours: `test_override_rook` is the calm course. Not here: crashes of the operator.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.cluster.api import Api, Json
from tests.cluster.operators import Operator, good
from tests.cluster.override_scene import keeper_of
from tests.cluster.override_stage import Stage, images_of, stage_of
from tests.cluster.override_stage_scenes import RookScene, rook_scene
from tests.cluster.override_stage_specs import cluster_override, enforcement, rollout, rule
from tests.cluster.override_stage_workloads import bare_pod, deployment

from pawl.decide.objects import IGNORE
from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(200)]


@pytest.fixture(scope="module")
def pawl(cluster: Cluster, installed: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    assert installed
    with keeper_of(cluster, tmp_path_factory.mktemp("pawl")) as running:
        yield running


@pytest.fixture
def scene(api: Api, cluster: Cluster, tmp_path: Path, pawl: Operator) -> Iterator[RookScene]:
    with rook_scene(api, cluster, tmp_path, pawl) as made:
        made.push("web")
        yield made


def test_what_is_deleted_in_the_middle_stays_deleted(scene: RookScene) -> None:
    """S25: a user deletes workloads while the rollout is at them. None comes back, and the rest is done."""
    stage = scene.stage
    names = [f"web-{index}" for index in range(6)]
    scene.start(*(deployment(name, scene.source("web")) for name in names))
    one_by_one = scene.wish(templates="Reconcile")
    one_by_one["spec"]["rollout"] = rollout(batches=["1", "100%"], maxConcurrent=1)
    with stage.recording() as seen:
        stage.apply(one_by_one)
        scene.wait(lambda: scene.acted("RewriteTemplate"), "the first write")
        for name in names[:1] + names[3:]:
            stage.delete("deployments", name)
        scene.done()
        assert scene.status()["workloads"]["matched"] == 2
    assert sorted(each["metadata"]["name"] for each in stage.find_all("deployments")) == names[1:3]
    assert len(seen.created("Deployment")) == 6
    assert len(seen.deleted("Deployment")) == 4
    assert {stage.image("deployments", name) for name in names[1:3]} == {scene.target("web")}


@contextmanager
def storm_over(stage: Stage, name: str, pause: float) -> Iterator[list[int]]:
    """Somebody writes an annotation and the status of a Deployment all the time; the codes of the answers."""
    stop, codes = threading.Event(), list[int]()
    api = Api(stage.cluster.kubeconfig)

    def blow() -> None:
        for number in itertools.count():
            if stop.wait(pause):
                return
            path, note = stage.path("deployments", name), {"metadata": {"annotations": {"storm": str(number)}}}
            status = {"status": {"conditions": [{"type": "Storm", "status": "True", "message": str(number)}]}}
            codes.extend([api.merge(path, note).code, api.merge(f"{path}/status", status).code])

    thread = threading.Thread(target=blow, daemon=True)
    thread.start()
    try:
        yield codes
    finally:
        stop.set()
        thread.join(20)
        api.close()


@pytest.mark.parametrize("templates", ["Off", "Reconcile"])
def test_a_workload_that_is_written_to_all_the_time_is_rolled_once(scene: RookScene, templates: str) -> None:
    """Another controller writes annotations and status of the Deployment twenty times a second: many of Pawl's writes
    come too late and are refused, one gets through, and one is enough."""
    stage = scene.stage
    scene.start(deployment("web", scene.source("web")))
    with storm_over(stage, "web", 0.05) as codes, stage.recording() as seen:
        stage.wait(lambda: len(codes) > 10, "the storm")
        stage.apply(scene.wish(templates=templates))
        scene.wait(lambda: scene.pod_images("web") == [scene.target("web")], "the new Pod in the storm")
    scene.done()
    assert set(codes) == {200}
    assert len(seen.created("ReplicaSet")) == 2
    assert len(scene.acted()) <= 1  # 0: the gate rewrote the template as the storm wrote it


def test_a_renamed_container_leaves_no_zombie(scene: RookScene) -> None:
    """Pawl holds the image of `app` in the template; the owner renames the container by a server-side apply. What is
    left of `app` belongs to Pawl alone and would run beside the new one: Pawl lets go of it."""
    stage = scene.stage
    body = deployment("web", scene.source("web"))
    scene.start(body)
    stage.apply(scene.wish(templates="Reconcile"))
    scene.done()
    body["spec"]["template"]["spec"]["containers"][0]["name"] = "renamed"
    with stage.recording() as seen:
        stage.apply(body)
        scene.wait(lambda: containers(scene) == {"renamed": scene.target("web")}, "the zombie to go")
        scene.done()
        scene.wait(lambda: list(stage.images("web").values()) == [{"renamed": scene.target("web")}], "the new Pod")
    assert containers(scene) == {"renamed": scene.target("web")}
    assert len(scene.acted("DropZombies")) <= 1
    assert len(seen.writes("Deployment", "web")) <= 3


def containers(scene: RookScene) -> dict[str, str]:
    return images_of(scene.template("deployments", "web")["spec"])


ONLY_HERE = "exclusions.example.com"
"""A source that no other override names: this one is in the table of the whole cluster."""


def test_what_is_excluded_is_never_touched(scene: RookScene, api: Api, cluster: Cluster, tmp_path: Path) -> None:
    """An override for the whole cluster touches neither kube-system, nor Pawl's own namespace, nor what is labelled
    pawl.dev/ignore, be it a namespace, a Pod or a template. Beside them everything is rewritten."""
    known = scene.known("web")
    image, wanted = f"{ONLY_HERE}/web:v1@{known.digest}", known.pinned
    everywhere = cluster_override(
        rule(f"{ONLY_HERE}/web", known.name),
        name=scene.stage.namespace,
        enforcement=enforcement(templates="Reconcile"),
        rollout=rollout(),
    )
    with stage_of(api, cluster, tmp_path, **{IGNORE: "true"}) as ignored:
        places = [ignored, *(Stage(api, cluster, name, tmp_path) for name in ("kube-system", scene.pawl.namespace))]
        name = f"web-{scene.stage.namespace}"
        try:
            for place in (*places, scene.stage):
                place.apply(deployment(name, image))
            scene.stage.apply(labelled(deployment("left", image)), labelled(bare_pod("bare-left", image)))
            for place in (*places, scene.stage):
                place.wait(lambda place=place: place.settled("deployments", name), "the Pod")  # type: ignore[misc]
            before = [spec_of(place, name) for place in places]
            scene.stage.apply_cluster(everywhere)
            scene.wait(lambda: set(scene.pod_images(name)) == {wanted}, "the covered one to be rolled")
            scene.wait(lambda: verified(scene, everywhere), "the override to be done")
            for place in places:
                place.apply(bare_pod(f"late-{name}", image))
                assert place.image("pods", f"late-{name}") == image
                assert place.find("imagerules", "pawl") is None
            assert [spec_of(place, name) for place in places] == before
            assert scene.stage.image("deployments", "left") == scene.stage.image("pods", "bare-left") == image
            assert all(set(RookScene(place, scene.pawl).pod_images(name)) == {image} for place in places)
        finally:
            api.delete(
                f"{scene.stage.path('deployments').split('/namespaces')[0]}/namespaces/kube-system/deployments/{name}"
            )
            api.delete(f"api/v1/namespaces/kube-system/pods/late-{name}")
            good(api.delete(f"apis/pawl.dev/v1alpha1/clusterimageoverrides/{scene.stage.namespace}"))


def labelled(body: Json) -> Json:
    """The same with the label by which Pawl leaves Pods alone: on the Pod, or on the template."""
    metadata = body["spec"]["template"]["metadata"] if "template" in body["spec"] else body["metadata"]
    metadata["labels"] |= {IGNORE: "true"}
    return body


def spec_of(stage: Stage, name: str) -> tuple[int, Json]:
    found = stage.read("deployments", name)
    return found["metadata"]["generation"], found["spec"]


def verified(scene: RookScene, override: Json) -> bool:
    path = f"apis/pawl.dev/v1alpha1/clusterimageoverrides/{override['metadata']['name']}"
    found = good(scene.stage.api.get(path)).body.get("status", {}).get("conditions", [])
    told = {each["type"]: each["status"] for each in found}
    return told.get("Ready") == told.get("Verified") == "True"

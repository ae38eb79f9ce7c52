"""Bare Pods that an operator makes, as Arroyo and CloudNativePG do: rewritten at admission, given their pull Secret,
and left alone where their owner will not have them rewritten.

Neighbours: `test_override_fights` has reverts of templates. Not here: what is known of Secrets in a registry.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from tests.cluster.api import Api, Json
from tests.cluster.operators import Operator, good
from tests.cluster.override_scene import PUBLIC, keeper_of
from tests.cluster.override_stage import Stage, stage_of
from tests.cluster.override_stage_recorder import Recorder
from tests.cluster.override_stage_scenes import FIRST_WORKER, NOWHERE, ROOK, RookScene, rook_scene
from tests.cluster.override_stage_specs import enforcement, override, rollout, rule
from tests.cluster.override_stage_workloads import bare_pod

from pawl.cli.demo_rook_chart import account
from pawl.cli.demo_rook_objects import OPERATOR, WORKER
from pawl.decide.objects import ALLOW_COPY_TO
from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(200)]

OWN, SHARED = "own", "regcred"


@pytest.fixture(scope="module")
def pawl(cluster: Cluster, installed: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    assert installed
    with keeper_of(cluster, tmp_path_factory.mktemp("pawl")) as running:
        yield running


@pytest.fixture
def scene(api: Api, cluster: Cluster, tmp_path: Path, pawl: Operator) -> Iterator[RookScene]:
    with rook_scene(api, cluster, tmp_path, pawl) as made:
        yield made


@contextmanager
def vault_for(scene: RookScene) -> Iterator[Stage]:
    """A namespace with a Secret whose owner lets it be copied to the scene's."""
    stage = scene.stage
    with stage_of(stage.api, stage.cluster, stage.directory) as vault:
        vault.apply(pull_secret(SHARED, stage.registry, {ALLOW_COPY_TO: stage.namespace}))
        yield vault


def pull_secret(name: str, host: str, annotations: dict[str, str] | None = None) -> Json:
    auths = {"auths": {host: {"auth": base64.b64encode(b"user:word").decode()}}}
    data = {".dockerconfigjson": base64.b64encode(json.dumps(auths).encode()).decode()}
    metadata = {"name": name, "annotations": annotations or {}}
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}
    return body | {"type": "kubernetes.io/dockerconfigjson"}


def wish(scene: RookScene, vault: Stage, host: str = PUBLIC) -> Json:
    source = {"name": SHARED, "copyFrom": {"namespace": vault.namespace, "name": SHARED}}
    return override(rule(host, scene.place), pullSecrets=[source], enforcement=enforcement(), rollout=rollout())


def secrets_of(pod: Json) -> list[str]:
    return [each["name"] for each in pod["spec"].get("imagePullSecrets", [])]


def first_seen(recorder: Recorder, image: str) -> int:
    """The version in which the first worker with an image was made."""
    found = (change for change in recorder.changes("Pod", FIRST_WORKER) if change.image == image)
    return int(next(found).version)


def test_workers_get_image_and_secret_though_nothing_but_pods_is_made(scene: RookScene) -> None:
    """S7: Arroyo's controller makes its workers as bare Pods and ignores pull Secrets (arroyo#651). With an override
    the worker that it makes after its restart has the mirror's image, the copied Secret, which is there by then, and
    still the one of its ServiceAccount."""
    stage = scene.stage
    stage.apply(pull_secret(OWN, "registry.example.com"))
    stage.apply(account(WORKER) | {"imagePullSecrets": [{"name": OWN}]}, manager="admin")
    modes = ("--workers", "1", "--pod-compare", "--owner", "configmap")
    with vault_for(scene) as vault, stage.rook(*modes) as rook, stage.recording() as recorder:
        scene.install()
        rook.until("created", f"pods/{FIRST_WORKER}")
        stage.apply(wish(scene, vault))
        rook.until("created", f"pods/{FIRST_WORKER}", times=2)
        scene.done()
        assert rook.count("created", f"pods/{FIRST_WORKER}") == 2
        worker, copy = stage.read("pods", FIRST_WORKER), stage.read("secrets", SHARED)
    assert worker["spec"]["containers"][0]["image"] == scene.target(ROOK)
    assert secrets_of(worker) == [OWN, SHARED]
    assert secrets_of(stage.pods(OPERATOR)[0]) == [SHARED]
    assert int(copy["metadata"]["resourceVersion"]) < first_seen(recorder, scene.target(ROOK))
    assert [each["name"] for each in stage.read("serviceaccounts", WORKER)["imagePullSecrets"]] == [OWN]
    assert "Pod" not in {each.split()[1] for each in scene.acted()}


def test_the_first_pods_after_the_override_have_it_all(scene: RookScene) -> None:
    """The override stands before the chart is installed: nothing is ever made with the old image, nothing is rolled."""
    stage = scene.stage
    scene.push(ROOK)
    with vault_for(scene) as vault, stage.rook("--workers", "1") as rook, stage.recording() as recorder:
        stage.apply(wish(scene, vault))
        scene.wait(lambda: scene.rewrites(scene.source(ROOK)), "Pods to be rewritten")
        scene.install()
        rook.until("created", f"pods/{FIRST_WORKER}")
        scene.done()
        copy = stage.read("secrets", SHARED)
    assert {change.image for change in recorder.changes("Pod") if not _is_mon(change.name)} == {scene.target(ROOK)}
    assert all(secrets_of(pod) == [SHARED] for pod in stage.pods() if not _is_mon(pod["metadata"]["name"]))
    assert copy["metadata"]["name"] == SHARED
    assert scene.acted() == []


def test_a_worker_stuck_since_before_the_override_is_revived_once(scene: RookScene) -> None:
    """A bare Pod that cannot pull stays stuck for ever: images can change, its Secrets cannot. Its owner makes another
    when it is gone, so Pawl evicts it, once."""
    stage = scene.stage
    scene.push("ceph", "v18")
    with vault_for(scene) as vault, stage.recording() as recorder:
        pod = owned_pod(scene, "lone", scene.unpullable())
        stage.apply(pod)
        stage.wait(lambda: stage.waiting("lone") == ["ImagePullBackOff"], "the Pod to be stuck")
        first = scene.uid("pods", "lone")
        stage.apply(wish(scene, vault, NOWHERE))
        scene.wait(lambda: first in recorder.deleted("Pod"), "it to be evicted")
        stage.apply(pod)  # as its owner does
        scene.done()
    assert (stage.image("pods", "lone"), secrets_of(stage.read("pods", "lone"))) == (
        scene.target("ceph", "v18"),
        [SHARED],
    )
    assert recorder.deleted("Pod", "lone") == [first]
    assert [each.split()[0] for each in scene.acted()] == ["Evict"]


def owned_pod(scene: RookScene, name: str, image: str) -> Json:
    """A Pod that a ConfigMap of its own controls, as that of a custom resource is."""
    scene.stage.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"of-{name}"}})
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": f"of-{name}", "controller": True}
    body = bare_pod(name, image)
    body["metadata"]["ownerReferences"] = [owner | {"uid": scene.uid("configmaps", f"of-{name}")}]
    return body


@pytest.mark.parametrize("owner", ["configmap", "deployment", "replicaset"])
def test_an_owner_that_will_not_have_its_pods_rewritten_is_left_alone(scene: RookScene, owner: str) -> None:
    """CNPG#10872: an operator compares its Pods with what it wanted and replaces the rewritten one, again and again.
    Within a minute Pawl steps back from that owner's Pods, at admission too, and says so; Pods of others in the
    namespace are rewritten as before."""
    stage = scene.stage
    modes = ("--workers", "1", "--pod-compare", "--owner", owner)
    with stage.rook(*modes) as rook:
        scene.install()
        scene.made()
        stage.wait(lambda: stage.find("pods", FIRST_WORKER), "the worker")
        with stage.recording() as recorder:
            stage.apply(scene.wish("worker", "app"))
            scene.wait(lambda: scene.rewrites(scene.source(ROOK), "worker"), "workers to be rewritten")
            stage.delete("pods", FIRST_WORKER)
            scene.until("Contested", "True", seconds=60)
            scene.wait(lambda: stage.image("pods", FIRST_WORKER) == scene.source(ROOK), "the worker as its owner wants")
            uid, made = scene.uid("pods", FIRST_WORKER), rook.count("created", f"pods/{FIRST_WORKER}")
            stage.apply(owned_pod(scene, "other", scene.source(ROOK)))
            made_images = recorder.images("Pod", FIRST_WORKER)
            scene.wait(lambda: stage.image("pods", "other") == scene.target(ROOK), "Pods of others to be rewritten")
        (contest,) = scene.status()["contests"]
        assert (contest["reason"], contest["uid"]) == ("PodChurn", _owner(scene, owner))
        assert (scene.uid("pods", FIRST_WORKER), rook.count("created", f"pods/{FIRST_WORKER}")) == (uid, made)
        assert 4 <= made <= 8
        assert made_images[-1] == scene.source(ROOK)
    assert list(stage.read("imagerules", "pawl")["spec"]["exempt"]) == [_owner(scene, owner)]
    assert "Contested" in {each["verdict"] for each in scene.findings("PodChurn")}
    assert not [each for each in scene.acted() if FIRST_WORKER in each]


def _owner(scene: RookScene, kind: str) -> str:
    """uid of what owns the worker."""
    owners = scene.stage.read("pods", FIRST_WORKER)["metadata"]["ownerReferences"]
    assert owners[0]["kind"].lower() == kind
    return str(owners[0]["uid"])


def _is_mon(name: str) -> bool:
    return name.startswith("rook-mon")


def test_names_of_secrets_are_no_secret(scene: RookScene) -> None:
    """What a Secret holds never shows in the log or in a status."""
    stage = scene.stage
    word = uuid4().hex
    scene.push(ROOK)
    with vault_for(scene) as vault:
        auth = base64.b64encode(f"user:{word}".encode()).decode()
        value = base64.b64encode(json.dumps({"auths": {stage.registry: {"auth": auth}}}).encode()).decode()
        good(vault.api.merge(vault.path("secrets", SHARED), {"data": {".dockerconfigjson": value}}))
        stage.apply(bare_pod("one", scene.source(ROOK)), wish(scene, vault))
        scene.wait(lambda: stage.find("secrets", SHARED), "the copy")
        scene.wait(lambda: "Preflight" in scene.conditions(), "the preflight")
        said = scene.pawl.text + json.dumps(scene.status())
    assert not [secret for secret in (word, auth, value) if secret in said]

"""A registry that asks for credentials and has a CA of its own, before real kubelets: nothing moves without both.

Neighbours: `tests.cluster.test_override_secrets` for grants and copies, `node_registry` is the registry.
Not here: Pawl's own image from such a registry (`test_node_operator`).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from tests.cluster.api import Api, Json
from tests.cluster.operators import Operator
from tests.cluster.override_scene import fresh
from tests.cluster.override_stage import Stage, stage_of
from tests.cluster.override_stage_specs import enforcement, override, rollout, rule
from tests.cluster.override_stage_workloads import bare_pod, deployment
from tests.node.node_images import Placed, Program, put
from tests.node.node_registry import PrivateRegistry, pull_secret
from tests.node.node_scene import NodeScene, node_scene_of, quick, two_replicas

from pawl.sandbox import Cluster

pytestmark = [pytest.mark.node, pytest.mark.timeout(300), pytest.mark.usefixtures("installed")]

PASSWORD = "hunter-two"
ALLOW = {"pawl.dev/allow-copy-to": "s-*"}
WAITING = {"ErrImagePull", "ImagePullBackOff"}


@pytest.fixture(scope="module")
def pawl(cluster: Cluster, installed: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    assert installed
    with two_replicas(cluster, tmp_path_factory.mktemp("pawl")) as running:
        yield running


@pytest.fixture
def scene(api: Api, cluster: Cluster, tmp_path: Path, pawl: Operator, tool: bytes) -> Iterator[NodeScene]:
    with node_scene_of(api, cluster, tmp_path, pawl, tool) as made:
        trust(made, trustme.CA().cert_pem.bytes().decode())
        yield made


@pytest.fixture
def vault(api: Api, cluster: Cluster, tmp_path: Path, private: PrivateRegistry) -> Iterator[Stage]:
    """Another namespace, whose owner keeps the right credentials and lets others copy them."""
    with stage_of(api, cluster, tmp_path) as stage:
        keep(stage, private, private.password)
        yield stage


def keep(vault: Stage, private: PrivateRegistry, password: str) -> None:
    vault.apply(pull_secret("regcred", private.host, password, **ALLOW))


def copying(private: PrivateRegistry, vault: Stage, scene: NodeScene, source: str = "") -> Json:
    """The override that takes images from the private registry, with the copied Secret."""
    target = place_of(scene, private)
    copy = {"name": "regcred", "copyFrom": {"namespace": vault.namespace, "name": "regcred"}}
    fields: Json = {"pullSecrets": [copy], "enforcement": enforcement(), "rollout": rollout()}
    return override(rule(source or scene.public, target), caSecretRef={"name": "authority"}, **fields)


def place_of(scene: NodeScene, private: PrivateRegistry) -> str:
    return f"{private.host}/{scene.stage.namespace}"


def trust(scene: NodeScene, ca: str) -> None:
    """Say which CA the override trusts."""
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "authority"}}
    scene.stage.apply(body | {"data": {"ca.crt": base64.b64encode(ca.encode()).decode()}})


def ask_until(scene: NodeScene, condition: str, value: str) -> str:
    """Ask for a run again and again: Secrets that were read a second ago are not read anew. The condition's message."""

    def asked() -> bool:
        scene.ask(fresh("wish"))
        return scene.conditions().get(condition, "").startswith(value)

    scene.wait(asked, f"{condition}={value}")
    return scene.message(condition)


def pushed(scene: NodeScene, private: PrivateRegistry, name: str) -> Placed:
    """An image in the private registry alone."""
    return put(private.place, Program(f"{scene.stage.namespace}/{name}"), scene.tool)


def waits(scene: NodeScene, app: str) -> bool:
    found = scene.stage.waiting(app)
    return bool(found) and set(found) <= WAITING


def secrets_of(pod: Json) -> list[str]:
    return [each["name"] for each in pod["spec"].get("imagePullSecrets", [])]


def test_without_the_ca_or_with_a_wrong_password_nothing_is_rolled(
    scene: NodeScene, vault: Stage, private: PrivateRegistry
) -> None:
    """A CA that is none, then a wrong password: each is said, and the Pod that runs is not touched. Then both are
    right: the Secret is copied, the Pod gets it, and its node pulls with it over TLS."""
    before = scene.public_of(Program("web"))
    wanted = pushed(scene, private, "web")
    scene.start(quick(deployment("web", before.tagged)))
    (first,) = scene.stage.pods("web")
    keep(vault, private, "wrong")
    scene.stage.apply(copying(private, vault, scene))
    scene.until("Preflight", "False/Untrusted")
    trust(scene, private.ca)
    assert "regcred" in ask_until(scene, "Preflight", "False/Unauthorized")
    assert [pod["metadata"]["uid"] for pod in scene.stage.pods("web")] == [first["metadata"]["uid"]]
    keep(vault, private, private.password)
    ask_until(scene, "Preflight", "True")
    scene.done(seconds=120)
    (pod,) = scene.stage.pods("web")
    assert (scene.pod_images("web"), secrets_of(pod)) == ([wanted.tagged], ["regcred"])
    assert scene.image_ids("web")["app"] <= wanted.acceptable
    assert PASSWORD not in scene.pawl.text + json.dumps(scene.status())


def test_pods_that_wait_for_a_secret_are_made_anew_with_it(
    scene: NodeScene, vault: Stage, private: PrivateRegistry
) -> None:
    """Two Pods of a Deployment and a bare one are refused by the registry for real. The override brings the Secret:
    the owned ones are evicted once and run; nobody would make the bare one again, so it is told."""
    wanted = pushed(scene, private, "late")
    trust(scene, private.ca)
    scene.stage.apply(quick(deployment("web", wanted.tagged, replicas=2)), quick(bare_pod("alone", wanted.tagged)))
    scene.stage.wait(lambda: waits(scene, "web") and waits(scene, "alone"), "the kubelets to be refused")
    old = {pod["metadata"]["uid"] for pod in scene.stage.pods("web")}
    with scene.stage.recording() as recorder:
        scene.stage.apply(copying(private, vault, scene, source=place_of(scene, private)))
        scene.stage.wait(lambda: scene.stage.settled("deployments", "web"), "the Deployment's Pods to run", 120)
        scene.stage.wait(lambda: set(recorder.deleted("Pod")) >= old, "both refused Pods to be gone")
        assert set(recorder.deleted("Pod")) == old
    assert {tuple(secrets_of(pod)) for pod in scene.stage.pods("web")} == {("regcred",)}
    assert scene.image_ids("web")["app"] <= wanted.acceptable
    scene.wait(lambda: "alone" in {name for name, _, _ in scene.verdicts()}, "the bare Pod to be told")


def test_a_rotated_password_reaches_pods_that_wait(scene: NodeScene, vault: Stage, private: PrivateRegistry) -> None:
    """The registry takes another password: new Pods wait. The owner writes it into the source: the copy follows, and
    what waits comes up by itself, under the name that it has."""
    before, later = pushed(scene, private, "before"), pushed(scene, private, "later")
    trust(scene, private.ca)
    scene.stage.apply(copying(private, vault, scene, source=place_of(scene, private)))
    scene.start(quick(deployment("before", before.tagged)))
    scene.done()
    private.rotate("hunter-three")
    scene.stage.apply(quick(deployment("later", later.tagged)))
    scene.stage.wait(lambda: waits(scene, "later"), "the kubelet to be refused")
    keep(vault, private, private.password)
    ask_until(scene, "Preflight", "True")
    scene.stage.wait(lambda: scene.stage.settled("deployments", "later"), "the Pod to run", 120)
    scene.done()
    assert "hunter-three" not in scene.pawl.text + json.dumps(scene.status())

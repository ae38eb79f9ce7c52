"""Pull Secrets: copied where their owner allows it, added to what Pods have, and Pods that waited for one revived once.

Neighbours: `test_secretcopies` for copies themselves. Not here: passwords that registries refuse.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.api import Api, Json
from tests.cluster.operators import Operator, Shop, good
from tests.cluster.override_scene import Scene, keeper_of, scene_of
from tests.cluster.override_stage import Stage, stage_of
from tests.cluster.override_stage_specs import enforcement, override, rollout, rule
from tests.cluster.override_stage_workloads import bare_pod, deployment

from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240), pytest.mark.usefixtures("installed")]
PASSWORD = "hunter-two"
ALLOW = "pawl.dev/allow-copy-to"


@pytest.fixture(scope="module")
def pawl(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with keeper_of(cluster, tmp_path_factory.mktemp("pawl")) as running:
        yield running


@pytest.fixture
def scene(api: Api, cluster: Cluster, tmp_path: Path, pawl: Operator) -> Iterator[Scene]:
    with scene_of(api, cluster, tmp_path, pawl) as made:
        yield made


@pytest.fixture
def vault(api: Api, cluster: Cluster, tmp_path: Path, scene: Scene) -> Iterator[Stage]:
    """Another namespace, whose owner keeps the Secret."""
    with stage_of(api, cluster, tmp_path) as stage:
        Shop(api, stage.namespace, scene.pawl).pull_secret("regcred", "registry.corp", "robot", PASSWORD)
        yield stage


def allow(vault: Stage, text: str | None) -> None:
    vault.edit("secrets", "regcred", {"metadata": {"annotations": {ALLOW: text}}})


def copying(scene: Scene, vault: Stage) -> Json:
    source = {"namespace": vault.namespace, "name": "regcred"}
    return scene.mirror(pullSecrets=[{"name": "regcred", "copyFrom": source}])


def secrets_of(pod: Json) -> list[str]:
    return [each["name"] for each in pod["spec"].get("imagePullSecrets", [])]


def test_a_granted_secret_is_copied_and_pods_get_it_besides_their_own(scene: Scene, vault: Stage) -> None:
    """The owner allows the copy: it is there before anything rolls, and Pods keep what their ServiceAccount gives."""
    scene.push()
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "builder"}}
    scene.stage.apply(account | {"imagePullSecrets": [{"name": "of-the-account"}]})
    web = deployment("web", scene.source())
    web["spec"]["template"]["spec"]["serviceAccountName"] = "builder"
    scene.start(web)
    allow(vault, scene.stage.namespace)
    with scene.stage.recording() as recorder:
        scene.stage.apply(copying(scene, vault))
        scene.done()
        assert len(recorder.writes("Deployment", "web", "pawl")) == 1
    copy = scene.stage.read("secrets", "regcred")
    assert copy["data"] == vault.read("secrets", "regcred")["data"]
    (pod,) = scene.stage.pods("web")
    assert secrets_of(pod) == ["of-the-account", "regcred"]
    assert "imagePullSecrets" not in scene.template("deployments", "web")["spec"]
    assert PASSWORD not in scene.pawl.text + json.dumps(scene.status())


def test_a_pod_that_names_the_secret_gets_it_once(scene: Scene, vault: Stage) -> None:
    """What a Pod lists already keeps its place, and nothing is there twice."""
    scene.push()
    allow(vault, "s-*")
    scene.stage.apply(copying(scene, vault))
    scene.until("Accepted", "True")
    scene.wait(lambda: scene.stage.find("imagerules", "pawl"), "the table")
    named = [{"name": "regcred"}, {"name": "mine"}]
    scene.stage.wait(lambda: tried(scene, named), "the gate to rewrite")
    scene.stage.apply(bare_pod("tool", scene.source(), imagePullSecrets=named))
    assert secrets_of(scene.stage.read("pods", "tool")) == ["regcred", "mine"]


def tried(scene: Scene, named: list[dict[str, str]]) -> bool:
    body = bare_pod("trial", scene.source(), imagePullSecrets=named)
    answer = scene.stage.api.post(f"{scene.stage.path('pods')}?dryRun=All", body)
    return bool(good(answer).body["spec"]["containers"][0]["image"] == scene.target())


def test_without_a_grant_nothing_is_copied(scene: Scene, vault: Stage) -> None:
    """The owner granted nothing: no Secret is made, the condition says what the owner must write; then it goes on."""
    scene.push()
    scene.start(deployment("web", scene.source()))
    scene.stage.apply(copying(scene, vault))
    said = scene.until("Preflight", "False/CopyNotAllowed")
    assert ALLOW in said
    assert f"{vault.namespace}/regcred" in said
    assert scene.stage.find("secrets", "regcred") is None
    allow(vault, f"other,{scene.stage.namespace}")
    scene.ask("granted")
    scene.stage.wait(lambda: scene.stage.find("secrets", "regcred"), "the copy")
    scene.done()


def test_a_grant_for_others_is_none(scene: Scene, vault: Stage) -> None:
    """A grant that names other namespaces, or one that begins alike, does not count."""
    scene.push()
    scene.start(deployment("web", scene.source()))
    allow(vault, f"{scene.stage.namespace}x,{scene.stage.namespace[:-1]},s-x*")
    scene.stage.apply(copying(scene, vault))
    scene.until("Preflight", "False/CopyNotAllowed")
    assert scene.stage.find("secrets", "regcred") is None


def test_the_copy_goes_with_its_override(scene: Scene, vault: Stage) -> None:
    """The override is deleted: the copy goes, the source stays."""
    scene.push()
    scene.start(deployment("web", scene.source()))
    allow(vault, scene.stage.namespace)
    scene.stage.apply(copying(scene, vault))
    scene.done()
    assert scene.stage.find("secrets", "regcred")
    good(scene.stage.delete("imageoverrides", "private"))
    scene.wait(lambda: scene.stage.find("imageoverrides", "private") is None, "the override to go")
    scene.wait(lambda: scene.stage.find("secrets", "regcred") is None, "the copy to go")
    assert vault.find("secrets", "regcred")


def test_a_secret_of_the_user_is_never_overwritten(scene: Scene, vault: Stage) -> None:
    """A Secret of that name is there already: it is left as it is, and the condition says so."""
    scene.push()
    scene.start(deployment("web", scene.source()))
    allow(vault, scene.stage.namespace)
    Shop(scene.stage.api, scene.stage.namespace, scene.pawl).pull_secret("regcred", "registry.corp", "me", "mine")
    before = scene.stage.read("secrets", "regcred")
    scene.stage.apply(copying(scene, vault))
    said = scene.until("Preflight", "False")
    assert "regcred" in said
    assert scene.stage.read("secrets", "regcred") == before


def test_pods_that_wait_since_before_the_secret_are_revived_once(scene: Scene) -> None:
    """Pods of a Deployment, and a bare one, cannot pull: with the Secret the owned ones are made anew, once."""
    image = f"mirror.invalid/web:v1@{scene.known().digest}"
    scene.stage.apply(deployment("web", image, replicas=2), bare_pod("alone", image))
    scene.stage.wait(lambda: scene.stage.waiting("web") == ["ImagePullBackOff"] * 2, "both to wait")
    scene.stage.wait(lambda: scene.stage.waiting("alone") == ["ImagePullBackOff"], "the third to wait")
    old = {pod["metadata"]["uid"] for pod in scene.stage.pods("web")}
    alone = scene.stage.read("pods", "alone")["metadata"]["uid"]
    Shop(scene.stage.api, scene.stage.namespace, scene.pawl).pull_secret("regcred", "mirror.invalid", "robot", PASSWORD)
    wish: Json = {"enforcement": enforcement(), "rollout": rollout(preflight="Skip", progressDeadline="10s")}
    with scene.stage.recording() as recorder:
        own = rule("mirror.invalid", "mirror.invalid")
        scene.stage.apply(override(own, pullSecrets=[{"name": "regcred"}], **wish))
        scene.wait(lambda: {pod["metadata"]["uid"] for pod in scene.stage.pods("web")}.isdisjoint(old), "new Pods")
        scene.stage.wait(lambda: scene.stage.waiting("web") == ["ImagePullBackOff"] * 2, "the new ones to wait too")
        scene.wait(scene.findings, "what is left to be told")
        scene.ask("once more")
        scene.ask("and again")
        assert set(recorder.deleted("Pod")) == old
    assert [secrets_of(pod) for pod in scene.stage.pods("web")] == [["regcred"]] * 2
    assert scene.stage.read("pods", "alone")["metadata"]["uid"] == alone
    assert "alone" in {finding["name"] for finding in scene.findings()}

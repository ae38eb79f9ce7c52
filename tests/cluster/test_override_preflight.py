"""Nothing rolls towards an image that cannot be pulled: the condition names image, platform and the registry's answer.

Neighbours: `test_override_secrets` for the Secrets of Pods. Not here: how registries are asked (`tests/registry`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.api import Api, Json
from tests.cluster.operators import Operator, Shop
from tests.cluster.override_registry import registry_of
from tests.cluster.override_scene import PUBLIC, Scene, keeper_of, scene_of
from tests.cluster.override_stage_specs import enforcement, override, rollout, rule
from tests.cluster.override_stage_workloads import deployment
from tests.support.registry import Auth, FakeRegistry

from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240), pytest.mark.usefixtures("installed")]
AGAIN = 75.0
"""Seconds in which a registry that refused is asked again without being told, and the rollout after it."""
USER, PASSWORD = "robot", "hunter-two"


@pytest.fixture(scope="module")
def private() -> Iterator[FakeRegistry]:
    """A registry that wants a password."""
    with registry_of(auth=Auth("basic", {USER: PASSWORD})) as registry:
        yield registry


@pytest.fixture(scope="module")
def pawl(cluster: Cluster, private: FakeRegistry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with keeper_of(cluster, tmp_path_factory.mktemp("pawl"), plain=[private.host]) as running:
        yield running


@pytest.fixture
def scene(api: Api, cluster: Cluster, tmp_path: Path, pawl: Operator) -> Iterator[Scene]:
    with scene_of(api, cluster, tmp_path, pawl) as made:
        yield made


def generations(scene: Scene, *names: str) -> list[int]:
    return [scene.stage.read("deployments", name)["metadata"]["generation"] for name in names]


def test_a_missing_target_holds_its_image_back_and_the_others_go_on(scene: Scene) -> None:
    """One image was not pushed: its Deployment stays, the other rolls; once it is pushed the rest follows by itself."""
    scene.push("there")
    scene.start(*(deployment(name, scene.source(name)) for name in ("there", "missing")))
    before = generations(scene, "missing")
    scene.stage.apply(scene.mirror())
    said = scene.until("Preflight", "False/ImageMissing")
    assert f"{scene.place}/missing:v1" in said
    assert "404" in said or "not found" in said or "does not" in said, said
    scene.wait(lambda: scene.pod_images("there") == [scene.target("there")], "the other to roll")
    assert generations(scene, "missing") == before
    assert scene.pod_images("missing") == [scene.source("missing")]
    scene.until("Ready", "False/ImageMissing")
    scene.push("missing")
    scene.done(seconds=AGAIN)
    assert scene.pod_images("missing") == [scene.target("missing")]
    assert scene.conditions()["Preflight"] == "True/PreflightPassed"


def test_a_target_for_another_platform_holds_its_image_back(scene: Scene) -> None:
    """The mirror has the image for arm64 and the node is amd64: nothing rolls, and the message names the platform."""
    scene.push(platforms=("linux/arm64",))
    scene.start(deployment("web", scene.source(platforms=("linux/arm64",))))
    before = generations(scene, "web")
    scene.stage.apply(scene.mirror())
    said = scene.until("Preflight", "False/PlatformMismatch")
    assert "linux/amd64" in said
    assert f"{scene.place}/web:v1" in said
    assert generations(scene, "web") == before
    assert scene.pod_images("web") == [scene.source(platforms=("linux/arm64",))]


def test_new_pods_of_a_held_image_start_from_where_they_did(scene: Scene) -> None:
    """While the mirror lacks an image, a Pod that starts anew is not sent there: it would only fail to be pulled."""
    scene.start(deployment("web", scene.source()))
    scene.stage.apply(scene.mirror())
    scene.until("Preflight", "False/ImageMissing")
    scene.renew("web")
    assert scene.pod_images("web") == [scene.source()]


def test_a_registry_that_wants_a_password_holds_back_until_there_is_a_secret(
    scene: Scene, private: FakeRegistry
) -> None:
    """401: no generation changes and no password is shown; with a pull Secret in the override the Pods follow."""
    repository = f"{scene.stage.namespace}/web"
    digest = private.push(repository, "v1")
    source, place = f"{PUBLIC}/web:v1@{digest}", f"{private.host}/{scene.stage.namespace}"
    scene.start(deployment("web", source))
    before = generations(scene, "web")
    wish: Json = {"enforcement": enforcement(), "rollout": rollout()}
    scene.stage.apply(override(rule(PUBLIC, place), **wish))
    said = scene.until("Preflight", "False/Unauthorized")
    assert f"{private.host}/{repository}" in said
    assert generations(scene, "web") == before
    Shop(scene.stage.api, scene.stage.namespace, scene.pawl).pull_secret("regcred", private.host, USER, PASSWORD)
    scene.stage.apply(override(rule(PUBLIC, place), pullSecrets=[{"name": "regcred"}], **wish))
    scene.done(seconds=AGAIN)
    (pod,) = scene.stage.pods("web")
    assert pod["spec"]["containers"][0]["image"] == f"{place}/web:v1@{digest}"
    assert {"name": "regcred"} in pod["spec"]["imagePullSecrets"]
    assert PASSWORD not in scene.pawl.text


def test_a_wrong_password_that_is_mended_is_noticed(scene: Scene, private: FakeRegistry) -> None:
    """The Secret had an old password: nothing rolls; once it is mended, the Pods follow without another word."""
    repository = f"{scene.stage.namespace}/web"
    source, shop = (
        f"{PUBLIC}/web:v1@{private.push(repository, 'v1')}",
        Shop(scene.stage.api, scene.stage.namespace, scene.pawl),
    )
    shop.pull_secret("regcred", private.host, USER, "old")
    scene.start(deployment("web", source))
    before = generations(scene, "web")
    place = f"{private.host}/{scene.stage.namespace}"
    secrets = [{"name": "regcred"}]
    scene.stage.apply(override(rule(PUBLIC, place), pullSecrets=secrets, enforcement=enforcement(), rollout=rollout()))
    scene.until("Preflight", "False/Unauthorized")
    assert generations(scene, "web") == before
    shop.pull_secret("regcred", private.host, USER, PASSWORD)
    scene.done(seconds=AGAIN)
    assert scene.pod_images("web") == [source.replace(PUBLIC, place)]


def test_a_registry_that_only_nodes_reach_is_not_asked(scene: Scene) -> None:
    """With preflight: Skip nobody asks for the target; a Pod that runs its digest is proved all the same."""
    scene.start(deployment("web", scene.source()))
    nowhere = f"mirror.example.com/{scene.stage.namespace}"
    wish: Json = {"enforcement": enforcement(), "rollout": rollout(preflight="Skip")}
    scene.stage.apply(override(rule(PUBLIC, nowhere), **wish))
    scene.until("RolledOut", "True")
    assert scene.pod_images("web") == [f"{nowhere}/web:v1@{scene.known().digest}"]
    assert scene.conditions()["Preflight"] == "True/PreflightSkipped"

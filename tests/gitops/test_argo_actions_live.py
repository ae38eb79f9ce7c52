"""What the actions write is taken by the API server and carried out by the operator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.api import Api, Json
from tests.cluster.operators import Operator, Shop, good, selected
from tests.cluster.override_scene import keeper_of, scene_of
from tests.gitops import override_scenes, policy_scenes
from tests.gitops.argolua import act, discover
from tests.support.registry import FakeRegistry

from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(200)]


@pytest.fixture(scope="module")
def pawl(cluster: Cluster, installed: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    assert installed
    with keeper_of(cluster, tmp_path_factory.mktemp("pawl")) as running:
        yield running


def take(api: Api, path: str, name: str) -> Json:
    """Take an action as Argo CD does: only if it is offered, and as a patch from the live object to what it returns."""
    live = good(api.get(path)).body
    assert not discover(live)[name]["disabled"]
    done = act(name, live)
    change = {"spec": done["spec"], "metadata": {"annotations": done["metadata"].get("annotations", {})}}
    return good(api.merge(path, change)).body


@pytest.mark.parametrize(
    ("play", "name", "tag"),
    [
        ("imagepolicy-selected", "rollback", "v1.0.0"),
        ("imagepolicy-pending", "approve", "v1.1.0"),
        ("imagepolicy-awaits-approval", "approve", "v1.0.0"),
    ],
)
async def test_an_action_on_a_policy(api: Api, namespace: str, pawl: Operator, play: str, name: str, tag: str) -> None:
    async with FakeRegistry() as registry:
        shop = Shop(api, namespace, pawl)
        await policy_scenes.PLAYS[play](policy_scenes.Counter(shop, registry))
        take(api, shop.path(), name)
        await shop.tag(tag)
        assert discover(shop.read())[name]["disabled"]


async def test_a_changed_ordering_is_accepted(api: Api, namespace: str, pawl: Operator) -> None:
    async with FakeRegistry() as registry:
        shop = Shop(api, namespace, pawl)
        await policy_scenes.PLAYS["imagepolicy-ordering-changed"](policy_scenes.Counter(shop, registry))
        take(api, shop.path(), "accept-ordering")
        await shop.until(lambda policy: selected(policy)["cause"] == "OrderingAccepted")


async def test_reconcile_finds_what_was_pushed(api: Api, namespace: str, pawl: Operator) -> None:
    async with FakeRegistry() as registry:
        shop = Shop(api, namespace, pawl)
        counter = policy_scenes.Counter(shop, registry)
        await counter.selects("v1.0.0", interval="1h")
        counter.push("v1.1.0")
        take(api, shop.path(), "reconcile")
        await shop.tag("v1.1.0")


@pytest.mark.parametrize("kind", ["imageoverride", "clusterimageoverride"])
def test_a_plan_is_approved(api: Api, cluster: Cluster, tmp_path: Path, pawl: Operator, kind: str) -> None:
    with scene_of(api, cluster, tmp_path, pawl) as scene:
        wish = override_scenes.Wish(scene, kind)
        try:
            override_scenes.PLAYS["awaits-approval"](wish)
            take(api, wish.path, "approve-plan")
            wish.until("Ready", "True/Verified")
            assert scene.pod_images("web") == [scene.target()]
            take(api, wish.path, "suspend")
            wish.until("Ready", "False/Suspended")
            take(api, wish.path, "resume")
            wish.until("Ready", "True/Verified")
        finally:
            wish.delete()

"""What the actions write is taken by the API server and carried out by the operator."""

from __future__ import annotations

import pytest
from tests.cluster.api import Api, Json
from tests.cluster.operators import good, selected
from tests.gitops import override_scenes, policy_scenes
from tests.gitops.argolua import act, discover
from tests.gitops.places import Place, on_place
from tests.support.registry import FakeRegistry

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(200)]


def take(api: Api, path: str, name: str) -> Json:
    """Take an action as Argo CD does: only if it is offered, and as a patch from the live object to what it returns."""
    live = good(api.get(path)).body
    assert not discover(live)[name]["disabled"]
    done = act(name, live)
    change = {"spec": done["spec"], "metadata": {"annotations": done["metadata"].get("annotations", {})}}
    return good(api.merge(path, change)).body


@on_place(
    ("imagepolicy-selected", "rollback", "v1.0.0"),
    ("imagepolicy-pending", "approve", "v1.1.0"),
    ("imagepolicy-awaits-approval", "approve", "v1.0.0"),
    ids="-".join,
)
async def test_an_action_on_a_policy(place: Place, case: tuple[str, str, str]) -> None:
    state, name, tag = case
    async with FakeRegistry() as registry:
        await policy_scenes.PLAYS[state](policy_scenes.Counter(place.shop, registry))
        take(place.api, place.shop.path(), name)
        await place.shop.tag(tag)
        assert discover(place.shop.read())[name]["disabled"]


@on_place()
async def test_a_changed_ordering_is_accepted(place: Place) -> None:
    async with FakeRegistry() as registry:
        await policy_scenes.PLAYS["imagepolicy-ordering-changed"](policy_scenes.Counter(place.shop, registry))
        take(place.api, place.shop.path(), "accept-ordering")
        await place.shop.until(lambda policy: selected(policy)["cause"] == "OrderingAccepted")


@on_place()
async def test_reconcile_finds_what_was_pushed(place: Place) -> None:
    async with FakeRegistry() as registry:
        counter = policy_scenes.Counter(place.shop, registry)
        await counter.selects("v1.0.0", interval="1h")
        counter.push("v1.1.0")
        take(place.api, place.shop.path(), "reconcile")
        await place.shop.tag("v1.1.0")


@on_place("imageoverride", "clusterimageoverride")
def test_a_plan_is_approved(place: Place, kind: str) -> None:
    with place.scene() as scene:
        wish = override_scenes.Wish(scene, kind)
        try:
            override_scenes.PLAYS["awaits-approval"](wish)
            take(place.api, wish.path, "approve-plan")
            wish.until("Ready", "True/Verified")
            assert scene.pod_images("web") == [scene.target()]
            take(place.api, wish.path, "suspend")
            wish.until("Ready", "False/Suspended")
            take(place.api, wish.path, "resume")
            wish.until("Ready", "True/Verified")
        finally:
            wish.delete()

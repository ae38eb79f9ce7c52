"""What an override without a finalizer owes: noted before it writes, given back when it is gone, then struck out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.controllers.override_doubles import FORBIDDEN, PAWL, Stage, body, workload
from tests.unit.controllers.override_whole import Whole

from pawl.api.errors import Conflict, LeaseLost
from pawl.api.imageoverride import Override
from pawl.cluster.calls import Answer, Request
from pawl.cluster.debts import Debt, DebtStore
from pawl.controllers.overridefinish import AGAIN
from pawl.controllers.overridestore import key_of
from pawl.decide.objects import COPIES, FINALIZER, NamespaceRow

DEBTS = "/api/v1/namespaces/shop/configmaps/pawl-debts"
OVERRIDE = f"{PAWL}/namespaces/shop/imageoverrides/one"
DEPLOYMENT = "/apis/apps/v1/namespaces/shop/deployments/web"
SOURCE = "docker.io/rook/ceph:1"
NOTE = '{"containers/c0":{"from":"docker.io/rook/ceph:1","to":"r.corp/rook/ceph:1"}}'
COPY = {"name": "regcred", "copyFrom": {"namespace": "registry", "name": "regcred"}}
RECONCILE: dict[str, Any] = {"templates": "Reconcile"}


class Owing:
    """An override that rewrites Pods alone, and one Deployment that it rolled."""

    def __init__(self, **spec: Any) -> None:
        self.stage = Stage("shop")
        self.whole = Whole(self.stage)
        template = {"metadata": {"annotations": {"pawl.dev/rollout": "h"}}}
        self.stage.api.put(DEPLOYMENT, {"metadata": {"name": "web", "uid": "uid-web"}, "spec": {"template": template}})
        version = self.stage.api.objects[DEPLOYMENT]["metadata"]["resourceVersion"]
        self.stage.world.put(workload("web", SOURCE, version=version, rollout="h"))
        self.override = self.stage.put(body(**spec))

    def delete(self) -> None:
        """The API server deletes it at once, for it has no finalizer."""
        del self.stage.api.objects[OVERRIDE]
        self.stage.overrides.drop(key_of(self.override))

    def later(self) -> None:
        """Another leader: nothing is remembered."""
        self.whole = Whole(self.stage)

    async def end(self) -> float | None:
        return await self.whole.controller.reconcile(key_of(self.override))

    @property
    def noted(self) -> dict[str, Any]:
        found = self.stage.api.objects.get(DEBTS, {"data": {}})
        return {name: json.loads(text) for name, text in found["data"].items()}

    @property
    def restored(self) -> int:
        return sum("json-patch" in request.content_type for request in self.stage.api.requests)


async def test_it_is_noted_before_anything_is_written_and_no_finalizer_is_set() -> None:
    shop = Owing(pullSecrets=[COPY])
    assert not await shop.whole.finisher.mark(shop.override)
    assert shop.noted == {"one": {"uid": "uid-one", "policy": "Restore", "timeout": "2m", "copies": "regcred"}}
    assert shop.stage.api.objects[DEBTS]["metadata"]["labels"]["pawl.dev/debts"] == "imageoverride"
    assert shop.stage.api.objects[OVERRIDE]["metadata"]["finalizers"] == []
    writes = shop.stage.writes
    assert not await shop.whole.finisher.mark(shop.override)
    assert shop.stage.writes == writes


async def test_a_name_that_left_the_spec_stays_noted() -> None:
    shop = Owing(pullSecrets=[COPY])
    await shop.whole.finisher.mark(shop.override)
    await shop.whole.finisher.mark(shop.stage.put(body(deletionPolicy="Leave", restoreTimeout="9s")))
    assert shop.noted == {"one": {"uid": "uid-one", "policy": "Leave", "timeout": "9s", "copies": "regcred"}}


async def test_what_is_written_into_templates_is_held_by_a_finalizer() -> None:
    shop = Owing(enforcement=RECONCILE, meta={"finalizers": []})
    assert await shop.whole.finisher.mark(shop.override)
    assert shop.stage.api.objects[OVERRIDE]["metadata"]["finalizers"] == [FINALIZER]
    assert shop.noted == {}


async def test_the_finalizer_of_an_older_pawl_goes_unless_templates_hold_images_of_ours() -> None:
    shop = Owing(meta={"finalizers": ["other/one", FINALIZER]})
    standing = await shop.stage.look()
    shop.stage.world.put(workload("web", "r.corp/rook/ceph:1", version="997", original=NOTE))
    assert not await shop.whole.finisher.mark(shop.override)
    assert not await shop.whole.finisher.mark(shop.override, standing)
    shop.stage.world.put(workload("web", "docker.io/else/x:1", version="998", original="{}"))
    assert await shop.whole.finisher.mark(shop.override, standing)
    assert shop.stage.api.objects[OVERRIDE]["metadata"]["finalizers"] == ["other/one"]
    assert list(shop.noted) == ["one"]
    kept = shop.stage.overrides.get(key_of(shop.override))
    assert kept is not None
    assert kept.metadata.finalizers == ["other/one"]


@pytest.mark.parametrize("seen", [True, False])
async def test_what_it_rolled_is_given_back_when_it_is_gone_also_by_the_next_leader(*, seen: bool) -> None:
    shop = Owing()
    await shop.stage.look()
    await shop.whole.finisher.mark(shop.override)
    shop.delete()
    if not seen:
        shop.later()
        await filled(shop)
    assert await shop.end() == AGAIN / 5
    assert shop.restored == 0
    await shop.stage.look()
    assert shop.stage.stored() == {}
    assert await shop.end() is None
    assert shop.restored == 1
    assert DEBTS not in shop.stage.api.objects
    assert await shop.end() is None
    assert shop.restored == 1


async def filled(shop: Owing) -> None:
    """Read the debts, as a term that begins does."""
    shop.whole.debts._unlisted = ("shop",)
    assert await shop.whole.debts.fill()
    assert list(shop.whole.debts) == [key_of(shop.override)]


async def test_leave_is_remembered_too() -> None:
    shop = Owing(deletionPolicy="Leave")
    await shop.whole.finisher.mark(shop.override)
    shop.delete()
    shop.later()
    await filled(shop)
    await shop.stage.look()
    assert await shop.end() is None
    assert shop.restored == 0
    assert DEBTS not in shop.stage.api.objects


async def test_what_it_said_last_counts_though_nobody_noted_it() -> None:
    """Leave, then delete, in one breath: the events come together, and nothing may be rolled back."""
    shop = Owing()
    await shop.whole.finisher.mark(shop.override)
    await shop.stage.look()
    found = body(deletionPolicy="Leave", meta={"resourceVersion": "9999"})
    shop.stage.overrides.offer(key_of(shop.override), json.dumps(found).encode())
    assert shop.stage.overrides.get(key_of(shop.override)) is not None
    shop.delete()
    assert await shop.end() == AGAIN / 5
    await shop.stage.look()
    assert await shop.end() is None
    assert shop.restored == 0
    assert DEBTS not in shop.stage.api.objects
    assert shop.stage.overrides.last(key_of(shop.override)) is None


async def test_one_that_came_back_under_its_name_owes_anew() -> None:
    shop = Owing()
    await shop.whole.finisher.mark(shop.override)
    shop.delete()
    shop.override = shop.stage.put(body(meta={"uid": "uid-two"}))
    await shop.whole.finisher.mark(shop.override)
    assert shop.noted["one"]["uid"] == "uid-two"


async def test_a_namespace_that_goes_is_never_waited_for() -> None:
    """Neither by an override with a finalizer, whatever stands in its templates, nor by a debt."""
    shop = Owing(enforcement=RECONCILE)
    await shop.stage.look()
    ending = shop.stage.put(
        body(enforcement=RECONCILE, meta={"deletionTimestamp": "1970-01-12T13:46:40Z", "finalizers": [FINALIZER]})
    )
    shop.stage.world.put(NamespaceRow("shop", terminating=True))
    assert await shop.whole.finisher.finish(ending, shop.stage.board.standing) is None
    assert shop.restored == 0
    assert shop.stage.api.objects[OVERRIDE]["metadata"]["finalizers"] == []


async def test_other_debts_stay_and_what_is_damaged_is_left_alone() -> None:
    shop = Owing()
    await shop.whole.finisher.mark(shop.override)
    shop.stage.api.objects[DEBTS]["data"] |= {"two": "nonsense"}
    assert set(await DebtStore(shop.stage.cluster).read("shop")) == {"one"}
    await shop.whole.debts.settle(key_of(shop.override))
    assert shop.stage.api.objects[DEBTS]["data"] == {"two": "nonsense"}


async def test_a_stale_leader_notes_nothing() -> None:
    shop = Owing()
    shop.stage.leading = False
    with pytest.raises(LeaseLost):
        await shop.whole.finisher.mark(shop.override)
    assert DEBTS not in shop.stage.api.objects


async def test_without_the_right_to_list_the_rest_goes_on() -> None:
    shop = Owing()
    shop.stage.faults[("list", "configmaps")] = FORBIDDEN
    assert await shop.whole.debts.fill()
    assert list(shop.whole.debts) == []


async def test_an_outage_is_asked_again() -> None:
    shop = Owing()
    shop.stage.faults[("list", "configmaps")] = Answer(503, b"{}")
    assert not await shop.whole.debts.fill()
    shop.stage.faults.clear()
    assert await shop.whole.debts.fill()


async def test_an_object_that_comes_and_goes_is_told() -> None:
    stage = Stage("shop")

    async def flaps(request: Request) -> Answer | None:
        return Answer(404, b"{}") if request.verb == "patch" else Answer(409, b"{}")

    store = DebtStore(stage.api.cluster(flaps))
    with pytest.raises(Conflict, match="pawl-debts"):
        await store.put("shop", "one", Debt("u", "Restore", "2m"))


async def test_the_end_knows_the_copies() -> None:
    shop = Owing(pullSecrets=[COPY])
    await shop.whole.finisher.mark(shop.override)
    gone: Override | None = shop.whole.debts.of_gone(key_of(shop.override), shop.stage.time)
    assert gone is not None
    assert gone.metadata.annotations[COPIES] == "regcred"

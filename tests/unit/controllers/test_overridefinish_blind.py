"""The end of an override where not everything is known: what is not seen yet, or may not be, is not taken for done."""

from __future__ import annotations

from typing import cast

import pytest
from tests.unit.controllers.override_doubles import CONFLICT, FORBIDDEN, PAWL, body
from tests.unit.controllers.test_overridedebts import DEBTS, Owing
from tests.unit.controllers.test_overridefinish import Ending

from pawl.api.errors import Conflict
from pawl.cluster.world_feed import Feed
from pawl.controllers.overridefinish import AGAIN
from pawl.controllers.overridestore import key_of

OVERRIDE = f"{PAWL}/namespaces/shop/imageoverrides/one"
MAY_NOT = "you may not list deployments"


class Refused:
    """A watch that the API server refuses."""

    refused, optional, listed, title, age, trouble = True, False, False, "", 0.0, MAY_NOT

    def __init__(self, kind: str, namespace: str | None = None) -> None:
        self.kind, self.namespace = kind, namespace


def refuse(ending: Ending, *feeds: Refused) -> None:
    ending.stage.world._feeds = cast("tuple[Feed, ...]", feeds)


async def test_a_deletion_of_long_ago_is_no_reason_to_let_go_before_the_cluster_is_known() -> None:
    """Pawl was away for longer than restoreTimeout; its first look comes before the first listing."""
    ending = Ending()
    override = await ending.begun()
    ending.stage.board.standing = None
    ending.stage.time += 3600
    assert await ending.finish(override) == AGAIN / 5
    assert (ending.restored, len(ending.finalizers)) == ([], 1)
    await ending.stage.look()
    assert await ending.finish(override) is None
    assert (ending.restored, ending.finalizers) == (["web-shop"], [])


async def test_what_another_override_decides_stays_when_a_late_end_comes_early_in_a_term() -> None:
    ending = Ending()
    ending.stage.put(body("two", "shop"))
    override = await ending.begun()
    ending.stage.board.standing = None
    ending.stage.time += 3600
    await ending.finish(override)
    await ending.stage.look()
    assert await ending.finish(override) is None
    assert ending.restored == []


@pytest.mark.parametrize(
    ("feed", "held"),
    [
        (Refused("Deployment"), True),
        (Refused("Namespace", "shop"), True),
        (Refused("CronJob", "shop"), True),
        (Refused("Deployment", "elsewhere"), False),
        (Refused("Pod"), False),
    ],
)
async def test_a_kind_that_may_not_be_listed_is_not_taken_for_none(feed: Refused, *, held: bool) -> None:
    ending = Ending()
    override = await ending.begun()
    await ending.stage.look()
    refuse(ending, feed)
    assert (await ending.finish(override) == AGAIN) is held
    assert ending.whole.finisher.denied(override) == (MAY_NOT if held else "")
    refuse(ending)
    assert not held or await ending.finish(override) is None
    assert ending.finalizers == []


async def test_it_ends_in_any_case_when_the_time_is_over() -> None:
    ending = Ending()
    override = await ending.begun()
    await ending.stage.look()
    refuse(ending, Refused("Deployment"))
    ending.stage.time += 3600
    assert await ending.finish(override) is None
    assert ending.whole.told.events[0][1] == "RestoreTimedOut"


async def test_the_end_of_one_touches_no_other_that_was_made_under_its_name_meanwhile() -> None:
    shop = Owing()
    await shop.stage.look()
    await shop.whole.finisher.mark(shop.override)
    shop.delete()
    await shop.stage.look()
    gone = shop.whole.debts.of_gone(key_of(shop.override), shop.stage.time)
    assert gone is not None
    shop.stage.put(body(meta={"uid": "uid-two", "finalizers": ["other/one"]}))
    assert await shop.whole.finisher.finish(gone, shop.stage.board.standing) is None
    assert shop.stage.api.objects[OVERRIDE]["metadata"]["finalizers"] == ["other/one"]
    assert DEBTS not in shop.stage.api.objects


async def test_a_namespace_whose_debts_may_not_be_listed_hides_no_others() -> None:
    """Namespaced installs: one of the namespaces has no Role yet."""
    shop = Owing()
    await shop.whole.finisher.mark(shop.override)
    shop.delete()
    shop.later()
    shop.stage.faults[("list", "/api/v1/namespaces/later/configmaps")] = FORBIDDEN
    shop.whole.debts._unlisted = ("later", "shop")
    assert await shop.whole.debts.fill()
    assert list(shop.whole.debts) == [key_of(shop.override)]
    assert not shop.whole.debts.complete
    shop.stage.faults.clear()
    assert await shop.whole.debts.fill()
    assert shop.whole.debts.complete


async def test_what_may_not_be_listed_is_read_before_it_is_noted_anew() -> None:
    """Or the names of copies that left the spec would go with the old note."""
    shop = Owing(pullSecrets=[{"name": "old", "copyFrom": {"namespace": "registry", "name": "regcred"}}])
    await shop.whole.finisher.mark(shop.override)
    shop.later()
    shop.stage.faults[("list", "/api/v1/configmaps")] = FORBIDDEN
    assert await shop.whole.debts.fill()
    shop.override = shop.stage.put(body())
    await shop.whole.finisher.mark(shop.override)
    assert shop.noted["one"]["copies"] == "old"


async def test_a_leader_of_before_does_not_strike_out_what_the_next_one_noted() -> None:
    """Its write was on the way when another led and an override came back under the name."""
    shop = Owing()
    await shop.whole.finisher.mark(shop.override)
    before = shop.whole
    shop.delete()
    shop.later()
    shop.override = shop.stage.put(body(meta={"uid": "uid-two"}))
    await shop.whole.finisher.mark(shop.override)
    await before.debts.settle(key_of(shop.override))
    assert shop.noted["one"]["uid"] == "uid-two"


async def test_a_debt_that_others_keep_from_being_struck_out_is_told() -> None:
    shop = Owing()
    await shop.whole.finisher.mark(shop.override)
    shop.stage.faults[("patch", "configmaps")] = CONFLICT
    with pytest.raises(Conflict, match="pawl-debts"):
        await shop.whole.debts.settle(key_of(shop.override))
    assert list(shop.whole.debts) == [key_of(shop.override)]

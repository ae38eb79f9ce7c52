"""What an override says where a right is missing that stands before everything else: one status, one line, no loop."""

from __future__ import annotations

import dataclasses

import pytest
from structlog.testing import capture_logs
from tests.unit.controllers.override_doubles import FORBIDDEN, PAWL
from tests.unit.controllers.test_imageoverride import Shop

from pawl.api.errors import Forbidden
from pawl.api.reasons import Reason
from pawl.controllers.imageoverride import RIGHTS, ImageOverrideController
from pawl.controllers.overridestore import key_of
from pawl.decide.objects import FINALIZER

OVERRIDE = f"{PAWL}/namespaces/shop/imageoverrides/one"


def binding() -> Shop:
    return Shop(enforcement={"templates": "Reconcile"}, meta={"finalizers": []})


async def test_an_override_that_may_not_be_marked_says_so_once_and_goes_on_when_it_may() -> None:
    shop = binding()
    shop.stage.faults[("patch", OVERRIDE)] = FORBIDDEN
    with capture_logs() as logs:
        for _ in range(3):
            assert await shop.turn() == RIGHTS
    assert shop.condition("Ready") == ("False", "MissingRight")
    assert shop.condition("Stalled") == ("True", "MissingRight")
    assert shop.statuses() == 1
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["right missing"]
    assert not shop.rolled
    shop.stage.faults.clear()
    await shop.settle()
    assert shop.now.metadata.finalizers == [FINALIZER]
    assert shop.condition("Stalled") is None
    assert shop.rolled


async def test_what_may_not_be_seen_is_said_where_there_are_no_tables_yet() -> None:
    shop = Shop()
    blind = dataclasses.replace(shop.whole.controller._parts, blind=lambda: ("may not list namespaces: grant it",))
    controller = ImageOverrideController(blind)
    assert await controller.reconcile(key_of(shop.override)) == RIGHTS
    found = next(one for one in shop.now.status.conditions if one.type == "Stalled")
    assert (found.reason, found.message) == ("MissingRight", "may not list namespaces: grant it")


async def test_what_was_known_before_stays() -> None:
    shop = Shop()
    await shop.settle()
    before = {one.type: one.message for one in shop.now.status.conditions}
    await shop.whole.reporter.stall(shop.now, Reason.MISSING_RIGHT, "may not", 1e9)
    after = {one.type: one.message for one in shop.now.status.conditions}
    assert after.keys() >= before.keys() - {"Reconciling"}
    assert after["Accepted"] == before["Accepted"]


async def test_a_status_that_may_not_be_written_comes_out_for_the_log() -> None:
    shop = binding()
    shop.stage.faults |= {("patch", OVERRIDE): FORBIDDEN, ("patch", f"{OVERRIDE}/status"): FORBIDDEN}
    with pytest.raises(Forbidden):
        await shop.turn()


async def test_platforms_that_are_not_known_are_said_to_be() -> None:
    shop = Shop(rollout={"prepull": True})
    shop.stage.world._feeds = (Blind(),)  # type: ignore[assignment]
    await shop.turn()
    found = {one.type: one for one in shop.now.status.conditions}
    assert found["Preflight"].status == "True"
    assert "for which platforms is not known" in found["Preflight"].message
    assert (found["Prepulled"].status, found["Prepulled"].reason) == ("Unknown", "NodesUnknown")
    assert shop.rolled


class Blind:
    """The watch of Nodes, refused."""

    kind, namespace, refused, optional, trouble, title = "Node", None, True, True, "may not list nodes", "nodes"

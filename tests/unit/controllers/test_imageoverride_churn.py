"""What an override says of a Pod that it leaves to an owner that would not have it rewritten."""

from __future__ import annotations

import msgspec
import pytest
from tests.unit.controllers.override_doubles import Stage, body, current, pod
from tests.unit.controllers.override_whole import Whole

from pawl.controllers.overridestore import key_of
from pawl.decide.objects import Owner

SOURCE, TARGET = "docker.io/rook/ceph:1", "r.corp/rook/ceph:1"
CLUSTER = Owner("cnpg.io/v1", "Cluster", "db", "uid-db", controller=True)
CONTEST = {
    "object": "Cluster shop/db",
    "uid": "uid-db",
    "reason": "PodChurn",
    "manager": "",
    "generation": 1,
    "since": "2026-01-01T00:00:00Z",
}


class Churned:
    """An override that stepped back from an owner, and one Pod of that owner."""

    def __init__(self, image: str, **status: object) -> None:
        self.stage = Stage("shop")
        self.whole = Whole(self.stage)
        self.override = self.stage.put(body(status={"contests": [CONTEST], **status}))
        made = pod("db-0", image, owners=(CLUSTER,), node="n1", created=self.stage.time - 5, phase="Running")
        self.stage.world.put(made)

    async def settled(self) -> dict[str, tuple[str, str]]:
        for _ in range(4):
            await self.stage.look()
            await self.whole.controller.reconcile(key_of(self.override))
        conditions = current(self.stage, self.override).status.conditions
        return {one.type: (one.status, one.reason) for one in conditions}


async def test_a_pod_that_lives_unrewritten_is_told_by_one_word_everywhere_and_is_not_ready() -> None:
    shop = Churned(SOURCE)
    said = await shop.settled()
    assert said["Contested"] == ("True", "PodChurn")
    assert said["Verified"] == ("False", "PodChurn")
    assert said["Ready"] == ("False", "PodChurn")
    assert said["RolledOut"] == ("True", "RolledOut")
    assert "Stalled" not in said
    assert "Reconciling" not in said
    status = current(shop.stage, shop.override).status
    assert [(one.verdict, one.reason) for one in status.findings] == [("Contested", "PodChurn")]
    assert "set the image at the owner" in status.findings[0].message
    assert status.workloads.contested == 1


async def test_an_owner_that_was_told_the_image_leaves_nothing_that_is_wrong() -> None:
    shop = Churned(TARGET)
    said = await shop.settled()
    assert said["Contested"] == ("True", "PodChurn")
    assert said["Verified"][0] != "False"
    assert said["Ready"][0] == "True"
    assert current(shop.stage, shop.override).status.findings == []


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
async def test_a_pod_that_ended_proves_nothing(phase: str) -> None:
    shop = Churned(SOURCE)
    row = shop.stage.world.pod("uid-db-0")
    assert row is not None
    shop.stage.world.put(msgspec.structs.replace(row, version="2", phase=phase))
    said = await shop.settled()
    assert said["Verified"] == ("Unknown", "NotStarted")
    assert said["Ready"][0] == "True"

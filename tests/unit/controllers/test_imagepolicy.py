"""One key from its row to its next look: conflicts, deletions, what is quiet, what is news, and clocks that jump."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from tests.unit.cluster.memory_api import MemoryApi
from tests.unit.controllers.doubles import World
from tests.unit.decide.worlds import EPOCH, digest, spec

from pawl.api.errors import Retry, Stalled, Unreachable
from pawl.cluster.calls import Answer, Request
from pawl.cluster.ledgers import LedgerStore
from pawl.controllers.imagepolicy import REREADS, ImagePolicyController, Parts
from pawl.controllers.ledgerbook import LedgerBook
from pawl.controllers.metrics import Metrics
from pawl.controllers.queue import Key
from pawl.controllers.report import Reporter
from pawl.controllers.store import PolicyStore
from pawl.controllers.tally import Tally

WEB = Key("ImagePolicy", "default", "web")
PATH = "/apis/pawl.dev/v1alpha1/namespaces/default/imagepolicies/web"
LEDGER = "/api/v1/namespaces/default/configmaps/pawl-ledger-web"


class Stage:
    """A policy in an API server in memory, its controller, and a wall clock that the test turns."""

    def __init__(self, *tags: str, **fields: Any) -> None:
        self.api, self.now = MemoryApi(), EPOCH
        self.overtaken: Any = None
        self.world = World({tag: digest(tag) for tag in tags})
        self.generation = 0
        self.before: list[Any] = []
        self.store = PolicyStore(lambda image: image)
        self.controller = self.born()
        self.write(**fields)
        self.watch()

    def born(self) -> ImagePolicyController:
        """A controller that remembers nothing, as after a failover."""
        cluster = self.api.cluster(self.hook)
        book = LedgerBook(LedgerStore(cluster))
        reporter = Reporter(cluster, book, self.store, self, lambda: 1)  # type: ignore[arg-type]
        tally = Tally(Metrics())
        return ImagePolicyController(
            Parts(cluster, self.store, book, self.world, reporter, tally, "me#1", lambda: self.now, lambda: 0.5)  # type: ignore[arg-type]
        )

    async def hook(self, request: Request) -> Answer | None:
        """The status subresource is the same object; before its write, what `before` holds happens."""
        if request.subresource is None:
            return None
        if self.before:
            self.before.pop(0)()
        answer = self.api.answer(msgspec.structs.replace(request, subresource=None))
        if self.overtaken is not None:
            self.overtaken = self.overtaken()
        return answer

    def event(self, *_: object) -> None:
        return None

    def write(self, notes: dict[str, str] | None = None, **fields: Any) -> None:
        """What a user does: a new spec, or an annotation."""
        known = self.api.objects.get(PATH, {})
        self.generation += 1
        metadata = {"name": "web", "namespace": "default", "uid": "u", "generation": self.generation}
        body = {"metadata": metadata | {"annotations": notes or {}}, "spec": spec(**fields).wire()}
        self.api.put(PATH, body | ({"status": known["status"]} if "status" in known else {}))

    def watch(self) -> None:
        """What the watch does: bring the object as it is now."""
        raw = json.dumps(self.api.objects[PATH]).encode()
        self.store.offer(raw, asked_at=asyncio.get_running_loop().time())

    async def look(self) -> float | None:
        return await self.controller.reconcile(WEB)

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.api.objects[PATH]["status"]
        return found

    def says(self, kind: str) -> str | None:
        return next((one["reason"] for one in self.status["conditions"] if one["type"] == kind), None)


async def test_a_look_selects_and_comes_again_at_the_interval() -> None:
    stage = Stage("v1.0.0", interval="2m")
    assert await stage.look() == 120.0
    assert stage.status["selection"]["tag"] == "v1.0.0"
    assert stage.status["history"][0]["who"] == "me#1"
    assert stage.controller.interval(WEB) == 120.0


async def test_a_second_look_asks_for_what_is_new_and_writes_nothing() -> None:
    stage = Stage("v1.0.0")
    await stage.look()
    stage.api.requests.clear()
    await stage.look()
    assert stage.world.errands[1].known_revision is not None
    assert stage.api.requests == []


async def test_one_that_is_gone_is_forgotten() -> None:
    stage = Stage("v1.0.0")
    await stage.look()
    stage.store.drop(WEB)
    assert await stage.look() is None
    assert stage.controller.interval(WEB) == 300.0


async def test_a_conflict_is_read_again_and_decided_again() -> None:
    stage = Stage("v1.0.0", "v2.0.0")
    stage.before = [lambda: stage.write(select={"semver": {"range": "1.x"}})]
    await stage.look()
    assert stage.status["observedGeneration"] == 2
    assert stage.status["selection"]["tag"] == "v2.0.0", "the ledger had it already, and an edit is no consent"
    assert stage.says("BelowHighWater") is not None


async def test_endless_conflicts_are_left_to_the_backoff() -> None:
    stage = Stage("v1.0.0")
    stage.before = [stage.write] * REREADS
    with pytest.raises(Retry, match="is being written by somebody else"):
        await stage.look()
    await stage.look()
    assert stage.status["selection"]["tag"] == "v1.0.0"


async def test_one_deleted_while_it_is_looked_at_is_gone() -> None:
    stage = Stage("v1.0.0")
    stage.before = [lambda: stage.api.objects.pop(PATH)]
    assert await stage.look() is None
    assert stage.store.row(WEB) is None


async def test_a_spec_that_changes_during_a_quiet_look_is_not_missed() -> None:
    """The look under way decides nothing new and writes nothing; the next one must see the change."""
    stage = Stage("v1.0.0", "v2.0.0", select={"semver": {"range": "1.x"}})
    await stage.look()
    stage.controller = stage.born()

    async def edit() -> None:
        stage.write(select={"semver": {"range": "*"}})
        stage.watch()

    stage.world.meanwhile = edit
    await stage.look()
    await stage.look()
    assert (stage.status["selection"]["tag"], stage.status["observedGeneration"]) == ("v2.0.0", 2)


async def test_an_event_that_overtakes_the_answer_to_a_write_is_not_missed() -> None:
    stage = Stage("v1.0.0", "v2.0.0", select={"semver": {"range": "1.x"}})

    def edit() -> None:
        stage.write(select={"semver": {"range": "*"}})
        stage.watch()

    stage.overtaken = edit
    await stage.look()
    await stage.look()
    assert (stage.status["selection"]["tag"], stage.status["observedGeneration"]) == ("v2.0.0", 2)


async def test_a_wish_is_a_full_look_and_is_echoed_once() -> None:
    stage = Stage("v1.0.0")
    await stage.look()
    stage.write(notes={"reconcile.pawl.dev/requestedAt": "now"})
    stage.watch()
    await stage.look()
    assert (stage.world.errands[-1].audit, stage.world.errands[-1].known_revision) == (True, None)
    assert stage.status["lastHandledReconcileAt"] == "now"
    await stage.look()
    assert not stage.world.errands[-1].audit


async def test_failures_are_said_and_raised() -> None:
    stage = Stage("v1.0.0")
    stage.world.fails["list"] = Unreachable("away")
    with pytest.raises(Retry, match="away"):
        await stage.look()
    assert (stage.says("Ready"), stage.says("Reconciling")) == ("Unreachable", "Progressing")
    stage.world.fails.clear()
    await stage.look()
    assert (stage.says("Ready"), stage.says("Reconciling")) == ("Selected", None)


async def test_a_spec_that_cannot_be_carried_out_asks_nobody() -> None:
    stage = Stage("v1.0.0", select={"semver": {"range": ">=1.2.0 <"}})
    with pytest.raises(Stalled):
        await stage.look()
    assert (stage.says("Stalled"), stage.world.errands) == ("InvalidRange", [])


async def test_suspended_asks_nobody() -> None:
    stage = Stage("v1.0.0", suspend=True)
    assert await stage.look() == 300.0
    assert (stage.says("Ready"), stage.world.errands) == ("Suspended", [])


async def test_a_garbled_ledger_is_said_in_status_and_left_alone() -> None:
    stage = Stage("v1.0.0")
    stage.api.put(LEDGER, {"metadata": {"name": "pawl-ledger-web", "namespace": "default"}, "data": {"ledger": "{"}})
    with pytest.raises(Stalled):
        await stage.look()
    assert (stage.says("Stalled"), stage.says("Ready")) == ("LedgerInvalid", "LedgerInvalid")
    assert (stage.api.objects[LEDGER]["data"]["ledger"], stage.world.errands) == ("{", [])
    del stage.api.objects[LEDGER]
    await stage.look()
    assert (stage.says("Stalled"), stage.status["selection"]["tag"]) == (None, "v1.0.0")


async def test_a_time_gate_is_looked_at_when_it_opens() -> None:
    stage = Stage("v1.0.0", gates={"minimumAge": "30s"})
    assert await stage.look() == 30.0
    assert stage.says("Pending") == "MinimumAge"
    stage.now += timedelta(seconds=29.9)
    assert await stage.look() == 1.0, "never at once again"
    stage.now += timedelta(seconds=0.2)
    await stage.look()
    assert stage.status["selection"]["tag"] == "v1.0.0"


@pytest.mark.parametrize("jump", [timedelta(hours=-5), timedelta(seconds=-1), timedelta(days=-400)])
async def test_a_clock_that_goes_back_only_waits_longer(jump: timedelta) -> None:
    """Nothing is selected before its age, nothing is lost, and no wait is longer than the interval."""
    stage = Stage("v1.0.0", gates={"minimumAge": "1h"})
    await stage.look()
    first = stage.status["pending"]
    stage.now += jump
    delay = await stage.look()
    assert delay is not None
    assert 0 < delay <= 330
    assert (stage.status["pending"], "selection" in stage.status) == (first, False)
    stage.now = EPOCH + timedelta(hours=1)
    await stage.look()
    assert stage.status["selection"]["tag"] == "v1.0.0"


async def test_a_selection_outlives_every_clock() -> None:
    stage = Stage("v1.0.0")
    await stage.look()
    for jump in (timedelta(days=-4000), timedelta(days=9000), timedelta(0)):
        stage.now = EPOCH + jump
        stage.world.tags[f"v1.{len(stage.world.tags)}.0"] = digest("next")
        before = stage.status["selection"]
        await stage.look()
        after = stage.status["selection"]
        assert (after["sequence"], after["epoch"]) == (before["sequence"] + 1, 1)
        assert after["sortKey"] > before["sortKey"]

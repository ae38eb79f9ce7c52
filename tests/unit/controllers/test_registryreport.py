"""The status of a registry: one write if anything changed, keys that go are named, what is refused stands first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.controllers.registry_doubles import NOW, ApplyingApi, Hands

from pawl.api.meta import Condition
from pawl.api.reasons import Reason
from pawl.api.registrystorage import RegistryStorageStatus
from pawl.api.registrystorage_status import CollectionStatus, Usage
from pawl.cluster.events import ObjectRef
from pawl.controllers.registryapply import Refusal
from pawl.controllers.registryreport import Look, RegistryReporter, former, status_of, status_patch, steady
from pawl.controllers.registrystore import RegistryStore
from pawl.decide.storagefacts import Memory, Notice, Step

PATH = "/apis/pawl.dev/v1alpha1/namespaces/shop/registrystorages/main/status"


def condition(kind: str, status: str = "True", reason: str = "Serving", message: str = "fine") -> Condition:
    return Condition.model_validate(
        {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": NOW}
    )


def step(*said: Condition, **more: Any) -> Step:
    return Step(memory=Memory(), want=None, conditions=said or (condition("Ready"),), phase="Serving", **more)


class Told:
    """A recorder that remembers."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, str]] = []

    def event(self, _ref: ObjectRef, type_: str, reason: str, message: str) -> None:
        self.events.append((type_, reason, message))


class Desk:
    """A reporter on a server that has the registry."""

    def __init__(self) -> None:
        self.hands, self.told = Hands(), Told()
        api: ApplyingApi = self.hands.api
        api.put(PATH, {"metadata": {"name": "main", "namespace": "shop", "resourceVersion": "1"}, "status": {}})
        api.objects[PATH]["metadata"]["resourceVersion"] = "1"
        reporter: Any = RegistryReporter(self.hands.cluster, RegistryStore(), self.told, self.hands.guard)  # type: ignore[arg-type]
        self.reporter: RegistryReporter = reporter

    async def look(self, made: Step, **more: Any) -> bool:
        gathered = await self.hands.gathered()
        self.hands.api.requests.clear()
        return await self.reporter.report(Look(gathered, made, **more))


async def test_a_status_is_one_guarded_patch_and_no_write_where_nothing_changed() -> None:
    desk = Desk()
    gathered = await desk.hands.gathered()
    after = status_of(Look(gathered, step()))
    assert status_patch(after, after) == {}
    assert await desk.look(step())
    assert desk.hands.api.writes() == [("patch", "main")]
    assert desk.hands.guarded == 1


async def test_what_was_refused_stands_as_stalled_and_nothing_is_ready() -> None:
    gathered = await Hands().gathered()
    refused = (Refusal(Reason.REFUSED, "Service main-registry: port is taken"),)
    ready, working = condition("Ready"), condition("Reconciling", reason="Progressing")
    found = status_of(Look(gathered, step(ready, working, condition("Serving")), refused))
    said = {one.type: (one.status, one.reason) for one in found.conditions}
    assert said == {"Ready": ("False", "Refused"), "Stalled": ("True", "Refused"), "Serving": ("True", "Serving")}
    assert found.phase == "Stalled"


async def test_without_an_image_the_pressure_says_which_flag_is_missing() -> None:
    gathered = await Hands().gathered()
    unknown = condition("Pressure", "Unknown", "UsageUnknown", "the meter has not answered yet")
    (said,) = status_of(Look(gathered, step(unknown), no_image="give --image")).conditions
    assert said.message == "give --image"


async def test_events_are_told_and_what_stays_as_it_is_is_told_once() -> None:
    desk = Desk()
    notice, hint = Notice("Migrated", "moved"), Notice("NotProved", "set access.host", warning=True)
    gathered = await desk.hands.gathered()
    gathered = replace(gathered, access=replace(gathered.access, notices=(hint,)))
    for made in (step(notices=(notice,)), step()):
        desk.hands.api.objects[PATH]["metadata"]["resourceVersion"] = "1"
        await desk.reporter.report(Look(gathered, made))
    assert desk.told.events == [("Normal", "Migrated", "moved"), ("Warning", "NotProved", "set access.host")]


def collected(**reasons: int) -> RegistryStorageStatus:
    found = CollectionStatus.model_validate(
        {"id": "c", "phase": "Done", "cause": "Requested", "startedAt": NOW, "reasons": reasons}
    )
    return RegistryStorageStatus(collection=found)


def test_keys_that_go_from_a_map_are_named_as_null() -> None:
    patch: Any = status_patch(collected(KeepLast=1, InUse=2), collected(KeepLast=1))
    assert patch["collection"]["reasons"] == {"KeepLast": 1, "InUse": None}
    assert status_patch(collected(), RegistryStorageStatus()) == {"collection": None}


def usage(**values: int) -> Usage:
    return Usage.model_validate({"bytes": 1000, "capacity": 10_000, "percent": 10, "tags": 100, "blobs": 100} | values)


@pytest.mark.parametrize(
    ("change", "written"),
    [
        ({"bytes": 1009}, False),
        ({"tags": 101}, False),
        ({"bytes": 1011}, True),
        ({"percent": 11}, True),
        ({"repositories": 1}, True),
        ({"capacity": 20_000}, True),
        ({"blobs": 0}, True),
    ],
)
def test_figures_that_tick_are_written_when_they_moved_by_a_percent(change: dict[str, int], written: bool) -> None:  # noqa: FBT001
    assert (steady(usage(), usage(**change)) != usage()) is written


def test_a_meter_that_is_away_leaves_the_figures() -> None:
    assert steady(usage(), None) == usage()
    assert steady(None, usage()) == usage()


@pytest.mark.parametrize(
    ("known", "before", "now", "kept"),
    [
        ([], "", "a:1", []),
        ([], "a:1", "a:1", []),
        ([], "a:1", "b:1", ["a:1"]),
        (["a:1"], "b:1", "a:1", ["b:1"]),
        (["a:1"], "b:1", "", ["a:1"]),
        (["1", "2", "3", "4"], "0", "9", ["0", "1", "2", "3"]),
    ],
)
def test_what_the_address_was_before_is_kept_in_mind(known: list[str], before: str, now: str, kept: list[str]) -> None:
    assert former(RegistryStorageStatus(address=before, former_addresses=known), now) == kept

"""A wish for a collection: it asks for one, waits until one begins, and is not a wish for a run."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pawl.api.meta import COLLECT_AT, REQUESTED_AT
from pawl.api.registrystorage import RegistryStorage, RegistryStorageSpec
from pawl.api.registrystorage_status import CollectionPhase, CollectionStatus
from pawl.cluster.registryobjects import Live
from pawl.controllers.queue import Key
from pawl.controllers.registryfacts import Gathered, _facts
from pawl.controllers.registryreport import Look, _dropped, status_of
from pawl.controllers.registrystore import RegistryStore
from pawl.decide.access import AccessFacts
from pawl.decide.storagefacts import Memory, Step
from pawl.decide.storagemachine_collection import REQUESTED, SCHEDULE

KEY = Key("RegistryStorage", "shop", "main")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def stored(handled: str = "", **annotations: str) -> RegistryStorage:
    """A registry as the operator's store gives it: what is not kept there is seen by nobody."""
    notes = {name.replace("__", "/").replace("_", "."): value for name, value in annotations.items()}
    meta = {"name": "main", "namespace": "shop", "uid": "u", "resourceVersion": "1", "generation": 1}
    status: dict[str, Any] = {"lastHandledCollectAt": handled} if handled else {}
    body = {"apiVersion": "pawl.dev/v1alpha1", "kind": "RegistryStorage", "metadata": meta | {"annotations": notes}}
    store = RegistryStore()
    store.offer(json.dumps(body | {"spec": {}, "status": status}).encode())
    found = store.get(KEY)
    assert found is not None
    return found


def wished(handled: str = "", at: str = "t1") -> RegistryStorage:
    return stored(handled, collect_pawl_dev__requestedAt=at)


def collection(cause: str, phase: CollectionPhase) -> CollectionStatus:
    return CollectionStatus(id="c1", phase=phase, cause=cause, started_at=NOW)


def handled(storage: RegistryStorage, after: CollectionStatus | None) -> str | None:
    """What the status says of wishes after a look that ends with this collection."""
    facts = _facts(storage, Memory(), NOW)
    step = Step(memory=replace(Memory(), collection=after), want=None, conditions=(), phase="Serving")
    return status_of(Look(Gathered(storage, facts, Live({}), AccessFacts()), step)).last_handled_collect_at


def test_the_annotation_is_the_one_that_is_written_down() -> None:
    assert wished().metadata.annotations == {COLLECT_AT: "t1"}


def test_a_wish_for_a_collection_asks_for_one_until_it_is_handled() -> None:
    assert _facts(wished(), Memory(), NOW).collect_requested
    assert not _facts(wished(handled="t1"), Memory(), NOW).collect_requested
    assert _facts(wished(handled="t1", at="t2"), Memory(), NOW).collect_requested


@pytest.mark.parametrize("annotation", ["reconcile_pawl_dev__requestedAt", "reconcile_fluxcd_io__requestedAt"])
def test_a_wish_for_a_run_deletes_nothing(annotation: str) -> None:
    facts = _facts(stored(**{annotation: "t1"}), Memory(), NOW)
    assert (facts.collect_requested, facts.retry_requested) == (False, True)


def test_a_wish_for_a_collection_begins_no_migration_again() -> None:
    assert not _facts(wished(), Memory(), NOW).retry_requested
    assert REQUESTED_AT not in wished().metadata.annotations


@pytest.mark.parametrize("phase", [CollectionPhase.PLAN, CollectionPhase.COLLECT, CollectionPhase.THAW])
def test_it_is_handled_once_a_collection_runs_because_of_it(phase: CollectionPhase) -> None:
    assert handled(wished(), collection(REQUESTED, phase)) == "t1"


@pytest.mark.parametrize(
    "after",
    [None, collection(SCHEDULE, CollectionPhase.PLAN), collection(REQUESTED, CollectionPhase.DONE)],
    ids=["none", "another", "ended"],
)
def test_until_then_it_waits(after: CollectionStatus | None) -> None:
    assert handled(wished(), after) is None
    assert handled(wished(handled="t0"), after) == "t0"


def paused(at: str, **spec: Any) -> RegistryStorage:
    return wished(at=at).model_copy(update={"spec": RegistryStorageSpec(**spec)})


def test_a_wish_on_a_registry_that_is_suspended_is_dropped_and_does_not_fire_weeks_later() -> None:
    storage = paused("t1", suspend=True)
    assert not _facts(storage, Memory(), NOW).collect_requested
    assert handled(storage, None) == "t1"


@pytest.mark.parametrize(("minutes", "stands"), [(59, True), (61, False)])
def test_a_wish_waits_an_hour_for_what_keeps_it(minutes: int, *, stands: bool) -> None:
    storage = wished(at=(NOW - timedelta(minutes=minutes)).isoformat())
    assert _facts(storage, Memory(), NOW).collect_requested is stands
    assert (handled(storage, None) is None) is stands


def test_what_is_dropped_is_said_once_and_what_began_in_time_is_not() -> None:
    old = wished(at="2026-01-01T00:00:00")
    facts = _facts(old, Memory(), NOW)
    for after, said in ((None, 1), (collection(REQUESTED, CollectionPhase.COLLECT), 0)):
        step = Step(memory=replace(Memory(), collection=after), want=None, conditions=(), phase="Serving")
        look = Look(Gathered(old, facts, Live({}), AccessFacts()), step)
        assert len(_dropped(look)) == said
        assert status_of(look).last_handled_collect_at == "2026-01-01T00:00:00"
    met = old.model_copy(update={"status": status_of(look)})
    assert _dropped(Look(Gathered(met, _facts(met, Memory(), NOW), Live({}), AccessFacts()), step)) == ()

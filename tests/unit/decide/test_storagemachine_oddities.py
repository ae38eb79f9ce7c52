"""What should not happen and does: Secrets of a target that are not there, a lost memory, a clock that is set back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.decide.registryworld import BUCKET, CLAIM, World, spec

from pawl.api.registrywork import Plan, Task
from pawl.decide.access import AccessFacts, missing_secret
from pawl.decide.storagefacts import Memory
from pawl.decide.storagemachine import step

GONE = missing_secret("shop", "keys")


def said(found: Any, kind: str) -> tuple[str, str, str] | None:
    return next(((one.status, one.reason, one.message) for one in found.conditions if one.type == kind), None)


def moving(until: str) -> World:
    world = World(spec(storage=CLAIM)).serving()
    world.push()
    world.change(storage=BUCKET)
    world.through(until)
    assert world.phase == until
    return world


def test_no_bytes_move_to_a_bucket_whose_keys_are_not_there() -> None:
    world = World(spec(storage=CLAIM)).serving()
    world.change(storage=BUCKET)
    found = world.look(target_missing=GONE)
    assert world.memory.migration is None
    assert said(found, "Stalled") == ("True", "SecretNotFound", GONE)
    assert found.want.store.id == world.memory.store.id
    world.look()
    assert world.phase == "Preflight"


def test_keys_that_go_while_bytes_are_copied_are_named_and_nothing_is_frozen_for_them() -> None:
    world = moving("Preflight")
    world.end(Task.BULK)
    found = world.look(target_missing=GONE)
    assert (world.phase, found.want.read_only) == ("Preflight", False)
    assert said(found, "Stalled") == ("True", "SecretNotFound", GONE)


def test_keys_that_go_in_the_freeze_end_it() -> None:
    world = moving("Freeze")
    found = world.look(target_missing=GONE)
    assert (world.phase, found.want.read_only) == ("Bulk", False)
    assert world.memory.migration.reason == "SecretNotFound"


@pytest.mark.parametrize(
    ("sentence", "secret", "named"),
    [
        (GONE, "keys", True),
        (missing_secret("shop", "keys", "secrets is forbidden"), "keys", True),
        (GONE, "keys-2", False),
        (missing_secret("shop", "keys-2"), "keys", False),
    ],
)
def test_a_sentence_is_about_the_store_that_names_its_secret(sentence: str, secret: str, *, named: bool) -> None:
    store = World(spec(storage=BUCKET)).wanted.model_copy(update={"credentials_secret": secret})
    assert AccessFacts(missing=(sentence,)).missing_of(store) == (sentence if named else "")


def test_a_server_without_pods_still_says_which_store_it_is_of() -> None:
    """Both copies of the memory are gone, and the Pod is just being made anew: no empty store may be served."""
    world = World(spec(storage=CLAIM)).serving()
    store = world.memory.store
    world.change(storage=BUCKET)
    server = replace(world.server(), pods=(), store=store.id)
    found = step(replace(world.facts(), memory=Memory(), server=server))
    assert (found.want, found.memory.store) == (None, None)
    assert said(found, "Stalled")[1] == "LedgerInvalid"
    same = step(replace(world.facts(), memory=Memory(), server=replace(server, store=world.wanted.id)))
    assert same.memory.store.id == world.wanted.id


def test_a_clock_that_is_set_back_keeps_no_writer_waiting_for_days() -> None:
    world = moving("Freeze")
    world.later(days=-9)
    world.look()
    assert not world.want.read_only
    world = moving("Preflight")
    world.end(Task.BULK, ok=False, reason="CopyFailed")
    world.look()
    world.later(days=-9)
    world.look()
    world.look()
    assert world.works[Task.BULK].active, "its next try does not wait for the old time either"


def test_a_collection_ends_where_the_clock_is_set_back() -> None:
    world = World().serving()
    world.look(collect_requested=True)
    world.plan = Plan(tags=9, delete_tags=3)
    world.look()
    assert world.collection == "Freeze"
    world.later(days=-9)
    world.look()
    assert (world.collection, world.want.read_only) == ("Thaw", False)


def test_clocks_of_two_replicas_may_differ_a_little() -> None:
    world = moving("Freeze")
    world.now -= timedelta(minutes=2)
    world.look()
    assert world.want.read_only


@pytest.mark.parametrize("phase", ["Preflight", "Freeze"])
def test_a_pod_of_an_earlier_job_that_does_not_end_is_named(phase: str) -> None:
    world = moving(phase)
    world.works.clear()
    world.stray["old-pod"] = Task.FINAL
    world.look()
    assert "Pod old-pod of an earlier Job" in world.memory.migration.message

"""A status that Pawl writes wakes nobody for the tables, unless they are made of what it says."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from pawl.controllers.imagerules import RULES
from pawl.controllers.overridestore import OverrideStore
from pawl.controllers.overridewakes import PAUSE, Wakes
from pawl.controllers.queue import Key
from pawl.controllers.standing import Board

KEY = Key("ImageOverride", "shop", "one")
PLAN = {"hash": "0" * 16, "counts": {}, "steps": []}
CONTEST = {
    "object": "Deployment shop/web",
    "uid": "w",
    "reason": "FieldReverted",
    "manager": "helm",
    "generation": 1,
    "since": "2026-01-01T00:00:00Z",
}


@dataclass
class Queue:
    """Keys with the delay that was asked for."""

    added: list[tuple[Key, float]] = field(default_factory=list)

    def add(self, key: Key) -> None:
        self.added.append((key, 0.0))

    def add_at(self, key: Key, delay: float) -> None:
        self.added.append((key, delay))


class Bench:
    """A store that tells its wakes."""

    def __init__(self) -> None:
        self.queue, self.store, self.version = Queue(), OverrideStore(), 0
        wakes = Wakes(self.queue, self.store, Board())  # type: ignore[arg-type]
        self.store.listen(wakes.override)

    def write(self, status: dict[str, Any] | None = None, spec: dict[str, Any] | None = None, **meta: Any) -> set[Any]:
        """Store a version and return what it woke."""
        self.version += 1
        self.queue.added.clear()
        rules = [{"source": "docker.io/rook", "target": {"repository": "r.corp/rook"}}]
        metadata = {"name": "one", "namespace": "shop", "uid": "u", "generation": 1} | meta
        metadata["resourceVersion"] = str(self.version)
        body = {"apiVersion": "pawl.dev/v1alpha1", "kind": "ImageOverride", "metadata": metadata}
        raw = json.dumps(body | {"spec": {"rules": rules} | (spec or {}), "status": status or {}}).encode()
        self.store.offer(KEY, raw)
        return set(self.queue.added)


BOTH = {(RULES, 0.0), (KEY, 0.0)}


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    assert made.write() == BOTH
    return made


def test_a_status_wakes_the_override_alone_and_later(bench: Bench) -> None:
    assert bench.write({"gate": "Webhook"}) == {(KEY, PAUSE)}
    assert bench.write({"gate": ""}) == {(KEY, PAUSE)}


@pytest.mark.parametrize(
    "change",
    [
        {"generation": 2},
        {"deletionTimestamp": "2026-01-01T00:00:00Z"},
        {"uid": "another"},
        {"annotations": {"reconcile.pawl.dev/requestedAt": "now"}},
        {"status": {"plan": PLAN}},
        {"status": {"contests": [CONTEST]}},
    ],
)
def test_what_tables_are_made_of_wakes_both(bench: Bench, change: dict[str, Any]) -> None:
    assert bench.write(**change) == BOTH
    assert bench.write(**change) == {(KEY, PAUSE)}
    assert bench.write() == BOTH


def test_what_cannot_be_read_wakes_both_each_time(bench: Bench) -> None:
    for _ in range(2):
        assert bench.write(spec={"rules": "none"}) == BOTH
    assert bench.write() == BOTH


def test_a_deletion_wakes_both_and_is_forgotten(bench: Bench) -> None:
    bench.queue.added.clear()
    bench.store.drop(KEY)
    assert set(bench.queue.added) == BOTH
    assert bench.write() == BOTH

"""Who looks again when something changed: nobody too few, and nobody for what concerns no rule."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.unit.controllers.override_doubles import Stage, body, pod, policy, rule, workload
from tests.unit.controllers.override_whole import Queue

from pawl.cluster.index import Change, Row
from pawl.controllers.imagerules import RULES
from pawl.controllers.overridewakes import LATE, PAUSE, SPECS, Wakes
from pawl.controllers.queue import Key
from pawl.decide.objects import NamespaceRow, NodeRow

LOCAL, OTHER, WIDE = (
    Key("ImageOverride", "shop", "one"),
    Key("ImageOverride", "other", "one"),
    Key("ClusterImageOverride", "", "wide"),
)
SOURCE, TARGET, FREE = "docker.io/rook/ceph:1", "r.corp/rook/ceph:1", "docker.io/library/nginx:1"


class Waking:
    """Three overrides, tables that were made of them, and a queue that only notes."""

    def __init__(self) -> None:
        self.stage, self.queue = Stage("shop", "other"), Queue()
        it: Any = self.queue
        self.wakes = Wakes(it, self.stage.overrides, self.stage.board)
        for found in (body(), body("one", "other"), body("wide", "", rules=[rule("docker.io/db", "r.corp/db")])):
            self.stage.put(found)

    async def begun(self) -> Waking:
        await self.stage.look()
        return self

    def change(self, row: Row, *, deleted: bool = False) -> set[Key]:
        change = self.stage.world.remove(row) if deleted else self.stage.world.put(row)
        assert isinstance(change, Change)
        self.wakes.world(change)
        return self.queue.taken()


@pytest.fixture
async def waking() -> Waking:
    return await Waking().begun()


async def test_a_workload_that_concerns_no_rule_wakes_nobody(waking: Waking) -> None:
    assert waking.change(workload("web", FREE)) == set()
    assert waking.change(pod("web", FREE)) == set()


@pytest.mark.parametrize("image", [SOURCE, TARGET, "docker.io/db/x:1"])
async def test_a_new_workload_wakes_the_tables_and_who_covers_its_namespace(waking: Waking, image: str) -> None:
    assert waking.change(workload("web", image)) == {RULES, LOCAL, WIDE}


async def test_a_known_spec_asks_for_no_new_tables(waking: Waking) -> None:
    row = workload("web", SOURCE)
    waking.change(row)
    assert waking.change(msgspec.structs.replace(row, version="2")) == {LOCAL, WIDE}
    assert waking.change(msgspec.structs.replace(row, version="3", spec=workload("x", TARGET).spec)) == {
        RULES,
        LOCAL,
        WIDE,
    }


async def test_who_looks_at_a_workload_is_woken_for_it_alone(waking: Waking) -> None:
    row = workload("web", SOURCE)
    waking.change(row)
    waking.wakes.interested(LOCAL, [row.uid])
    assert waking.change(msgspec.structs.replace(row, version="2")) == {LOCAL}
    assert waking.change(row, deleted=True) == {LOCAL}


async def test_interest_in_what_concerns_no_rule_any_more_is_told_too(waking: Waking) -> None:
    row = workload("web", FREE)
    waking.wakes.interested(LOCAL, [row.uid])
    assert waking.change(row) == {LOCAL}
    waking.wakes.interested(LOCAL, [])
    assert waking.change(msgspec.structs.replace(row, version="2")) == set()
    assert waking.wakes._interests == {}


async def test_new_tables_are_asked_again_about_known_specs(waking: Waking) -> None:
    row = workload("web", "quay.io/new/x:1")
    assert waking.change(row) == set()
    waking.stage.put(body(rules=[rule("quay.io/new", "r.corp/new")]))
    await waking.stage.look()
    assert waking.change(msgspec.structs.replace(row, version="2")) == {RULES, LOCAL, WIDE}


async def test_the_memory_of_specs_is_bounded(waking: Waking) -> None:
    for at in range(50):
        waking.change(workload(f"w{at}", FREE))
    assert len(waking.wakes._specs) == 50
    waking.wakes._specs |= dict.fromkeys(
        ((str(at), "", 0) for at in range(SPECS)), next(iter(waking.wakes._specs.values()))
    )
    waking.change(workload("last", FREE))
    assert len(waking.wakes._specs) == 1


async def test_nodes_and_namespaces_wake_the_tables(waking: Waking) -> None:
    assert waking.change(NamespaceRow("new")) == {RULES}
    assert waking.change(NodeRow("n2", "linux/arm64")) == {RULES, LOCAL, OTHER, WIDE}
    assert waking.change(NodeRow("n2", "linux/arm64"), deleted=True) == {RULES, LOCAL, OTHER, WIDE}


async def test_before_the_first_tables_nothing_is_woken_by_workloads() -> None:
    """The tables are made when the world is listed; they then wake all."""
    assert Waking().change(workload("web", SOURCE)) == set()


async def test_an_override_wakes_the_tables_and_itself(waking: Waking) -> None:
    waking.wakes.override(LOCAL)
    assert waking.queue.added == [(RULES, 0.0), (LOCAL, 0.0)]


@pytest.mark.parametrize(("name", "wanted"), [("web", {RULES}), ("other", set())])
async def test_a_policy_wakes_the_tables_if_an_override_names_it(waking: Waking, name: str, wanted: set[Key]) -> None:
    waking.stage.select(policy(1))
    waking.stage.put(body(rules=[{"source": "docker.io/rook", "target": {"policyRef": {"name": "web"}}}]))
    waking.queue.taken()
    waking.wakes.policy(Key("ImagePolicy", "shop", name))
    assert waking.queue.taken() == wanted


async def test_a_stored_table_that_changed_is_looked_at(waking: Waking) -> None:
    waking.wakes.table("shop")
    waking.wakes.table("unknown")
    assert waking.queue.added == [(RULES, PAUSE), (RULES, 0.0)]
    fresh = Waking()
    fresh.wakes.table("shop")
    assert fresh.queue.added == []


async def test_a_late_look_at_the_tables_does_not_cut_a_pause_short(waking: Waking) -> None:
    waking.wakes.tables_late()
    waking.wakes.tables()
    assert waking.queue.added == [(RULES, LATE), (RULES, 0.0)]

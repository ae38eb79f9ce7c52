"""The metrics of overrides: sums by kind and state, words of bounded sets, and nothing left when a term ends."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.cluster.memory_api import MemoryApi

from pawl.api.errors import ClusterError, Forbidden
from pawl.api.imageoverride import Verdict, WorkloadCounts
from pawl.api.imagerules import Table
from pawl.cluster.client import Cluster
from pawl.cluster.ruletables import RuleTables
from pawl.cluster.world import World
from pawl.controllers.metrics import Metrics
from pawl.controllers.overridemetrics import GATES, KINDS, STATES, MeasuredTables, OverrideMetrics, unmeasured
from pawl.controllers.queue import Key
from pawl.decide.objects import ImageAt, PodRow, PodSpec
from pawl.decide.rollout import Spotted

WEB, API_KEY, ROOK = (
    Key("ImageOverride", "shop", "web"),
    Key("ImageOverride", "shop", "api"),
    Key("ClusterImageOverride", "", "rook"),
)


def spot(verdict: Verdict, name: str = "web") -> Spotted:
    return Spotted("Deployment", "shop", name, verdict, "Drifted")


def value(metrics: Metrics, name: str, **labels: str) -> float:
    found = metrics.registry.get_sample_value(name, labels)
    assert found is not None, (name, labels)
    return found


def world_with(*images: str) -> World:
    world = World(MemoryApi().cluster())
    for at, image in enumerate(images):
        spec = PodSpec(images=(ImageAt("containers", "app", image),))
        world.put(PodRow("shop", f"p-{at}", f"u-{at}", "1", spec))
    return world


def tables_of(cluster: Cluster, metrics: OverrideMetrics) -> MeasuredTables:
    return MeasuredTables(cluster, ("shop",), clustered=True, on_change=lambda _: None, metrics=metrics)


def test_workloads_are_summed_by_kind_and_state() -> None:
    metrics = Metrics()
    metrics.overrides.looked(WEB, WorkloadCounts(matched=3, drifted=1), (), 0)
    metrics.overrides.looked(API_KEY, WorkloadCounts(matched=4, compliant=4), (), 0)
    metrics.overrides.looked(ROOK, WorkloadCounts(matched=7, skipped=2), (), 0)
    told = {
        (kind, state): value(metrics, "pawl_override_workloads", kind=kind, state=state)
        for kind in KINDS
        for state in STATES
    }
    assert {key: number for key, number in told.items() if number} == {
        ("ImageOverride", "matched"): 7,
        ("ImageOverride", "drifted"): 1,
        ("ImageOverride", "compliant"): 4,
        ("ClusterImageOverride", "matched"): 7,
        ("ClusterImageOverride", "skipped"): 2,
    }


def test_a_later_look_takes_the_place_of_the_one_before() -> None:
    metrics = Metrics()
    metrics.overrides.looked(WEB, WorkloadCounts(matched=3), [spot(Verdict.DRIFTED)], 2)
    metrics.overrides.looked(WEB, WorkloadCounts(matched=1), (), 0)
    assert value(metrics, "pawl_override_workloads", kind="ImageOverride", state="matched") == 1
    assert value(metrics, "pawl_override_findings", verdict="Drifted") == 0
    assert value(metrics, "pawl_override_contests") == 0


def test_an_override_that_is_gone_counts_no_more() -> None:
    metrics = Metrics()
    metrics.overrides.looked(WEB, WorkloadCounts(matched=3), [spot(Verdict.STUCK)], 1)
    metrics.overrides.forget(WEB)
    metrics.overrides.forget(ROOK)
    assert value(metrics, "pawl_override_workloads", kind="ImageOverride", state="matched") == 0
    assert value(metrics, "pawl_override_findings", verdict="Stuck") == 0
    assert value(metrics, "pawl_override_contests") == 0


def test_findings_and_contests_are_summed_over_overrides() -> None:
    metrics = Metrics()
    metrics.overrides.looked(WEB, WorkloadCounts(), [spot(Verdict.DRIFTED), spot(Verdict.DRIFTED, "api")], 1)
    metrics.overrides.looked(ROOK, WorkloadCounts(), [spot(Verdict.DRIFTED), spot(Verdict.MISMATCH)], 2)
    assert value(metrics, "pawl_override_findings", verdict="Drifted") == 3
    assert value(metrics, "pawl_override_findings", verdict="Mismatch") == 1
    assert value(metrics, "pawl_override_findings", verdict="Failed") == 0
    assert value(metrics, "pawl_override_contests") == 3


@pytest.mark.parametrize(("told", "shown"), [("MutatingAdmissionPolicy",) * 2, ("Webhook",) * 2, ("", "none")])
def test_one_gate_is_marked(told: str, shown: str) -> None:
    metrics = Metrics()
    assert sum(value(metrics, "pawl_gate_info", gate=gate) for gate in GATES) == 0
    metrics.overrides.gate("Webhook")
    metrics.overrides.gate(told)
    assert {gate for gate in GATES if value(metrics, "pawl_gate_info", gate=gate)} == {shown}


def test_actions_are_counted_by_type_and_result() -> None:
    metrics = Metrics()
    for action, result in (("Roll", "written"), ("Roll", "written"), ("Evict", "refused"), ("Roll", "stale")):
        metrics.overrides.acted(action, result)
    assert value(metrics, "pawl_override_actions_total", action="Roll", result="written") == 2
    assert value(metrics, "pawl_override_actions_total", action="Evict", result="refused") == 1
    assert value(metrics, "pawl_override_actions_total", action="Roll", result="stale") == 1


async def test_a_term_is_read_at_the_scrape_and_leaves_nothing() -> None:
    metrics, world = Metrics(), world_with("docker.io/rook/ceph:v1", "NO image", "Also Not")
    tables = tables_of(MemoryApi(("shop",)).cluster(), metrics.overrides)
    with metrics.overrides.term(world, tables):
        metrics.overrides.looked(WEB, WorkloadCounts(matched=3), [spot(Verdict.DRIFTED)], 1)
        metrics.overrides.gate("Webhook")
        await tables.write("shop", Table())
        assert value(metrics, "pawl_rules_tables") == 1
        assert value(metrics, "pawl_rules_unparsable_images") == 2
        world.remove(world.pods()[1])
        assert value(metrics, "pawl_rules_unparsable_images") == 1
    gauges = ("pawl_rules_tables", "pawl_rules_unparsable_images", "pawl_override_contests")
    assert [value(metrics, name) for name in gauges] == [0, 0, 0]
    assert value(metrics, "pawl_override_findings", verdict="Drifted") == 0
    assert value(metrics, "pawl_gate_info", gate="Webhook") == 0


async def test_writes_of_tables_that_change_something_are_counted() -> None:
    metrics = Metrics()
    tables = tables_of(MemoryApi(("shop",)).cluster(), metrics.overrides)
    entry: dict[str, Any] = {"to": "registry.corp/rook", "override": "rook", "rule": 0}
    full = Table.model_validate({"rules": {"docker.io/rook": [entry]}})
    for table in (Table(), Table(), full, full, None, None):
        await tables.write("shop", table)
    assert value(metrics, "pawl_rules_table_writes_total", result="written") == 3


async def test_a_write_that_is_refused_is_counted_and_told_on() -> None:
    async def refuse(_request: object) -> None:
        raise Forbidden("may not")

    metrics = Metrics()
    tables = tables_of(MemoryApi(("shop",)).cluster(refuse), metrics.overrides)
    with pytest.raises(ClusterError):
        await tables.write("shop", Table())
    assert value(metrics, "pawl_rules_table_writes_total", result="failed") == 1
    assert isinstance(tables, RuleTables)


def test_metrics_that_nobody_reads_take_every_hook() -> None:
    metrics = unmeasured()
    metrics.acted("Roll", "written")
    metrics.table_written("written")
    metrics.looked(WEB, WorkloadCounts(), (), 0)
    assert {family.name for family in metrics.collect()} >= {"pawl_gate_info", "pawl_override_workloads"}

"""Metrics: names that stay, labels that are bounded, gauges that are true at the scrape."""

from __future__ import annotations

from prometheus_client import generate_latest

from pawl import __version__
from pawl.cluster.lease import LeaseState
from pawl.controllers.metrics import Gauges, Metrics
from pawl.controllers.queue import Key, QueueStats

KEY = Key("ImagePolicy", "shop", "web")


def told(metrics: Metrics) -> None:
    metrics.scan("complete")
    metrics.selection("Advance", 90.0)
    metrics.selection("Rollback")
    metrics.reconciled("ImagePolicy", "ok", 0.01)
    metrics.registry_request("registry.corp:5000", "200", 0.2)
    metrics.api_request("patch", "imagepolicies/status", 200, 0.01)
    metrics.api_request("get", "secrets", 0, 10.0)
    metrics.waited(KEY, 0.1)
    metrics.ran(KEY, 0.2)


def names(metrics: Metrics) -> set[str]:
    return {family.name for family in metrics.registry.collect() if family.name.startswith("pawl_")}


def test_the_names_are_these() -> None:
    assert names(Metrics()) == {
        "pawl_api_request_duration_seconds",
        "pawl_api_requests",
        "pawl_build_info",
        "pawl_event_loop_lag_seconds",
        "pawl_events_dropped",
        "pawl_held",
        "pawl_gate_info",
        "pawl_last_scan_age_seconds",
        "pawl_leader",
        "pawl_lease_term",
        "pawl_override_actions",
        "pawl_override_contests",
        "pawl_override_findings",
        "pawl_override_workloads",
        "pawl_reconcile",
        "pawl_reconcile_time_seconds",
        "pawl_registry_request_duration_seconds",
        "pawl_registry_requests",
        "pawl_registry_tags",
        "pawl_rules_table_writes",
        "pawl_rules_tables",
        "pawl_rules_unparsable_images",
        "pawl_scans",
        "pawl_selection_lag_seconds",
        "pawl_selections",
        "pawl_storage_bytes",
        "pawl_storage_capacity_bytes",
        "pawl_storage_collection_freed_bytes",
        "pawl_storage_condition",
        "pawl_storage_frozen",
        "pawl_storage_inodes",
        "pawl_storage_inodes_used",
        "pawl_storage_migrating",
        "pawl_storage_migration_bytes",
        "pawl_storage_migration_bytes_done",
        "pawl_storage_migration_bytes_per_second",
        "pawl_storage_plan_seconds",
        "pawl_storage_pressure_percent",
        "pawl_storage_ready",
        "pawl_storage_repositories",
        "pawl_storage_tags",
        "pawl_storage_used_bytes",
        "pawl_webhook_review_duration_seconds",
        "pawl_webhook_reviews",
        "pawl_workqueue_depth",
        "pawl_workqueue_queue_duration_seconds",
        "pawl_workqueue_work_duration_seconds",
    }


def test_no_label_names_an_image_a_tag_or_an_object() -> None:
    metrics = Metrics()
    told(metrics)
    labels = {
        label
        for family in metrics.registry.collect()
        if family.name.startswith("pawl_")
        for sample in family.samples
        for label in sample.labels
    }
    outside = {"host", "code", "verb", "resource", "reason", "version", "le"}
    assert labels <= outside | {"result", "cause", "kind", "state", "verdict", "gate", "action"}


def test_what_was_told_is_counted() -> None:
    metrics = Metrics()
    told(metrics)
    value = metrics.registry.get_sample_value
    assert value("pawl_scans_total", {"result": "complete"}) == 1
    assert value("pawl_selections_total", {"cause": "Rollback"}) == 1
    assert value("pawl_selection_lag_seconds_count") == 1
    assert value("pawl_selection_lag_seconds_bucket", {"le": "300.0"}) == 1
    assert value("pawl_reconcile_total", {"kind": "ImagePolicy", "result": "ok"}) == 1
    assert value("pawl_registry_requests_total", {"host": "registry.corp:5000", "code": "200"}) == 1
    assert value("pawl_api_requests_total", {"verb": "get", "resource": "secrets", "code": "none"}) == 1
    assert value("pawl_workqueue_queue_duration_seconds_count", {"kind": "ImagePolicy"}) == 1
    assert value("pawl_workqueue_work_duration_seconds_sum", {"kind": "ImagePolicy"}) == 0.2


def test_a_negative_lag_of_a_set_clock_counts_as_none() -> None:
    metrics = Metrics()
    metrics.selection("Advance", -5.0)
    assert metrics.registry.get_sample_value("pawl_selection_lag_seconds_sum") == 0


def test_gauges_are_read_at_the_scrape() -> None:
    held = {"BelowHighWater": 2.0}
    metrics = Metrics(
        Gauges(
            held=lambda: held,
            tags=lambda: {"ghcr.io": 120.0},
            last_scan_age=lambda: 33.0,
            queue=lambda: QueueStats(5, 2, 1),
            lease=lambda: LeaseState(leading=True, holder="me", term=7),
            loop_lag=lambda: 0.25,
            events_dropped=lambda: 4.0,
        )
    )
    value = metrics.registry.get_sample_value
    assert value("pawl_held", {"reason": "BelowHighWater"}) == 2
    held.clear()
    assert value("pawl_held", {"reason": "BelowHighWater"}) is None
    assert value("pawl_registry_tags", {"host": "ghcr.io"}) == 120
    assert value("pawl_last_scan_age_seconds") == 33
    assert [value("pawl_workqueue_depth", {"state": state}) for state in ("waiting", "due", "running")] == [5, 2, 1]
    assert (value("pawl_leader"), value("pawl_lease_term")) == (1, 7)
    assert value("pawl_event_loop_lag_seconds") == 0.25
    assert value("pawl_events_dropped") == 4
    assert value("pawl_build_info", {"version": __version__}) == 1


def test_the_hundred_and_first_host_is_another_one() -> None:
    tags = {f"host{number}": 1.0 for number in range(150)}
    metrics = Metrics(Gauges(tags=lambda: tags))
    for number in range(150):
        metrics.registry_request(f"host{number}", "200", 0.1)
    value = metrics.registry.get_sample_value
    assert value("pawl_registry_requests_total", {"host": "host99", "code": "200"}) == 1
    assert value("pawl_registry_requests_total", {"host": "other", "code": "200"}) == 50
    assert value("pawl_registry_tags", {"host": "other"}) == 50


def test_two_processes_in_one_share_nothing() -> None:
    one, two = Metrics(), Metrics()
    one.scan("complete")
    assert two.registry.get_sample_value("pawl_scans_total", {"result": "complete"}) is None
    assert b"process_resident_memory_bytes" in generate_latest(one.registry)

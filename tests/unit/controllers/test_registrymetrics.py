"""What the metrics of registries say of a look, and that they end with the registry and with the term."""

from __future__ import annotations

from datetime import UTC, datetime

from prometheus_client import CollectorRegistry

from pawl.api.meta import Condition
from pawl.api.registrystorage_spec import RegistryStorageSpec
from pawl.api.registrystorage_status import Freeze, MigrationStatus, RegistryStorageStatus, StoreRef
from pawl.api.registrywork import Meter
from pawl.controllers.queue import Key
from pawl.controllers.registrymetrics import RegistryMetrics
from pawl.decide.storagefacts import Facts, Identity, Memory, Step

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
KEY = Key("RegistryStorage", "registry", "main")
NAMED = {"namespace": "registry", "name": "main"}
OLD, NEW = (StoreRef(id=each, kind="Filesystem", claim=each) for each in ("old", "new"))


def said(kind: str, status: str, reason: str) -> Condition:
    return Condition.model_validate(
        {"type": kind, "status": status, "reason": reason, "lastTransitionTime": "2026-03-04T12:00:00Z"}
    )


def look(*conditions: Condition) -> tuple[Facts, Step]:
    moving = MigrationStatus.model_validate(
        {"id": "m1", "phase": "Final", "source": OLD.wire(), "target": NEW.wire(), "bytes": 200, "bytesDone": 50}
        | {"startedAt": NOW, "phaseSince": NOW, "attempt": 1}
    )
    freeze = Freeze(reason="Migration", since=NOW, thaw_by=None, full=False)
    memory = Memory(revision=3, store=OLD, migration=moving, freeze=freeze)
    meter = Meter(bytes=70, used=90, capacity=100, inodes=10, inodes_used=1, tags=4)
    identity = Identity("registry", "main", "uid-main", 1)
    facts = Facts(NOW, identity, RegistryStorageSpec(), RegistryStorageStatus(), memory, meter=meter)
    return facts, Step(memory, None, conditions, "Migrating")


def test_a_look_tells_figures_and_each_condition_as_it_stands() -> None:
    registry = CollectorRegistry()
    RegistryMetrics(registry).looked(
        KEY, *look(said("Ready", "False", "Migrating"), said("Collected", "True", "DryRun"))
    )
    figures = ("ready", "frozen", "migrating", "pressure_percent", "migration_bytes", "migration_bytes_done", "tags")
    assert [registry.get_sample_value(f"pawl_storage_{each}", NAMED) for each in figures] == [0, 1, 1, 90, 200, 50, 4]
    (family,) = [each for each in registry.collect() if each.name == "pawl_storage_condition"]
    told = {(*map(sample.labels.get, ("condition", "status", "reason")), sample.value) for sample in family.samples}
    assert told == {("Ready", "False", "Migrating", 1.0), ("Collected", "True", "DryRun", 1.0)}


def test_a_condition_that_went_or_changed_is_not_told_any_more() -> None:
    registry = CollectorRegistry()
    metrics = RegistryMetrics(registry)
    metrics.looked(KEY, *look(said("SourceCorrupt", "True", "SourceCorrupt"), said("PullProved", "False", "NotProved")))
    metrics.looked(KEY, *look(said("PullProved", "True", "Proved")))
    (family,) = [each for each in registry.collect() if each.name == "pawl_storage_condition"]
    assert [sample.labels["status"] for sample in family.samples] == ["True"]


def test_nothing_is_told_of_a_registry_that_is_gone_nor_after_the_term() -> None:
    registry = CollectorRegistry()
    metrics = RegistryMetrics(registry)
    with metrics.term():
        metrics.looked(KEY, *look(said("Ready", "True", "Serving")))
        metrics.forget(KEY)
        assert not [sample for family in registry.collect() for sample in family.samples]
        metrics.looked(KEY, *look(said("Ready", "True", "Serving")))
    assert not [sample for family in registry.collect() for sample in family.samples]

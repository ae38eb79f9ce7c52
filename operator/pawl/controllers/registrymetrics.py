"""The metrics of RegistryStorages: how full, frozen or not, how far a migration is, what a collection freed.

Gauges say what the last look found, with the namespace and name of the resource, and go with it. A replica that lost
the Lease says nothing about registries. Neighbours: `metrics` holds the registry, `registrystorage` tells. Not here:
requests to registries, which are counted by host.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from pawl.api.meta import Condition
from pawl.api.registrywork import Meter
from pawl.controllers.queue import Key
from pawl.decide.pressure import capacity, percent
from pawl.decide.storagefacts import Facts, Step

NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "pawl_storage_bytes": "Bytes of all blobs of a registry.",
        "pawl_storage_used_bytes": "Bytes that are used on its filesystem, by whatever.",
        "pawl_storage_capacity_bytes": "Bytes that fit; absent where that is not known.",
        "pawl_storage_inodes": "Inodes of its filesystem.",
        "pawl_storage_inodes_used": "Of these, used.",
        "pawl_storage_repositories": "Repositories of a registry.",
        "pawl_storage_tags": "Tags of a registry.",
        "pawl_storage_pressure_percent": "How full: the greater share of bytes and inodes.",
        "pawl_storage_ready": "1 while the condition Ready is True.",
        "pawl_storage_frozen": "1 while pushes are refused.",
        "pawl_storage_migrating": "1 while a migration is at work.",
        "pawl_storage_migration_bytes": "Bytes of the last migration.",
        "pawl_storage_migration_bytes_done": "Of these, proved on the target.",
        "pawl_storage_migration_bytes_per_second": "Its rate, lately.",
        "pawl_storage_collection_freed_bytes": "Bytes that the last collection freed.",
        "pawl_storage_plan_seconds": "How long the last plan of a collection took.",
    }
)
CONDITION: Final = "pawl_storage_condition"


@dataclass(slots=True)
class _Told:
    """What the last look found. `planned` is kept over looks."""

    values: dict[str, float] = field(default_factory=dict)
    conditions: tuple[Condition, ...] = ()
    planned: float | None = None


class RegistryMetrics(Collector):
    """The metrics of registries in one process. The methods are the hooks that the controller calls."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._told: dict[Key, _Told] = {}
        registry.register(self)

    @contextmanager
    def term(self) -> Iterator[None]:
        """Hold for a term: what was told in it ends with it."""
        try:
            yield
        finally:
            self._told = {}

    def looked(self, key: Key, facts: Facts, step: Step) -> None:
        """A look at a registry ended so."""
        told = self._told.setdefault(key, _Told())
        told.values, told.conditions = dict(_values(facts, step)), step.conditions

    def planned(self, key: Key, seconds: float) -> None:
        """A plan of a collection was made in so many seconds."""
        self._told.setdefault(key, _Told()).planned = seconds

    def forget(self, key: Key) -> None:
        """Forget a registry that is gone."""
        self._told.pop(key, None)

    def collect(self) -> Iterable[Metric]:
        """Yield all gauges with their values of now."""
        for name, text in NAMES.items():
            family = GaugeMetricFamily(name, text, labels=["namespace", "name"])
            for key, told in self._told.items():
                value = told.planned if name == "pawl_storage_plan_seconds" else told.values.get(name)
                if value is not None:
                    family.add_metric([key.namespace, key.name], value)
            yield family
        yield self._conditions()

    def _conditions(self) -> Metric:
        labels = ["namespace", "name", "condition", "status", "reason"]
        family = GaugeMetricFamily(CONDITION, "1 for every condition of a registry as it stands.", labels=labels)
        for key, told in self._told.items():
            for one in told.conditions:
                family.add_metric([key.namespace, key.name, one.type, one.status, one.reason], 1)
        return family


def _values(facts: Facts, step: Step) -> Iterator[tuple[str, float]]:
    memory, migration, collection = step.memory, step.memory.migration, step.memory.collection
    yield "pawl_storage_ready", float(_is_ready(step.conditions))
    yield "pawl_storage_frozen", float(memory.freeze is not None)
    yield "pawl_storage_migrating", float(step.phase == "Migrating")
    if facts.meter is not None:
        yield from _measured(facts, facts.meter)
    if migration is not None:
        yield "pawl_storage_migration_bytes", migration.bytes
        yield "pawl_storage_migration_bytes_done", migration.bytes_done
        yield "pawl_storage_migration_bytes_per_second", migration.bytes_per_second
    if collection is not None:
        yield "pawl_storage_collection_freed_bytes", collection.freed_bytes


def _measured(facts: Facts, meter: Meter) -> Iterator[tuple[str, float]]:
    yield "pawl_storage_bytes", meter.bytes
    yield "pawl_storage_repositories", len(meter.repositories)
    yield "pawl_storage_tags", meter.tags
    full = percent(facts)
    if full is not None:
        yield "pawl_storage_pressure_percent", full
    if capacity(facts):
        yield "pawl_storage_capacity_bytes", capacity(facts)
    if meter.capacity:
        yield "pawl_storage_used_bytes", meter.used
    if meter.inodes:
        yield "pawl_storage_inodes", meter.inodes
        yield "pawl_storage_inodes_used", meter.inodes_used


def _is_ready(conditions: Iterable[Condition]) -> bool:
    return any(one.type == "Ready" and one.status == "True" for one in conditions)

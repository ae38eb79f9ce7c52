"""RegistryStorages as rows: what `pawl status` shows of each, for people and for scripts. Pure.

Neighbours: `table_registry_detail` shows one, `status_watch` follows a move, `status` reads. Not here: the cluster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError
from rich.table import Table
from rich.text import Text

from pawl.api.meta import Condition
from pawl.api.reasons import ConditionType
from pawl.api.registrystorage import RegistryStorage
from pawl.api.registrystorage_status import MigrationPhase, MigrationStatus
from pawl.cli.status_print import rows
from pawl.cli.table_policies import NONE
from pawl.cli.units import percent, rate, size, span

KIND: Final = "RegistryStorage"

OVER: Final = frozenset({MigrationPhase.DONE, MigrationPhase.CANCELLED, MigrationPhase.FAILED})
"""Phases after which a migration does nothing more."""
_MOVED: Final = frozenset({MigrationPhase.OPEN, MigrationPhase.HOLD})


@dataclass(frozen=True, slots=True)
class UnreadableRegistry:
    """A RegistryStorage that this version of Pawl cannot read, most likely written for a newer one."""

    namespace: str
    name: str
    fault: str


SeenRegistry = RegistryStorage | UnreadableRegistry


def read_registry(document: Mapping[str, Any]) -> SeenRegistry:
    """Read one object of a list, or say why it cannot be read."""
    try:
        return RegistryStorage.model_validate({**document, "kind": KIND})
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, fault["loc"])) or "object"
        meta = document.get("metadata") or {}
        return UnreadableRegistry(meta.get("namespace", ""), meta.get("name", ""), f"{where}: {fault['msg']}")


def place_of(seen: SeenRegistry) -> tuple[str, str]:
    """Return namespace and name."""
    if isinstance(seen, UnreadableRegistry):
        return seen.namespace, seen.name
    return seen.metadata.namespace, seen.metadata.name


def condition_of(seen: SeenRegistry, kind: ConditionType) -> Condition | None:
    """Return what is said of one thing, None where nothing is."""
    if isinstance(seen, UnreadableRegistry):
        return None
    return next((said for said in seen.status.conditions if said.type == kind), None)


def ready_registry(seen: SeenRegistry) -> str:
    """The status of the condition Ready: True, False, or Unknown where there is none yet."""
    said = condition_of(seen, ConditionType.READY)
    return said.status if said is not None else "Unknown"


def reason_of(seen: SeenRegistry) -> str:
    """The reason that says most: why it is stalled, else why it is Ready or not; "" before the first look."""
    stalled = condition_of(seen, ConditionType.STALLED)
    said = stalled if stalled is not None and stalled.status == "True" else condition_of(seen, ConditionType.READY)
    return said.reason if said is not None else ""


def moving(seen: SeenRegistry) -> MigrationStatus | None:
    """Return the migration that still moves bytes, None where there is none: one that is held is served already."""
    if isinstance(seen, UnreadableRegistry) or seen.status.migration is None:
        return None
    found = seen.status.migration
    return None if found.phase in OVER | _MOVED else found


def moved(migration: MigrationStatus) -> str:
    """How far a migration is, in words: `Bulk 34 %, 12.3 GiB of 40.0 GiB, 210.0 MiB/s, 2m10s left`."""
    done = percent(migration.bytes_done, migration.bytes) if migration.bytes else 0
    parts = [f"{migration.phase.value} {done} %"]
    if migration.bytes:
        parts.append(f"{size(migration.bytes_done)} of {size(migration.bytes)}")
    if migration.bytes_per_second:
        parts.append(rate(migration.bytes_per_second))
    if migration.eta_seconds is not None:
        parts.append(f"{span(migration.eta_seconds)} left")
    return ", ".join(parts)


def registry_table(registries: Sequence[SeenRegistry]) -> Table:
    """Return the table, a row a registry."""
    made = rows("NAMESPACE", "REGISTRY", "READY", "PHASE", "REASON", "STORE", "USED", "TAGS", "ADDRESS", "MIGRATING")
    for seen in sorted(registries, key=place_of):
        made.add_row(*_row(seen))
    return made


def ready_text(seen: SeenRegistry) -> Text:
    """Ready as a coloured word."""
    word = ready_registry(seen)
    return Text(word, {"True": "green", "False": "red"}.get(word, "yellow"))


def _row(seen: SeenRegistry) -> list[Text]:
    namespace, name = place_of(seen)
    first = [Text(namespace), Text(name), ready_text(seen)]
    if isinstance(seen, UnreadableRegistry):
        return [*first, Text(NONE), Text(f"cannot be read: {seen.fault}", "yellow")]
    status, under_way = seen.status, moving(seen)
    suspended = "suspended, " if seen.spec.suspend else ""
    return [
        *first,
        Text(status.phase or NONE),
        Text(suspended + (reason_of(seen) or NONE), "" if ready_registry(seen) == "True" else "yellow"),
        Text(status.store.label if status.store else NONE),
        Text(used(seen)),
        Text(str(status.usage.tags) if status.usage else NONE),
        Text(status.address or NONE),
        Text(moved(under_way) if under_way else NONE, "cyan" if under_way else ""),
    ]


def used(seen: RegistryStorage) -> str:
    """How full the store is: `12.0 GiB of 100.0 GiB (13 %)`; a bucket may have no bound."""
    usage = seen.status.usage
    if usage is None:
        return NONE
    return f"{size(usage.bytes)} of {size(usage.capacity)} ({usage.percent} %)" if usage.capacity else size(usage.bytes)


def registry_document(seen: SeenRegistry) -> dict[str, Any]:
    """Return what scripts read of one registry: stable names, absent things null or empty."""
    namespace, name = place_of(seen)
    made: dict[str, Any] = {"kind": KIND, "namespace": namespace, "name": name, "ready": ready_registry(seen)}
    if isinstance(seen, UnreadableRegistry):
        return {**made, "unreadable": seen.fault}
    status = seen.status
    return {
        **made,
        "reason": reason_of(seen),
        "suspended": seen.spec.suspend,
        "phase": status.phase,
        "address": status.address,
        "anonymousAddress": status.anonymous_address,
        "store": status.store.wire() if status.store else None,
        "held": status.held.wire() if status.held else None,
        "freeze": status.freeze.wire() if status.freeze else None,
        "usage": status.usage.wire() if status.usage else None,
        "migration": status.migration.wire() if status.migration else None,
        "collection": status.collection.wire() if status.collection else None,
        "conditions": [said.wire() for said in status.conditions],
    }

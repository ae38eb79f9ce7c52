"""Events of a registry: what changed between two memories, said once.

Neighbours: `decide.storagemachine_report` says what holds. Not here: writing events.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import Final

from pawl.api.reasons import Reason
from pawl.api.registrystorage_status import CollectionPhase, MigrationPhase, MigrationStatus
from pawl.decide.storagefacts import Facts, Memory, Notice
from pawl.decide.storagemachine_freeze import COPYING, RESTING, Why
from pawl.decide.stores import farewell

_ENTERED: Final = MappingProxyType(
    {
        MigrationPhase.PREFLIGHT: Reason.MIGRATING,
        MigrationPhase.FREEZE: Reason.READ_ONLY,
        MigrationPhase.SWITCH: Reason.MIGRATING,
        MigrationPhase.OPEN: Reason.WRITABLE,
        MigrationPhase.HOLD: Reason.HOLDING,
        MigrationPhase.DONE: Reason.MIGRATED,
        MigrationPhase.CANCEL: Reason.CANCELLED,
        MigrationPhase.CANCELLED: Reason.CANCELLED,
    }
)
_BEGUN: Final = frozenset({CollectionPhase.PLAN, CollectionPhase.FREEZE, CollectionPhase.COLLECT})


def notices(facts: Facts, memory: Memory) -> tuple[Notice, ...]:
    """Return what is worth an event."""
    before = facts.memory
    return (
        *_migration(before, memory),
        *_farewell(before, memory),
        *_collection(before, memory),
        *_pressure(before, memory),
    )


def _migration(before: Memory, after: Memory) -> Iterable[Notice]:
    old, new = before.migration, after.migration
    if new is None or old == new:
        return
    moved = old is None or old.phase != new.phase or old.id != new.id
    back = old is not None and old.phase in RESTING and new.phase in COPYING
    if moved and (new.phase is MigrationPhase.FAILED or back):
        yield Notice(new.reason or Reason.COPY_FAILED, _line(new), warning=True)
    elif moved and new.phase in _ENTERED:
        yield Notice(_ENTERED[new.phase], _line(new), warning=new.reason == Reason.NOT_FROZEN)
    if old is not None and new.failures > old.failures:
        yield Notice(new.reason or Reason.COPY_FAILED, _line(new), warning=True)
    if new.left and (old is None or old.left != new.left):
        yield Notice(Reason.HOLDING, new.left, warning=True)


def _farewell(before: Memory, after: Memory) -> Iterable[Notice]:
    if before.held is not None and after.held is None:
        yield Notice(Reason.MIGRATED, farewell(before.held))


def _line(migration: MigrationStatus) -> str:
    where = f"migration {migration.id} from {migration.source.label} to {migration.target.label}"
    return f"{where}, phase {migration.phase}: {migration.message}"


def _collection(before: Memory, after: Memory) -> Iterable[Notice]:
    old, new = before.collection, after.collection
    if new is None or (old is not None and (old.id, old.phase) == (new.id, new.phase)):
        return
    if new.phase is CollectionPhase.PLAN:
        yield Notice(Reason.COLLECTING, f"collection {new.id} begins, cause {new.cause}")
    elif new.phase not in _BEGUN and new.phase is not CollectionPhase.THAW:
        bad = new.phase is not CollectionPhase.DONE
        yield Notice(new.reason or Reason.COLLECTION_FAILED, f"collection {new.id}: {new.message}", warning=bad)


def _pressure(before: Memory, after: Memory) -> Iterable[Notice]:
    was = before.freeze is not None and before.freeze.full
    full = after.freeze is not None and after.freeze.full
    if full and not was and after.store is not None:
        text = f"{after.store.label} is nearly full: pushes are refused so that pulls live on"
        yield Notice(Reason.READ_ONLY_AT_REACHED, text, warning=True)
    same = before.store is not None and after.store is not None and before.store.id == after.store.id
    if was and not full and same:
        yield Notice(Reason.ROOMY, "the store has room again")
    if same and before.store is not None and after.store is not None and before.store.grown_at != after.store.grown_at:
        yield Notice(Reason.EXPANDING, f"{after.store.label} grows from {before.store.size} to {after.store.size}")
    spec_only = after.freeze is not None and after.freeze.reason == Why.SPEC
    if spec_only and before.freeze is None:
        yield Notice(Reason.READ_ONLY, "spec.readOnly is set: pushes are refused")

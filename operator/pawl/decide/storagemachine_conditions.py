"""Single conditions of a registry, each from the facts and the memory: Serving, Writable, Pressure and the others.

Neighbours: `decide.storagemachine_report` puts them together with Ready, Reconciling and Stalled. Not here: what
connectivity and access say; those conditions are passed through.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pawl.api.reasons import ConditionType, Reason
from pawl.api.registrystorage_status import CollectionPhase, MigrationPhase, MigrationStatus, StoreRef
from pawl.decide.expansion import growing, hindrance, refused
from pawl.decide.pressure import capacity, percent
from pawl.decide.storagefacts import Facts, Memory
from pawl.decide.storagemachine_freeze import Why, collecting, collector_runs
from pawl.decide.storagemachine_migration import lost
from pawl.decide.storagemachine_want import away


@dataclass(frozen=True, slots=True)
class Said:
    """One condition without its times."""

    type: ConditionType
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str


def serving(facts: Facts, memory: Memory) -> Said:
    """Whether pulls are answered, from the store that is to be served."""
    kind, store, server = ConditionType.SERVING, memory.store, facts.server
    if store is None:
        return Said(kind, "False", Reason.STARTING, facts.blocked or "no store was chosen yet")
    if any(pod.ready and pod.store == store.id for pod in server.pods):
        return Said(kind, "True", Reason.SERVING, f"{store.label} is served")
    if lost(facts, store) or (store.kind == "Filesystem" and not store.own_claim and store.claim not in facts.claims):
        return Said(kind, "False", Reason.CLAIM_MISSING, f"claim {store.claim} does not exist")
    if away(facts, memory):
        why = Reason.COLLECTING if collecting(memory) else Reason.MIGRATING
        text = f"{store.label} can be mounted by one Pod only: pulls stop while a Job is at work on it"
        return Said(kind, "False", why, text)
    claim = facts.claims.get(store.claim)
    if claim is not None and not claim.bound and claim.trouble:
        return Said(kind, "False", Reason.CLAIM_PENDING, claim.trouble)
    if server.trouble:
        return Said(kind, "False", Reason.POD_FAILING, server.trouble)
    return Said(kind, "False", Reason.STARTING, facts.blocked or "the server's Pod is not ready yet")


def writable(facts: Facts, memory: Memory) -> Said:
    """Whether pushes are taken, and if not why and until when."""
    kind, rest = ConditionType.WRITABLE, memory.freeze
    if rest is None:
        if memory.store is not None and _takes(facts, memory.store):
            return Said(kind, "True", Reason.WRITABLE, "pushes are taken")
        return Said(kind, "False", Reason.STARTING, "no Pod that takes pushes is ready yet")
    if rest.reason == Why.PRESSURE:
        text = f"pushes are refused until the store is below {facts.spec.pressure.collect_at} percent; pulls go on"
        return Said(kind, "False", Reason.STORE_FULL, text)
    if rest.reason == Why.SPEC:
        return Said(kind, "False", Reason.READ_ONLY, "spec.readOnly is set")
    until = f", until {rest.thaw_by:%Y-%m-%dT%H:%M:%SZ} at the latest" if rest.thaw_by is not None else ""
    text = f"{'a migration' if rest.reason == Why.MIGRATION else 'a collection'} needs the store at rest{until}"
    return Said(kind, "False", Reason.READ_ONLY, _waits(facts, memory, text))


def pressure(facts: Facts, memory: Memory) -> Said | None:
    """How full the store is, and what can be done."""
    kind, store, limits, filled = ConditionType.PRESSURE, memory.store, facts.spec.pressure, percent(facts)
    if store is None:
        return None
    small = refused(facts, store)
    if filled is None or facts.meter is None:
        return _unmeasured(facts, store, small)
    about = f"{store.label} is {filled} percent full"
    if filled >= limits.read_only_at or (memory.freeze is not None and memory.freeze.full):
        return Said(kind, "True", Reason.READ_ONLY_AT_REACHED, f"{about}: {_way_out(facts, store)}")
    if filled >= limits.collect_at:
        return Said(kind, "True", Reason.COLLECT_AT_REACHED, f"{about}: {_way_out(facts, store)}")
    if growing(facts, store):
        status: Literal["True", "False"] = "True" if filled >= limits.expand_at else "False"
        return Said(kind, status, Reason.EXPANDING, f"{about}: {_way_out(facts, store)}")
    if filled >= limits.expand_at:
        reason = Reason.CANNOT_EXPAND if hindrance(facts, store) else Reason.EXPANDING
        return Said(kind, "True", reason, f"{about}: {_way_out(facts, store)}")
    if small:
        return Said(kind, "False", Reason.CANNOT_EXPAND, small)
    return Said(kind, "False", Reason.ROOMY, f"{store.label} is below {limits.expand_at} percent")


def migrated(memory: Memory) -> Said | None:
    """How far the last migration is."""
    kind, migration = ConditionType.MIGRATED, memory.migration
    if migration is None:
        return None
    if migration.phase is MigrationPhase.HOLD:
        until = f"until {migration.hold_until:%Y-%m-%dT%H:%M:%SZ}" if migration.hold_until is not None else ""
        text = f"{migration.source.label} is kept {until}; to go back, name it in spec.storage again"
        return Said(kind, "True", Reason.HOLDING, f"{text}{_left(migration)}")
    if migration.phase is MigrationPhase.DONE:
        kept = f"; {migration.message}" if memory.held is not None else ""
        return Said(kind, "True", Reason.MIGRATED, f"{migration.target.label} is served{kept}{_left(migration)}")
    if migration.phase is MigrationPhase.CANCELLED:
        return Said(kind, "False", Reason.CANCELLED, migration.message)
    if migration.phase is MigrationPhase.FAILED:
        return Said(kind, "False", migration.reason or Reason.COPY_FAILED, migration.message)
    reason = migration.reason or Reason.MIGRATING
    return Said(kind, "False", reason, f"phase {migration.phase}: {migration.message}")


def collected(memory: Memory) -> Said | None:
    """What came of the last collection."""
    kind, last = ConditionType.COLLECTED, memory.collection
    if last is None:
        return None
    if collecting(memory):
        return Said(kind, "Unknown", Reason.COLLECTING, f"phase {last.phase}: {last.message}")
    if last.phase is CollectionPhase.DONE:
        return Said(kind, "True", last.reason or Reason.COLLECTED, last.message)
    return Said(kind, "False", last.reason or Reason.COLLECTION_FAILED, last.message)


def corrupt(memory: Memory) -> Said | None:
    """Objects of the source that are not what their name says."""
    if memory.migration is None or not memory.migration.quarantine:
        return None
    listed = ", ".join(memory.migration.quarantine)
    text = f"take these out of the store and push their images again, or delete the tags that need them: {listed}"
    return Said(ConditionType.SOURCE_CORRUPT, "True", Reason.SOURCE_CORRUPT, text)


def _left(migration: MigrationStatus) -> str:
    return f"; {migration.left}" if migration.left else ""


def _takes(facts: Facts, store: StoreRef) -> bool:
    able = (pod for pod in facts.server.pods if pod.ready and pod.store == store.id)
    return any(not pod.read_only and pod.takes_pushes is not False for pod in able)


def _waits(facts: Facts, memory: Memory, text: str) -> str:
    ending = memory.collection is not None and memory.collection.phase is CollectionPhase.THAW
    if ending and collector_runs(facts):
        pods = ", ".join(facts.stray) or "of the collection"
        return f"pushes are taken again as soon as the Pod {pods} has ended: nothing may be pushed beside it"
    return text


def _unmeasured(facts: Facts, store: StoreRef, small: str) -> Said:
    if small:
        return Said(ConditionType.PRESSURE, "True", Reason.CANNOT_EXPAND, small)
    if facts.meter is not None and store.kind == "S3" and capacity(facts) == 0:
        text = "storage.s3.quota is not set: how full the bucket is cannot be said"
        return Said(ConditionType.PRESSURE, "False", Reason.ROOMY, text)
    return Said(ConditionType.PRESSURE, "Unknown", Reason.USAGE_UNKNOWN, "the meter has not answered yet")


def _way_out(facts: Facts, store: StoreRef) -> str:
    if growing(facts, store):
        return f"the claim grows to {store.size}"
    return hindrance(facts, store) or "the claim grows with the next step, a few hours after the last one"

"""Writes what is remembered and found into the status of a RegistryStorage: one patch if anything changed.

The ledger has the memory before. Neighbours: `decide.storagemachine` makes conditions and phase, `registrymemory` the
ledger. Not here: decisions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import structlog

from pawl.api.meta import API_VERSION, Condition
from pawl.api.reasons import ConditionType, Reason
from pawl.api.registrystorage import RegistryStorage, RegistryStorageStatus
from pawl.api.registrystorage_status import Usage
from pawl.cluster.client import Cluster
from pawl.cluster.events import ObjectRef, Recorder
from pawl.cluster.resources import REGISTRY_STORAGES
from pawl.controllers.registryapply import Guard, Refusal
from pawl.controllers.registryfacts import Gathered, wish_of
from pawl.controllers.registrymemory import onto
from pawl.controllers.registrystore import KIND, RegistryStore
from pawl.controllers.store import collection_requested_at, requested_at
from pawl.decide.pressure import usage
from pawl.decide.storagefacts import Notice, Step
from pawl.decide.storagemachine_collection import REQUESTED
from pawl.decide.storagemachine_freeze import collecting
from pawl.decide.wishes import dropped

FORMER: Final = 4
"""Addresses before the present one that are kept in mind."""
MOVED: Final = 0.01
"""Share by which figures that tick must have moved to be written."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a registry and what came of it. `refused`: what the API server refused at the last one."""

    gathered: Gathered
    step: Step
    refused: Sequence[Refusal] = ()
    no_image: str = ""


@dataclass(frozen=True, slots=True)
class _Moment:
    """When something is said, and of what."""

    generation: int
    now: datetime
    before: Sequence[Condition]

    def condition(self, kind: str, status: Literal["True", "False"], refusal: Refusal) -> Condition:
        """Return a condition that keeps its time while its status stays."""
        old = next((one for one in self.before if one.type == kind and one.status == status), None)
        return Condition(
            type=kind,
            status=status,
            observed_generation=self.generation,
            last_transition_time=old.last_transition_time if old else self.now.replace(microsecond=0),
            reason=refusal.reason,
            message=refusal.message[:1024],
        )


class RegistryReporter:
    """Writes statuses and tells events. One for a term."""

    def __init__(self, cluster: Cluster, store: RegistryStore, events: Recorder, guard: Guard) -> None:
        self._cluster = cluster
        self._store = store
        self._events = events
        self._guard = guard
        self._said: dict[str, tuple[str, ...]] = {}

    async def report(self, look: Look) -> bool:
        """Write the status if it says anything new, and return whether it did. Raises ClusterError, LeaseLost."""
        storage = look.gathered.storage
        written = await self._write(storage, status_of(look))
        self._tell(storage, (*look.step.notices, *_dropped(look), *self._news(look)))
        return written

    def _news(self, look: Look) -> Sequence[Notice]:
        """Return what is new of access: what stays as it is was told."""
        access, uid = look.gathered.access, look.gathered.storage.metadata.uid
        found = list(access.notices)
        if access.warning:
            found.append(Notice(Reason.SECRET_INVALID, access.warning, warning=True))
        known = self._said.get(uid, ())
        self._said[uid] = tuple(each.message for each in found)
        return [each for each in found if each.message not in known]

    async def stall(self, storage: RegistryStorage, reason: Reason, message: str, now: datetime) -> None:
        """Say that a person must act before anything can be found out; what was known before stays."""
        before = storage.status.conditions
        moment = _Moment(storage.metadata.generation, now, before)
        found = _refused(before, Refusal(reason, message), moment)
        fields = {"conditions": found, "observed_generation": storage.metadata.generation, "phase": "Stalled"}
        if await self._write(storage, storage.status.model_copy(update=fields)):
            log.warning("registry stalled", registry=_place(storage), reason=reason, error=message)
            self._tell(storage, (Notice(reason, message, warning=True),))

    async def _write(self, storage: RegistryStorage, after: RegistryStorageStatus) -> bool:
        patch, meta = status_patch(storage.status, after), storage.metadata
        if not patch:
            return False
        self._guard()
        body = {"metadata": {"resourceVersion": meta.resource_version}, "status": patch}
        raw = await self._cluster.merge_patch(REGISTRY_STORAGES, meta.namespace, meta.name, body, subresource="status")
        self._store.keep(raw)
        log.info(
            "status written",
            registry=_place(storage),
            revision=after.revision,
            phase=after.phase,
            fields=sorted(patch),
        )
        return True

    def _tell(self, storage: RegistryStorage, notices: Sequence[Notice]) -> None:
        meta = storage.metadata
        ref = ObjectRef(API_VERSION, KIND, meta.namespace, meta.name, meta.uid)
        for notice in notices:
            self._events.event(ref, "Warning" if notice.warning else "Normal", notice.reason, notice.message)


def _place(storage: RegistryStorage) -> str:
    return f"{storage.metadata.namespace}/{storage.metadata.name}"


def status_of(look: Look) -> RegistryStorageStatus:
    """Return the status that a look leads to; equal facts give an equal status."""
    gathered, step = look.gathered, look.step
    facts, access, before = gathered.facts, gathered.access, gathered.storage.status
    found: list[Condition] = [_explained(one, look.no_image) for one in step.conditions]
    if look.refused:
        moment = _Moment(facts.identity.generation, facts.now, before.conditions)
        found = _refused(found, look.refused[0], moment)
    after = onto(before, step.memory)
    return after.model_copy(
        update={
            "observed_generation": facts.identity.generation,
            "last_handled_reconcile_at": _handled(gathered),
            "last_handled_collect_at": _begun(look),
            "phase": "Stalled" if look.refused else step.phase,
            "address": access.address or before.address,
            "former_addresses": former(before, access.address),
            "anonymous_address": access.anonymous_address,
            "usage": steady(before.usage, usage(facts)),
            "conditions": found,
        }
    )


def former(before: RegistryStorageStatus, address: str) -> list[str]:
    """Return the addresses before this one, the newest first."""
    known = [before.address, *before.former_addresses] if address else before.former_addresses
    return [each for each in dict.fromkeys(known) if each not in {"", address}][:FORMER]


def steady(before: Usage | None, now: Usage | None) -> Usage | None:
    """Return the figures that stand in the status: new ones where they moved enough to be worth a write."""
    if before is None or now is None:
        return now or before
    exact = ("capacity", "percent", "inodes_percent", "repositories")
    ticking = ("bytes", "tags", "blobs")
    same = all(getattr(before, name) == getattr(now, name) for name in exact)
    near = all(abs(getattr(now, name) - getattr(before, name)) <= MOVED * getattr(before, name) for name in ticking)
    return before if same and near else now


def status_patch(before: RegistryStorageStatus, after: RegistryStorageStatus) -> dict[str, object]:
    """Return the merge patch from one status to the other, {} for none: objects whole, since keys may go."""
    old, new = before.wire(), after.wire()
    changed = {name: _whole(old.get(name), value) for name, value in new.items() if old.get(name) != value}
    return changed | {name: None for name in old if name not in new}


def _whole(old: object, new: object) -> object:
    """Name what goes from a map as null: a merge patch keeps what it does not name."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    gone = {key: None for key in old if key not in new}
    return {key: _whole(old.get(key), value) for key, value in new.items()} | gone


def _handled(gathered: Gathered) -> str | None:
    """A wish counts as handled once the server stood still enough for it to be judged."""
    storage = gathered.storage
    able = gathered.facts.server.rolled or bool(gathered.facts.blocked)
    wish = requested_at(storage) if able else None
    return wish or storage.status.last_handled_reconcile_at


def _begun(look: Look) -> str | None:
    """A wish for a collection counts as handled once one began because of it, or it is dropped: until then it waits."""
    storage = look.gathered.storage
    over = _meets(look) or _dropped(look)
    return (collection_requested_at(storage) if over else None) or storage.status.last_handled_collect_at


def _meets(look: Look) -> bool:
    memory = look.step.memory
    return collecting(memory) and memory.collection is not None and memory.collection.cause == REQUESTED


def _dropped(look: Look) -> tuple[Notice, ...]:
    """Say that a wish for a collection is not met any more."""
    facts = look.gathered.facts
    why = None if _meets(look) else dropped(wish_of(look.gathered.storage), facts.now, suspended=facts.spec.suspend)
    return (Notice(*why, warning=True),) if why is not None else ()


def _explained(one: Condition, no_image: str) -> Condition:
    if no_image and one.type == ConditionType.PRESSURE and one.reason == Reason.USAGE_UNKNOWN:
        return one.model_copy(update={"message": no_image})
    return one


def _refused(gathered: Sequence[Condition], refusal: Refusal, moment: _Moment) -> list[Condition]:
    """Return conditions that say what a person must mend; nothing else is Ready or at work then."""
    kept = [one for one in gathered if one.type not in {"Ready", "Reconciling", "Stalled"}]
    return [moment.condition("Ready", "False", refusal), moment.condition("Stalled", "True", refusal), *kept]

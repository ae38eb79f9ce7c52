"""The end of an override: tables without it first, then originals back where the value is still Pawl's, then release.

A finalizer or a debt (`overridedebts`) stands until this is done, or until `spec.restoreTimeout` has passed.
Neighbours: `imagerules` compiles without an override that is being deleted, `cluster.writers` restores. Not here:
what was written in the first place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from pawl.api.errors import ClusterError, Conflict, NotFound
from pawl.api.imageoverride import DeletionPolicy, Override
from pawl.api.meta import API_VERSION
from pawl.api.reasons import Reason
from pawl.cluster.client import Cluster
from pawl.cluster.discovery import served
from pawl.cluster.events import ObjectRef, Recorder
from pawl.cluster.ruletables import CLUSTER
from pawl.cluster.world import World
from pawl.cluster.writers import restore_template
from pawl.cluster.writers_fields import restore_fields
from pawl.controllers.customfields import names_with_notes
from pawl.controllers.frozentables import overrides_in
from pawl.controllers.gatekeeping import GateKeeper
from pawl.controllers.overridecopies import Copies, copied_names, is_noted
from pawl.controllers.overridedebts import Debts, is_binding
from pawl.controllers.overrideleft import Left
from pawl.controllers.overridemarks import decided, deciders, touched
from pawl.controllers.overridescope import namespaces_of
from pawl.controllers.overridestore import OverrideStore, key_of, label_of, resource_of
from pawl.controllers.queue import Key
from pawl.controllers.standing import Standing
from pawl.decide.durations import parse_duration
from pawl.decide.objects import COPIES, FINALIZER, WorkloadRow

RESTORED: Final = frozenset({"Namespace", "Deployment", "StatefulSet", "DaemonSet", "CronJob"})
"""What must be seen before it can be given back: a kind that may not be listed looks as if there were none."""
AGAIN: Final = 1.0
AT_ONCE: Final = 8

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FinishParts:
    """What the end of an override works with. `now` gives seconds since the epoch."""

    cluster: Cluster
    world: World
    store: OverrideStore
    copies: Copies
    debts: Debts
    gate: GateKeeper
    events: Recorder
    guard: Callable[[], int]
    now: Callable[[], float]
    last: float = 10.0
    """Seconds that the last try has, when the time that was given is over."""
    first: float = 60.0
    """Seconds for which a term that knows nothing yet puts off a last try: it would give back nothing, or too much."""


class Finisher:
    """Ends overrides. One for a term."""

    def __init__(self, parts: FinishParts) -> None:
        self._parts = parts
        self._stuck: dict[Key, Left] = {}
        self._looked: dict[Key, float] = {}

    async def mark(self, override: Override, standing: Standing | None = None) -> bool:
        """Make sure that what the override will write is given back; return whether its finalizers changed.

        Raises ClusterError.
        """
        names = override.metadata.finalizers
        if is_binding(override):
            marked = FINALIZER in names and is_noted(override)
            if not marked:
                await self._finalizers(override, list(dict.fromkeys((*names, FINALIZER))))
            return not marked
        await self._parts.debts.owe(override)
        if FINALIZER in names and self._is_free(override, standing):
            await self._finalizers(override, _without(names))
            return True
        return False

    def _is_free(self, override: Override, standing: Standing | None) -> bool:
        """Whether no template holds an image that the override wrote while its `templates` was not Off."""
        if standing is None:
            return False
        namespace, label = override.metadata.namespace, label_of(override)
        table = standing.table(namespace)
        rows = [row for row in self._parts.world.workloads(namespace) if row.original]
        return not rows or (table is not None and not any(label in deciders(table, row) for row in rows))

    async def finish(self, override: Override, standing: Standing | None) -> float | None:
        """Take back what the override did and let it go. Returns seconds until the next look, None when it is gone."""
        if FINALIZER not in override.metadata.finalizers:
            return None
        late, left = self._ready(override, standing) and self._late(override), Left()
        if self._goes_with_its_namespace(override):
            await self._let_go(override)
            return None
        out = standing is not None and label_of(override) not in standing.rulebook.judged
        if not out and not late:
            return AGAIN / 5
        try:
            async with asyncio.timeout(self._patience(override)):
                await self._take_back(override, standing, left)
        except TimeoutError:
            left.failed.append("the API server took too long")
        if left.failed and not late:
            self._hold(override, left)
            return AGAIN
        self._stuck.pop(key_of(override), None)
        self._tell(override, left, late=late)
        await self._let_go(override)
        return None

    def denied(self, override: Override) -> str:
        """Return the sentence of a right that keeps an override from being given back, or ""."""
        return self._stuck.get(key_of(override), Left()).denied

    def _hold(self, override: Override, left: Left) -> None:
        """Say what fails, when it is something else than at the last try."""
        before = self._stuck.get(key_of(override))
        if before is None or before.failed != left.failed:
            log.warning("not restored yet", override=label_of(override), failed=left.failed[:5])
        self._stuck[key_of(override)] = left

    async def settle(self, key: Key, standing: Standing | None) -> float | None:
        """Give back what an override owes that is gone already, deleted while nobody or somebody looked."""
        gone = self._parts.debts.of_gone(key, self._parts.now(), self._parts.store.last(key))
        again = await self.finish(gone, standing) if gone is not None else None
        if again is None:
            self._parts.store.forget(key)
        return again

    def _goes_with_its_namespace(self, override: Override) -> bool:
        """Whether all that could be given back is going as well: nothing may hold the namespace up."""
        place = override.metadata.namespace
        return any(row.terminating for row in self._parts.world.namespaces() if row.name == place)

    async def _let_go(self, override: Override) -> None:
        key = key_of(override)
        stored = self._parts.store.get(key)
        if stored is not None and stored.metadata.uid == override.metadata.uid:
            await self._finalizers(override, _without(override.metadata.finalizers))
        await self._parts.debts.settle(key)
        self._looked.pop(key, None)

    def _ready(self, override: Override, standing: Standing | None) -> bool:
        """Whether this term knows the cluster, or waited long enough for that."""
        now = self._parts.now()
        return standing is not None or now - self._looked.setdefault(key_of(override), now) >= self._parts.first

    def _late(self, override: Override) -> bool:
        return self._left_over(override) < 0

    def _patience(self, override: Override) -> float:
        """Return the seconds that one try may take: to the end of the time that is given, a last try a little more."""
        return max(self._left_over(override), self._parts.last)

    def _left_over(self, override: Override) -> float:
        stamp, now = override.metadata.deletion_timestamp, self._parts.now()
        since = datetime.fromisoformat(stamp).timestamp() if stamp else now
        return since + parse_duration(override.spec.restore_timeout).total_seconds() - now

    async def _take_back(self, override: Override, standing: Standing | None, left: Left) -> None:
        parts = self._parts
        alone = standing.rulebook.left_alone if standing is not None else frozenset[str]()
        namespaces = namespaces_of(override, parts.world.namespaces(), alone)
        if override.spec.deletion_policy is DeletionPolicy.RESTORE:
            left.unseen(parts.world.missing_rights({*namespaces, override.metadata.namespace}, RESTORED))
            places = asyncio.Semaphore(AT_ONCE)
            free = await self._free(override, namespaces, standing, left)
            free = list(namespaces) if self._late(override) else free
            rows = [row for namespace in free for row in self._mine(namespace, standing)]
            await asyncio.gather(*(self._restore(row, places, left) for row in rows))
            await self._restore_fields(override, free, left)
            released = await parts.copies.release(override, namespaces)
            left.failed += released.failures
            left.denied = left.denied or released.denied

    def _mine(self, namespace: str, standing: Standing | None) -> list[WorkloadRow]:
        """Workloads that Pawl touched and that no other override decides about.

        Jobs have Pawl's notes from the CronJob that made them; their templates cannot change and are not Pawl's.
        """
        table = standing.table(namespace) if standing is not None else None
        rows = [row for row in self._parts.world.workloads(namespace) if touched(row) and row.kind != "Job"]
        return [row for row in rows if table is None or not decided(table, row)]

    async def _free(
        self, override: Override, namespaces: Iterable[str], standing: Standing | None, left: Left
    ) -> list[str]:
        """Return where the gate has let go: elsewhere a Pod made now would be rewritten once more."""
        places = asyncio.Semaphore(AT_ONCE)

        async def held(namespace: str) -> str | None:
            async with places:
                return await self._held(override, namespace, standing)

        names = list(namespaces)
        found = await asyncio.gather(*(held(name) for name in names))
        left.failed += [why for why in found if why is not None]
        if left.failed and standing is not None:
            unwritten = (text for name, text in standing.failed.items() if name in (CLUSTER, *names))
            left.denied = next(unwritten, left.denied)
        return [name for name, why in zip(names, found, strict=True) if why is None]

    async def _held(self, override: Override, namespace: str, standing: Standing | None) -> str | None:
        """Say why a namespace is not restored yet: its table names the override still, or the gate is behind it."""
        stored = standing.stored_table(namespace) if standing is not None else None
        if stored is None or not self._mine(namespace, standing):
            return None
        if stored.table is not None and label_of(override) in overrides_in(stored.table):
            return f"namespace {namespace}: its table still has rules of {label_of(override)}; it could not be written"
        if self._late(override):
            return None
        try:
            fault = await self._parts.gate.fault(namespace, stored)
        except ClusterError as error:
            return str(error)
        if fault is None or fault.reason is Reason.GATE_MISSING:  # without a gate no Pod is rewritten once more
            return None
        return fault.message

    async def _restore(self, row: WorkloadRow, places: asyncio.Semaphore, left: Left) -> None:
        async with places:
            self._parts.guard()
            try:
                skipped = await restore_template(self._parts.cluster, row)
            except NotFound:
                return
            except (Conflict, ClusterError) as error:
                left.fail(f"{row.key}: {error}", error)
                return
            left.skipped += [f"{row.key}: {each.why}" for each in skipped]

    async def _restore_fields(self, override: Override, namespaces: Iterable[str], left: Left) -> None:
        for field in override.spec.enforcement.paths:
            try:
                resource = (await served(self._parts.cluster, field.api_version)).get(field.kind)
                if resource is None:
                    continue
                async for namespace, name in names_with_notes(self._parts.cluster, resource, tuple(namespaces)):
                    self._parts.guard()
                    skipped = await restore_fields(self._parts.cluster, resource, namespace, name)
                    left.skipped += [f"{field.kind} {namespace or ''}/{name}: {each.why}" for each in skipped]
            except ClusterError as error:
                left.fail(f"{field.kind}: {error}", error)

    def _tell(self, override: Override, left: Left, *, late: bool) -> None:
        meta = override.metadata
        ref = ObjectRef(API_VERSION, override.kind, meta.namespace, meta.name, meta.uid)
        if late and left.failed:
            text = f"{len(left.failed)} not restored within {override.spec.restore_timeout}: {left.failed[0]}"
            self._parts.events.event(ref, "Warning", Reason.RESTORE_TIMED_OUT, text[:1000])
        if left.skipped:
            text = f"{len(left.skipped)} left as they are: {'; '.join(left.skipped[:5])}"
            self._parts.events.event(ref, "Normal", Reason.RESTORING, text[:1000])
        log.info("override ended", override=label_of(override), skipped=left.skipped[:20], failed=left.failed[:20])

    async def _finalizers(self, override: Override, names: list[str]) -> None:
        self._parts.guard()
        key, copies = key_of(override), ",".join(copied_names(override))
        notes: dict[str, object] = {"annotations": {COPIES: copies}} if copies else {}
        metadata = {"resourceVersion": override.metadata.resource_version, "finalizers": names, **notes}
        place = key.namespace or None
        try:
            raw = await self._parts.cluster.merge_patch(resource_of(key), place, key.name, {"metadata": metadata})
        except NotFound:
            self._parts.store.drop(key)
            return
        if names or override.metadata.deletion_timestamp is None:
            self._parts.store.keep(key, raw)


def _without(finalizers: Iterable[str]) -> list[str]:
    return [name for name in finalizers if name != FINALIZER]

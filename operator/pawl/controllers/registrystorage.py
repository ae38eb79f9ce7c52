"""RegistryStorage: gather -> decide -> remember -> act, once a key, whoever asked for it.

The memory is stored before anything is done, in the ledger first and then in the status; so a crash anywhere repeats a
step. What the API server refuses of an act is said at the next look, which follows at once.
Neighbours: `registryfacts` reads, `decide.storagemachine` judges, `registryacts` writes, `registryreport` tells.
Not here: any decision about a store.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import structlog

from pawl.api.errors import Conflict, Forbidden, NotFound, Stalled
from pawl.api.reasons import Reason
from pawl.api.registrystorage import RegistryStorage
from pawl.cluster.client import Cluster
from pawl.cluster.resources import REGISTRY_STORAGES
from pawl.controllers.queue import Key
from pawl.controllers.registryacts import RegistryActor
from pawl.controllers.registryapply import Done, Guard, Refusal
from pawl.controllers.registryfacts import Extra, FactsGatherer, Gathered
from pawl.controllers.registryfinish import RegistryFinisher
from pawl.controllers.registryjobs import NO_IMAGE
from pawl.controllers.registrymemory import MemoryBook
from pawl.controllers.registrymetrics import RegistryMetrics
from pawl.controllers.registryplans import PlanDesk
from pawl.controllers.registryproofs import Proofs
from pawl.controllers.registryreport import Look, RegistryReporter
from pawl.controllers.registrystore import RegistryStore
from pawl.decide.storagefacts import Step
from pawl.decide.storagemachine import step as judge

IDLE: Final = 300.0
"""Seconds between two looks at one that stalled."""
SOON: Final = 0.2
GOING: Final = 2.0
"""Seconds until something that must go first is looked for again."""
DUE: Final = 5.0
"""Least seconds until a certificate or password that is to change is looked at again."""
RIGHTS: Final = 30.0
"""Seconds until something that may not be done is tried again: rights are not watched."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RegistryParts:
    """What the controller works with. `now` gives seconds since the epoch, `image` is Pawl's own."""

    cluster: Cluster
    store: RegistryStore
    gatherer: FactsGatherer
    book: MemoryBook
    actor: RegistryActor
    plans: PlanDesk
    proofs: Proofs
    reporter: RegistryReporter
    finisher: RegistryFinisher
    metrics: RegistryMetrics
    guard: Guard
    now: Callable[[], float]
    image: str = ""
    partial: bool = False


@dataclass(slots=True)
class _Known:
    """What was learnt of one registry at the last look. `collection`: the one that a plan is wanted for."""

    refused: tuple[Refusal, ...] = ()
    collection: str = ""


class RegistryStorageController:
    """Reconciles RegistryStorages. One for a term."""

    def __init__(self, parts: RegistryParts) -> None:
        self._parts = parts
        self._known: dict[Key, _Known] = {}

    async def reconcile(self, key: Key) -> float | None:
        """Look at one registry and return the seconds until the next look, None for never."""
        storage = self._parts.store.get(key)
        if storage is None:
            self._forget(key)
            return None
        try:
            return await self._look(key, storage)
        except (Conflict, NotFound):
            self._parts.book.forget(key)
            await self._reread(key)
            return SOON
        except Forbidden as error:
            return await self._stall(storage, Reason.MISSING_RIGHT, str(error))
        except Stalled as stalled:
            return await self._stall(storage, Reason(stalled.reason), stalled.message)

    def interval(self, _key: Key) -> float:
        """Return the seconds after which one that stalled is looked at again."""
        return IDLE

    async def _look(self, key: Key, storage: RegistryStorage) -> float | None:
        parts = self._parts
        if storage.metadata.deletion_timestamp is not None:
            return await parts.finisher.finish(storage, self._now())
        if await parts.finisher.mark(storage):
            return 0.0
        known = self._known.setdefault(key, _Known())
        parts.guard()  # keeping access writes Secrets
        gathered = await parts.gatherer.gather(key, storage, self._extra(key, storage, known))
        step = judge(gathered.facts)
        if step.memory.revision:
            parts.guard()
            await parts.book.write(key, step.memory)
        await parts.reporter.report(Look(gathered, step, known.refused, "" if parts.image else NO_IMAGE))
        parts.metrics.looked(key, gathered.facts, step)
        done = await self._act(key, gathered, step, known)
        return self._next(gathered, step, done, changed=self._learn(key, known, done))

    async def _act(self, key: Key, gathered: Gathered, step: Step, known: _Known) -> Done:
        parts, done = self._parts, Done()
        if step.want is not None:
            done = await parts.actor.act(gathered, step.want)
            if await parts.proofs.look(key, gathered, done):
                done.written += 1  # its conditions are told at the next look
        collection = step.memory.collection
        wanted = step.want is not None and step.want.ask_plan and collection is not None
        known.collection = collection.id if wanted and collection is not None else ""
        if known.collection and gathered.meter is not None:
            parts.plans.ask(gathered.storage, known.collection, gathered.meter)
        elif not known.collection:
            parts.plans.forget(key)
        return done

    def _extra(self, key: Key, storage: RegistryStorage, known: _Known) -> Extra:
        made = self._parts.plans.made(key, known.collection) if known.collection else None
        if made is not None:
            self._parts.metrics.planned(key, made.seconds)
        return Extra(
            plan=made.plan if made is not None else None,
            partial=self._parts.partial or bool(made is not None and made.partial),
            conditions=self._parts.proofs.conditions(key, list(storage.status.conditions)),
        )

    def _learn(self, key: Key, known: _Known, done: Done) -> bool:
        """Note what was refused, and return whether it is another thing than before."""
        refused = tuple(dict.fromkeys(done.refused))
        changed = refused != known.refused
        for each in refused if changed else ():
            log.warning("refused", registry=f"{key.namespace}/{key.name}", reason=each.reason, error=each.message)
        known.refused = refused
        return changed

    def _next(self, gathered: Gathered, step: Step, done: Done, *, changed: bool) -> float:
        due = gathered.access.due
        left = (due - gathered.facts.now).total_seconds() if due is not None else step.wait
        wait = min(step.wait, max(left, DUE))
        if changed or done.written:
            return min(wait, SOON * 5)
        if done.waiting:
            return min(wait, GOING)
        return min(wait, RIGHTS) if done.refused else wait

    async def _stall(self, storage: RegistryStorage, reason: Reason, message: str) -> float:
        await self._parts.reporter.stall(storage, reason, message, self._now())
        return RIGHTS

    async def _reread(self, key: Key) -> None:
        try:
            self._parts.store.offer(await self._parts.cluster.get(REGISTRY_STORAGES, key.namespace, key.name))
        except NotFound:
            self._parts.store.drop(key)

    def _forget(self, key: Key) -> None:
        self._known.pop(key, None)
        self._parts.book.forget(key)
        self._parts.plans.forget(key)
        self._parts.proofs.forget(key)
        self._parts.metrics.forget(key)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._parts.now(), UTC)

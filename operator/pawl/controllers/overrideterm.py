"""The part of a term that is about overrides: it sleeps until there is one, then keeps a world and works its keys.

A cluster without overrides pays for none of it. Neighbours: `term` starts it. Not here: what the controllers do.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from pawl.api.errors import ClusterError
from pawl.api.imageoverride import Jobs
from pawl.cluster.debts import DebtStore
from pawl.cluster.resources import CLUSTER_IMAGE_RULES, IMAGE_RULES
from pawl.cluster.secrets import SecretReader
from pawl.cluster.world import Change, World
from pawl.controllers.access import AccessReader
from pawl.controllers.explain import Explainer
from pawl.controllers.explanations import Explanations
from pawl.controllers.fightfeed import Fights
from pawl.controllers.gatekeeping import GateKeeper
from pawl.controllers.imageoverride import ImageOverrideController, OverrideParts
from pawl.controllers.imagerules import RULES, ImageRulesController, RulesParts
from pawl.controllers.loop import Loop
from pawl.controllers.overrideacts import Actor
from pawl.controllers.overridecopies import Copies
from pawl.controllers.overridedebts import Debts
from pawl.controllers.overridefacts import FactsGatherer, Sources
from pawl.controllers.overridefinish import Finisher, FinishParts
from pawl.controllers.overridemetrics import MeasuredTables
from pawl.controllers.overridereport import OverrideReporter
from pawl.controllers.overridescope import namespaces_of
from pawl.controllers.overrideterms import TermsReader
from pawl.controllers.overridewakes import Wakes
from pawl.controllers.prepulls import Prepulls
from pawl.controllers.pullkeys import PullKeys
from pawl.controllers.queue import Key
from pawl.controllers.replica import Replica
from pawl.controllers.savedjobs import SavedJobs
from pawl.controllers.secretcopies import SecretCopies
from pawl.controllers.sightings import Sightings
from pawl.controllers.sightings_ask import Manifests
from pawl.controllers.standing import Board
from pawl.controllers.surveys import Believed
from pawl.controllers.tasks import run_until
from pawl.decide.objects import SYSTEM_NAMESPACES

POLL: Final = 1.0
PATIENCE: Final = 10.0
"""Seconds until debts that could not be listed are listed again."""
RIGHTS: Final = 300.0
"""Seconds until debts that may not be listed are asked for again: rights are not watched."""

log = structlog.get_logger(__name__)


class OverrideTerm:
    """All about overrides that lives as long as a term. `guard` raises LeaseLost where nothing may be written."""

    def __init__(self, replica: Replica, guard: Callable[[], int]) -> None:
        self._replica = replica
        self._guard = guard
        self._clock = asyncio.get_running_loop().time
        self._board = Board()
        self._wakes = Wakes(replica.override_queue, replica.overrides, self._board)
        settings = replica.settings
        scopes, clustered = settings.watch_namespaces, replica.overrides.clustered
        self._world = World(replica.cluster, scopes, self._changed)
        self._metrics = replica.metrics.overrides
        self._tables = MeasuredTables(
            replica.cluster, scopes, clustered=clustered, on_change=self._wakes.table, metrics=self._metrics
        )
        self._fights = Fights(self._world, self._board, replica.overrides, replica.override_queue.add, time.time)
        self._excluded = SYSTEM_NAMESPACES | {settings.namespace}
        self._saved = SavedJobs(replica.cluster, guard)
        secrets = SecretReader(replica.cluster)
        self._terms = TermsReader(AccessReader(secrets), settings.namespace)
        keys = PullKeys(secrets)
        self._sightings = Sightings(keys, Manifests(replica.registry, replica.network))
        self._explainer = Explainer(keys, Manifests(replica.registry, replica.network))
        self._copies = Copies(SecretCopies(replica.cluster))
        self._debts = Debts(DebtStore(replica.cluster), guard, scopes)
        self._gate = GateKeeper(
            replica.gate, manage=settings.manage_gate, clock=self._clock, recheck=settings.gate_recheck
        )

    async def run(self) -> None:
        """Work until cancelled."""
        replica = self._replica
        if replica.overrides.blind:
            return
        await self._until_needed()
        log.info("overrides are worked on", overrides=len(tuple(replica.overrides)))
        replica.overrides.listen(self._wakes.override)
        replica.store.listen(self._wakes.policy)
        works = {
            "ImageRules": self._rules_loop(),
            **dict.fromkeys(("ImageOverride", "ClusterImageOverride"), self._loop()),
        }
        for key in (RULES, *replica.overrides):
            replica.override_queue.add(key)

        async def work(key: Key) -> None:
            await works[key.kind].work(key)

        parts = (
            self._world.run(),
            self._tables.run(),
            replica.override_queue.run(work),
            self._saved.run(),
            self._wakes.watch(self._blind),
        )
        try:
            with self._metrics.term(self._world, self._tables):
                await run_until(asyncio.Event(), *parts, self._gate.run(self._all), self._resume_jobs(), self._settle())
        finally:
            await self._sightings.aclose()
            await self._explainer.aclose()

    def _all(self) -> None:
        """Look at every override: another gate rewrites Pods, or none does."""
        for key in self._replica.overrides:
            self._replica.override_queue.add(key)

    async def _resume_jobs(self) -> None:
        """Make again what a crash left deleted: in every namespace where an override may recreate Jobs."""
        await asyncio.gather(self._world.until_synced(), self._replica.complete.wait())
        rows = self._world.namespaces()
        for override in self._replica.overrides.readable():
            if override.spec.enforcement.jobs is Jobs.RECREATE_STUCK:
                self._saved.look(namespaces_of(override, rows, self._excluded))

    async def _settle(self) -> None:
        """Look at every override that owes: one that was deleted while nobody led wakes nobody else."""
        await self._replica.complete.wait()
        while True:
            answered = await self._debts.fill()
            self._look_at(self._debts)
            if self._debts.complete:
                return
            await asyncio.sleep(RIGHTS if answered else PATIENCE)

    def _look_at(self, owing: Iterable[Key]) -> None:
        """Wake overrides that owe; one that is gone may have left a Job between delete and create as well."""
        living = frozenset(self._replica.overrides)
        for key in owing:
            self._replica.override_queue.add(key)
        self._saved.look({key.namespace for key in owing if key not in living})

    async def _until_needed(self) -> None:
        """Return once there is an override, or a table or a debt that one left behind."""
        left: bool | None = None
        while not (left or self._replica.overrides):
            left = await self._left_behind() if left is None else left  # without overrides no table comes
            await asyncio.sleep(0.0 if left else POLL)

    async def _left_behind(self) -> bool | None:
        """Tell whether there are tables or debts, None where that could not be asked."""
        replica, known = self._replica, await self._debts.fill()
        if len(self._debts):
            return True
        places = [(IMAGE_RULES, place) for place in replica.settings.watch_namespaces or (None,)]
        if replica.overrides.clustered:
            places.append((CLUSTER_IMAGE_RULES, None))
        for resource, place in places:
            try:
                async for page in replica.cluster.list_pages(resource, place, limit=1, metadata_only=True):
                    if replica.store.versions(page):
                        return True
                    break
            except ClusterError as error:
                log.warning("tables could not be listed", error=str(error))
                known = False
        return False if known else None

    def _changed(self, change: Change) -> None:
        self._fights.changed(change)
        self._wakes.world(change)

    def _blind(self) -> tuple[str, ...]:
        return (*self._world.missing_rights(), *self._tables.denied())

    def _rules_loop(self) -> Loop:
        replica = self._replica
        parts = RulesParts(
            overrides=replica.overrides,
            policies=replica.store,
            world=self._world,
            tables=self._tables,
            targets=Believed(self._sightings),
            copies=self._copies,
            terms=self._terms,
            board=self._board,
            guard=self._guard,
            wake=replica.override_queue.add,
            exempt=self._fights.exempt,
            excluded=self._excluded,
            complete=replica.complete.is_set,
        )
        return Loop(replica.override_queue, ImageRulesController(parts), replica.metrics)

    def _loop(self) -> Loop:
        replica = self._replica
        prepulls = Prepulls(replica.cluster, self._world, replica.settings.pull_secrets)
        explanations = Explanations(self._explainer, self._clock)
        sources = Sources(self._world, self._gate, self._fights, prepulls, explanations, self._terms)
        finish = FinishParts(
            replica.cluster,
            self._world,
            replica.overrides,
            self._copies,
            self._debts,
            self._gate,
            replica.recorder,
            self._guard,
            time.time,
        )
        parts = OverrideParts(
            cluster=replica.cluster,
            world=self._world,
            store=replica.overrides,
            board=self._board,
            gatherer=FactsGatherer(sources),
            gate=self._gate,
            actor=Actor(replica.cluster, self._world, (prepulls, self._saved), self._guard, metrics=self._metrics),
            fights=self._fights,
            reporter=OverrideReporter(replica.cluster, replica.overrides, replica.recorder, self._guard),
            finisher=Finisher(finish),
            metrics=self._metrics,
            blind=self._blind,
            unseen_tables=self._tables.denied,
            wakes=self._wakes,
            now=time.time,
            clock=self._clock,
        )
        return Loop(replica.override_queue, ImageOverrideController(parts), replica.metrics)

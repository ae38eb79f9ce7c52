"""The controller of one override: gather -> decide -> act -> report, level-triggered.

It never asks what happened: what was begun is seen in the world, so a crash at any point is one more look.
Neighbours: `imagerules` keeps the tables, `overridefacts` gathers, `decide.stages` decides, `overrideacts` writes,
`overridereport` tells, `overridefinish` takes back. Not here: rules about images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from pawl.api.errors import ClusterError, Conflict, Forbidden, NotFound
from pawl.api.imageoverride import Override
from pawl.api.reasons import Reason
from pawl.cluster.client import Cluster
from pawl.cluster.world import World
from pawl.controllers.assessments import Assessments
from pawl.controllers.customfields import CustomFields
from pawl.controllers.fightfeed import Fights
from pawl.controllers.gatekeeping import GateKeeper
from pawl.controllers.overrideacts import Actor, Done, row_of
from pawl.controllers.overridefacts import FactsGatherer, Gathered, Memory
from pawl.controllers.overridefinish import Finisher
from pawl.controllers.overridemetrics import OverrideMetrics, unmeasured
from pawl.controllers.overridereport import Look, OverrideReporter
from pawl.controllers.overridestore import OverrideStore, key_of, label_of, resource_of
from pawl.controllers.overridewakes import Wakes
from pawl.controllers.queue import Key
from pawl.controllers.standing import Board, Standing
from pawl.controllers.store import requested_at
from pawl.decide.rollout import RolloutDecision
from pawl.decide.rollout_actions import Action, DeleteJob, Evict, RecreateJob, RewriteField, RewriteTemplate

IDLE: Final = 300.0
"""Seconds between two looks at an override that has nothing to do."""
SOON: Final = 0.2
"""Seconds until a write of ours, or a table, must have shown itself."""
RIGHTS: Final = 30.0
"""Seconds until something that may not be done is tried again: rights are not watched."""


@dataclass(frozen=True, slots=True)
class OverrideParts:
    """What the controller works with. `now` gives seconds since the epoch, `clock` monotonic ones.

    `blind` says what may not be seen, in sentences, where no tables can be made without it; `unseen_tables` that of
    tables alone.
    """

    cluster: Cluster
    world: World
    store: OverrideStore
    board: Board
    gatherer: FactsGatherer
    gate: GateKeeper
    actor: Actor
    fights: Fights
    reporter: OverrideReporter
    finisher: Finisher
    wakes: Wakes
    now: Callable[[], float]
    clock: Callable[[], float]
    metrics: OverrideMetrics = field(default_factory=unmeasured)
    blind: Callable[[], tuple[str, ...]] = tuple
    unseen_tables: Callable[[], tuple[str, ...]] = tuple


class ImageOverrideController:
    """Reconciles overrides of both kinds. One for a term."""

    def __init__(self, parts: OverrideParts) -> None:
        self._parts = parts
        self._memory: dict[Key, Memory] = {}

    async def reconcile(self, key: Key) -> float | None:
        """Look at one override and return the seconds until the next look, None for never."""
        override = self._parts.store.get(key)
        if override is None:
            self._memory.pop(key, None)
            self._parts.metrics.forget(key)
            self._parts.wakes.interested(key, ())
            return await self._settle(key)
        try:
            return await self._look(key, override)
        except (Conflict, NotFound):
            await self._reread(key)
            return SOON
        except Forbidden as error:
            return await self._stall(override, str(error))

    async def _settle(self, key: Key) -> float | None:
        again = await self._parts.finisher.settle(key, self._parts.board.standing)
        if again is None:
            self._parts.wakes.tables()
        return again

    async def _stall(self, override: Override, message: str) -> float:
        await self._parts.reporter.stall(override, Reason.MISSING_RIGHT, message, self._parts.now())
        return RIGHTS

    def interval(self, _key: Key) -> float:
        """Return the seconds after which an override that stalled is looked at again."""
        return IDLE

    async def _reread(self, key: Key) -> None:
        try:
            self._parts.store.offer(
                key, await self._parts.cluster.get(resource_of(key), key.namespace or None, key.name)
            )
        except NotFound:
            self._parts.store.drop(key)

    async def _look(self, key: Key, override: Override) -> float | None:
        parts, standing = self._parts, self._parts.board.standing
        if override.metadata.deletion_timestamp is not None:
            return await self._finish(override, standing)
        if await parts.finisher.mark(override, standing):
            return 0.0
        seen = override.metadata.generation, requested_at(override)
        if standing is None or not standing.knows(label_of(override), *seen):
            missing = parts.blind() if standing is None else ()
            if missing:
                return await self._stall(override, missing[0])
            parts.wakes.tables_late()
            return SOON
        memory = self._memory.setdefault(key, self._fresh())
        gathered = await parts.gatherer.gather(override, standing, memory)
        watched = tuple(_watched(gathered))
        parts.wakes.interested(key, watched)
        if parts.actor.under_way(watched):
            return SOON
        decision = memory.decide(gathered.facts, parts.now())
        done = await self._act(override, decision, memory)
        await self._report(override, standing, (gathered, decision, done))
        return self._next(decision, done)

    async def _finish(self, override: Override, standing: Standing | None) -> float | None:
        again = await self._parts.finisher.finish(override, standing)
        denied = self._parts.finisher.denied(override) if again is not None else ""
        if denied:
            await self._parts.reporter.stall(override, Reason.MISSING_RIGHT, denied, self._parts.now())
        return again

    def _fresh(self) -> Memory:
        return Memory(Assessments(self._parts.world), CustomFields(self._parts.cluster, self._parts.clock))

    async def _act(self, override: Override, decision: RolloutDecision, memory: Memory) -> Done:
        if not decision.actions:
            return Done()
        self._note(override, decision.actions)
        if any(isinstance(action, RewriteField) for action in decision.actions):
            memory.fields.forget()
        return await self._parts.actor.act(decision.actions)

    def _note(self, override: Override, actions: tuple[Action, ...]) -> None:
        """Tell the fight detectors what is ours, before it happens: the watch may be quicker than the answer."""
        for action in actions:
            row = row_of(action)
            if isinstance(action, RewriteTemplate):
                self._parts.fights.wrote(label_of(override), action.workload, action.images)
            elif isinstance(action, (Evict, DeleteJob, RecreateJob)) and row is not None:
                self._parts.fights.ended(row.uid)

    async def _report(
        self, override: Override, standing: Standing, came: tuple[Gathered, RolloutDecision, Done]
    ) -> None:
        gathered, decision, done = came
        world, covered = self._parts.world, {*gathered.namespaces, override.metadata.namespace}
        refused = (
            *done.refused.values(),
            *gathered.fields.trouble,
            *world.missing_rights(covered),
            *self._parts.unseen_tables(),
        )
        look = Look(
            override,
            standing,
            decision,
            await self._gate(override),
            self._parts.fights.contests(override),
            refused,
            len(gathered.namespaces),
            self._parts.actor.unmade(gathered.namespaces),
            world.sees_nodes,
        )
        self._parts.metrics.gate(look.gate)
        self._parts.metrics.looked(key_of(override), decision.counts, decision.spotted, len(look.contests))
        await self._parts.reporter.report(look, self._parts.now())

    async def _gate(self, override: Override) -> str:
        """Return what rewrites Pods; where that cannot be asked, probes say so, and the status keeps what it says."""
        try:
            return await self._parts.gate.kind()
        except ClusterError:
            return override.status.gate

    def _next(self, decision: RolloutDecision, done: Done) -> float:
        if done.refused:
            return 5.0
        if done.written or done.stale:
            return SOON
        return min(decision.wait if decision.wait is not None else IDLE, IDLE)


def _watched(gathered: Gathered) -> Iterator[str]:
    """Yield the uids of all that the decision was about: until a write to one of them shows, it is not decided anew."""
    facts = gathered.facts
    for each in facts.assessments:
        yield each.row.uid
        yield from (state.pod.uid for state in each.pods)
    yield from (row.uid for rows in (*facts.parents.values(), facts.explicit) for row in rows)

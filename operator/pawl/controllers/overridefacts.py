"""Gathers all facts for one decision about an override: the only reads of its controller.

Most of it is memory: rows, tables, answers of registries. The API server is asked for probes of the gate and for custom
resources, and both are remembered. Neighbours: `decide.stages` decides on what is gathered here. Not here: writes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from pawl.api.errors import ClusterError
from pawl.api.imageoverride import Override
from pawl.api.reasons import Reason
from pawl.cluster.ruletables import CLUSTER
from pawl.cluster.world import World
from pawl.controllers.assessments import Assessments
from pawl.controllers.customfields import CustomFields, Fields
from pawl.controllers.explanations import Explanations
from pawl.controllers.fightfeed import Fights
from pawl.controllers.gatekeeping import GateFault, GateKeeper
from pawl.controllers.overridescope import namespaces_of
from pawl.controllers.overridestore import label_of
from pawl.controllers.overrideterms import TermsReader
from pawl.controllers.prepulls import Prepulls
from pawl.controllers.standing import Standing
from pawl.decide.digests import Ask
from pawl.decide.objects import PodRow, WorkloadRow
from pawl.decide.rollout import Assessment, Gate, RolloutDecision, RolloutFacts
from pawl.decide.stages import decide

PROBES: Final = 16
"""Namespaces whose gate is asked at once: one that does not rewrite is waited for, and the others not after it."""
ROUNDS: Final = 2
"""A digest that the wanted repository never had is asked for where the imageID says that it came from."""
HOLDS: Final = 60.0
"""Seconds after which a decision is made anew though its facts are equal."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where facts come from; shared by all overrides of a term."""

    world: World
    gate: GateKeeper
    fights: Fights
    prepulls: Prepulls
    explanations: Explanations
    terms: TermsReader
    now: Callable[[], float] = time.time


@dataclass(slots=True)
class Memory:
    """What is remembered of one override. A crash forgets it, which only lengthens a deadline."""

    assessments: Assessments
    fields: CustomFields
    begun: dict[str, tuple[str, float]] = field(default_factory=dict)
    last: tuple[RolloutFacts, RolloutDecision, float] | None = None
    """The last decision, with its facts and the time until which it holds if those stay equal."""

    def decide(self, facts: RolloutFacts, now: float) -> RolloutDecision:
        """Decide; where neither facts nor time brought anything new since a decision to do nothing, that is returned.

        Ten thousand Pods that stayed as they were are the same objects, and comparing those costs next to nothing.
        """
        if self.last is not None and now < self.last[2] and self.last[0] == facts:
            return self.last[1]
        decision = decide(facts, now)
        wait = HOLDS if decision.wait is None else min(decision.wait, HOLDS)
        self.last = None if decision.actions else (facts, decision, now + wait)
        return decision


@dataclass(frozen=True, slots=True)
class Gathered:
    """The facts, the namespaces that are covered, and what could not be read."""

    facts: RolloutFacts
    namespaces: tuple[str, ...]
    fields: Fields


@dataclass(frozen=True, slots=True)
class _Family:
    """The workloads above others, by uid of those, those that the spec names, and the Pods of both."""

    parents: Mapping[str, tuple[WorkloadRow, ...]]
    explicit: tuple[WorkloadRow, ...]
    pods: Mapping[str, tuple[PodRow, ...]]


class FactsGatherer:
    """Gathers. One for a term."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    async def gather(self, override: Override, standing: Standing, memory: Memory) -> Gathered:
        """Return the facts. Raises ClusterError where the gate as a whole could not be asked about."""
        world = self._sources.world
        namespaces = namespaces_of(override, world.namespaces(), standing.rulebook.left_alone)
        assessments = await self._assess(override, standing, namespaces, memory)
        waits = label_of(override) in standing.pending
        gate, blocked = (
            (Gate(in_force=True, since=self._sources.now()), {}) if waits else await self._gate(standing, assessments)
        )
        fields = await memory.fields.look(override, standing, namespaces)
        family, contests = self._family(override, assessments), self._sources.fights.contests(override)
        facts = RolloutFacts(
            override=label_of(override),
            uid=override.metadata.uid,
            spec=override.spec,
            assessments=assessments,
            gate=gate,
            parents=family.parents,
            explicit=family.explicit,
            parent_pods=family.pods,
            fields=fields.differ,
            contested=frozenset(each.uid for each in contests),
            churned=frozenset(each.uid for each in contests if each.reason == Reason.POD_CHURN),
            begun=self._begun(assessments, memory),
            blocked=blocked,
            nodes=tuple(world.nodes()),
            sees_nodes=world.sees_nodes,
            pulls=self._sources.prepulls.states(namespaces),
        )
        return Gathered(facts, namespaces, fields)

    async def _assess(
        self, override: Override, standing: Standing, namespaces: tuple[str, ...], memory: Memory
    ) -> tuple[Assessment, ...]:
        """Judge everything; where verdicts ask for digests, ask the registries and judge again."""
        explanations, known = self._sources.explanations, memory.assessments
        found = known.of(override, standing, namespaces, explanations.explained)
        for _ in range(ROUNDS):
            asks = {ask for assessment in found for ask in assessment.asks}
            if not asks or not await self._explain(override, asks):
                break
            found = known.of(override, standing, namespaces, explanations.explained)
        return found

    async def _explain(self, override: Override, asks: set[Ask]) -> bool:
        platforms = {node.platform for node in self._sources.world.nodes()}
        terms = await self._sources.terms.read(override)
        return await self._sources.explanations.answer(asks, platforms, terms.ca)

    async def _gate(
        self, standing: Standing, assessments: Iterable[Assessment]
    ) -> tuple[Gate, Mapping[str, tuple[str, str]]]:
        """Probe each namespace where something is to be seen to; one that fails holds back its own workloads."""
        places = sorted({each.row.namespace for each in assessments})
        faults: dict[str, GateFault] = {}
        since: list[float] = []
        slots = asyncio.Semaphore(PROBES)
        found = await asyncio.gather(*(self._fault(namespace, standing, slots) for namespace in places))
        for namespace, fault in zip(places, found, strict=True):
            stored = standing.stored_table(namespace)
            if fault is not None:
                faults[namespace] = fault
            elif stored is not None:
                since.append(max(stored.written, self._sources.gate.back_since(namespace)))
        if faults and not since:
            fault = next(iter(faults.values()))
            return Gate(in_force=False, reason=fault.reason, message=fault.message), {}
        blocked = {
            each.row.uid: (faults[each.row.namespace].reason.value, faults[each.row.namespace].message)
            for each in assessments
            if each.row.namespace in faults
        }
        return Gate(in_force=True, since=max(since, default=0.0)), blocked

    async def _fault(self, namespace: str, standing: Standing, slots: asyncio.Semaphore) -> GateFault | None:
        stored = standing.stored_table(namespace)
        failed = standing.failed.get(namespace) or standing.failed.get(CLUSTER)
        if failed is not None:
            return GateFault(Reason.MISSING_RIGHT, failed)
        if stored is None:
            return GateFault(Reason.GATE_NOT_REWRITING, f"namespace {namespace} has no table yet")
        try:
            async with slots:
                return await self._sources.gate.fault(namespace, stored)
        except ClusterError as error:
            return GateFault(Reason.GATE_NOT_REWRITING, str(error))

    def _family(self, override: Override, assessments: Iterable[Assessment]) -> _Family:
        world = self._sources.world
        parents = {each.row.uid: world.parents_of(each.row) for each in assessments if each.row.owners}
        explicit = tuple(_explicit(override, world))
        above = {row.uid: row for rows in (*parents.values(), explicit) for row in rows}
        pods: dict[str, tuple[PodRow, ...]] = {
            uid: tuple(pod for pod in world.pods_of(uid) if pod.live) for uid in above
        }
        found = {uid: rows for uid, rows in parents.items() if rows}
        return _Family(found, explicit, pods)

    def _begun(self, assessments: Iterable[Assessment], memory: Memory) -> Mapping[str, float]:
        fresh: dict[str, tuple[str, float]] = {}
        for each in assessments:
            row = each.row
            if isinstance(row, WorkloadRow) and row.rollout:
                known = memory.begun.get(row.uid)
                same = known is not None and known[0] == row.rollout
                fresh[row.uid] = known if known is not None and same else (row.rollout, self._sources.now())
        memory.begun = fresh
        return {uid: at for uid, (_, at) in fresh.items()}


def _explicit(override: Override, world: World) -> Iterable[WorkloadRow]:
    for parent in override.spec.enforcement.parents:
        namespace = parent.namespace or override.metadata.namespace
        for row in world.workloads(namespace):
            if (row.kind, row.name) == (parent.kind.value, parent.name):
                yield row

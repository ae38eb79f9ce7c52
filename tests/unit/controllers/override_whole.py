"""Everything about overrides on one stage, driven by hand: tables first, then each override, as the queue would.

Neighbours: `override_doubles` is the stage. Not here: the queue, watches (tests/cluster).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.unit.controllers.override_doubles import Gate, Stage

from pawl.api.imageoverride import Override
from pawl.cluster.debts import DebtStore
from pawl.cluster.events import ObjectRef
from pawl.controllers.explain import Explanation, Foreign, Knowledge
from pawl.controllers.explanations import Explanations
from pawl.controllers.gatekeeping import GateKeeper
from pawl.controllers.imageoverride import ImageOverrideController, OverrideParts
from pawl.controllers.overrideacts import Actor
from pawl.controllers.overridedebts import Debts
from pawl.controllers.overridefacts import FactsGatherer, Sources
from pawl.controllers.overridefinish import Finisher, FinishParts
from pawl.controllers.overridereport import OverrideReporter
from pawl.controllers.overridestore import key_of
from pawl.controllers.overridewakes import Wakes
from pawl.controllers.prepulls import Prepulls
from pawl.controllers.queue import Key
from pawl.controllers.savedjobs import SavedJobs


@dataclass
class Told:
    """Events that were told: type, reason and message."""

    events: list[tuple[str, str, str]] = field(default_factory=list)

    def event(self, _ref: ObjectRef, type_: str, reason: str, message: str) -> None:
        self.events.append((type_, reason, message))


@dataclass
class Queue:
    """Keys that were added, each with its delay."""

    added: list[tuple[Key, float]] = field(default_factory=list)

    def add(self, key: Key) -> None:
        self.added.append((key, 0.0))

    def add_at(self, key: Key, delay: float) -> None:
        self.added.append((key, delay))

    def taken(self) -> set[Key]:
        found, self.added = {key for key, _ in self.added}, []
        return found


@dataclass
class Explains:
    """Explains foreign digests by `configs`; what is not there is missing, or unknown while `silent`."""

    configs: dict[str, str] = field(default_factory=dict)
    silent: bool = False
    asked: list[Foreign] = field(default_factory=list)

    async def explain(self, foreign: Foreign) -> Explanation:
        self.asked.append(foreign)
        if self.silent:
            return Explanation(Knowledge.UNKNOWN, message="nobody answers", silent=True)
        found = self.configs.get(foreign.digest)
        return Explanation(Knowledge.EXPLAINED, frozenset({found})) if found else Explanation(Knowledge.MISSING)


class Whole:
    """All parts of a term on a stage."""

    def __init__(self, stage: Stage, gate: Gate | None = None) -> None:
        self.stage, self.gate = stage, gate or Gate(tick=0.0)
        self.told, self.queue, self.explains = Told(), Queue(), Explains()
        events: Any = self.told
        queue: Any = self.queue
        explains: Any = self.explains
        cluster, world = stage.cluster, stage.world
        self.keeper = GateKeeper(self.gate, manage=False, clock=self._time, now=self._time)
        self.saved, self.prepulls = SavedJobs(cluster, stage.guard), Prepulls(cluster, world)
        self.explanations = Explanations(explains, self._time)
        self.wakes = Wakes(queue, stage.overrides, stage.board)
        self.debts = Debts(DebtStore(cluster), stage.guard)
        self.finisher = Finisher(self._finish(events))
        self.actor = Actor(cluster, world, (self.prepulls, self.saved), stage.guard, self._time)
        self.reporter = OverrideReporter(cluster, stage.overrides, events, stage.guard)
        self.controller = ImageOverrideController(self._parts())

    def _time(self) -> float:
        return self.stage.time

    def _finish(self, events: Any) -> FinishParts:
        stage = self.stage
        return FinishParts(
            cluster=stage.cluster,
            world=stage.world,
            store=stage.overrides,
            copies=stage.copies,
            debts=self.debts,
            gate=self.keeper,
            events=events,
            guard=stage.guard,
            now=self._time,
            last=0.05,
        )

    def _parts(self) -> OverrideParts:
        stage = self.stage
        sources = Sources(
            stage.world, self.keeper, stage.fights, self.prepulls, self.explanations, stage.terms, self._time
        )
        return OverrideParts(
            cluster=stage.cluster,
            world=stage.world,
            store=stage.overrides,
            board=stage.board,
            gatherer=FactsGatherer(sources),
            gate=self.keeper,
            actor=self.actor,
            fights=stage.fights,
            reporter=self.reporter,
            finisher=self.finisher,
            wakes=self.wakes,
            now=self._time,
            clock=self._time,
        )

    async def turn(self, override: Override) -> float | None:
        """Look at the tables, then at one override."""
        await self.stage.look()
        return await self.controller.reconcile(key_of(override))

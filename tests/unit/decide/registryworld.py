"""A registry's world for tests of its machine: a server that follows with delay, Jobs, claims, and what was pushed.

`look` gathers, judges, stores the ledger, then the status, then acts, and may crash in between. A Job's Pod lives on
for a while after its Job was deleted. A push reaches the store of every writable Pod.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any

from pawl.api.quantities import amount_or
from pawl.api.registrystorage import RegistryStorageSpec, RegistryStorageStatus
from pawl.api.registrystorage_status import StoreRef
from pawl.api.registrywork import Meter, Plan, Progress, Report, Task
from pawl.decide.storagefacts import Claim, Facts, Identity, Memory, Server, ServerPod, Step, Want, Work, WorkWant
from pawl.decide.storagemachine import merge, step
from pawl.decide.stores import wanted_store

EPOCH = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
CLAIM = {"filesystem": {"size": "100Gi", "storageClassName": "local"}}
BIGGER = {"filesystem": {"size": "200Gi", "storageClassName": "local", "series": 1}}
POD = {"filesystem": {"accessMode": "ReadWriteOncePod"}}
EXISTING = {"filesystem": {"existingClaim": "mine"}}
BUCKET = {"s3": {"bucket": "images", "endpoint": "http://minio:9000", "credentialsSecretRef": {"name": "keys"}}}


class Crash(IntEnum):
    """Where a look ends: nothing stored, the ledger alone, both copies, or not at all."""

    JUDGED = 0
    LEDGER = 1
    STORED = 2
    NEVER = 3


def spec(**fields: Any) -> RegistryStorageSpec:
    return RegistryStorageSpec.model_validate({"storage": CLAIM} | fields)


@dataclass
class World:
    """Everything around the machine."""

    spec: RegistryStorageSpec = field(default_factory=spec)
    generation: int = 1
    now: datetime = EPOCH
    ledger: Memory = field(default_factory=Memory)
    status: Memory = field(default_factory=Memory)
    reported: RegistryStorageStatus = field(default_factory=RegistryStorageStatus)
    want: Want | None = None
    pods: tuple[ServerPod, ...] = ()
    works: dict[Task, Work] = field(default_factory=dict)
    begun: dict[str, frozenset[int]] = field(default_factory=dict)
    """What the source held when the Job of an order began."""
    stray: dict[str, Task] = field(default_factory=dict)
    claims: dict[str, Claim] = field(default_factory=dict)
    grows: bool | None = True
    meter: Meter | None = None
    plan: Plan | None = None
    partial: bool = False
    blocked: str = ""
    trouble: str = ""
    silent: bool = False
    content: dict[str, set[int]] = field(default_factory=dict)
    pushed: set[int] = field(default_factory=set)
    dropped: list[StoreRef] = field(default_factory=list)

    @property
    def memory(self) -> Memory:
        return merge(self.status, self.ledger)

    @property
    def wanted(self) -> StoreRef:
        return wanted_store(self.spec, self.identity)

    @property
    def identity(self) -> Identity:
        return Identity("shop", "main", "u1", self.generation)

    def facts(self, **more: Any) -> Facts:
        facts = Facts(
            now=self.now,
            identity=self.identity,
            spec=self.spec,
            status=self.reported,
            memory=self.memory,
            server=self.server(),
            works=dict(self.works),
            stray=tuple(self.stray),
            claims=dict(self.claims),
            meter=self.meter,
            plan=self.plan,
            partial_view=self.partial,
            blocked=self.blocked,
        )
        return replace(facts, **more)

    def server(self) -> Server:
        if self.want is None:
            return Server(pods=self.pods)
        seen = tuple(replace(pod, takes_pushes=self._answer(pod)) for pod in self.pods)
        rolled = self._template() == {(pod.store, pod.read_only) for pod in self.pods} or not self.want.scale
        whole = len(self.pods) == self.want.scale
        return Server(True, rolled and whole, self.want.scale, "c", seen, self.trouble)

    def _answer(self, pod: ServerPod) -> bool | None:
        return None if self.silent or not pod.read_only else False

    def _template(self) -> set[tuple[str, bool]]:
        return {(self.want.store.id, self.want.read_only)} if self.want is not None else set()

    def look(self, crash: Crash = Crash.NEVER, **more: Any) -> Step:
        found = step(self.facts(**more))
        if crash >= Crash.LEDGER:
            self.ledger = found.memory
        if crash >= Crash.STORED:
            self.status = found.memory
            self.reported = self.reported.model_copy(update={"conditions": list(found.conditions)})
        if crash >= Crash.NEVER:
            self._act(found)
        return found

    def _act(self, found: Step) -> None:
        if found.want is None:
            return
        self.plan = self.plan if found.want.ask_plan else None
        self.want = found.want
        self._claim(found.want)
        self._work({work.task: work for work in found.want.works})
        for store in found.want.drop:
            self.dropped.append(store)
            self.claims.pop(store.claim, None)
            self.content.pop(store.id, None)

    def _claim(self, want: Want) -> None:
        for store in want.claims:
            size = amount_or(store.size)
            made = Claim(store.claim, True, size, size, self.grows, False, True)
            self.claims.setdefault(store.claim, made)
        for name, size in want.grow.items():
            self.claims[name] = replace(self.claims[name], requested=size, capacity=size)

    def _work(self, wanted: dict[Task, WorkWant]) -> None:
        for task, work in list(self.works.items()):
            if task not in wanted or wanted[task].order != work.order:
                del self.works[task]
                if work.active:
                    self.stray[work.name] = task
        for task, new in wanted.items():
            if task not in self.works and not self.stray:
                name = f"main-registry-{task}-{new.order.replace('/', '-')}"
                self.works[task] = Work(task, new.order, name, active=True, succeeded=False, failed=False)
                self.begun[new.order] = frozenset(self.content.get(new.source.id, ()) if new.source else ())

    def roll(self) -> None:
        """The Deployment follows: Pods run the newest template."""
        if self.want is None:
            return
        store, rest = self.want.store, self.want.read_only
        pod = ServerPod("", "10.0.0.1", "n1", ready=True, ending=False, store=store.id, read_only=rest, config="c")
        self.pods = tuple(replace(pod, name=f"p{number}") for number in range(self.want.scale))

    def push(self) -> None:
        number = len(self.pushed)
        for store in {pod.store for pod in self.pods if pod.ready and not pod.read_only}:
            self.content.setdefault(store, set()).add(number)
            self.pushed.add(number)

    def end(self, task: Task, *, ok: bool = True, reason: str = "", **more: Any) -> None:
        """The Job of a task ends."""
        work = self.works[task]
        report = Report(task=task, done=True, ok=ok, reason=reason, message=f"said by {task}", **more)
        self.works[task] = replace(work, active=False, succeeded=ok, failed=not ok, report=report)
        if ok and task is Task.FINAL and self.memory.migration is not None:
            self.content[self.memory.migration.target.id] = set(self.begun[work.order])

    def tell(self, task: Task, phase: str = "", **figures: int) -> None:
        report = Report(task=task, phase=phase, progress=Progress(**figures))
        self.works[task] = replace(self.works[task], report=report)

    def change(self, **fields: Any) -> None:
        said = self.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
        self.spec = RegistryStorageSpec.model_validate(said | fields)
        self.generation += 1

    def later(self, **time: float) -> None:
        self.now += timedelta(**time)

    def fill(self, percent: int) -> None:
        self.meter = Meter(used=percent, capacity=100)

    def serving(self) -> World:
        """First sight, and the server runs."""
        self.look()
        self.roll()
        self.look()
        return self

    def through(self, *phases: str) -> list[str]:
        """Look until a migration has gone through these phases; the server follows, and Jobs succeed."""
        seen: list[str] = []
        for _ in range(60):
            self.look()
            self.roll()
            self.stray.clear()
            for task, work in list(self.works.items()):
                if work.active and not (phases and self.phase == phases[-1]):
                    self.end(task)
            if not seen or seen[-1] != self.phase:
                seen.append(self.phase)
            if phases and self.phase == phases[-1]:
                break
        return seen

    @property
    def phase(self) -> str:
        return str(self.memory.migration.phase) if self.memory.migration is not None else ""

    @property
    def collection(self) -> str:
        return str(self.memory.collection.phase) if self.memory.collection is not None else ""

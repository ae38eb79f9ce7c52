"""A little cluster for the tests of rollouts: workloads, Pods, a gate, and controllers that act one tick at a time.

It knows nothing of decisions: it carries actions out as the API server and the built-in controllers would, and records
every touch. Neighbours: test_stages*.py. Not here: the real API server (tests/cluster).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from pawl.api.imageoverride import ImageOverrideSpec
from pawl.api.imagerules import Entry, Table
from pawl.decide.assess import Judge, assess
from pawl.decide.digests import Content
from pawl.decide.objects import ContainerState, ImageAt, JobState, NodeRow, Owner, PodRow, PodSpec, WorkloadRow
from pawl.decide.rollout import Gate, RolloutDecision, RolloutFacts
from pawl.decide.rollout_actions import (
    Action,
    DeleteJob,
    DropZombies,
    Evict,
    RecreateJob,
    Restart,
    RewriteTemplate,
    Roll,
)
from pawl.decide.stages import decide
from pawl.decide.tables import CompiledTable, subject_of
from pawl.decide.verdicts import Evidence
from pawl.decide.wanted import ruling_of

OVERRIDE = "rook-private"
PLATFORM = "linux/amd64"


def entry(**changes: Any) -> Entry:
    return Entry.model_validate({"to": "registry.corp:5000/rook", "override": OVERRIDE, "rule": 0} | changes)


def table(entries: dict[str, list[Entry]] | None = None, **more: Any) -> CompiledTable:
    return CompiledTable.of(Table(rules=entries or {"docker.io/rook": [entry()]}, **more))


def digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def content(reference: str) -> Content:
    index, manifest = digest(reference), digest("manifest " + reference)
    return Content(reference, index, {PLATFORM: manifest}, {PLATFORM: digest("config " + reference)})


def pod_spec(image: str, *, name: str = "app", **more: Any) -> PodSpec:
    return PodSpec(images=(ImageAt("containers", name, image),), **more)


def spec(**changes: Any) -> ImageOverrideSpec:
    rules = [{"source": "docker.io/rook", "target": {"repository": "registry.corp:5000/rook"}}]
    return ImageOverrideSpec.model_validate({"rules": rules} | changes)


@dataclass
class Load:
    """One workload of the world. `stuck` images never come; `revision` is what Pods are made from."""

    kind: str
    name: str
    image: str
    replicas: int = 1
    parent: str = ""
    rollout: str = ""
    restart: str = ""
    generation: int = 1
    paused: bool = False
    on_delete: bool = False
    partition: int = 0
    job: JobState | None = None
    owner: Owner | None = None

    @property
    def uid(self) -> str:
        return f"uid-{self.kind}-{self.name}"

    @property
    def revision(self) -> tuple[str, str, str]:
        return self.image, self.rollout, self.restart

    def shift(self, **changes: Any) -> None:
        before = self.revision
        for key, value in changes.items():
            setattr(self, key, value)
        self.generation += self.revision != before


@dataclass
class Live:
    """One Pod: what it was made from, and since when it is ready."""

    row: PodRow
    load: str
    revision: tuple[str, str, str]


@dataclass
class World:
    """The cluster. `gate`: images of new Pods are rewritten. `broken`: images that no node can pull."""

    loads: dict[str, Load]
    table: CompiledTable
    gate: bool = True
    since: float = 0.0
    now: float = 1000.0
    broken: frozenset[str] = frozenset()
    pods: list[Live] = field(default_factory=list)
    made: int = 0
    touches: Counter[tuple[str, str]] = field(default_factory=Counter)
    log: list[Action] = field(default_factory=list)

    def start(self) -> None:
        """Make all Pods, without a gate, long before Pawl comes."""
        before, self.gate = self.gate, False
        for _ in range(40):
            self.tick()
        self.gate, self.since = before, self.now

    def tick(self, seconds: float = 10.0) -> None:
        """Let the controllers act once: Pods become ready, then each workload replaces or makes one Pod."""
        self.now += seconds
        self.pods = [self._older(pod) for pod in self.pods]
        for load in self.loads.values():
            self._controller(load)

    def _older(self, pod: Live) -> Live:
        image = pod.row.spec.images[0].image
        if pod.row.ready_since is not None:
            return pod
        if image in self.broken:
            return replace(pod, row=_stuck(pod.row))
        state = ContainerState("app", f"docker.io/any@{digest(image)}", "", started=True)
        row = _changed(pod.row, states=(state,), ready_since=self.now, phase="Running")
        return replace(pod, row=row)

    def _controller(self, load: Load) -> None:
        mine = [pod for pod in self.pods if pod.load == load.uid]
        if load.kind == "CronJob" or (load.job is not None and load.job.finished):
            return
        if len(mine) < load.replicas:
            self._make(load)
            return
        old = [pod for pod in mine if pod.revision != load.revision and not load.on_delete and not load.paused]
        held = [pod for pod in old if load.partition > int(pod.row.name.rpartition("-")[2])]
        free = [pod for pod in old if pod not in held and load.kind != "Job"]
        if free and all(pod.row.ready_since is not None for pod in mine if pod not in old):
            self.pods.remove(free[-1])
            self._make(load, free[-1].row.name)

    def _make(self, load: Load, name: str = "") -> None:
        self.made += 1
        taken = {pod.row.name for pod in self.pods}
        ordinals = (f"{load.name}-{index}" for index in range(load.replicas + 1))
        owner = Owner("apps/v1" if load.kind != "Job" else "batch/v1", load.kind, load.name, load.uid, controller=True)
        place = ImageAt("containers", "app", load.image)
        image = ruling_of(self.table, subject_of((owner,), ()), place).image if self.gate else load.image
        row = PodRow(
            namespace="rook",
            name=name or next(one for one in ordinals if one not in taken),
            uid=f"pod-{self.made}",
            version="1",
            spec=pod_spec(image),
            created=self.now,
            owners=(owner,),
            node="n1",
            phase="Pending",
        )
        self.pods.append(Live(row, load.uid, load.revision))

    def row(self, load: Load) -> WorkloadRow:
        mine = [pod for pod in self.pods if pod.load == load.uid]
        return WorkloadRow(
            kind=load.kind,
            namespace="rook",
            name=load.name,
            uid=load.uid,
            version="1",
            spec=pod_spec(load.image),
            generation=load.generation,
            observed=load.generation,
            owners=() if load.owner is None else (load.owner,),
            wanted=load.replicas,
            updated=sum(1 for pod in mine if pod.revision == load.revision),
            total=len(mine),
            paused=load.paused,
            on_delete=load.on_delete,
            partition=load.partition,
            rollout=load.rollout,
            restart=load.restart,
            job=load.job,
        )

    def facts(self, wanted: ImageOverrideSpec, **more: Any) -> RolloutFacts:
        """Gather. There is no memory in it: `begun` is empty, as after a crash."""
        rows = {load.uid: self.row(load) for load in self.loads.values()}
        pods = {uid: tuple(pod.row for pod in self.pods if pod.load == uid) for uid in rows}
        nodes = (NodeRow("n1", PLATFORM),)
        references = {(("", pod.row.spec.images[0].image)) for pod in self.pods}
        evidence = Evidence({key: content(key[1]) for key in references})
        judge = Judge(
            self.table,
            OVERRIDE,
            {node.name: node for node in nodes},
            evidence,
            evict_on_delete=wanted.enforcement.on_delete == "Evict",
            reconcile=wanted.enforcement.templates == "Reconcile",
        )
        assessments = tuple(assess(row, pods[uid], judge) for uid, row in rows.items())
        parents = {load.uid: (rows[load.parent],) for load in self.loads.values() if load.parent}
        gate = Gate(in_force=self.gate, since=self.since)
        base: dict[str, Any] = {"parents": parents, "parent_pods": pods, "nodes": nodes} | more
        return RolloutFacts(OVERRIDE, "uid-override", wanted, assessments, gate, **base)

    def decide(self, wanted: ImageOverrideSpec, **more: Any) -> RolloutDecision:
        return decide(self.facts(wanted, **more), self.now)

    def apply(self, actions: Iterable[Action]) -> None:
        """Carry actions out, as writers and the API server would."""
        for action in actions:
            self.log.append(action)
            self._apply(action)

    def _apply(self, action: Action) -> None:
        match action:
            case Roll() | RewriteTemplate():
                load = self.loads[action.workload.uid]
                self.touches[load.uid, action.hash] += 1
                image = action.images[0].image if isinstance(action, RewriteTemplate) else load.image
                notes = {"rollout": action.hash} if action.hash else {}
                load.shift(image=image, restart=action.restart or load.restart, **notes)
            case Restart():
                self.touches[action.workload.uid, action.value] += 1
                self.loads[action.workload.uid].shift(restart=action.value)
            case Evict():
                self.pods = [pod for pod in self.pods if pod.row.uid != action.pod.uid]
            case DeleteJob() | RecreateJob():
                self.touches[action.job.uid, "job"] += 1
                self.pods = [pod for pod in self.pods if pod.load != action.job.uid]
            case DropZombies():
                raise AssertionError("no zombies here")
            case _:
                raise AssertionError(action)

    def run(self, wanted: ImageOverrideSpec, ticks: int = 400) -> RolloutDecision:
        """Decide and act until nothing is left to do and no time is waited for; fail if that does not come."""
        for _ in range(ticks):
            found = self.decide(wanted)
            self.apply(found.actions)
            if found.stage in ("Done", "Verify"):
                return found
            self.tick()
        raise AssertionError(f"no end: {found}")


def _changed(row: PodRow, **changes: Any) -> PodRow:
    values = {name: getattr(row, name) for name in row.__struct_fields__}
    return PodRow(**(values | changes))


def _stuck(row: PodRow) -> PodRow:
    return _changed(row, states=(ContainerState("app", "", "ImagePullBackOff"),))


def world(*loads: Load, **more: Any) -> World:
    """Make a cluster whose Pods run without an override, and an override that has just come into force."""
    made = World({load.uid: replace(load) for load in loads}, more.pop("table", None) or table(), **more)
    made.start()
    return made

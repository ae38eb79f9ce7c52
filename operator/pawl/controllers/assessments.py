"""Assessments of an override's workloads, made anew only where the world, the table or what was seen changed.

Ten thousand Pods are judged once, not at every look. Neighbours: `decide.assess` judges, `cluster.world` keeps the
rows and their stamps, `standing` the tables. Not here: what follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pawl.api.imageoverride import OnDelete, Override, Templates
from pawl.cluster.world import World
from pawl.controllers.overridestore import label_of
from pawl.controllers.prepulls import is_prepull
from pawl.controllers.standing import Standing
from pawl.decide.assess import Judge, assess
from pawl.decide.digests import Explained
from pawl.decide.objects import NodeRow, PodRow, WorkloadRow
from pawl.decide.rollout import Assessment
from pawl.decide.tables import CompiledTable
from pawl.decide.verdicts import Evidence


@dataclass(frozen=True, slots=True)
class _Kept:
    """`pods`: uids of all that belong to the row."""

    stamp: int | str
    basis: object
    assessment: Assessment
    pods: tuple[str, ...]


class Assessments:
    """The memory of one override. `basis` is what every judgement rests on beside the rows."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._kept: dict[str, _Kept] = {}
        self._basis: object = None

    def of(
        self, override: Override, standing: Standing, namespaces: Iterable[str], explained: tuple[int, Explained]
    ) -> tuple[Assessment, ...]:
        """Return the assessment of every workload and bare Pod of these namespaces that the override concerns."""
        nodes = {node.name: node for node in self._world.nodes()}
        basis = self._token((override.metadata.generation, standing.stamp, explained[0], nodes))
        evidence = Evidence(standing.contents, explained[1])
        found: list[Assessment] = []
        kept: dict[str, _Kept] = {}
        for namespace in namespaces:
            table = standing.table_for(label_of(override), namespace)
            if table is None:
                continue
            judge = _judge(override, table, nodes, evidence)
            for entry in self._entries(namespace, judge, basis):
                kept[entry.assessment.row.uid] = entry
                if _concerns(entry.assessment):
                    found.append(entry.assessment)
        self._kept = kept
        return tuple(found)

    def _token(self, basis: object) -> object:
        """Return one object for equal bases: comparing it with each of ten thousand rows must cost nothing."""
        if basis != self._basis:
            self._basis = basis
        return self._basis

    def _entry(self, row: WorkloadRow | PodRow, pods: tuple[PodRow, ...] | None, judge: Judge, basis: object) -> _Kept:
        # A Pod's stamp is kept under its owner's uid, which many may share; its own version says the same for it.
        stamp = row.version if isinstance(row, PodRow) else self._world.stamp(row.uid)
        known = self._kept.get(row.uid)
        if known is not None and known.stamp == stamp and known.basis is basis:
            return known
        mine = tuple(self._world.pods_of(row.uid)) if pods is None else pods
        return _Kept(stamp, basis, assess(row, mine, judge), tuple(pod.uid for pod in mine))

    def _entries(self, namespace: str, judge: Judge, basis: object) -> Iterator[_Kept]:
        """Yield workloads, then the Pods that belong to none of them: to ask each Pod for its root is dear."""
        told: set[str] = set()
        for row in self._world.workloads(namespace):
            if not is_prepull(row):
                entry = self._entry(row, None, judge, basis)
                told.update(entry.pods)
                yield entry
        for pod in self._world.pods(namespace):
            if pod.uid not in told and pod.live and not pod.mirror and self._is_alone(pod):
                yield self._entry(pod, (pod,), judge, basis)

    def _is_alone(self, pod: PodRow) -> bool:
        return not isinstance(self._world.root_of(pod), WorkloadRow)


def _judge(override: Override, table: CompiledTable, nodes: dict[str, NodeRow], evidence: Evidence) -> Judge:
    enforcement = override.spec.enforcement
    return Judge(
        table,
        label_of(override),
        nodes,
        evidence,
        evict_on_delete=enforcement.on_delete is OnDelete.EVICT,
        reconcile=enforcement.templates is Templates.RECONCILE,
    )


def _concerns(assessment: Assessment) -> bool:
    return assessment.matched or bool(assessment.notes) or bool(assessment.pods)

"""Which targets the Pods and templates of the cluster need under the tables: asked at every change, from memory.

Rows that did not change, under a table that did not, are not looked at again. Neighbours: `decide.targets` judges one
Pod spec, `imagerules` asks, `targets` looks at registries. Not here: what is refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pawl.api.errors import Stalled
from pawl.cluster.ruletables import CLUSTER, RuleTables
from pawl.cluster.world import World
from pawl.controllers.prepulls import is_prepull
from pawl.controllers.sightings import Sightings
from pawl.controllers.targets import Seen, Targets, Terms
from pawl.decide.assess import subject_for
from pawl.decide.digests import Content
from pawl.decide.objects import NodeRow, PodRow, PodSpec, WorkloadRow
from pawl.decide.placement import platforms
from pawl.decide.rulebook import Rulebook
from pawl.decide.tables import CompiledTable
from pawl.decide.targets import Needed, needed_by

_Known = dict[object, tuple[CompiledTable, PodSpec, tuple[Needed, ...]]]
"""By namespace, subject and identity of the Pod spec, which is held so that no other one gets its identity."""

BELIEVED: Final = 30.0
"""Seconds for which a target that was found is not asked for again: each time costs the Secrets of its namespace."""


@dataclass(frozen=True, slots=True)
class _Ground:
    """What all judgements of one namespace share."""

    namespace: str
    table: CompiledTable
    nodes: tuple[NodeRow, ...]


class Survey:
    """Remembers what each distinct Pod spec needs. `excluded` namespaces need nothing."""

    def __init__(self, world: World, excluded: frozenset[str]) -> None:
        self._world = world
        self._excluded = excluded
        self._nodes: tuple[NodeRow, ...] = ()
        self._known: _Known = {}

    def needed(self, book: Rulebook, tables: Mapping[str, CompiledTable]) -> frozenset[Needed]:
        """Return every target that a template or a bare Pod needs under these tables."""
        nodes = tuple(self._world.nodes())
        if nodes != self._nodes:
            self._nodes, self._known = nodes, {}
        found: set[Needed] = set()
        fresh: _Known = {}
        for row in self._world.namespaces():
            if row.name in self._excluded or row.name in book.left_alone or row.terminating:
                continue
            table = tables.get(row.name) or tables[CLUSTER]
            found |= self._of(_Ground(row.name, table, nodes), fresh)
        self._known = fresh
        return frozenset(found)

    def _of(self, ground: _Ground, fresh: _Known) -> set[Needed]:
        found: set[Needed] = set()
        for row in self._rows(ground.namespace):
            subject = subject_for(row)
            owners = subject.owner_uids if isinstance(row, PodRow) else ()
            token = (ground.namespace, subject.kind, owners, id(row.spec))
            known = fresh.get(token) or self._known.get(token)
            if known is None or known[0] is not ground.table:
                where = platforms(row.spec.placement, ground.nodes)
                needed = needed_by(ground.table, ground.namespace, subject, row.spec, where)
                known = (ground.table, row.spec, tuple(needed))
            fresh[token] = known
            found.update(known[2])
        return found

    def _rows(self, namespace: str) -> Iterator[WorkloadRow | PodRow]:
        """Templates speak for their Pods; what is finished or going needs nothing."""
        for row in self._world.workloads(namespace):
            if not (row.deleting or is_prepull(row) or (row.job is not None and row.job.finished)):
                yield row
        for pod in self._world.pods(namespace):
            if pod.live and not pod.mirror and not isinstance(self._world.root_of(pod), WorkloadRow):
                yield pod

    def stored(self, tables: RuleTables) -> frozenset[tuple[str, str]]:
        """Return namespace and reference of every target that the stored tables yield now."""
        compiled = dict(_compiled(tables))
        found: set[tuple[str, str]] = set()
        for row in self._world.namespaces():
            table = compiled.get(row.name) or compiled.get(CLUSTER)
            if table is not None and row.name not in self._excluded:
                needed = self._of(_Ground(row.name, table, self._nodes), {})
                found |= {(each.namespace, each.reference) for each in needed}
        return frozenset(found)


@dataclass(frozen=True, slots=True)
class _Found:
    terms: Terms
    at: float
    content: Content


class Believed(Targets):
    """Looks at targets, but for a while not again at those that were found: who mends a refused one never waits.

    `clock` gives monotonic seconds.
    """

    def __init__(self, sightings: Sightings, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(sightings)
        self._clock = clock
        self._known: dict[Needed, _Found] = {}

    async def look(self, wanted: Iterable[Needed], terms_of: Callable[[str], Terms], not_before: float = 0.0) -> Seen:
        """Look at what was not found lately on these terms."""
        now, known, wanted = self._clock(), self._known, frozenset(wanted)
        held = {one: known[one] for one in wanted if _holds(known.get(one), terms_of(one.override), now)}
        due = wanted - held.keys()
        seen = await super().look(due, terms_of, not_before)
        found = {one: seen.contents.get((one.namespace, one.reference)) for one in due - seen.refused.keys()}
        self._known = held | {
            one: _Found(terms_of(one.override), now, content) for one, content in found.items() if content is not None
        }
        kept = {(one.namespace, one.reference): each.content for one, each in held.items()}
        return Seen({**kept, **seen.contents}, seen.refused, seen.again_in)


def _holds(found: _Found | None, terms: Terms, now: float) -> bool:
    return found is not None and now - found.at < BELIEVED and _asked(found.terms) == _asked(terms)


def _asked(terms: Terms) -> tuple[object, ...]:
    """Return what a look depends on; what a tag meant before is only for looks that fail."""
    return terms.preflight, terms.ca, terms.fault, terms.edition


def _compiled(tables: RuleTables) -> Iterator[tuple[str, CompiledTable]]:
    """Yield the stored tables that can be read; one that somebody spoilt yields nothing, and is written anew."""
    for name, found in tables.tables.items():
        if found.table is None:
            continue
        try:
            yield name, CompiledTable.of(found.table)
        except Stalled:
            continue

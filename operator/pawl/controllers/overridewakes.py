"""Who is to look again when something changed: keys of overrides, and the one key of the tables.

A change that concerns no rule wakes nobody, so a busy cluster costs a few lookups a change. What is woken waits a
moment, so that a hundred changes are one look. Neighbours: `cluster.world` tells changes, `queue` runs keys. Not here:
decisions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from pawl.api.errors import Stalled
from pawl.cluster.world import Change
from pawl.controllers.imagerules import RULES
from pawl.controllers.overridestore import OverrideStore
from pawl.controllers.policymarks import referenced
from pawl.controllers.queue import Key, WorkQueue
from pawl.controllers.standing import Board
from pawl.controllers.store import requested_at
from pawl.decide.objects import PodRow, PodSpec, WorkloadRow
from pawl.decide.tables import CompiledTable

PAUSE: Final = 0.1
"""Seconds for which a woken key waits for more."""
LATE: Final = 30.0
"""Seconds after which the tables are looked at whatever happened to the change that should have woken them."""
SIGHT: Final = 2.0
"""Seconds between two looks at what may not be seen: no event tells that a right was taken away or given."""
SPECS: Final = 20_000


class Wakes:
    """Turns changes into keys."""

    def __init__(self, queue: WorkQueue, overrides: OverrideStore, board: Board) -> None:
        self._queue = queue
        self._overrides = overrides
        self._board = board
        self._interests: dict[Key, frozenset[str]] = {}
        self._marks: dict[Key, object] = {}
        self._specs: dict[tuple[str, str, int], tuple[PodSpec, CompiledTable | None, bool]] = {}

    def interested(self, key: Key, uids: Iterable[str]) -> None:
        """Note which workloads and Pods an override looks at."""
        found = frozenset(uids)
        if found:
            self._interests[key] = found
        else:
            self._interests.pop(key, None)

    def tables(self) -> None:
        """The tables are to be looked at."""
        self._queue.add(RULES)

    def tables_late(self) -> None:
        """The tables were to be looked at already; a pause after a failure is not cut short."""
        self._queue.add_at(RULES, LATE)

    async def watch(self, blind: Callable[[], tuple[str, ...]], period: float = SIGHT) -> None:
        """Wake everything when another set of things may not be seen than before. Until cancelled."""
        before = blind()
        while True:
            await asyncio.sleep(period)
            now = blind()
            if now != before:
                self._queue.add(RULES)
                self._all("")
            before = now

    def policy(self, key: Key) -> None:
        """A policy changed: the tables are made of its selection, if an override names it."""
        name = (key.namespace, key.name)
        if any(name in referenced(override) for override in self._overrides.readable()):
            self._queue.add(RULES)

    def override(self, key: Key) -> None:
        """An override changed: the tables first, if they are made of what changed, then itself."""
        before, mark = self._marks.pop(key, None), self._mark(key)
        if mark is not None:
            self._marks[key] = mark
        if mark is not None and mark == before:
            self._queue.add_at(key, PAUSE)
            return
        self._queue.add(RULES)
        self._queue.add(key)

    def _mark(self, key: Key) -> object:
        """Return what tables are made of; most statuses that Pawl writes leave it as it is. None: it is not known."""
        try:
            override = self._overrides.get(key)
        except Stalled:
            return None
        if override is None:
            return None
        meta, status = override.metadata, override.status
        plan = status.plan.hash if status.plan is not None else ""
        contests = tuple((each.uid, each.reason, each.generation) for each in status.contests)
        return meta.uid, meta.generation, meta.deletion_timestamp, plan, contests, requested_at(override)

    def world(self, change: Change) -> None:
        """Something else changed."""
        row = change.row
        if isinstance(row, (WorkloadRow, PodRow)):
            self._running(change, row)
        else:
            self._queue.add_at(RULES, PAUSE)
            if change.kind == "Node":
                self._all("")

    def table(self, namespace: str) -> None:
        """A stored table changed; if it was not Pawl, it is written again."""
        standing = self._board.standing
        stored = standing.stored.get(namespace) if standing is not None else None
        if standing is not None and stored is None:
            self._queue.add(RULES)
        elif stored is not None:
            self._queue.add_at(RULES, PAUSE)

    def _running(self, change: Change, row: WorkloadRow | PodRow) -> None:
        known = {change.uid, change.root_uid}
        woken = [key for key, uids in self._interests.items() if known & uids]
        for key in woken:
            self._queue.add_at(key, PAUSE)
        concerned, fresh = self._concerns(change.kind, row)
        if concerned and fresh and not change.deleted:
            self._queue.add_at(RULES, PAUSE)
        if concerned and not woken:
            self._all(row.namespace)

    def _concerns(self, kind: str, row: WorkloadRow | PodRow) -> tuple[bool, bool]:
        """Whether a rule decides an image of a row, and whether its spec is seen for the first time."""
        standing = self._board.standing
        if standing is None:
            return False, False
        table = standing.drafted_table(row.namespace)
        token = (row.namespace, kind, id(row.spec))
        known = self._specs.get(token)
        if known is not None and known[1] is table:
            return known[2], False
        if len(self._specs) > SPECS:
            self._specs.clear()
        concerned = table is not None and any(_known(table, at.image) for at in row.spec.images)
        self._specs[token] = (row.spec, table, concerned)
        return concerned, True

    def _all(self, namespace: str) -> None:
        for key in self._overrides:
            if not key.namespace or not namespace or key.namespace == namespace:
                self._queue.add_at(key, PAUSE)


def _known(table: CompiledTable, image: str) -> bool:
    """Whether an image stands under a source or under a target."""
    found = table.find(image)
    if found.matches:
        return True
    return found.reference is not None and any(group for group in table.targets(found.reference))

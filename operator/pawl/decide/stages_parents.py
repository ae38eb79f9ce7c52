"""Operators above stale workloads: they read their image once at start, so they are restarted before their children.

A parent is restarted once for one hash: of the override's uid and the images that it wants for all children of that
parent, stale or not, so that the hash does not change while the work goes on. The annotation holds the hashes of the
last overrides, with commas between: two overrides over one operator do not undo each other.
Neighbours: `decide.stages` waits for them, `decide.batches` says how far a workload is. Not here: ownerReferences.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from pawl.decide.batches import ROLLED_KINDS, Unit, deadline
from pawl.decide.durations import parse_duration
from pawl.decide.objects import WorkloadRow
from pawl.decide.rollout import Assessment, RolloutFacts
from pawl.decide.wanted import hash_of

KEPT: Final = 8
"""Hashes that the restart annotation holds at most: as many overrides over one operator."""

Edges = Mapping[str, tuple[WorkloadRow, ...]]
"""uid of a child to its parents."""


class Family(msgspec.Struct, frozen=True):
    """Who is above whom, what each parent is to be restarted for, and which parents have children that need it."""

    above: Edges
    rows: Mapping[str, WorkloadRow]
    hashes: Mapping[str, str]
    called: frozenset[str]

    def depth(self, uid: str) -> int:
        """How many levels of parents stand above."""
        return 1 + max((self.depth(row.uid) for row in self.above.get(uid, ())), default=-1)

    def restarted(self, uid: str) -> bool:
        """Whether a parent was restarted for what its children are to run now."""
        row = self.rows.get(uid)
        return row is not None and self.hashes.get(uid, "") in row.restart.split(",")

    def due(self, uid: str) -> bool:
        """Whether a parent is to be restarted."""
        return uid in self.called and not self.restarted(uid)


def family(facts: RolloutFacts, units: Mapping[str, Unit]) -> Family:
    """Find parents and what they are to be restarted for."""
    matched = sorted((state for state in facts.assessments if state.matched), key=_order)
    above = _above(facts, matched)
    rows = {row.uid: row for parents in above.values() for row in parents}
    images: dict[str, set[str]] = {}
    called: set[str] = set()
    for state in matched:
        for parent in above.get(state.row.uid, ()):
            images.setdefault(parent.uid, set()).update(image.wanted for image in state.wanted)
            if _calls(state, units.get(state.row.uid), facts):
                called.add(parent.uid)
    hashes = {uid: hash_of((facts.uid, *wanted)) for uid, wanted in images.items()}
    explicit = {row.uid for row in facts.explicit}
    able = called if facts.spec.enforcement.restart_owners else called & explicit
    return Family(above, rows, hashes, frozenset(uid for uid in able if _may_restart(rows[uid], facts)))


def restart_value(row: WorkloadRow, value: str) -> str:
    """Return the annotation with a hash added: the newest first, none twice."""
    kept = [one for one in row.restart.split(",") if one and one != value]
    return ",".join([value, *kept][:KEPT])


def _calls(state: Assessment, unit: Unit | None, facts: RolloutFacts) -> bool:
    """Whether a child is stale in a way that its maker should mend. Jobs are handled by themselves."""
    row = state.row
    if row.uid in facts.contested or row.uid in facts.blocked:
        return False
    outdated = any(one.outdated for one in state.pods)
    if isinstance(row, WorkloadRow):
        return row.kind in ROLLED_KINDS and (outdated or (unit is not None and unit.needs))
    return outdated or bool(state.stale)


def _may_restart(row: WorkloadRow, facts: RolloutFacts) -> bool:
    stopped = row.paused or row.on_delete or row.deleting
    return row.kind in ROLLED_KINDS and not stopped and row.uid not in facts.contested


def _above(facts: RolloutFacts, matched: Iterable[Assessment]) -> Edges:
    """Join what ownerReferences and the spec tell, without edges that would close a circle."""
    edges: dict[str, tuple[WorkloadRow, ...]] = {}
    explicit = {row.uid for row in facts.explicit}
    for state in matched:
        uid = state.row.uid
        told = facts.parents.get(uid, ()) or (() if uid in explicit else facts.explicit)
        rows = {row.uid: row for row in told if row.uid != uid and not _reaches(row.uid, uid, edges)}
        if rows:
            edges[uid] = tuple(sorted(rows.values(), key=lambda row: row.key))
    return edges


def _reaches(start: str, goal: str, edges: Edges) -> bool:
    waiting, seen = [start], set[str]()
    while waiting:
        uid = waiting.pop()
        if uid == goal:
            return True
        if uid not in seen:
            seen.add(uid)
            waiting += [row.uid for row in edges.get(uid, ())]
    return False


def _order(state: Assessment) -> tuple[str, str, str]:
    row = state.row
    return row.namespace, row.kind if isinstance(row, WorkloadRow) else "Pod", row.name


class Quiet(msgspec.Struct, frozen=True):
    """Whether the parents of something have come back. `seconds`: until they are quiet if nothing changes, or None."""

    quiet: bool
    seconds: float | None = None


QUIET: Final = Quiet(quiet=True)
BUSY: Final = Quiet(quiet=False)


def quiet_above(uid: str, facts: RolloutFacts, families: Family, units: Mapping[str, Unit], now: float) -> Quiet:
    """Tell whether all parents of a child have come back from their restart and had time to act."""
    waits = [_quiet(row, facts, families, units, now) for row in families.above.get(uid, ())]
    busy = [one for one in waits if not one.quiet]
    if not busy:
        return QUIET
    seconds = [one.seconds for one in busy if one.seconds is not None]
    return Quiet(quiet=False, seconds=max(seconds) if len(seconds) == len(busy) else None)


def _quiet(row: WorkloadRow, facts: RolloutFacts, families: Family, units: Mapping[str, Unit], now: float) -> Quiet:
    unit = units.get(row.uid)
    if families.due(row.uid) or (unit is not None and unit.needs):
        return BUSY
    moved = families.restarted(row.uid) or (unit is not None and unit.touched)
    if not moved:
        return quiet_above(row.uid, facts, families, units, now)
    if unit is not None and unit.touched and not unit.finished:
        return BUSY
    held = unit is not None and any(one.held for one in unit.state.pods)
    return settled(row, facts, now, held=held)


def settled(row: WorkloadRow, facts: RolloutFacts, now: float, *, held: bool) -> Quiet:
    """Tell whether all Pods of a restarted parent are new and Ready, the youngest for spec.enforcement.settle.

    Of a parent whose Pods are `held` nothing more is to be expected: its children do not wait for those.
    """
    pods = [pod for pod in facts.parent_pods.get(row.uid, ()) if pod.live]
    ready = [pod.ready_since for pod in pods if pod.ready_since is not None]
    if not held and (not row.settled or len(ready) < len(pods) or len(pods) < row.wanted):
        return BUSY
    until = max(ready, default=0.0) + parse_duration(facts.spec.enforcement.settle).total_seconds()
    return QUIET if now >= until else Quiet(quiet=False, seconds=until - now)


def late_in(row: WorkloadRow, facts: RolloutFacts, now: float) -> float | None:
    """Return the seconds for which a Pod of a parent may still be waited for, or None if there is nothing to wait for.

    A Pod that is not Ready is waited for until spec.rollout.progressDeadline after it was made: a parent whose own
    image is none of Pawl's business may never have been Ready, and must not hold up all others.
    """
    waiting = [pod.created for pod in facts.parent_pods.get(row.uid, ()) if pod.live and pod.ready_since is None]
    left = max(waiting, default=now - deadline(facts)) + deadline(facts) - now
    return left if left > 0 else None

"""How far each workload is, and how many may be begun now: batches, and a bound on what rolls at once.

The memory is in the world: a workload whose template annotation equals its wanted hash was touched. Those that were
touched come first, so that the place of a workload in the batches never moves while the work goes on.
A workload is finished when its controller is done and every Pod that is not held is ready and Verified; where a digest
cannot be known, a ready Pod with the wanted image in its spec counts (finding DigestUnknown).
Neighbours: `decide.stages` asks; `decide.assess` made the assessments. Not here: parents.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from pawl.api.imageoverride import Templates, Verdict
from pawl.api.reasons import Reason
from pawl.decide.durations import parse_duration
from pawl.decide.objects import WorkloadRow
from pawl.decide.rollout import Assessment, PodState, RolloutFacts

ROLLED_KINDS: Final = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
"""Kinds whose controllers roll Pods when the template changes."""

GATE_LAG: Final = 10.0
"""Seconds in which an API server may still rewrite by an older table: its informers follow the write."""

_PERCENT: Final = 100
_FINE: Final = frozenset({Verdict.VERIFIED, Verdict.UNVERIFIABLE})


class Failure(msgspec.Struct, frozen=True):
    """Why a workload of a batch stops the rollout; `key` names it."""

    key: str
    reason: Reason
    message: str


class Unit(msgspec.Struct, frozen=True):
    """One workload that rolls, with what was found: `row` and `state` never change while a decision is made."""

    row: WorkloadRow
    state: Assessment
    needs: bool
    """It is to be touched: annotated, or its template rewritten."""
    touched: bool
    """It was touched for its present hash and is not to be touched again."""
    finished: bool
    proved: bool
    """As finished, ready or not: what it runs is known to be right."""

    @property
    def member(self) -> bool:
        """Whether it counts in the batches: it needs a touch, or needed one."""
        return self.needs or self.touched


def unit_of(state: Assessment, facts: RolloutFacts, now: float) -> Unit | None:
    """Say how far a workload is; None for what does not roll, and for what is contested or blocked."""
    row = state.row
    if not isinstance(row, WorkloadRow) or row.kind not in ROLLED_KINDS or not state.matched:
        return None
    if row.uid in facts.contested or row.uid in facts.blocked or row.deleting:
        return None
    drift = facts.spec.enforcement.templates is Templates.RECONCILE and bool(state.drift) and not row.paused
    current = row.rollout == state.hash
    needs = drift or (bool(state.stale) and not current and not _busy(state, facts, now))
    proved = is_proved(state)
    return Unit(row, state, needs, current and not drift, proved and _ready(state), proved)


def _busy(state: Assessment, facts: RolloutFacts, now: float) -> bool:
    """Whether somebody else's rollout is under way that will bring new Pods: it is not doubled.

    One whose Pods wait in vain, or that brought no new Pod for progressDeadline, does not count.
    """
    stuck = {one.pod.uid for one in state.stuck}
    if not state.rolling or any(pod.uid in stuck for pod in state.stale):
        return False
    youngest = max((one.pod.created for one in state.pods), default=now)
    return now - youngest <= deadline(facts)


def deadline(facts: RolloutFacts) -> float:
    """Return spec.rollout.progressDeadline in seconds."""
    return parse_duration(facts.spec.rollout.progress_deadline).total_seconds()


def is_proved(state: Assessment) -> bool:
    """Tell whether the controller is done and all Pods that are not held run what they should, as far as is known."""
    row = state.row
    if not isinstance(row, WorkloadRow) or row.observed < row.generation or len(state.pods) < row.wanted:
        return False
    done = row.settled or any(one.held for one in state.pods)
    return done and all(_good(one) for one in state.pods)


def _good(state: PodState) -> bool:
    if state.held:
        return True
    return not state.stale and all(one.verdict in _FINE for one in state.verdicts)


def _ready(state: Assessment) -> bool:
    return all(one.held or one.pod.ready_since is not None for one in state.pods)


def failure_of(unit: Unit, facts: RolloutFacts, now: float, *, stopping: bool) -> Failure | None:
    """Say why a touched workload fails, or None. `stopping`: others wait for it, so a crash or a delay counts too."""
    if not unit.touched or unit.finished:
        return None
    for one in unit.state.pods:
        found = _pod_failure(unit, one, facts, stopping=stopping)
        if found is not None:
            return found
    late = now - begun(unit, facts, now) > deadline(facts) and not unit.proved
    counts = stopping or not unit.row.settled
    if not late or not counts or any(missed(unit.state, one, facts.gate.since) for one in unit.state.pods):
        return None
    text = f"{unit.row.key} is not verified {facts.spec.rollout.progress_deadline} after it began"
    return Failure(unit.row.key, Reason.PROGRESS_DEADLINE_EXCEEDED, text)


def _pod_failure(unit: Unit, one: PodState, facts: RolloutFacts, *, stopping: bool) -> Failure | None:
    if one.held:
        return None
    stuck = one.stuck
    if stuck is not None and stuck.new and not revivable(one, facts.gate.since) and (stopping or not stuck.started):
        text = f"{unit.row.key}: Pod {one.pod.name} waits in {stuck.waiting}; mend that, the rollout then goes on"
        return Failure(unit.row.key, Reason.BATCH_NOT_VERIFIED, text)
    wrong = next((v for v in one.verdicts if v.verdict is Verdict.MISMATCH), None)
    if wrong is None:
        return None
    return Failure(unit.row.key, Reason.BATCH_NOT_VERIFIED, f"{unit.row.key}: Pod {one.pod.name}: {wrong.message}")


def revivable(one: PodState, gate_since: float) -> bool:
    """Tell whether a Pod waits only because it is older than a pull Secret that it would get now."""
    stuck = one.stuck
    waits = stuck is not None and stuck.new and stuck.secretless and not stuck.started
    return waits and one.pod.created <= gate_since + GATE_LAG and any(owner.controller for owner in one.pod.owners)


def missed(state: Assessment, one: PodState, gate_since: float) -> bool:
    """Tell whether a Pod of a finished rollout has old images because the gate was not in force when it was made."""
    old = one.stale and not one.held and not state.rolling
    return old and one.pod.created <= gate_since + GATE_LAG and any(owner.controller for owner in one.pod.owners)


def begun(unit: Unit, facts: RolloutFacts, now: float) -> float:
    """Return when a touched workload last went forward: when its touch was seen, or its newest new Pod was made."""
    fresh = [one.pod.created for one in unit.state.pods if not one.stale]
    return max((facts.begun.get(unit.row.uid, now if not fresh else 0.0), *fresh))


def bounds(batches: Sequence[str], total: int) -> tuple[int, ...]:
    """Return how many workloads each batch ends at, cumulated; the last one ends at `total`.

    A percentage is rounded up, so that a batch of some workloads is never empty.
    """
    ends: list[int] = []
    for batch in batches:
        share = -(-total * int(batch[:-1]) // _PERCENT) if batch.endswith("%") else int(batch)
        end = min(total, share)
        if end > (ends[-1] if ends else 0):
            ends.append(end)
    if total > (ends[-1] if ends else 0):
        ends.append(total)
    return tuple(ends)


class Allowance(msgspec.Struct, frozen=True):
    """How many workloads may be begun now, and the batch that is under way as people read it: `2/3`.

    `slots`: how many more may roll at once; `free`: how many of them may be members of the batch.
    """

    slots: int
    free: int
    batch: str


def allowance(members: Sequence[Unit], facts: RolloutFacts, also_rolling: int) -> Allowance:
    """Decide how many workloads may be begun. `also_rolling`: parents that restart without being members."""
    touched = sum(1 for unit in members if unit.touched)
    unfinished = sum(1 for unit in members if unit.touched and not unit.finished)
    slots = max(0, facts.spec.rollout.max_concurrent - unfinished - also_rolling)
    ends = bounds(facts.spec.rollout.batches, len(members))
    if not ends:
        return Allowance(slots, slots, "")
    index = next((i for i, end in enumerate(ends) if touched < end), len(ends) - 1)
    if unfinished and index and touched == ends[index - 1]:
        index -= 1
    return Allowance(slots, max(0, min(slots, ends[index] - touched)), f"{index + 1}/{len(ends)}")

"""Everything that one decision looks at, sorted once: members of the batches, families, Jobs, what is contested.

Neighbours: `decide.stages` goes through its steps over this, `decide.plan` writes it down, `decide.overridefindings`
tells what is left. Not here: what is done next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from pawl.decide.batches import GATE_LAG, Failure, Unit, deadline, failure_of, missed, revivable, unit_of
from pawl.decide.jobcases import JobCase, job_case
from pawl.decide.objects import PodRow, WorkloadRow
from pawl.decide.rollout import Assessment, PodState, RolloutFacts
from pawl.decide.rollout_actions import Evict
from pawl.decide.stages_parents import Family, family


class View(msgspec.Struct, frozen=True):
    """The facts, sorted: `members` in the order of their turn, `matched` by namespace, kind and name."""

    facts: RolloutFacts
    now: float
    matched: tuple[Assessment, ...]
    units: Mapping[str, Unit]
    members: tuple[Unit, ...]
    families: Family
    jobs: Mapping[str, JobCase]
    evictions: tuple[tuple[Assessment, Evict], ...]
    failures: tuple[Failure, ...]
    deadline: float
    """spec.rollout.progressDeadline in seconds."""

    @property
    def restarts(self) -> tuple[WorkloadRow, ...]:
        """Parents to be restarted that are not stale themselves."""
        needed = {unit.row.uid for unit in self.members if unit.needs}
        due = (row for uid, row in self.families.rows.items() if self.families.due(uid) and uid not in needed)
        return tuple(sorted(due, key=lambda row: (self.families.depth(row.uid), row.key)))

    @property
    def templates(self) -> tuple[Assessment, ...]:
        """CronJobs whose stored template is to be rewritten."""
        return tuple(state for state in self.matched if _cron_drift(state, self.facts))

    def contested(self, state: Assessment) -> bool:
        """Whether Pawl stepped back from a workload, or from the owner of a Pod."""
        noted = any(note.verdict == "Contested" for note in state.notes)
        return noted or _among(state, self.facts.contested) or any(one.held_by == "PodChurn" for one in state.pods)

    def churned(self, state: Assessment) -> bool:
        """Whether it is so because its owner makes rewritten Pods anew; nobody wrote an image back then."""
        noted = any(note.reason == "PodChurn" for note in state.notes)
        return noted or _among(state, self.facts.churned) or any(one.held_by == "PodChurn" for one in state.pods)


def view_of(facts: RolloutFacts, now: float) -> View:
    """Sort the facts."""
    matched = tuple(sorted((state for state in facts.assessments if state.matched), key=order))
    found = (unit_of(state, facts, now) for state in matched)
    units = {unit.row.uid: unit for unit in found if unit is not None}
    families = family(facts, units)
    turn = [(not unit.touched, families.depth(unit.row.uid), order(unit.state), unit) for unit in units.values()]
    members = tuple(one[-1] for one in sorted((t for t in turn if t[-1].member), key=lambda t: t[:-1]))
    stopping = any(unit.needs for unit in members)
    failures = tuple(f for unit in members if (f := failure_of(unit, facts, now, stopping=stopping)) is not None)
    since = facts.gate.since
    jobs = {state.row.uid: job_case(state, facts.spec.enforcement.jobs, since) for state in matched if is_job(state)}
    evictions = tuple(_evictions(matched, units, facts))
    return View(facts, now, matched, units, members, families, jobs, evictions, failures, deadline(facts))


def _among(state: Assessment, uids: frozenset[str]) -> bool:
    """Whether it, or the owner of a bare Pod, is among these."""
    row = state.row
    if row.uid in uids:
        return True
    return isinstance(row, PodRow) and any(owner.uid in uids for owner in row.owners)


def is_job(state: Assessment) -> bool:
    """Whether it is a Job."""
    return isinstance(state.row, WorkloadRow) and state.row.kind == "Job"


def order(state: Assessment) -> tuple[str, str, str]:
    """The order of workloads: namespace, kind, name."""
    row = state.row
    return row.namespace, row.kind if isinstance(row, WorkloadRow) else "Pod", row.name


def _cron_drift(state: Assessment, facts: RolloutFacts) -> bool:
    row = state.row
    cron = isinstance(row, WorkloadRow) and row.kind == "CronJob" and row.uid not in facts.contested
    reconcile = facts.spec.enforcement.templates == "Reconcile" and row.uid not in facts.blocked
    return cron and reconcile and bool(state.drift)


def _evictions(
    matched: Sequence[Assessment], units: Mapping[str, Unit], facts: RolloutFacts
) -> list[tuple[Assessment, Evict]]:
    """At most one Pod a workload: never more than one of its Pods is away because of Pawl."""
    found = []
    for state in matched:
        if _among(state, facts.contested) or state.row.uid in facts.blocked:
            continue
        evict = _eviction(state, units.get(state.row.uid), facts)
        if evict is not None:
            found.append((state, evict))
    return found


def _eviction(state: Assessment, unit: Unit | None, facts: RolloutFacts) -> Evict | None:
    amiss = (one for one in state.pods if one.stale or one.stuck is not None)
    due = [(one, why) for one in amiss if (why := _why_evict(state, unit, one, facts)) is not None]
    due.sort(key=lambda pair: (pair[0].pod.ready_since is not None, pair[0].pod.name))
    if not due:
        return None
    one, why = due[0]
    wanted = state.row.wanted if isinstance(state.row, WorkloadRow) and not is_job(state) else len(state.pods)
    away = len(state.pods) < wanted or any(other.pod.ready_since is None for other in state.pods if not other.held)
    if one.pod.ready_since is not None and away:
        return None
    return Evict(one.pod, why)


def _why_evict(state: Assessment, unit: Unit | None, one: PodState, facts: RolloutFacts) -> str | None:
    row, since = state.row, facts.gate.since
    if revivable(one, since):
        return "it waits for an image since before it could have its pull Secret"
    if isinstance(row, PodRow):
        return _why_bare(one, since)
    if unit is None or not unit.touched or not one.stale or one.held:
        return None
    if row.on_delete:
        return "its workload has the strategy OnDelete, and spec.enforcement.onDelete is Evict"
    return "the gate was not in force when it was made" if missed(state, one, since) else None


def _why_bare(one: PodState, since: float) -> str | None:
    stuck = one.stuck
    owned = any(owner.controller for owner in one.pod.owners)
    if not one.stale or one.held or not owned or one.pod.created > since + GATE_LAG:
        return None
    waits = stuck is not None and not stuck.started
    return "it waits in vain with the old image and never started; its owner makes another" if waits else None

"""The decision about what runs already under one override: one step at a time, always from the world alone.

Order: prepull, parents and then children in batches (and Pods that wait for a Secret or a new image), Jobs, stored
templates of CronJobs, fields of custom resources, verification. What may not be done now (suspended, not approved,
paused, outside its window) is decided all the same and then held back, so that the status says what would come.
Neighbours: `decide.stages_view` sorts the facts, `decide.stages_parents` knows operators, `decide.batches` counts,
`decide.stages_report` tells. Not here: reading and writing.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pawl.api.errors import Stalled
from pawl.api.imageoverride import Mode, Templates
from pawl.decide.batches import Allowance, Unit, allowance, begun, deadline
from pawl.decide.objects import WorkloadRow
from pawl.decide.plan import plan_of
from pawl.decide.prepull import PrepullDecision, prepull
from pawl.decide.rollout import Assessment, RolloutDecision, RolloutFacts, Stage
from pawl.decide.rollout_actions import Action, DropZombies, Evict, Restart, RewriteTemplate, Roll
from pawl.decide.stages_parents import Quiet, late_in, quiet_above, restart_value
from pawl.decide.stages_report import Outcome, report
from pawl.decide.stages_view import View, view_of
from pawl.decide.windows import opening


class Work(msgspec.Struct, frozen=True):
    """The step that is due: what is to be done now, and when time alone brings the next."""

    stage: Stage
    actions: tuple[Action, ...] = ()
    wait: float | None = None
    settling: bool = False


def decide(facts: RolloutFacts, now: float) -> RolloutDecision:
    """Decide what to do now, in seconds since the epoch. Total: what is wrong with the spec is an answer too."""
    view = view_of(facts, now)
    plan = plan_of(view)
    pulls = _pulls(view)
    count = allowance(view.members, facts, _restarting(view))
    work = _work(view, pulls, count)
    try:
        gate, wait = _held_back(facts, plan.hash, now, due=work.stage is not Stage.DONE)
    except Stalled as error:
        outcome = Outcome(Stage.INVALID, plan, count.batch, pulls, invalid=(error.reason, error.message))
        return report(view, outcome)
    if gate is not None:
        return report(view, Outcome(gate, plan, count.batch, pulls, wait=wait))
    waits = [one for one in (work.wait, wait if work.stage is not Stage.DONE else None) if one is not None]
    outcome = Outcome(work.stage, plan, count.batch, pulls, work.actions, min(waits, default=None), work.settling)
    return report(view, outcome)


def _held_back(facts: RolloutFacts, plan_hash: str, now: float, *, due: bool) -> tuple[Stage | None, float | None]:
    """Say what keeps Pawl from acting, and the seconds until time changes that. Raises Stalled for a bad window."""
    rollout = facts.spec.rollout
    window = None if rollout.window is None else opening(rollout.window, now)
    if not facts.gate.in_force:
        return Stage.GATE, None
    if facts.spec.suspend:
        return Stage.SUSPENDED, None
    if rollout.mode is Mode.ADMISSION_ONLY:
        return Stage.ADMISSION_ONLY, None
    if not due:
        return None, None
    if rollout.mode is Mode.PLAN and rollout.approved_plan != plan_hash:
        return Stage.APPROVAL, None
    if rollout.paused:
        return Stage.PAUSED, None
    if window is not None and not window.open:
        return Stage.WINDOW, window.seconds
    return None, None if window is None else window.seconds


def _pulls(view: View) -> PrepullDecision | None:
    """Decide about pulls; only what is still to roll is pulled, and a touch is never taken back for a lost pull."""
    if not (view.facts.spec.rollout.prepull and view.facts.sees_nodes):
        return None
    units = (unit.state for unit in view.members if unit.needs)
    added = tuple(secret.name for secret in view.facts.spec.pull_secrets)
    return prepull(units, view.facts.nodes, view.facts.pulls, added)


def _work(view: View, pulls: PrepullDecision | None, count: Allowance) -> Work:
    """Go through the steps and return the first that is not done."""
    zombies = tuple(_zombies(view))
    if view.failures:
        return Work(Stage.FAILED)
    if zombies:
        return Work(Stage.CHILDREN, zombies)
    if pulls is not None and not pulls.complete:
        return Work(Stage.PREPULL, () if pulls.failed else pulls.start)
    rolling = _roll(view, count)
    if rolling is not None:
        return rolling
    jobs = tuple(case.action for case in view.jobs.values() if case.action is not None)
    if jobs:
        return Work(Stage.JOBS, jobs)
    fields: tuple[Action, ...] = (*_cron_templates(view), *view.facts.fields)
    return Work(Stage.FIELDS, fields) if fields else Work(Stage.DONE)


def _roll(view: View, count: Allowance) -> Work | None:
    """Restart parents, touch what is due, evict what waits; None when every workload and Pod has been seen to."""
    actions: list[Action] = []
    waits: list[Quiet] = []
    for parent in _restartable(view, waits):
        if len(actions) < count.slots:
            value = view.families.hashes[parent.uid]
            actions.append(Restart(parent, value, restart_value(parent, value)))
    due = [unit for unit in view.members if unit.needs and _is_quiet(view, unit.row.uid, waits)]
    room = min(count.free, count.slots - len(actions))
    actions += [_touch(view, unit) for unit in due[: max(0, room)]]
    actions += [evict for state, evict in _evictable(view) if _is_quiet(view, state.row.uid, waits)]
    unfinished = [unit for unit in view.units.values() if _is_open(unit)]
    if not (actions or waits or unfinished or view.restarts):
        return None
    settling = any(one.seconds is not None for one in waits)
    return Work(_stage(view, waits), tuple(actions), _next_look(view, waits, unfinished), settling=settling)


def _is_open(unit: Unit) -> bool:
    """Tell whether a workload is to be touched, or was and is not proved, or is rolled by somebody else right now."""
    if unit.needs:
        return True
    return not unit.proved if unit.touched else bool(unit.state.stale)


def _stage(view: View, waits: list[Quiet]) -> Stage:
    """Tell parents from children: parents are at work while one is due, or needs a touch, or has not come back."""
    above = view.families.rows
    at_work = any(unit.row.uid in above and not unit.finished for unit in view.members)
    if view.restarts or at_work or waits:
        return Stage.PARENTS
    return Stage.CHILDREN if any(not unit.finished for unit in view.members) else Stage.PODS


def _restartable(view: View, waits: list[Quiet]) -> Iterable[WorkloadRow]:
    return [row for row in view.restarts if _is_quiet(view, row.uid, waits)]


def _is_quiet(view: View, uid: str, waits: list[Quiet]) -> bool:
    """Tell whether the parents of something have come back; what is not quiet is noted in `waits`."""
    found = quiet_above(uid, view.facts, view.families, view.units, view.now)
    if not found.quiet:
        waits.append(found)
    return found.quiet


def _restarting(view: View) -> int:
    """Count the parents that were restarted, are no members of the batches, and have not come back."""
    return sum(1 for row in _restarted(view) if not row.settled or late_in(row, view.facts, view.now) is not None)


def _restarted(view: View) -> Iterable[WorkloadRow]:
    families, members = view.families, {unit.row.uid for unit in view.members}
    return (row for uid, row in families.rows.items() if families.restarted(uid) and uid not in members)


def _evictable(view: View) -> list[tuple[Assessment, Evict]]:
    """Take as many evictions as may roll at once: those of touched workloads count there already."""
    return list(view.evictions[: view.facts.spec.rollout.max_concurrent])


def _zombies(view: View) -> Iterable[DropZombies]:
    for state in view.matched:
        row = state.row
        if isinstance(row, WorkloadRow) and row.owned and not view.contested(state):
            yield DropZombies(row, row.owned)


def _touch(view: View, unit: Unit) -> Roll | RewriteTemplate:
    """Make the one write that rolls a workload; for a stale parent it is the restart too."""
    row, families = unit.row, view.families
    value = families.hashes.get(row.uid, "") if row.uid in families.called else ""
    restart = restart_value(row, value) if value else ""
    reconcile = view.facts.spec.enforcement.templates is Templates.RECONCILE
    if reconcile and unit.state.drift:
        return RewriteTemplate(row, unit.state.stored, unit.state.hash, restart)
    return Roll(row, unit.state.hash, restart)


def _cron_templates(view: View) -> Iterable[RewriteTemplate]:
    """Rewrite the templates of CronJobs: nothing rolls, their next Jobs come new."""
    for state in view.templates:
        if isinstance(state.row, WorkloadRow):
            yield RewriteTemplate(state.row, state.stored, "")


def _next_look(view: View, waits: Iterable[Quiet], unfinished: Iterable[Unit]) -> float | None:
    """Return the seconds until time alone changes something: a parent has settled, or a deadline has passed."""
    soon = [one.seconds for one in waits if one.seconds is not None]
    late = [begun(unit, view.facts, view.now) + deadline(view.facts) - view.now for unit in unfinished]
    back = [seconds for row in _restarted(view) if (seconds := late_in(row, view.facts, view.now)) is not None]
    return min((seconds for seconds in (*soon, *late, *back) if seconds > 0), default=None)

"""The plan: what is, or would be, done under an override, and the hash that a person approves.

The hash covers every matched workload with the images that it is to run, and nothing that changes while the work goes
on. What comes and goes (Jobs and Pods that somebody owns) counts by its owner, or each new one would need approval.
Neighbours: `decide.stages_view` says what is to be done. Not here: the order in time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from pawl.api.imageoverride import Plan, PlanCounts, PlannedStep
from pawl.decide.objects import Owner, WorkloadRow
from pawl.decide.rollout import Assessment
from pawl.decide.stages_view import View
from pawl.decide.wanted import hash_of

STEPS: Final = 50
"""Steps that the status shows."""
_OBJECT: Final = 380
_WHY: Final = 512

_COUNTED: Final = {
    "Restart": "restarts",
    "Roll": "rollouts",
    "Rewrite": "rollouts",
    "Recreate": "jobs",
    "Field": "fields",
    "Evict": "evictions",
    "Leave": "left",
}


def plan_hash(matched: Iterable[Assessment]) -> str:
    """Return the hash to approve: 16 hexadecimal digits over workloads and their wanted images."""
    lines: set[str] = set()
    for state in matched:
        name = _lasting_name(state)
        lines |= {f"{name}/{image.group}/{image.name}={image.wanted}" for image in state.wanted}
    return hash_of(lines)


def plan_of(view: View) -> Plan:
    """Write the plan: the hash, how much it touches, and its first steps."""
    steps = all_steps(view)
    counted = Counter(_COUNTED[step.action] for step in steps)
    shown = [_shown(step) for step in steps[:STEPS]]
    return Plan(hash=plan_hash(view.matched), counts=PlanCounts(**counted), steps=shown)


def all_steps(view: View) -> list[PlannedStep]:
    """Return every step in the order of the work; the fields of custom resources have the action `Field` here."""
    return [*_restarts(view), *_rolls(view), *_evictions(view), *_jobs(view), *_fields(view), *_left(view)]


def _lasting_name(state: Assessment) -> str:
    """Name a workload, or for what is made again and again its owner."""
    row = state.row
    passing = not isinstance(row, WorkloadRow) or row.kind == "Job"
    owner = _controller(row.owners) if passing else None
    return state.key if owner is None else f"{owner.kind} {row.namespace}/{owner.name}"


def _controller(owners: Iterable[Owner]) -> Owner | None:
    known = tuple(owners)
    return next((owner for owner in known if owner.controller), known[0] if known else None)


def _restarts(view: View) -> Iterable[PlannedStep]:
    for row in view.restarts:
        yield _step("Restart", row.key, "it made workloads that are stale, and read its image at its start")


def _rolls(view: View) -> Iterable[PlannedStep]:
    for unit in view.members:
        if unit.needs:
            drift = bool(unit.state.drift) and view.facts.spec.enforcement.templates == "Reconcile"
            yield _step("Rewrite" if drift else "Roll", unit.state.key, _change(unit.state))
    for state in view.templates:
        yield _step("Rewrite", state.key, _change(state))


def _change(state: Assessment) -> str:
    images = [f"{image.name}: {image.wanted}" for image in state.wanted if image.written != image.wanted]
    return ", ".join(images) or "its Pods do not run the images of its template"


def _evictions(view: View) -> Iterable[PlannedStep]:
    for _, evict in view.evictions:
        yield _step("Evict", f"Pod {evict.pod.namespace}/{evict.pod.name}", evict.why)


def _jobs(view: View) -> Iterable[PlannedStep]:
    for state in view.matched:
        case = view.jobs.get(state.row.uid)
        if case is not None and case.action is not None:
            yield _step("Recreate", state.key, case.message)


def _fields(view: View) -> Iterable[PlannedStep]:
    for field in view.facts.fields:
        yield _step("Field", field.key, f"{field.path}: " + ", ".join(to for _, to in field.images))


def _left(view: View) -> Iterable[PlannedStep]:
    for state in view.matched:
        case = view.jobs.get(state.row.uid)
        reasons = {one.held_by for one in state.pods if one.held_by and one.stale}
        if case is not None and case.skipped and case.reason is not None:
            reasons.add(case.reason)
        if view.contested(state):
            reasons.add("Contested")
        if reasons:
            yield _step("Leave", state.key, ", ".join(sorted(reasons)))


def _step(action: str, what: str, why: str) -> PlannedStep:
    return PlannedStep(action=action, object=what[:_OBJECT], why=why[:_WHY])


def _shown(step: PlannedStep) -> PlannedStep:
    return step.model_copy(update={"action": "Rewrite"}) if step.action == "Field" else step

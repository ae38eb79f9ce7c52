"""The findings of an override: what needs eyes, the worst first, each since when.

A workload with a hundred stale Pods is one finding, that names the first of them. A finding keeps its `since` while
kind, name, container, verdict and reason stay, so that equal facts give an equal status.
Neighbours: `decide.stages_view` sorts the facts, `decide.stages_report` asks. Not here: conditions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from pawl.api.imageoverride import Finding, Verdict
from pawl.api.reasons import Reason
from pawl.decide.objects import WorkloadRow
from pawl.decide.rollout import Assessment, ContainerVerdict, PodState, Spotted
from pawl.decide.stages_view import View

SHOWN: Final = 20
"""Findings that the status shows."""

_MESSAGE: Final = 512
_WORST: Final = (
    Verdict.FAILED,
    Verdict.STUCK,
    Verdict.MISMATCH,
    Verdict.CONTESTED,
    Verdict.DRIFTED,
    Verdict.UNVERIFIABLE,
    Verdict.SKIPPED,
    Verdict.PENDING,
    Verdict.VERIFIED,
)
_RANK: Final = {verdict: rank for rank, verdict in enumerate(_WORST)}

_HELD: Final = {
    Reason.ROLLOUT_PAUSED: "the rollout is paused (spec.paused); resume it to have its Pods made anew",
    Reason.ON_DELETE: "its strategy is OnDelete: delete its Pods, or set spec.enforcement.onDelete to Evict",
    Reason.HELD_BY_PARTITION: "its partition holds this Pod back; lower the partition to have it made anew",
    Reason.NODE_NOT_READY: "its node is not ready; nothing is expected of it until the node is back",
    Reason.STALE_TARGET: "whoever made it read an older target; restart that, or edit the image there",
    Reason.POD_CHURN: "its owner makes Pods again and again when they are rewritten; set the image at the owner",
}


def spotted(view: View) -> tuple[Spotted, ...]:
    """Return everything that needs eyes, the worst first."""
    found = dict.fromkeys(one for state in view.matched for one in _of(state, view))
    found |= dict.fromkeys(_failures(view))
    return tuple(sorted(found, key=lambda one: (_RANK[one.verdict], one)))


def findings(found: Sequence[Spotted], before: Iterable[Finding], now: float) -> list[Finding]:
    """Return the findings for the status, with the time at which each was first seen; `now` is in epoch seconds."""
    known = {_identity(one): one.since for one in before}
    moment = datetime.fromtimestamp(int(now), UTC)
    return [_finding(one, known.get(_identity(one), moment)) for one in found[:SHOWN]]


def late(pod: PodState, view: View) -> bool:
    """Tell whether a Pod had its time to start."""
    return view.now - pod.pod.created > view.deadline


def _identity(one: Finding | Spotted) -> tuple[str, ...]:
    return one.kind, one.namespace, one.name, one.container, one.verdict, one.reason


def _finding(one: Spotted, since: datetime) -> Finding:
    return Finding(
        kind=one.kind,
        namespace=one.namespace,
        name=one.name,
        pod=one.pod,
        container=one.container,
        verdict=one.verdict,
        reason=one.reason,
        message=one.message[:_MESSAGE],
        since=since,
    )


def _of(state: Assessment, view: View) -> Iterable[Spotted]:
    if state.row.uid in view.facts.blocked:
        yield _spot(state, Verdict.SKIPPED, *view.facts.blocked[state.row.uid])
    yield from (_say(state, note) for note in state.notes)
    if view.contested(state) and not (state.notes or view.churned(state)):
        reverter = state.row.reverter if isinstance(state.row, WorkloadRow) else ""
        text = f"{reverter or 'somebody else'} keeps undoing what Pawl writes; set the image where that reads it"
        yield _spot(state, Verdict.CONTESTED, Reason.FIELD_REVERTED, text)
    case = view.jobs.get(state.row.uid)
    if case is not None and case.reason is not None:
        if not (case.reason == Reason.JOB_FINISHED and _of_cron(state)):
            yield _spot(state, case.verdict, case.reason, case.message)
        return
    yield from _pods(state, view)


def _of_cron(state: Assessment) -> bool:
    """Whether it is one of a CronJob's Jobs: those that ended are kept for a while, and need no eyes."""
    return any(owner.kind == "CronJob" for owner in state.row.owners)


def _pods(state: Assessment, view: View) -> Iterable[Spotted]:
    """Tell each kind of trouble of a workload's Pods once, of the first Pod that has it."""
    told: set[tuple[str, str, str]] = set()
    amiss = (one for one in state.pods if any(found.verdict is not Verdict.VERIFIED for found in one.verdicts))
    for one in sorted(amiss, key=lambda one: one.pod.name):
        for verdict in one.verdicts:
            found = _pod(state, one, verdict, view)
            key = None if found is None else (found.container, found.verdict.value, found.reason)
            if found is not None and key is not None and key not in told:
                told.add(key)
                yield found


def _pod(state: Assessment, one: PodState, verdict: ContainerVerdict, view: View) -> Spotted | None:
    if verdict.verdict is Verdict.VERIFIED:
        return None
    if one.held_by and (one.stale or verdict.verdict is Verdict.PENDING):
        text = _HELD.get(Reason(one.held_by), verdict.message)
        kind = Verdict.CONTESTED if one.held_by == Reason.POD_CHURN else Verdict.SKIPPED
        return _spot(state, kind, one.held_by, text, verdict)
    if verdict.verdict is Verdict.PENDING:
        text = "it has not started in spec.rollout.progressDeadline; `kubectl describe pod` tells why"
        return _spot(state, Verdict.STUCK, Reason.NOT_STARTED, text, verdict) if late(one, view) else None
    if verdict.verdict is Verdict.DRIFTED and not isinstance(state.row, WorkloadRow):
        text = f"{verdict.message}; Pawl does not end Pods that run: delete it to have it made anew"
        return _spot(state, Verdict.STUCK if one.stuck else Verdict.DRIFTED, Reason.BARE_POD, text, verdict)
    return _say(state, verdict)


def _failures(view: View) -> Iterable[Spotted]:
    rows = {unit.row.key: unit.state for unit in view.members}
    for failure in view.failures:
        yield _spot(rows[failure.key], Verdict.FAILED, failure.reason, failure.message)


def _say(state: Assessment, verdict: ContainerVerdict) -> Spotted:
    return _spot(state, verdict.verdict, verdict.reason, verdict.message, verdict)


def _spot(
    state: Assessment, verdict: Verdict, reason: str, message: str, where: ContainerVerdict | None = None
) -> Spotted:
    row = state.row
    kind = row.kind if isinstance(row, WorkloadRow) else "Pod"
    pod, container = ("", "") if where is None else (where.pod, where.container)
    return Spotted(kind, row.namespace, row.name, verdict, str(reason), message, pod, container)

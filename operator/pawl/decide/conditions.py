"""From findings to conditions: kstatus for Ready, Reconciling and Stalled, and one condition for each finding.

A condition other than Ready and ScanComplete stands only while it says something. What this decision could not judge
keeps the last word. Neighbours: `decide.policy` assembles the status. Not here: judging.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pawl.api.errors import Outcome, Retry, Stalled
from pawl.api.imagepolicy import Cause, Selection
from pawl.api.meta import Condition
from pawl.api.reason_docs import POLICY_CONDITIONS
from pawl.api.reasons import ConditionType, Reason
from pawl.decide.facts import Subject
from pawl.decide.memory import label
from pawl.decide.ruling import Finding

MESSAGE_LIMIT: Final = 1024

OPTIONAL: Final = frozenset(POLICY_CONDITIONS) - {
    ConditionType.READY,
    ConditionType.RECONCILING,
    ConditionType.STALLED,
    ConditionType.BOOTSTRAPPED,
}
"""Conditions that come from findings."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the conditions are made of: the selection after the decision, findings, failure, and what is not known."""

    selection: Selection | None
    findings: tuple[Finding, ...]
    failure: Outcome | None
    unknown: frozenset[ConditionType]


def conditions(subject: Subject, verdict: Verdict) -> list[Condition]:
    """Return the conditions, sorted by the order in which they are declared."""
    said = {finding.type: finding for finding in reversed((*_kstatus(subject, verdict), *_scan(verdict)))}
    said |= {finding.type: finding for finding in reversed(verdict.findings) if finding.type in OPTIONAL}
    kept = {c.type: c for c in subject.status.conditions}
    made = (_write(subject, kept.get(kind), said.get(kind), verdict.unknown) for kind in ConditionType)
    return [condition for condition in made if condition is not None]


def _write(
    subject: Subject, before: Condition | None, finding: Finding | None, unknown: frozenset[ConditionType]
) -> Condition | None:
    if finding is None:
        return before if before is not None and before.type in unknown else None
    same = before is not None and before.status == finding.status
    return Condition(
        type=finding.type.value,
        status=finding.status,
        observed_generation=subject.generation,
        last_transition_time=before.last_transition_time if before and same else subject.now.replace(microsecond=0),
        reason=finding.reason.value,
        message=finding.message[:MESSAGE_LIMIT],
    )


def _kstatus(subject: Subject, verdict: Verdict) -> Iterable[Finding]:
    yield _ready(subject, verdict)
    failure = verdict.failure
    if isinstance(failure, Stalled):
        yield Finding(ConditionType.STALLED, Reason(failure.reason), failure.message)
    if isinstance(failure, Retry) and verdict.selection is None:
        yield Finding(ConditionType.RECONCILING, Reason.PROGRESSING, failure.message)
    if verdict.selection is not None and verdict.selection.cause is Cause.BOOTSTRAP:
        text = f"{label(verdict.selection)} was selected without any memory of an earlier selection"
        yield Finding(ConditionType.BOOTSTRAPPED, Reason.FIRST_SELECTION, text)


def _ready(subject: Subject, verdict: Verdict) -> Finding:
    """Ready is True while a valid selection is held, also when scans fail; never True without one (ratchet.md §8)."""
    if verdict.selection is not None:
        reason = Reason.SUSPENDED if subject.spec.suspend else Reason.SELECTED
        return Finding(ConditionType.READY, reason, f"{label(verdict.selection)} is selected")
    if verdict.failure is not None:
        return Finding(ConditionType.READY, Reason(verdict.failure.reason), verdict.failure.message, "False")
    why = next((f for f in verdict.findings if f.type is ConditionType.PENDING), None)
    why = next((f for f in verdict.findings if f.type is ConditionType.READY), why) if why is None else why
    if why is not None:
        return Finding(ConditionType.READY, why.reason, why.message, "False")
    reason = Reason.SUSPENDED if subject.spec.suspend else Reason.PROGRESSING
    return Finding(ConditionType.READY, reason, "nothing is selected yet", "False")


def _scan(verdict: Verdict) -> Iterable[Finding]:
    failure = verdict.failure
    if failure is None:
        if ConditionType.SCAN_COMPLETE not in verdict.unknown:
            yield Finding(ConditionType.SCAN_COMPLETE, Reason.SCANNED, "the whole list of tags was read")
        return
    yield Finding(ConditionType.SCAN_COMPLETE, Reason(failure.reason), failure.message, "False")
    if failure.reason == Reason.RATE_LIMITED:
        yield Finding(ConditionType.RATE_LIMITED, Reason.RATE_LIMITED, failure.message)

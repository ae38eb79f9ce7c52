"""What holds a policy's selection, in words, and what to do about each, in a sentence. Pure.

A hold is a condition that keeps a selection from moving or says that something about it is wrong. The words are for
people; the condition types and reasons beside them are for scripts and stay.
Neighbours: `table_policies` and `table_detail` show them. Not here: judging (`decide.findings`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from pawl.api.imagepolicy import ImagePolicy
from pawl.api.meta import Condition
from pawl.api.reasons import ConditionType, Reason

SUSPENDED: Final = "Suspended"
"""Stands among the types of holds although it is no condition of its own: `spec.suspend`."""

Advice = Callable[[ImagePolicy], str]


@dataclass(frozen=True, slots=True)
class Hold:
    """One thing that holds. `type` and `reason` as in the conditions; `words` and `advice` for people."""

    type: str
    reason: str
    words: str
    message: str
    advice: str


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one condition type is told. `with_reason`: the reason says more than the words."""

    words: str
    advice: Advice
    with_reason: bool = False


def _always(text: str) -> Advice:
    return lambda _policy: text


def _accept(policy: ImagePolicy) -> str:
    mark = policy.status.ordering or "the fingerprint of status.ordering"
    return f"If the new image or ordering is meant, set spec.acceptOrdering to {mark}; if not, take the edit back."


def _approve(policy: ImagePolicy) -> str:
    waits = policy.status.pending
    if waits is None:
        return "Push the image for all of spec.platforms, or take the missing platform out of the spec."
    if Reason.APPROVAL_REQUIRED.value not in waits.waiting_for:
        return f"Wait: {waits.tag} is selected by itself once it is old enough, unless a newer one comes first."
    return f"To agree, add {{tag: {waits.tag}, digest: {waits.digest}}} to spec.approved."


def _resume(policy: ImagePolicy) -> str:
    mark = policy.status.rollback
    if mark is not None and mark.hold == "Pinned":
        return "Remove spec.rollback when the policy may go on; what was taken back stays blocked."
    return f"Nothing, or push a version above {mark.from_.partition('@')[0] if mark else 'what was taken back'}."


_KINDS: Final[Mapping[ConditionType, _Kind]] = MappingProxyType(
    {
        ConditionType.STALLED: _Kind(
            "you must act", _always("Mend what the message names; Pawl looks again within one interval."), True
        ),
        ConditionType.ORDERING_CHANGED: _Kind("the ordering changed", _accept),
        ConditionType.BELOW_HIGH_WATER: _Kind(
            "the spec no longer admits it",
            _always("Widen range, patterns or floor again, or go back on purpose with spec.rollback."),
        ),
        ConditionType.SELECTED_IMAGE_GONE: _Kind(
            "its image is gone", _always("Push the same image again, or go back with spec.rollback to one that exists.")
        ),
        ConditionType.SELECTED_TAG_MISSING: _Kind(
            "its tag is gone", _always("Nothing is urgent: the digest is served. Push the tag again, or a newer one.")
        ),
        ConditionType.TAG_MUTATED: _Kind(
            "its tag has another digest",
            _always("Push the change under a new tag, or set spec.tagMutability to Follow if tags move on purpose."),
        ),
        ConditionType.SELECTED_BLOCKED: _Kind(
            "it is blocked", _always("Push a version above it, or go back with spec.rollback.")
        ),
        ConditionType.ROLLBACK_REJECTED: _Kind(
            "the rollback was rejected", _always("Correct spec.rollback as the message says, with a new nonce."), True
        ),
        ConditionType.ROLLBACK_ACTIVE: _Kind("rolled back", _resume),
        ConditionType.PENDING: _Kind("a candidate waits", _approve, True),
        ConditionType.SCAN_SUSPECT: _Kind(
            "the tag list is suspect",
            _always("Nothing yet; a second scan confirms it. Look whether tags were deleted."),
        ),
        ConditionType.RATE_LIMITED: _Kind(
            "the registry asks to wait", _always("Raise spec.interval, or give credentials with a higher limit.")
        ),
    }
)


def holds_of(policy: ImagePolicy) -> tuple[Hold, ...]:
    """Return what holds a policy, the most pressing first."""
    said = {condition.type: condition for condition in policy.status.conditions}
    found = [_suspended()] if policy.spec.suspend else []
    for kind, told in _KINDS.items():
        condition = said.get(kind.value)
        if condition is not None and condition.status == "True":
            found.append(_hold(condition, told, policy))
    return (*found, *_scan(said))


def _hold(condition: Condition, told: _Kind, policy: ImagePolicy) -> Hold:
    words = f"{told.words} ({condition.reason})" if told.with_reason else told.words
    return Hold(condition.type, condition.reason, words, condition.message, told.advice(policy))


def _suspended() -> Hold:
    advice = "Remove spec.suspend when the policy may go on."
    return Hold(SUSPENDED, SUSPENDED, "suspended", "spec.suspend is set; the selection is kept and served", advice)


def _scan(said: Mapping[str, Condition]) -> tuple[Hold, ...]:
    """A scan that failed for a passing reason; one that needs you is told as Stalled, a limit as RateLimited."""
    scan = said.get(ConditionType.SCAN_COMPLETE.value)
    told = {ConditionType.STALLED.value, ConditionType.RATE_LIMITED.value} & set(said)
    if scan is None or scan.status != "False" or told:
        return ()
    advice = "Look at the registry; Pawl tries again by itself and the selection stays meanwhile."
    return (Hold(scan.type, scan.reason, f"the scan failed ({scan.reason})", scan.message, advice),)

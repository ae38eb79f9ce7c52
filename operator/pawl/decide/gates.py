"""What a candidate must pass before it is selected: minimum age and approval.

The age counts from our own first sight, kept in `status.pending`; what is unknown waits (ratchet.md §7).
Neighbours: `decide.moves` asks. Not here: platforms, which decide whether a tag is a candidate at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from pawl.api.imagepolicy import Approval
from pawl.api.reasons import Reason
from pawl.decide.durations import parse_duration
from pawl.decide.facts import Subject


@dataclass(frozen=True, slots=True)
class Gate:
    """The answer of all gates: empty `waiting_for` means open. `opens_at` is known for time gates only."""

    first_seen: datetime
    waiting_for: tuple[Reason, ...] = ()
    message: str = ""
    opens_at: datetime | None = None


def judge_gates(subject: Subject, tag: str, digest: str, *, consent: bool = False) -> Gate:
    """Judge a candidate. `consent` asks for approval whatever the spec's gate says (bootstrap: Hold)."""
    seen = _first_seen(subject, tag, digest)
    waits: list[Reason] = []
    texts: list[str] = []
    opens = seen + _minimum_age(subject)
    if opens > subject.now:
        waits.append(Reason.MINIMUM_AGE)
        texts.append(f"minimum age {subject.spec.gates.minimum_age} since {seen:%Y-%m-%dT%H:%M:%SZ}")
    if (consent or subject.spec.gates.approval is Approval.REQUIRED) and not _approved(subject, tag, digest):
        waits.append(Reason.APPROVAL_REQUIRED)
        texts.append("approval; add tag and digest to spec.approved")
    return Gate(seen, tuple(waits), ", ".join(texts), opens if waits == [Reason.MINIMUM_AGE] else None)


def _first_seen(subject: Subject, tag: str, digest: str) -> datetime:
    pending = subject.status.pending
    same = pending is not None and pending.tag == tag and pending.digest == digest
    return pending.first_seen if pending and same else subject.now.replace(microsecond=0)


def _minimum_age(subject: Subject) -> timedelta:
    text = subject.spec.gates.minimum_age
    return parse_duration(text) if text else timedelta(0)


def _approved(subject: Subject, tag: str, digest: str) -> bool:
    return any(known.tag == tag and known.digest == digest for known in subject.spec.approved)

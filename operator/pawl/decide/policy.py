"""The decision about one ImagePolicy: from facts to a new memory, a new status and what is worth an event.

Pure and total: equal facts give equal decisions, and a decision repeated on its own result changes nothing.
Neighbours: `decide.moves` moves the selection, `decide.findings` describes it, `controllers.imagepolicy` acts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from pawl.api.errors import Outcome
from pawl.api.imagepolicy import ImagePolicyStatus, Pending, Scan
from pawl.api.reasons import ConditionType, Reason
from pawl.decide.conditions import OPTIONAL, Verdict, conditions
from pawl.decide.facts import Facts, Lookup, Selected, Subject
from pawl.decide.findings import find, unknown
from pawl.decide.memory import Memory, label, rank
from pawl.decide.moves import decide_move

TOLD: Final = (OPTIONAL | {ConditionType.STALLED}) - {ConditionType.ROLLBACK_ACTIVE, ConditionType.SCAN_COMPLETE}
"""Conditions whose coming is worth a notice; a rollback is told by its move."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that changed and is worth a Kubernetes event."""

    warning: bool
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Decision:
    """`wake`: look again then at the latest. `moved`: the selection changed, `lag` seconds from first sight."""

    status: ImagePolicyStatus
    memory: Memory
    moved: bool = False
    lag: float | None = None
    notices: tuple[Notice, ...] = ()
    wake: datetime | None = None


def decide(facts: Facts) -> Decision:
    """Decide with compiled rules; `facts.failure` says what could not be found out, and then nothing negative acts."""
    ruling = decide_move(facts)
    moved = ruling.memory is not None
    after = _after(facts, ruling.memory) if ruling.memory else facts
    silent = unknown(after) | ({ConditionType.SCAN_COMPLETE} if after.scan is None else frozenset())
    verdict = Verdict(after.selection, ruling.findings + find(after), facts.failure, frozenset(silent))
    pending = ruling.pending if moved or _seen_whole(facts) else ruling.pending or facts.subject.status.pending
    status = _status(facts.subject, after.memory, verdict, pending).model_copy(
        update={"ordering": facts.rules.ordering.fingerprint, "scan": _scan(facts)}
    )
    notices = _notices(facts.subject, status, moved=moved)
    return Decision(status, after.memory, moved, _lag(facts.subject, status), notices, ruling.wake)


def decide_without_rules(subject: Subject, failure: Outcome | None) -> Decision:
    """Decide where the spec cannot be compiled, or is suspended (`failure` None): all that is held stays."""
    verdict = Verdict(subject.memory.selection, (), failure, OPTIONAL)
    status = _status(subject, subject.memory, verdict, subject.status.pending)
    return Decision(status, subject.memory, notices=_notices(subject, status, moved=False))


def _seen_whole(facts: Facts) -> bool:
    """Whether the list and what it led to were found out: else a candidate that waits keeps its place."""
    return facts.scan is not None and facts.failure is None


def _lag(subject: Subject, status: ImagePolicyStatus) -> float:
    """Seconds from the first sight of what is selected: what waited for its gates waited in `pending`."""
    waited, held = subject.status.pending, status.selection
    same = waited is not None and held is not None and (waited.tag, waited.digest) == (held.tag, held.digest)
    return (subject.now - waited.first_seen).total_seconds() if waited and same else 0.0


def _after(facts: Facts, memory: Memory) -> Facts:
    """The facts as they stand once the move is made: the new selection was just seen in the registry."""
    held = memory.selection
    seen = Selected(listed=True, tag_now=Lookup(found=True, digest=held.digest if held else ""), served=True)
    return replace(facts, subject=replace(facts.subject, memory=memory), selected=seen)


def _status(subject: Subject, memory: Memory, verdict: Verdict, pending: Pending | None) -> ImagePolicyStatus:
    return subject.status.model_copy(
        update={
            "observed_generation": subject.generation,
            "conditions": conditions(subject, verdict),
            "last_handled_reconcile_at": subject.requested_at or subject.status.last_handled_reconcile_at,
            "selection": memory.selection,
            "pending": pending,
            "blocked": list(memory.blocked),
            "rollback": memory.rollback,
            "history": list(memory.history),
        }
    )


def _scan(facts: Facts) -> Scan | None:
    """Keep the larger count while a shrunken list is only suspect, or the next scan would find nothing odd."""
    scan, known = facts.scan, facts.subject.status.scan
    if scan is None or any(finding.type is ConditionType.SCAN_SUSPECT for finding in find(facts)):
        return known
    return Scan(revision=scan.revision, tags=scan.tags, complete=scan.complete)


def _notices(subject: Subject, status: ImagePolicyStatus, *, moved: bool) -> tuple[Notice, ...]:
    notices = [*_recovery(subject)]
    if moved and status.selection is not None and status.history:
        entry = status.history[-1]
        text = f"{entry.from_ or 'nothing'} -> {entry.to}" + (f": {entry.reason}" if entry.reason else "")
        notices.append(Notice(warning=entry.cause == "Rollback", reason=entry.cause.value, message=text))
    before = {c.type for c in subject.status.conditions if c.status == "True"}
    for condition in status.conditions:
        kind = ConditionType(condition.type)
        new = condition.status == "True" and condition.type not in before
        if new and kind in TOLD:
            notices.append(Notice(kind is not ConditionType.PENDING, condition.reason, condition.message))
    return tuple(notices)


def _recovery(subject: Subject) -> tuple[Notice, ...]:
    """The ledger knew more than the status: the status was lost, or an older one was restored."""
    held, shown = subject.memory.selection, subject.status.selection
    if held is None or rank(shown) >= rank(held):
        return ()
    if shown is None:
        return (Notice(warning=False, reason=Reason.RECOVERED.value, message=f"{label(held)} from the ledger"),)
    text = f"status had {label(shown)}, the ledger knows {label(held)}; the later one stands"
    return (Notice(warning=True, reason=Reason.RESTORED_STATE_OLDER.value, message=text),)

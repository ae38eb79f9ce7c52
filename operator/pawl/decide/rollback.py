"""The way back: one step, as compare-and-set, never twice (ratchet.md §5).

A rollback applies only if `from` is the current selection and its nonce was never used by this policy, so one that lies
in Git for months cannot fire again. Neighbours: `decide.moves` runs this step first.
"""

from __future__ import annotations

from pawl.api.imagepolicy import Cause, Rollback, RollbackStatus, Selection
from pawl.api.reasons import ConditionType, Reason
from pawl.decide.facts import Facts
from pawl.decide.memory import Memory, label, rank, record_rollback
from pawl.decide.ruling import Finding, Ruling
from pawl.decide.shortlist import Rejection
from pawl.decide.succession import Choice, succeed
from pawl.decide.why import Why


def rollback(facts: Facts) -> Ruling:
    """Apply `spec.rollback`, refuse it with a reason, or pass it over where it was done before."""
    wish, held = facts.spec.rollback, facts.selection
    if wish is None or held is None or _spent(facts.memory, wish, held):
        return Ruling()
    refusal = _stale(wish, held) or _used(facts.memory, wish) or _incomparable(facts, wish, held)
    if refusal is not None:
        return Ruling(findings=(refusal,))
    return _with_target(facts, wish, held)


def wants_target(memory: Memory, wish: Rollback | None) -> bool:
    """Whether the rollback's target is to be looked up: it names the current selection and its nonce is unused."""
    held = memory.selection
    return wish is not None and held is not None and wish.nonce not in memory.nonces and _stale(wish, held) is None


def _spent(memory: Memory, wish: Rollback, held: Selection) -> bool:
    """A used nonce whose `from` is no longer current is history: the rollback was done, nothing is to be said."""
    return wish.nonce in memory.nonces and _stale(wish, held) is not None


def _refuse(reason: Reason, message: str) -> Finding:
    return Finding(ConditionType.ROLLBACK_REJECTED, reason, message)


def _stale(wish: Rollback, held: Selection) -> Finding | None:
    wrong_digest = wish.from_.digest is not None and wish.from_.digest != held.digest
    if wish.from_.tag == held.tag and not wrong_digest:
        return None
    named = f"{wish.from_.tag}@{wish.from_.digest}" if wrong_digest else wish.from_.tag
    text = f"rollback {wish.nonce} takes back {named}, but {label(held)} is selected; name it in `from`"
    return _refuse(Reason.STALE_FROM, text)


def _used(memory: Memory, wish: Rollback) -> Finding | None:
    if wish.nonce not in memory.nonces:
        return None
    return _refuse(Reason.NONCE_USED, f"nonce {wish.nonce} was used by this policy before; choose a new one")


def _incomparable(facts: Facts, wish: Rollback, held: Selection) -> Finding | None:
    if held.ordering != facts.rules.ordering.fingerprint:
        return _refuse(Reason.ORDERING_CHANGED, f"rollback {wish.nonce} waits until the changed ordering is accepted")
    key = facts.rules.key(wish.to.tag)
    if isinstance(key, str):
        return _barred(facts, wish)
    text = f"rollback {wish.nonce}: {wish.to.tag} cannot be compared in this policy ({key.reason})"
    return _refuse(Reason.TARGET_NOT_COMPARABLE, text)


def _barred(facts: Facts, wish: Rollback) -> Finding | None:
    """The floor and the blocked tags bind a rollback too; range and filters do not."""
    verdict = facts.rules.judge(wish.to.tag, facts.blocked)
    if not isinstance(verdict, Rejection) or verdict.reason not in {Why.BELOW_FLOOR, Why.BLOCKED}:
        return None
    text = f"rollback {wish.nonce}: {wish.to.tag} is {verdict.reason}; change spec.floor or spec.blocked first"
    return _refuse(Reason.TARGET_REFUSED, text)


def _with_target(facts: Facts, wish: Rollback, held: Selection) -> Ruling:
    lookup = facts.lookups.get(wish.to.digest)
    if lookup is None:
        text = f"rollback {wish.nonce} waits: the registry was not asked for {wish.to.digest} yet"
        return Ruling(settles=True, findings=(Finding(ConditionType.PENDING, Reason.UNREACHABLE, text),))
    if not lookup.found:
        text = f"rollback {wish.nonce}: the registry does not serve {wish.to.digest}"
        return Ruling(findings=(_refuse(Reason.TARGET_MISSING, text),))
    if lookup.lacking:
        text = f"rollback {wish.nonce}: {wish.to.tag} lacks {', '.join(lookup.lacking)}"
        return Ruling(findings=(_refuse(Reason.PLATFORM_MISSING, text),))
    return Ruling(memory=_applied(facts, wish, held), settles=True)


def _applied(facts: Facts, wish: Rollback, held: Selection) -> Memory:
    """Record the rollback, then select its target in a new epoch. Under one tag the digest ring does the blocking."""
    mark = RollbackStatus(nonce=wish.nonce, from_=label(held), above=held.sort_key, hold=wish.hold)
    taken_back = held.tag if held.tag != wish.to.tag else None
    memory = record_rollback(facts.memory, mark, taken_back)
    key = facts.rules.key(wish.to.tag)
    choice = Choice(
        tag=wish.to.tag,
        key=key if isinstance(key, str) else "",
        digest=wish.to.digest,
        cause=Cause.ROLLBACK,
        epoch=rank(held)[0] + 1,
        reason=wish.reason,
        who=wish.requested_by or "",
    )
    return succeed(facts, choice, memory)

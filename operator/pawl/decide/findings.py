"""What is to be said about a selection that is held: each named check looks at the facts and finds something or not.

`UNKNOWN_WITHOUT` says which conditions a check can only judge with which fact; without the fact the last word stands.
Neighbours: `decide.moves` changes the selection, `decide.conditions` writes. Not here: moves.
"""

from __future__ import annotations

from collections.abc import Callable

from pawl.api.reasons import ConditionType, Reason
from pawl.decide.facts import Facts
from pawl.decide.memory import label
from pawl.decide.moves import follows
from pawl.decide.ruling import Finding
from pawl.decide.shortlist import Rejection
from pawl.decide.why import Why

SHRINK_LIMIT = 0.8
"""A complete list with fewer than this share of the tags known before is suspect."""

Check = Callable[[Facts], Finding | None]


def find(facts: Facts) -> tuple[Finding, ...]:
    """Run every check and return what they found."""
    found = (check(facts) for check in CHECKS)
    return tuple(finding for finding in found if finding is not None)


def ordering_changed(facts: Facts) -> Finding | None:
    """The spec asks for an ordering that the selection's key knows nothing of."""
    held, wanted = facts.selection, facts.rules.ordering.fingerprint
    if held is None or held.ordering == wanted or facts.spec.accept_ordering == wanted:
        return None
    text = f"{held.tag} stays: image or ordering changed; set spec.acceptOrdering to {wanted} to start anew"
    return Finding(ConditionType.ORDERING_CHANGED, Reason.ORDERING_CHANGED, text)


def below_high_water(facts: Facts) -> Finding | None:
    """The selection is no longer admitted by range, filters or floor: a spec edit is not consent to go down."""
    held = facts.selection
    if held is None or held.ordering != facts.rules.ordering.fingerprint or facts.memory.rollback is not None:
        return None
    verdict = facts.rules.judge(held.tag, frozenset())
    if not isinstance(verdict, Rejection) or verdict.reason == Why.BLOCKED or _said_while_blind(facts):
        return None
    best = next((c.tag for c in facts.scan.candidates if c.tag != held.tag), None) if facts.scan else None
    offer = f"; the best that is admitted is {best}" if best else ""
    text = f"{held.tag} stays although it is {verdict.reason}{offer}; widen the spec, or go back with spec.rollback"
    return Finding(ConditionType.BELOW_HIGH_WATER, Reason.BELOW_HIGH_WATER, text)


def _said_while_blind(facts: Facts) -> bool:
    """Without a scan the best tag is not known; what was said with one stands, so that failures write nothing."""
    known = (condition.type for condition in facts.subject.status.conditions)
    return facts.scan is None and ConditionType.BELOW_HIGH_WATER in known


def selected_blocked(facts: Facts) -> Finding | None:
    """The selection itself is blocked: it stays until something greater comes or it is rolled back."""
    held = facts.selection
    if held is None or held.tag not in facts.blocked:
        return None
    text = f"{held.tag} is blocked and stays selected; wait for a greater tag, or go back with spec.rollback"
    return Finding(ConditionType.SELECTED_BLOCKED, Reason.BLOCKED, text)


def rollback_active(facts: Facts) -> Finding | None:
    """A rollback is in force."""
    mark = facts.memory.rollback
    if mark is None:
        return None
    until = "until spec.rollback is removed" if mark.hold == "Pinned" else f"until something above {mark.from_}"
    text = f"rollback {mark.nonce} took back {mark.from_}; holds {until}"
    return Finding(ConditionType.ROLLBACK_ACTIVE, Reason.ROLLED_BACK, text)


def tag_missing(facts: Facts) -> Finding | None:
    """The list does not name the selected tag. Its digest may well be served."""
    held = facts.selection
    if held is None or facts.selected.listed is not False:
        return None
    text = f"the registry does not list {held.tag}; the digest stays pinned"
    return Finding(ConditionType.SELECTED_TAG_MISSING, Reason.TAG_MISSING, text)


def image_gone(facts: Facts) -> Finding | None:
    """The registry no longer serves the selected digest."""
    held = facts.selection
    if held is None or facts.selected.served is not False:
        return None
    text = f"the registry does not serve {label(held)}; push it again, or go back with spec.rollback"
    return Finding(ConditionType.SELECTED_IMAGE_GONE, Reason.IMAGE_GONE, text)


def tag_mutated(facts: Facts) -> Finding | None:
    """The selected tag points at another digest that is not followed."""
    held, now = facts.selection, facts.selected.tag_now
    if held is None or now is None or not now.found or not held.digest or now.digest == held.digest:
        return None
    if not follows(facts):
        text = f"{held.tag} now is {now.digest}; {held.digest} stays, tags are immutable here"
        return Finding(ConditionType.TAG_MUTATED, Reason.DIGEST_CHANGED, text)
    if facts.memory.had(held.tag, now.digest):
        text = f"{held.tag} went back to {now.digest}, which it had before; {held.digest} stays"
        return Finding(ConditionType.TAG_MUTATED, Reason.DIGEST_REPEATED, text)
    return None


def suspect(facts: Facts) -> Finding | None:
    """The list shrank by more than a fifth, and no second scan has confirmed it."""
    known, scan = facts.subject.status.scan, facts.scan
    if scan is None or known is None or scan.confirmed or scan.tags >= known.tags * SHRINK_LIMIT:
        return None
    text = f"the registry lists {scan.tags} tags where it listed {known.tags}; nothing is concluded from that"
    return Finding(ConditionType.SCAN_SUSPECT, Reason.SHRUNK, text)


def no_selection(facts: Facts) -> Finding | None:
    """Nothing is selected: say what the scan offered."""
    if facts.selection is not None or facts.scan is None:
        return None
    if facts.scan.tags == 0:
        return Finding(ConditionType.READY, Reason.NO_TAGS, f"{facts.spec.image} has no tags", "False")
    text = f"none of {facts.scan.tags} tags can be selected; `pawl choose` tells why for each"
    return Finding(ConditionType.READY, Reason.NO_CANDIDATE, text, "False")


CHECKS: tuple[Check, ...] = (
    ordering_changed,
    below_high_water,
    selected_blocked,
    rollback_active,
    tag_missing,
    image_gone,
    tag_mutated,
    suspect,
    no_selection,
)


def unknown(facts: Facts) -> frozenset[ConditionType]:
    """Return the conditions that these facts cannot judge: what was said of them before stands."""
    silent: set[ConditionType] = set()
    if facts.scan is None:
        silent.add(ConditionType.SCAN_SUSPECT)
    if facts.scan is None or facts.failure is not None:
        silent.add(ConditionType.PENDING)
    if _said_while_blind(facts):
        silent.add(ConditionType.BELOW_HIGH_WATER)
    if facts.selected.listed is None:
        silent.add(ConditionType.SELECTED_TAG_MISSING)
    if facts.selected.served is None and facts.selected.listed is not True:
        silent.add(ConditionType.SELECTED_IMAGE_GONE)
    if facts.selected.tag_now is None:
        silent.add(ConditionType.TAG_MUTATED)
    return frozenset(silent)

"""How a selection may change: an ordered list of named steps, each proposing a move or saying why there is none.

The law: positive facts may advance a selection, negative facts never act (ratchet.md). A move is a new memory; a step
that `settles` ends the list, because nothing below it may act while it holds.
Neighbours: `decide.gates` judges waiting candidates, `decide.rollback` the way back, `decide.findings` describes what
is held. Not here: conditions and status.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from pawl.api.imagepolicy import Bootstrap, Cause, Pending, RollbackHold, TagMutability
from pawl.api.reasons import ConditionType, Reason
from pawl.decide.facts import Facts, LiveImage, Lookup
from pawl.decide.gates import Gate, judge_gates
from pawl.decide.memory import rank
from pawl.decide.ordering import value_part
from pawl.decide.rollback import rollback as take_back
from pawl.decide.ruling import Finding, Ruling
from pawl.decide.shortlist import Candidate
from pawl.decide.succession import Choice, succeed


@dataclass(frozen=True, slots=True)
class Pick:
    """The candidate that would be next, what the registry said of it, and which greater ones could not serve."""

    candidate: Candidate | None = None
    lookup: Lookup | None = None
    lacking: str = ""


def decide_move(facts: Facts) -> Ruling:
    """Run the steps in order and return what they rule together."""
    total = Ruling()
    for step in STEPS:
        ruling = step(facts)
        total = total.merged(ruling)
        if ruling.settles:
            break
    return total


def follows(facts: Facts) -> bool:
    """Whether a new digest under the selected tag is taken: with Follow, and by nature with the digest strategy."""
    return facts.spec.select.digest is not None or facts.spec.tag_mutability is TagMutability.FOLLOW


def pinned(facts: Facts) -> Ruling:
    """A pinned rollback holds until it is removed from the spec."""
    active, wish = facts.memory.rollback, facts.spec.rollback
    if active is None or wish is None or active.hold is not RollbackHold.PINNED or wish.nonce != active.nonce:
        return Ruling()
    return Ruling(settles=True)


def ordering(facts: Facts) -> Ruling:
    """A changed ordering holds until it is accepted by its fingerprint; then a new epoch starts (ratchet.md)."""
    held = facts.selection
    if held is None or held.ordering == facts.rules.ordering.fingerprint:
        return Ruling()
    if facts.spec.accept_ordering != facts.rules.ordering.fingerprint:
        return Ruling(settles=True)
    return replace(_start(facts, Cause.ORDERING_ACCEPTED), settles=True)


def bootstrap(facts: Facts) -> Ruling:
    """Without any memory, start where `spec.bootstrap` says, never below what runs or below the floor."""
    if facts.selection is not None:
        return Ruling()
    return replace(_start(facts, Cause.BOOTSTRAP), settles=True)


def advance(facts: Facts) -> Ruling:
    """Take a candidate whose value is greater than the selection's, and greater than what a rollback took back."""
    held = facts.selection
    if held is None or facts.scan is None:
        return Ruling()
    marks = [held.sort_key] + ([facts.memory.rollback.above] if facts.memory.rollback else [])
    pick = choose(facts, above=max(value_part(mark) for mark in marks))
    return _offer(facts, pick, Cause.NEWER, epoch=held.epoch)


def follow(facts: Facts) -> Ruling:
    """Take a digest that the selected tag never had. A digest it had before is a step back (ratchet.md)."""
    held, now = facts.selection, facts.selected.tag_now
    if held is None or now is None or not now.found or now.digest == held.digest or not _may_follow(facts):
        return Ruling()
    if facts.memory.had(held.tag, now.digest):
        return Ruling()
    lacking = f"{held.tag} lacks {', '.join(now.lacking)}" if now.lacking else ""
    pick = Pick(None if lacking else Candidate(held.tag, held.sort_key), now, lacking)
    return _offer(facts, pick, Cause.TAG_MOVED, epoch=held.epoch)


def _may_follow(facts: Facts) -> bool:
    """After a rollback only something greater ends it; with the digest strategy a new digest is that."""
    return follows(facts) and (facts.memory.rollback is None or facts.spec.select.digest is not None)


STEPS: tuple[Callable[[Facts], Ruling], ...] = (take_back, pinned, ordering, bootstrap, advance, follow)


def choose(facts: Facts, *, above: str | None = None, least: str | None = None) -> Pick:
    """Return the greatest candidate with a value above `above` and not below `least` that exists for all platforms."""
    lacking = ""
    for candidate in facts.scan.candidates if facts.scan else ():
        value = value_part(candidate.key)
        if (above is not None and value <= above) or (least is not None and value < least):
            break
        lookup = facts.lookups.get(candidate.tag)
        if lookup is None:
            return Pick(lacking=lacking)
        if lookup.found and not lookup.lacking:
            return Pick(candidate, lookup, lacking)
        if lookup.found:
            lacking = lacking or f"{candidate.tag} lacks {', '.join(lookup.lacking)}"
    return Pick(lacking=lacking)


def _start(facts: Facts, cause: Cause) -> Ruling:
    """Make the first selection of an epoch. It needs every fact: what Pods run may be what could not be found out."""
    if facts.failure is not None:
        return Ruling()
    live = greatest_live(facts)
    epoch = rank(facts.selection)[0] + 1
    least = value_part(live[0].key) if live else None
    pick = choose(facts, least=least)
    if facts.spec.bootstrap is Bootstrap.LIVE or (live and pick.candidate is None):
        return _start_live(facts, live, cause, epoch)
    return _offer(facts, pick, cause, epoch=epoch, consent=facts.spec.bootstrap is Bootstrap.HOLD)


def _start_live(facts: Facts, live: tuple[Candidate, LiveImage] | None, cause: Cause, epoch: int) -> Ruling:
    if live is None:
        text = "no Pod of the namespace runs this image; start one, or set spec.bootstrap to Newest"
        return Ruling(findings=(Finding(ConditionType.READY, Reason.NO_LIVE_IMAGE, text, "False"),))
    candidate, image = live
    if not image.digest:
        text = f"Pods run {image.tag}, which the registry no longer serves, and nothing greater is offered"
        return Ruling(findings=(Finding(ConditionType.READY, Reason.IMAGE_GONE, text, "False"),))
    return Ruling(memory=succeed(facts, Choice(candidate.tag, candidate.key, image.digest, cause, epoch)))


def greatest_live(facts: Facts) -> tuple[Candidate, LiveImage] | None:
    """Return the greatest comparable image that Pods run, with its key."""
    keyed = ((facts.rules.key(image.tag), image) for image in facts.live)
    known = [(Candidate(image.tag, key), image) for key, image in keyed if isinstance(key, str)]
    return max(known, key=lambda pair: (pair[0].key, bool(pair[1].digest), pair[1].digest or ""), default=None)


def _offer(facts: Facts, pick: Pick, cause: Cause, *, epoch: int, consent: bool = False) -> Ruling:
    """Select the pick if its gates are open, else let it wait in `pending`."""
    notes = (Finding(ConditionType.PENDING, Reason.PLATFORM_MISSING, pick.lacking),) if pick.lacking else ()
    if pick.candidate is None or pick.lookup is None:
        return Ruling(findings=notes)
    gate = judge_gates(facts.subject, pick.candidate.tag, pick.lookup.digest, consent=consent)
    if gate.waiting_for:
        return _waiting(pick, gate, notes)
    choice = Choice(pick.candidate.tag, pick.candidate.key, pick.lookup.digest, cause, epoch)
    return Ruling(memory=succeed(facts, choice), settles=True, findings=notes)


def _waiting(pick: Pick, gate: Gate, notes: tuple[Finding, ...]) -> Ruling:
    tag, digest = (pick.candidate.tag if pick.candidate else ""), (pick.lookup.digest if pick.lookup else "")
    pending = Pending(tag=tag, digest=digest, first_seen=gate.first_seen, waiting_for=list(gate.waiting_for))
    finding = Finding(ConditionType.PENDING, gate.waiting_for[0], f"{tag}@{digest} waits: {gate.message}")
    return Ruling(findings=(*notes, finding), pending=pending, wake=gate.opens_at)

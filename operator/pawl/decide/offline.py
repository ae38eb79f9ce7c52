"""The same decision without a cluster or a registry: what would this policy select from these tags?

Every candidate is taken to exist for all platforms, its digest is not known, and what needs a registry or a clock is
named as not evaluated. Neighbours: `cli.choose` reads and prints. Not here: other rules than `decide.policy` has.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from pawl.api.imagepolicy import Bootstrap, Gates, ImagePolicy, ImagePolicySpec, Selection
from pawl.api.reasons import ConditionType, Reason
from pawl.decide.facts import Facts, Lookup, Scan, Selected, Subject
from pawl.decide.memory import from_status
from pawl.decide.ordering import sort_key
from pawl.decide.policy import Decision, decide
from pawl.decide.rollback import wants_target
from pawl.decide.shortlist import Candidate, Rejection, Rules, compile_rules, rejections, revision, shortlist

HOLDS = (
    ConditionType.ORDERING_CHANGED,
    ConditionType.BELOW_HIGH_WATER,
    ConditionType.SELECTED_BLOCKED,
    ConditionType.SELECTED_TAG_MISSING,
    ConditionType.ROLLBACK_ACTIVE,
)
"""Conditions that tell why a selection stays, the most telling first."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The answer: `hold` and `message` say why nothing moved, `considered` counts the distinct tags."""

    selection: Selection | None
    ordering: str
    hold: Reason | None
    message: str
    rejected: tuple[Rejection, ...]
    considered: int
    not_evaluated: tuple[str, ...]


def choose(policy: ImagePolicy, tags: Iterable[str], now: datetime) -> Choice:
    """Decide offline. Raises Stalled where the spec cannot be carried out."""
    listed = sorted(set(tags))
    rules = compile_rules(policy.spec)
    subject = Subject(
        spec=_ungated(policy.spec),
        status=policy.status,
        generation=policy.metadata.generation,
        memory=from_status(policy.status),
        now=now,
        who="pawl choose",
    )
    facts = Facts(subject, rules)
    found = shortlist(rules, listed, blocked=facts.blocked)
    candidates = _digest_candidate(policy.spec, rules, listed) or found.candidates
    held = facts.selection
    facts = Facts(
        subject,
        rules,
        scan=Scan(revision(listed), len(listed), complete=True, candidates=candidates),
        selected=Selected(listed=held.tag in listed if held else None),
        lookups={candidate.tag: Lookup(found=True) for candidate in candidates},
    )
    decision = decide(facts)
    hold, message = _why(decision)
    return Choice(
        selection=decision.memory.selection,
        ordering=rules.ordering.fingerprint,
        hold=None if decision.moved else hold,
        message=message,
        rejected=rejections(rules, listed, facts.blocked),
        considered=found.considered,
        not_evaluated=not_evaluated(policy),
    )


def not_evaluated(policy: ImagePolicy) -> tuple[str, ...]:
    """Name the fields of the spec that need a registry, a cluster or a clock."""
    spec = policy.spec
    needs = {
        "platforms": bool(spec.platforms),
        "gates.minimumAge": spec.gates.minimum_age is not None,
        "gates.approval": spec.gates.approval.value != "None",
        "bootstrap": spec.bootstrap is not Bootstrap.NEWEST and policy.status.selection is None,
        "rollback": wants_target(from_status(policy.status), spec.rollback),
    }
    return tuple(name for name, wanted in needs.items() if wanted)


def _ungated(spec: ImagePolicySpec) -> ImagePolicySpec:
    """Leave out what cannot be judged here."""
    return spec.model_copy(update={"gates": Gates(), "bootstrap": Bootstrap.NEWEST, "rollback": None})


def _digest_candidate(spec: ImagePolicySpec, rules: Rules, listed: list[str]) -> tuple[Candidate, ...]:
    """With the digest strategy the one tag is the candidate, if the list has it."""
    if spec.select.digest is None or spec.select.digest.tag not in listed:
        return ()
    tag = spec.select.digest.tag
    key = rules.key(tag)
    return (Candidate(tag, key if isinstance(key, str) else sort_key("", tag)),)


def _why(decision: Decision) -> tuple[Reason | None, str]:
    said = {condition.type: condition for condition in decision.status.conditions}
    for kind in HOLDS:
        if kind in said and said[kind].status == "True":
            return Reason(said[kind].reason), said[kind].message
    return None, said[ConditionType.READY].message

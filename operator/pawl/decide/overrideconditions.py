"""The conditions of an override: kstatus, what was found of its rules, and what is done about running workloads.

`Ready` is True when the rules are accepted, the gate rewrites, what ran already was seen to, and nothing runs that is
known to be wrong. `Reconciling` stands while Pawl works by itself, `Stalled` while a person must act.
Times change only when a status changes, so that equal facts give an equal list. Neighbours: `decide.stages_report` says
RolledOut, Verified, Contested, Paused and Prepulled; `decide.rulebook` and preflight say the others. Not here: judging.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from pawl.api.meta import Condition
from pawl.api.reasons import ConditionType, Reason
from pawl.decide.rollout import RolloutDecision, Said, Stage

MESSAGE_LIMIT: Final = 1024

_WORKING: Final = frozenset({Stage.PREPULL, Stage.PARENTS, Stage.CHILDREN, Stage.PODS, Stage.JOBS, Stage.FIELDS})
"""Stages in which Pawl goes on by itself."""
_NEUTRAL: Final = frozenset({Stage.ADMISSION_ONLY, Stage.VERIFY, Stage.DONE})
"""Stages in which nothing is left to do."""


class Story(msgspec.Struct, frozen=True):
    """All that the conditions are made of.

    `said`: conditions from elsewhere (Accepted, Conflicting, Preflight), as far as they say something. `decision` is
    None while nothing could be decided; `stalled` and `working` are the reason and sentence of what the user must do,
    or of what is tried again, from outside the rollout.
    """

    generation: int
    said: tuple[Said, ...] = ()
    decision: RolloutDecision | None = None
    stalled: tuple[str, str] | None = None
    working: tuple[str, str] | None = None


def conditions(story: Story, before: Sequence[Condition], now: float) -> list[Condition]:
    """Return the conditions in the order in which their types are declared; `now` is in seconds since the epoch."""
    facts = (*story.said, *(story.decision.conditions if story.decision is not None else ()))
    all_said = {one.type: one for one in reversed((*_kstatus(story, facts), *facts))}
    known = {one.type: one for one in before}
    moment = datetime.fromtimestamp(int(now), UTC)
    ordered = (all_said[kind] for kind in ConditionType if kind in all_said)
    return [_write(one, known.get(one.type.value), story.generation, moment) for one in ordered]


def _write(said: Said, before: Condition | None, generation: int, moment: datetime) -> Condition:
    same = before is not None and before.status == said.status
    return Condition.model_validate(
        {
            "type": said.type.value,
            "status": said.status,
            "observed_generation": generation,
            "last_transition_time": before.last_transition_time if before is not None and same else moment,
            "reason": str(said.reason),
            "message": said.message[:MESSAGE_LIMIT],
        }
    )


def _kstatus(story: Story, facts: Iterable[Said]) -> Iterable[Said]:
    said = {one.type: one for one in facts}
    stalled, working = _stalled(story, said), _working(story, said)
    if stalled is not None:
        yield Said(ConditionType.STALLED, "True", *stalled)
    elif working is not None:
        yield Said(ConditionType.RECONCILING, "True", *working)
    doubt = stalled or working or _doubt(story, said)
    if doubt is not None:
        yield Said(ConditionType.READY, "False", *doubt)
    else:
        yield Said(ConditionType.READY, "True", *_ready(story, said))


def _stalled(story: Story, said: Mapping[ConditionType, Said]) -> tuple[str, str] | None:
    """Say what only a person can mend."""
    refused = said.get(ConditionType.ACCEPTED)
    if story.stalled is not None:
        return story.stalled
    if refused is not None and refused.status == "False":
        return refused.reason, refused.message
    decision = story.decision
    if decision is None:
        return None
    if decision.invalid is not None:
        return decision.invalid
    failed = decision.stage is Stage.FAILED or _prepull_failed(decision)
    return _rolled(said) if failed else None


def _working(story: Story, said: Mapping[ConditionType, Said]) -> tuple[str, str] | None:
    if story.working is not None:
        return story.working
    if story.decision is None:
        return Reason.PROGRESSING, "the cluster is being read"
    if story.decision.stage is Stage.GATE or story.decision.stage in _WORKING:
        return _rolled(said)
    return None


def _doubt(story: Story, said: Mapping[ConditionType, Said]) -> tuple[str, str] | None:
    """Say why it is not Ready although nothing is at work: it waits for a person, or something runs that is wrong."""
    decision = story.decision
    if decision is not None and decision.stage not in _NEUTRAL:
        return _rolled(said)
    verified = said.get(ConditionType.VERIFIED)
    wrong = verified is not None and verified.status == "False"
    if wrong and verified is not None and decision is not None and decision.stage is not Stage.ADMISSION_ONLY:
        return verified.reason, verified.message
    preflight = said.get(ConditionType.PREFLIGHT)
    if preflight is not None and preflight.status == "False":
        return preflight.reason, preflight.message
    return None


def _ready(story: Story, said: Mapping[ConditionType, Said]) -> tuple[str, str]:
    decision = story.decision
    if decision is not None and decision.stage is Stage.ADMISSION_ONLY:
        return Reason.ADMISSION_ONLY, "what starts is rewritten; what runs already stays"
    verified = said.get(ConditionType.VERIFIED)
    if verified is not None and verified.status == "True":
        return verified.reason, verified.message
    return _rolled(said)


def _rolled(said: Mapping[ConditionType, Said]) -> tuple[str, str]:
    rolled = said.get(ConditionType.ROLLED_OUT)
    return (Reason.PROGRESSING, "a decision is under way") if rolled is None else (rolled.reason, rolled.message)


def _prepull_failed(decision: RolloutDecision) -> bool:
    return any(one.reason == Reason.PREPULL_FAILED for one in decision.conditions)

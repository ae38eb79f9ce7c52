"""The conditions of an override: kstatus by stage, times that change with the status only, and silence."""

from __future__ import annotations

import pytest

from pawl.api.imageoverride import Plan
from pawl.api.meta import Condition
from pawl.api.reasons import ConditionType, Reason
from pawl.decide.overrideconditions import Story, conditions
from pawl.decide.rollout import RolloutDecision, Said, Stage

ACCEPTED = Said(ConditionType.ACCEPTED, "True", Reason.ACCEPTED, "fine")
VERIFIED = Said(ConditionType.VERIFIED, "True", Reason.VERIFIED, "all run it")
DRIFTED = Said(ConditionType.VERIFIED, "False", Reason.DRIFTED, "one does not")
DONE = Said(ConditionType.ROLLED_OUT, "True", Reason.ROLLED_OUT, "done")


def decision(stage: Stage, *said: Said, **more: tuple[str, str]) -> RolloutDecision:
    return RolloutDecision(stage, plan=Plan(hash="0" * 16), conditions=said, **more)


def rolled(reason: Reason) -> Said:
    return Said(ConditionType.ROLLED_OUT, "False", reason, "not yet")


def told(story: Story, before: list[Condition] | None = None, now: float = 100.0) -> dict[str, tuple[str, str]]:
    return {one.type: (one.status, one.reason) for one in conditions(story, before or [], now)}


ROWS = [
    (decision(Stage.DONE, DONE, VERIFIED), "True", "Verified", ""),
    (decision(Stage.VERIFY, DONE, DRIFTED), "False", "Drifted", ""),
    (decision(Stage.CHILDREN, rolled(Reason.ROLLING_OUT), DRIFTED), "False", "RollingOut", "Reconciling"),
    (decision(Stage.PARENTS, rolled(Reason.SETTLING), DRIFTED), "False", "Settling", "Reconciling"),
    (decision(Stage.GATE, rolled(Reason.GATE_MISSING)), "False", "GateMissing", "Reconciling"),
    (decision(Stage.APPROVAL, rolled(Reason.APPROVAL_REQUIRED)), "False", "ApprovalRequired", ""),
    (decision(Stage.PAUSED, rolled(Reason.PAUSED)), "False", "Paused", ""),
    (decision(Stage.FAILED, rolled(Reason.BATCH_NOT_VERIFIED)), "False", "BatchNotVerified", "Stalled"),
    (decision(Stage.INVALID, invalid=("InvalidSpec", "no cron")), "False", "InvalidSpec", "Stalled"),
    (decision(Stage.ADMISSION_ONLY, rolled(Reason.ADMISSION_ONLY), DRIFTED), "True", "AdmissionOnly", ""),
    (None, "False", "Progressing", "Reconciling"),
]


@pytest.mark.parametrize(("given", "status", "reason", "beside"), ROWS)
def test_ready_by_stage(given: RolloutDecision | None, status: str, reason: str, beside: str) -> None:
    found = told(Story(3, (ACCEPTED,), given))
    assert found["Ready"] == (status, reason)
    assert {"Reconciling", "Stalled"} & set(found) == ({beside} - {""})
    assert found["Accepted"] == ("True", "Accepted")


def test_a_refused_override_is_stalled_whatever_runs() -> None:
    refused = Said(ConditionType.ACCEPTED, "False", Reason.NOT_IDEMPOTENT, "a makes b, b makes c")
    found = told(Story(1, (refused,), decision(Stage.DONE, DONE, VERIFIED)))
    assert (found["Ready"], found["Stalled"]) == (("False", "NotIdempotent"), ("True", "NotIdempotent"))


def test_a_missing_target_keeps_it_from_being_ready() -> None:
    missing = Said(ConditionType.PREFLIGHT, "False", Reason.IMAGE_MISSING, "not there")
    found = told(Story(1, (ACCEPTED, missing), decision(Stage.DONE, DONE, VERIFIED)))
    assert found["Ready"] == ("False", "ImageMissing")


def test_trouble_from_outside_goes_first() -> None:
    story = Story(1, (ACCEPTED,), decision(Stage.DONE, DONE, VERIFIED), stalled=("MissingRight", "grant it"))
    assert told(story)["Stalled"] == ("True", "MissingRight")
    story = Story(1, (ACCEPTED,), decision(Stage.DONE, DONE, VERIFIED), working=("Unreachable", "tried again"))
    assert told(story)["Reconciling"] == ("True", "Unreachable")


def test_times_change_with_the_status_only() -> None:
    first = conditions(Story(1, (ACCEPTED,), decision(Stage.DONE, DONE, VERIFIED)), [], 100.7)
    again = conditions(Story(1, (ACCEPTED,), decision(Stage.DONE, DONE, VERIFIED)), first, 900.0)
    assert again == first
    other = conditions(Story(2, (ACCEPTED,), decision(Stage.VERIFY, DONE, DRIFTED)), first, 900.0)
    times = {one.type: one.last_transition_time.timestamp() for one in other}
    assert times == {"Ready": 900.0, "Accepted": 100.0, "RolledOut": 100.0, "Verified": 900.0}
    assert {one.observed_generation for one in other} == {2}


def test_long_messages_are_cut() -> None:
    story = Story(1, (Said(ConditionType.ACCEPTED, "True", Reason.ACCEPTED, "x" * 5000),), None)
    assert max(len(one.message) for one in conditions(story, [], 0.0)) == 1024

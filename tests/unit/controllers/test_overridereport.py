"""What the status says, and that equal facts say it in equal words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.cluster.memory_api import merged
from tests.unit.controllers.override_doubles import CONFLICT, Stage, body, digest, policy, workload
from tests.unit.controllers.override_whole import Told

from pawl.api.errors import Conflict, LeaseLost
from pawl.api.imageoverride import OverrideStatus, Plan, PlanCounts, WorkloadCounts
from pawl.api.reasons import Reason
from pawl.controllers.overridereport import Look, OverrideReporter, status_of, status_patch
from pawl.decide.rollout import RolloutDecision
from pawl.decide.rollout import Stage as Step
from pawl.decide.targets import Refusal

IMAGE, TARGET = "docker.io/rook/ceph:1", "r.corp/rook/ceph:1"


async def looked(stage: Stage | None = None, *, fails: Reason | None = None, **spec: Any) -> Look:
    """A look at an override that has nothing to do any more."""
    stage = stage or Stage("shop")
    stage.world.put(workload("web", IMAGE))
    stage.registry.fails = {("", TARGET): fails} if fails is not None else {}
    override = stage.put(body(**spec))
    return Look(override, await stage.look(), RolloutDecision(Step.DONE), "Webhook", (), (), 1)


def said(look: Look, kind: str) -> tuple[str, str, str] | None:
    found = [one for one in status_of(look, 1000.0).conditions if one.type == kind]
    return (found[0].status, found[0].reason, found[0].message) if found else None


async def test_the_usual_words() -> None:
    look = await looked()
    assert said(look, "Accepted") == ("True", "Accepted", "1 rule in force")
    assert said(look, "Preflight") == ("True", "PreflightPassed", "1 target was seen in the registry")
    assert said(look, "Stalled") is said(look, "Conflicting") is None
    status = status_of(look, 1000.0)
    assert (status.gate, status.observed_generation) == ("Webhook", 1)
    (found,) = status.resolved
    assert (found.reference, found.digest) == (TARGET, digest(TARGET))


@pytest.mark.parametrize(
    ("spec", "kind", "status", "reason"),
    [
        ({"rollout": {"preflight": "Skip"}}, "Preflight", "True", "PreflightSkipped"),
        ({"rules": [{"source": "UPPER CASE", "target": {"tag": "x"}}]}, "Accepted", "False", "InvalidSource"),
        (
            {"rules": [{"source": "docker.io/rook", "target": {"policyRef": {"name": "web"}}}]},
            "Accepted",
            "True",
            "PolicyNotFound",
        ),
    ],
)
async def test_what_is_not_as_usual(spec: dict[str, Any], kind: str, status: str, reason: str) -> None:
    found = said(await looked(**spec), kind)
    assert found is not None
    assert found[:2] == (status, reason)


async def test_a_policy_without_a_selection_is_told() -> None:
    stage = Stage("shop")
    stage.select(policy())
    look = await looked(stage, rules=[{"source": "docker.io/rook", "target": {"policyRef": {"name": "web"}}}])
    found = said(look, "Accepted")
    assert found is not None
    assert found[1] == "PolicyWithoutSelection"


async def test_a_refused_target_and_a_refused_copy_are_told_with_how_many_more() -> None:
    look = await looked(fails=Reason.IMAGE_MISSING)
    found = said(look, "Preflight")
    assert found == ("False", "ImageMissing", f"{TARGET}: ImageMissing")
    copies = {"shop/one": (Refusal(Reason.COPY_NOT_ALLOWED, "no copy"), Refusal(Reason.COPY_NOT_ALLOWED, "nor this"))}
    found = said(replace(look, standing=replace(look.standing, copies=copies)), "Preflight")
    assert found == ("False", "CopyNotAllowed", "no copy (1 more)")


async def test_conflicts_are_told_to_both() -> None:
    stage = Stage("shop")
    stage.put(body("two", rules=[{"source": "docker.io/rook", "target": {"repository": "r.corp/other"}}]))
    one = await looked(stage)
    two = replace(one, override=next(o for o in stage.overrides.readable() if o.metadata.name == "two"))
    for look in (one, two):
        found = said(look, "Conflicting")
        assert found is not None
        assert found[0] == "True"


async def test_no_namespace_and_what_the_api_server_refuses() -> None:
    look = await looked()
    found = said(replace(look, namespaces=0), "Accepted")
    assert found is not None
    assert found[1] == "NamespaceMissing"
    assert said(replace(look, refused=("you may not", "nor this")), "Ready") == ("False", "Refused", "you may not")


async def test_a_request_for_a_run_is_echoed_once() -> None:
    look = await looked(meta={"annotations": {"reconcile.pawl.dev/requestedAt": "now"}})
    assert status_of(look, 1.0).last_handled_reconcile_at == "now"
    plain = await looked(status={"lastHandledReconcileAt": "before"})
    assert status_of(plain, 1.0).last_handled_reconcile_at == "before"


async def test_equal_facts_give_an_equal_status_at_any_time() -> None:
    look = await looked()
    first = status_of(look, 1000.0)
    again = replace(look, override=look.override.model_copy(update={"status": first}))
    assert status_patch(first, status_of(again, 99_000.0)) == {}


STATUSES = st.builds(
    OverrideStatus,
    observed_generation=st.integers(-1, 5),
    gate=st.sampled_from(["", "Webhook"]),
    workloads=st.builds(WorkloadCounts, matched=st.integers(0, 3)),
    plan=st.none() | st.builds(Plan, hash=st.just("a" * 16), counts=st.builds(PlanCounts, rollouts=st.integers(0, 2))),
    last_handled_reconcile_at=st.none() | st.just("now"),
)


@given(STATUSES, STATUSES)
def test_a_patch_leads_from_one_status_to_the_other_and_says_no_more(
    before: OverrideStatus, after: OverrideStatus
) -> None:
    patch = status_patch(before, after)
    assert OverrideStatus.model_validate(merged(before.wire(), patch)) == after
    assert (patch == {}) == (before == after)


class Reporting:
    def __init__(self) -> None:
        self.stage, self.told = Stage("shop"), Told()
        events: Any = self.told
        self.it = OverrideReporter(self.stage.cluster, self.stage.overrides, events, self.stage.guard)

    async def look(self, **spec: Any) -> Look:
        return await looked(self.stage, **spec)


async def test_a_status_is_written_once_guarded_and_kept() -> None:
    reporting = Reporting()
    look = await reporting.look()
    writes = reporting.stage.writes
    assert await reporting.it.report(look, 1000.0)
    assert reporting.stage.writes == writes + 1
    assert b'"resourceVersion"' in (reporting.stage.api.requests[-1].body or b"")
    (now,) = reporting.stage.overrides.readable()
    assert not await reporting.it.report(replace(look, override=now), 5000.0)
    assert reporting.stage.writes == writes + 1


async def test_a_status_that_was_overtaken_or_comes_without_the_lease_is_not_written() -> None:
    reporting = Reporting()
    look = await reporting.look()
    reporting.stage.faults[("patch", "imageoverrides")] = CONFLICT
    with pytest.raises(Conflict):
        await reporting.it.report(look, 1000.0)
    reporting.stage.faults.clear()
    reporting.stage.leading = False
    with pytest.raises(LeaseLost):
        await reporting.it.report(look, 1000.0)
    assert reporting.told.events == []


async def test_only_changes_are_told_as_events() -> None:
    reporting = Reporting()
    look = await reporting.look(fails=Reason.IMAGE_MISSING)
    await reporting.it.report(look, 1000.0)
    assert [event[:2] for event in reporting.told.events] == [("Normal", "Accepted"), ("Warning", "ImageMissing")]
    (now,) = reporting.stage.overrides.readable()
    await reporting.it.report(replace(look, override=now, gate="", namespaces=1), 2000.0)
    assert len(reporting.told.events) == 2

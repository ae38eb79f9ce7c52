"""The decision as a table of stories: what the registry did, what the user wrote, where the selection stands."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.decide.worlds import EPOCH, Registry, World, digest, rollback, spec

from pawl.api.errors import Retry, Stalled
from pawl.api.imagepolicy import ImagePolicyStatus
from pawl.api.reasons import Reason
from pawl.decide.facts import LiveImage
from pawl.decide.policy import decide, decide_without_rules

OUTAGE = Retry(Reason.UNREACHABLE, "no answer")


def world(*tags: str, **fields: Any) -> World:
    return World(spec(**fields), Registry.of(*tags))


def test_the_first_selection_is_the_greatest_with_its_digest_and_a_condition() -> None:
    it = world("v1.2.0", "v1.10.0", "v1.9.0", "latest")
    decision = it.step()
    assert decision.moved
    assert it.status.selection is not None
    assert (it.tag, it.status.selection.digest) == ("v1.10.0", digest("v1.10.0"))
    assert it.status.selection.reference == f"registry.example.com/shop/web:v1.10.0@{digest('v1.10.0')}"
    assert (it.status.selection.epoch, it.status.selection.sequence) == (1, 1)
    assert it.conditions()["Ready"] == ("True", "Selected")
    assert it.conditions()["Bootstrapped"] == ("True", "FirstSelection")
    assert [notice.reason for notice in decision.notices] == ["Bootstrap"]


def test_a_newer_tag_advances_and_a_second_look_changes_nothing() -> None:
    it = world("v1.0.0")
    it.step()
    it.registry.tags["v1.1.0"] = digest("v1.1.0")
    decision = it.step()
    assert (it.tag, decision.moved) == ("v1.1.0", True)
    assert it.status.selection is not None
    assert it.status.selection.sequence == 2
    assert it.status.history[-1].from_ == f"v1.0.0@{digest('v1.0.0')}"
    before = it.status
    again = it.step()
    assert (again.moved, again.notices, it.status) == (False, (), before)


@pytest.mark.parametrize("seen", [(), ("v1.0.0",), ("v1.0.0", "junk"), ("nonsense",)])
def test_a_list_that_answers_half_moves_nothing(seen: tuple[str, ...]) -> None:
    it = world("v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0")
    it.step()
    it.step(seen)
    assert it.tag == "v1.3.0"
    assert it.conditions()["Ready"][0] == "True"
    assert it.conditions()["SelectedTagMissing"] == ("True", "TagMissing")
    assert it.conditions()["ScanSuspect"] == ("True", "Shrunk")
    it.step()
    assert not {"SelectedTagMissing", "ScanSuspect"} & set(it.conditions())


def test_a_half_list_may_still_advance() -> None:
    it = world("v1.0.0", "v1.1.0", "v1.2.0")
    it.step()
    it.registry.tags["v1.3.0"] = digest("v1.3.0")
    it.step(("v1.3.0",))
    assert it.tag == "v1.3.0"


def test_a_failed_scan_changes_a_condition_only_and_only_once() -> None:
    it = world("v1.0.0")
    it.step()
    held = it.status.selection
    it.step(failure=OUTAGE)
    assert it.status.selection == held
    assert it.conditions()["ScanComplete"] == ("False", "Unreachable")
    assert it.conditions()["Ready"][0] == "True"
    before = it.status
    it.step(failure=OUTAGE)
    assert it.status == before


def test_without_a_selection_a_failure_is_not_ready_and_reconciling() -> None:
    it = world()
    it.step(failure=OUTAGE)
    assert it.conditions()["Ready"] == ("False", "Unreachable")
    assert it.conditions()["Reconciling"] == ("True", "Progressing")
    it.step(failure=Stalled(Reason.UNAUTHORIZED, "401"))
    assert it.conditions()["Stalled"] == ("True", "Unauthorized")
    assert "Reconciling" not in it.conditions()


def test_rate_limiting_has_a_condition_of_its_own() -> None:
    it = world("v1.0.0")
    it.step()
    it.step(failure=Retry(Reason.RATE_LIMITED, "slow down", after=30))
    assert it.conditions()["RateLimited"] == ("True", "RateLimited")
    it.step()
    assert "RateLimited" not in it.conditions()


@pytest.mark.parametrize(("tags", "reason"), [((), "NoTags"), (("latest", "edge"), "NoCandidate")])
def test_nothing_to_select_is_not_ready(tags: tuple[str, ...], reason: str) -> None:
    it = world(*tags)
    it.step()
    assert it.conditions()["Ready"] == ("False", reason)
    assert it.tag is None


def test_a_lowered_range_is_no_consent() -> None:
    it = world("v1.0.0", "v2.0.0")
    it.step()
    it.edit(select={"semver": {"range": "<2.0.0"}})
    it.step()
    assert it.tag == "v2.0.0"
    assert it.conditions()["BelowHighWater"] == ("True", "BelowHighWater")
    assert "v1.0.0" in next(c.message for c in it.status.conditions if c.type == "BelowHighWater")
    it.edit(select={"semver": {"range": "*"}})
    it.step()
    assert "BelowHighWater" not in it.conditions()


def test_a_changed_ordering_holds_until_its_fingerprint_is_accepted() -> None:
    it = world("v1.0.0", "v2.0.0", "2")
    it.step()
    it.edit(select={"alphabetical": {"order": "Descending"}})
    it.step()
    assert (it.tag, it.conditions()["OrderingChanged"][0]) == ("v2.0.0", "True")
    it.edit(acceptOrdering="0" * 32)
    it.step()
    assert it.tag == "v2.0.0"
    it.edit(acceptOrdering=it.status.ordering)
    it.step()
    assert it.status.selection is not None
    assert (it.tag, it.status.selection.epoch, it.status.selection.sequence) == ("2", 2, 2)
    assert it.status.selection.cause == "OrderingAccepted"
    assert "OrderingChanged" not in it.conditions()


def test_an_accepted_ordering_with_nothing_to_select_keeps_the_old_selection() -> None:
    it = world("v1.0.0")
    it.step()
    it.edit(select={"numerical": {"order": "Ascending"}})
    it.step()
    it.edit(acceptOrdering=it.status.ordering)
    it.step()
    assert it.tag == "v1.0.0"
    assert it.conditions()["Ready"][0] == "True"


def test_a_blocked_selection_stays_until_a_greater_tag_comes() -> None:
    it = world("v1.0.0", "v1.1.0")
    it.step()
    it.edit(blocked=["v1.1.0"])
    it.step()
    assert (it.tag, it.conditions()["SelectedBlocked"][0]) == ("v1.1.0", "True")
    it.registry.tags["v1.2.0"] = digest("v1.2.0")
    it.step()
    assert it.tag == "v1.2.0"
    assert "SelectedBlocked" not in it.conditions()


def test_a_blocked_tag_is_not_chosen() -> None:
    it = world("v1.0.0", "v1.1.0", blocked=["v1.1.0"])
    it.step()
    assert it.tag == "v1.0.0"


def test_the_floor_holds_on_first_sight() -> None:
    it = world("v1.0.0", "v1.1.0", floor={"tag": "v1.2.0"})
    it.step()
    assert (it.tag, it.conditions()["Ready"]) == (None, ("False", "NoCandidate"))
    it.registry.tags["v1.2.0"] = digest("v1.2.0")
    it.step()
    assert it.tag == "v1.2.0"


def test_a_tie_stays_with_the_current_selection_and_starts_with_the_greater_tag() -> None:
    it = world("1.0.0", "v1.0.0")
    it.step()
    assert it.tag == "v1.0.0"
    other = world("1.0.0")
    other.step()
    other.registry.tags["v1.0.0"] = digest("v1.0.0")
    other.step(("v1.0.0",))
    assert other.tag == "1.0.0"


def test_minimum_age_counts_from_our_first_sight_and_restarts_with_another_digest() -> None:
    it = world("v1.0.0", gates={"minimumAge": "1h"})
    first = it.step()
    assert (it.tag, first.wake) == (None, EPOCH + timedelta(hours=1))
    assert it.status.pending is not None
    assert it.status.pending.waiting_for == ["MinimumAge"]
    assert it.conditions()["Ready"] == ("False", "MinimumAge")
    it.registry.tags["v1.0.0"] = digest("rebuilt")
    it.step(minutes=59)
    assert it.status.pending.first_seen == EPOCH + timedelta(minutes=5)
    it.step(minutes=1)
    assert it.tag is None
    it.step()
    assert (it.tag, it.status.pending) == ("v1.0.0", None)
    assert "Pending" not in it.conditions()


def test_a_clock_set_back_makes_the_wait_longer_never_shorter() -> None:
    it = world("v1.0.0", gates={"minimumAge": "1h"})
    it.step()
    it.now = EPOCH - timedelta(days=1)
    it.step()
    assert it.tag is None


def test_approval_is_bound_to_the_digest() -> None:
    it = world("v1.0.0", gates={"approval": "Required"}, approved=[{"tag": "v1.0.0", "digest": digest("other")}])
    it.step()
    assert (it.tag, it.conditions()["Pending"]) == (None, ("True", "ApprovalRequired"))
    it.edit(approved=[{"tag": "v1.0.0", "digest": digest("v1.0.0")}])
    it.step()
    assert it.tag == "v1.0.0"


def test_a_candidate_without_all_platforms_is_passed_over_and_named() -> None:
    it = world("v1.0.0", "v1.1.0", platforms=["linux/amd64", "linux/arm64"])
    it.registry.lacking["v1.1.0"] = ("linux/arm64",)
    it.step()
    assert (it.tag, it.conditions()["Pending"]) == ("v1.0.0", ("True", "PlatformMissing"))


def test_a_candidate_that_was_not_looked_up_stops_the_choice_rather_than_take_a_lower_one() -> None:
    it = world("v1.0.0", "v1.1.0")
    facts = it.facts()
    blind = replace(facts, lookups={"v1.0.0": facts.lookups["v1.0.0"]}, failure=OUTAGE)
    assert decide(blind).memory.selection is None


def test_a_moved_tag_is_reported_not_followed() -> None:
    it = world("v1.0.0")
    it.step()
    it.registry.tags["v1.0.0"] = digest("rebuilt")
    it.step()
    assert it.status.selection is not None
    assert it.status.selection.digest == digest("v1.0.0")
    assert it.conditions()["TagMutated"] == ("True", "DigestChanged")


@pytest.mark.parametrize("fields", [{"tagMutability": "Follow"}, {"select": {"digest": {"tag": "v1.0.0"}}}])
def test_a_followed_tag_takes_a_new_digest_and_never_an_old_one(fields: dict[str, Any]) -> None:
    it = world("v1.0.0", **fields)
    it.step()
    it.registry.tags["v1.0.0"] = digest("rebuilt")
    it.step()
    assert it.status.selection is not None
    assert (it.status.selection.digest, it.status.selection.cause) == (digest("rebuilt"), "TagMoved")
    it.registry.tags["v1.0.0"] = digest("v1.0.0")
    it.step()
    assert it.status.selection.digest == digest("rebuilt")
    assert it.conditions()["TagMutated"] == ("True", "DigestRepeated")


def test_an_image_that_is_gone_is_named_and_stays_selected() -> None:
    it = world("v1.0.0")
    it.step()
    it.registry.tags.clear()
    it.step(())
    assert it.tag == "v1.0.0"
    assert {"SelectedTagMissing", "SelectedImageGone"} <= set(it.conditions())


def test_a_rollback_goes_back_once_and_resumes_only_above_what_it_took_back() -> None:
    it = world("v1.0.0", "v1.1.0", "v1.2.0")
    it.step()
    it.edit(rollback=rollback("v1.2.0", "v1.0.0"))
    decision = it.step()
    assert it.status.selection is not None
    assert (it.tag, it.status.selection.epoch, it.status.selection.sequence) == ("v1.0.0", 2, 2)
    assert it.status.blocked == ["v1.2.0"]
    assert it.conditions()["RollbackActive"] == ("True", "RolledBack")
    assert (decision.notices[0].reason, decision.notices[0].warning) == ("Rollback", True)
    it.step()
    assert it.tag == "v1.0.0", "v1.1.0 is greater, but not above v1.2.0"
    it.registry.tags["v1.3.0"] = digest("v1.3.0")
    it.step()
    assert (it.tag, it.status.selection.epoch) == ("v1.3.0", 2)
    assert "RollbackActive" not in it.conditions()
    it.step()
    assert it.tag == "v1.3.0"


def test_a_rollback_left_in_git_never_fires_twice() -> None:
    it = world("v1.0.0", "v1.1.0")
    it.step()
    it.edit(rollback=rollback("v1.1.0", "v1.0.0"))
    it.step()
    it.edit(rollback=None)
    it.status = ImagePolicyStatus()
    it.edit(rollback=rollback("v1.0.0", "v1.1.0", nonce="inc-2"), blocked=[])
    it.step()
    assert it.conditions()["RollbackRejected"] == ("True", "TargetRefused"), "v1.1.0 was blocked by the first"
    it.edit(rollback=rollback("v1.0.0", "v1.1.0", nonce="inc-1"))
    it.step()
    assert it.conditions()["RollbackRejected"] == ("True", "NonceUsed"), "the ledger remembers what status lost"
    assert it.tag == "v1.0.0"


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        (rollback("v9.9.9", "v1.0.0"), "StaleFrom"),
        (rollback("v1.1.0", "v1.0.0") | {"from": {"tag": "v1.1.0", "digest": digest("other")}}, "StaleFrom"),
        (rollback("v1.1.0", "latest"), "TargetNotComparable"),
        (rollback("v1.1.0", "v0.9.0"), "TargetRefused"),
        (rollback("v1.1.0", "v1.0.0") | {"to": {"tag": "v1.0.0", "digest": digest("gone")}}, "TargetMissing"),
    ],
)
def test_a_rollback_that_does_not_fit_is_refused_with_a_reason(wish: dict[str, Any], reason: str) -> None:
    it = world("v1.0.0", "v1.1.0", floor={"tag": "v1.0.0"})
    it.step()
    it.edit(rollback=wish)
    it.step()
    assert it.tag == "v1.1.0"
    assert it.conditions()["RollbackRejected"] == ("True", reason)


def test_a_pinned_rollback_holds_until_it_is_removed() -> None:
    it = world("v1.0.0", "v1.1.0")
    it.step()
    it.edit(rollback=rollback("v1.1.0", "v1.0.0", hold="Pinned"))
    it.step()
    it.registry.tags["v1.2.0"] = digest("v1.2.0")
    it.step()
    assert it.tag == "v1.0.0"
    it.edit(rollback=None)
    it.step()
    assert it.tag == "v1.2.0"


def test_a_rollback_under_the_digest_strategy_blocks_the_digest_not_the_tag() -> None:
    it = world("latest", select={"digest": {"tag": "latest"}})
    it.step()
    first, second = digest("latest"), digest("second")
    it.registry.tags["latest"] = second
    it.step()
    it.registry.tags["kept"] = first
    it.edit(rollback=rollback("latest", "latest") | {"from": {"tag": "latest", "digest": second}})
    it.step()
    assert it.status.selection is not None
    assert (it.status.selection.digest, it.status.blocked) == (first, [])
    it.step()
    assert it.status.selection.digest == first
    it.registry.tags["latest"] = digest("third")
    it.step()
    assert it.status.selection.digest == digest("third")


def test_a_rollback_waits_while_the_registry_does_not_answer() -> None:
    it = world("v1.0.0", "v1.1.0")
    it.step()
    it.edit(rollback=rollback("v1.1.0", "v1.0.0"))
    it.step(failure=OUTAGE)
    assert it.tag == "v1.1.0"
    it.step()
    assert it.tag == "v1.0.0"


def test_a_recreated_policy_takes_its_place_from_the_ledger() -> None:
    it = world("v1.0.0", "v1.1.0")
    it.step()
    it.status = ImagePolicyStatus()
    decision = it.step(("v1.0.0",))
    assert (it.tag, decision.moved) == ("v1.1.0", False)
    assert decision.notices[0].reason == "Recovered"


def test_a_restored_older_status_yields_to_the_ledger() -> None:
    it = world("v1.0.0")
    it.step()
    old = it.status
    it.registry.tags["v1.1.0"] = digest("v1.1.0")
    it.step()
    it.status = old
    decision = it.step(("v1.0.0",))
    assert it.tag == "v1.1.0"
    assert decision.notices[0].reason == "RestoredStateOlder"


def test_a_policy_without_memory_starts_no_lower_than_what_runs() -> None:
    it = world("v1.0.0", "v1.1.0")
    it.live = (LiveImage("v1.5.0", digest("v1.5.0")), LiveImage("v1.2.0", digest("v1.2.0")), LiveImage("dev", None))
    it.step()
    assert (it.tag, it.status.selection and it.status.selection.digest) == ("v1.5.0", digest("v1.5.0"))


def test_what_runs_but_is_gone_from_the_registry_is_still_a_floor() -> None:
    it = world("v1.0.0", "v1.1.0")
    it.live = (LiveImage("v1.5.0", None),)
    it.step()
    assert (it.tag, it.conditions()["Ready"]) == (None, ("False", "ImageGone"))


def test_bootstrap_live_takes_what_runs_and_waits_where_nothing_runs() -> None:
    it = world("v1.0.0", "v1.1.0", bootstrap="Live")
    it.step()
    assert (it.tag, it.conditions()["Ready"]) == (None, ("False", "NoLiveImage"))
    it.live = (LiveImage("v1.0.0", digest("v1.0.0")),)
    it.step()
    assert it.tag == "v1.0.0"
    it.step()
    assert it.tag == "v1.1.0"


def test_bootstrap_hold_waits_for_a_person() -> None:
    it = world("v1.0.0", bootstrap="Hold")
    it.step()
    assert (it.tag, it.conditions()["Ready"]) == (None, ("False", "ApprovalRequired"))
    it.edit(approved=[{"tag": "v1.0.0", "digest": digest("v1.0.0")}])
    it.step()
    it.registry.tags["v1.1.0"] = digest("v1.1.0")
    it.step()
    assert it.tag == "v1.1.0"


def test_a_spec_that_cannot_be_compiled_keeps_everything_and_is_stalled() -> None:
    it = world("v1.0.0")
    it.step()
    decision = decide_without_rules(it.facts().subject, Stalled(Reason.INVALID_RANGE, "no range"))
    types = {c.type: c.status for c in decision.status.conditions}
    assert decision.status.selection == it.status.selection
    assert (types["Stalled"], types["Ready"]) == ("True", "True")


def test_suspended_keeps_and_serves_the_selection() -> None:
    it = world("v1.0.0")
    it.step()
    it.edit(suspend=True)
    decision = decide_without_rules(it.facts().subject, None)
    ready = next(c for c in decision.status.conditions if c.type == "Ready")
    assert (ready.status, ready.reason) == ("True", "Suspended")
    assert decision.status.selection == it.status.selection

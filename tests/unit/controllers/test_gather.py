"""What one look asks a registry, in which order and how often, and that a failure is a fact beside the others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.controllers.doubles import World
from tests.unit.decide.worlds import EPOCH, IMAGE, digest, rollback, spec

from pawl.api.errors import BadAnswer, Missing, Retry, Stalled, Unreachable
from pawl.api.imagepolicy import ImagePolicySpec, ImagePolicyStatus
from pawl.controllers.gather import LONG_LIST, LOOKUPS, Errand
from pawl.decide.facts import LiveImage, Lookup, Selected, Subject
from pawl.decide.memory import from_status
from pawl.decide.policy import decide
from pawl.decide.shortlist import compile_rules
from pawl.registry.tags import tag_revision


def of(*tags: str, **fields: Any) -> World:
    return World({tag: digest(tag) for tag in tags}, **fields)


def held(tag: str = "v1.0.0", wish: ImagePolicySpec | None = None, **fields: Any) -> ImagePolicyStatus:
    rules = compile_rules(wish or spec())
    selection = {
        "epoch": 1,
        "sequence": 1,
        "tag": tag,
        "digest": digest(tag),
        "reference": f"{IMAGE}:{tag}@{digest(tag)}",
        "sortKey": rules.key(tag),
        "ordering": rules.ordering.fingerprint,
        "selectedAt": "2026-11-21T03:00:00Z",
        "cause": "Newer",
    }
    return ImagePolicyStatus.model_validate({"selection": selection} | fields)


def errand(wish: ImagePolicySpec | None = None, status: ImagePolicyStatus | None = None, **fields: Any) -> Errand:
    wish, status = wish or spec(), status or ImagePolicyStatus()
    subject = Subject(wish, status, 1, from_status(status), EPOCH)
    return Errand("shop", subject, compile_rules(wish), **{"not_before": 0.0, **fields})


async def test_a_first_look_asks_for_list_best_candidate_and_pods() -> None:
    world = of("v1.0.0", "v1.1.0", "latest")
    found = await world.gather(errand())
    assert world.asked == ["access", "list", "GET v1.1.0", "pods"]
    assert found.facts is not None
    assert found.facts.scan is not None
    assert [candidate.tag for candidate in found.facts.scan.candidates] == ["v1.1.0", "v1.0.0"]
    assert found.facts.lookups == {"v1.1.0": Lookup(found=True, digest=digest("v1.1.0"))}
    assert (found.facts.scan.tags, found.revision) == (3, tag_revision(world.tags))


async def test_nothing_above_the_selection_is_one_request() -> None:
    world = of("v1.0.0", "v0.9.0")
    found = await world.gather(errand(status=held()))
    assert world.asked == ["access", "list"]
    assert found.facts is not None
    assert found.facts.selected == Selected(listed=True, tag_now=None, served=None)


async def test_a_known_list_brings_no_facts() -> None:
    world = of("v1.0.0")
    found = await world.gather(errand(status=held(), known_revision=tag_revision(world.tags)))
    assert (found.facts, found.revision, world.asked) == (None, tag_revision(world.tags), ["access", "list"])


async def test_candidates_above_the_selection_until_one_serves() -> None:
    platforms = {"v1.3.0": ("linux/arm64",), "v1.2.0": ("linux/amd64", "linux/arm64")}
    world = of("v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0", platforms=platforms)
    found = await world.gather(errand(spec(platforms=["linux/amd64"]), held()))
    assert world.asked == ["access", "list", "GET v1.3.0", "GET v1.2.0"]
    assert found.facts is not None
    assert found.facts.lookups["v1.3.0"].lacking == ("linux/amd64",)


async def test_no_look_costs_more_than_so_many_candidates() -> None:
    tags = [f"v1.{n}.0" for n in range(30)]
    world = of(*tags, platforms=dict.fromkeys(tags, ("plan9/amd64",)))
    await world.gather(errand(spec(platforms=["linux/amd64"]), held()))
    assert len([what for what in world.asked if what.startswith("GET")]) == LOOKUPS


async def test_a_tag_that_is_not_listed_is_asked_for_by_its_digest() -> None:
    world = of("v1.0.0", listed=["v0.9.0"])
    found = await world.gather(errand(status=held()))
    assert world.asked == ["access", "list", f"GET {digest('v1.0.0')}"]
    assert found.facts is not None
    assert found.facts.selected == Selected(listed=False, tag_now=None, served=True)
    gone = of("v0.9.0")
    found = await gone.gather(errand(status=held()))
    assert found.facts is not None
    assert found.facts.selected.served is False


async def test_an_audit_asks_what_the_tag_points_at() -> None:
    """HEAD is enough while it is as before; another digest is taken from bytes, never from a header."""
    same = of("v1.0.0")
    await same.gather(errand(status=held(), audit=True))
    assert same.asked == ["access", "list", "HEAD v1.0.0"]
    moved = World({"v1.0.0": digest("other")})
    found = await moved.gather(errand(status=held(), audit=True))
    assert moved.asked == ["access", "list", "HEAD v1.0.0", "GET v1.0.0"]
    assert found.facts is not None
    assert found.facts.selected.tag_now == Lookup(found=True, digest=digest("other"))


async def test_follow_looks_at_the_tag_each_time() -> None:
    world = of("v1.0.0")
    await world.gather(errand(spec(tagMutability="Follow"), held()))
    assert "HEAD v1.0.0" in world.asked


async def test_the_way_back_is_asked_for_first() -> None:
    """It may be an emergency, and the list may be what is broken."""
    wish = spec(rollback=rollback("v1.1.0", "v1.0.0"))
    world = of("v1.0.0", "v1.1.0", fails={"list": Unreachable("broken")})
    found = await world.gather(errand(wish, held("v1.1.0")))
    assert world.asked == ["access", f"GET {digest('v1.0.0')}", "list"]
    assert found.facts is not None
    assert found.facts.lookups[digest("v1.0.0")].found
    stale = of("v1.0.0", "v1.1.0")
    await stale.gather(errand(wish, held("v1.0.0")))
    assert f"GET {digest('v1.0.0')}" not in stale.asked


async def test_a_followed_tag_costs_no_list() -> None:
    wish = spec(select={"digest": {"tag": "latest"}}, tagMutability="Follow")
    world = of("latest")
    first = await world.gather(errand(wish))
    assert world.asked == ["access", "GET latest", "pods"]
    assert first.facts is not None
    assert first.facts.scan is not None
    assert len(first.facts.scan.revision) == 64, "as much as status may hold"
    status = held("latest", wish)
    world.asked.clear()
    again = await world.gather(errand(wish, status, known_revision=first.revision))
    assert (world.asked, again.facts) == (["access", "HEAD latest"], None)
    world.tags["latest"] = digest("new")
    moved = await world.gather(errand(wish, status, known_revision=first.revision))
    assert moved.facts is not None
    assert moved.facts.selected.tag_now == Lookup(found=True, digest=digest("new"))
    assert moved.facts.selected.served is False


async def test_a_candidate_that_waits_is_not_forgotten_by_a_short_list() -> None:
    pending = {"tag": "v1.2.0", "digest": digest("v1.2.0"), "firstSeen": "2026-11-21T03:00:00Z", "waitingFor": []}
    world = of("v1.0.0", "v1.2.0", listed=["v1.0.0"])
    found = await world.gather(errand(status=held(pending=pending)))
    assert found.facts is not None
    assert found.facts.scan is not None
    assert [candidate.tag for candidate in found.facts.scan.candidates] == ["v1.2.0", "v1.0.0"]
    assert world.asked == ["access", "list", "GET v1.2.0"]
    blocked = errand(spec(blocked=["v1.2.0"]), held(pending=pending))
    found = await world.gather(blocked)
    assert found.facts is not None
    assert found.facts.scan is not None
    assert [candidate.tag for candidate in found.facts.scan.candidates] == ["v1.0.0"]


FAILURES = {
    "list": (Unreachable("r is away"), Retry, "Unreachable"),
    "access": (Stalled("SecretNotFound", "no"), Stalled, "SecretNotFound"),
    "GET v1.1.0": (BadAnswer("odd"), Retry, "BadAnswer"),
    "pods": (Stalled("MissingRight", "no"), Stalled, "MissingRight"),
}


@pytest.mark.parametrize("part", FAILURES)
async def test_a_failure_is_a_fact_and_keeps_what_was_found(part: str) -> None:
    error, kind, reason = FAILURES[part]
    world = of("v1.0.0", "v1.1.0", fails={part: error})
    found = await world.gather(errand())
    assert found.facts is not None
    assert isinstance(found.facts.failure, kind)
    assert found.facts.failure.reason == reason
    assert (found.facts.scan is not None) == (part not in {"list", "access"})


async def test_a_missing_manifest_is_an_answer_and_a_missing_list_a_failure() -> None:
    world = of("v1.0.0", listed=["v1.0.0", "v1.9.0"])
    found = await world.gather(errand(status=held()))
    assert found.facts is not None
    assert (found.facts.failure, found.facts.lookups) == (None, {"v1.9.0": Lookup(found=False)})
    world = of("v1.0.0", fails={"list": Missing("no such repository", status=404)})
    found = await world.gather(errand(status=held()))
    assert found.facts is not None
    assert found.facts.failure is not None
    assert (found.facts.failure.reason, found.facts.selected) == ("RepositoryNotFound", Selected())


async def test_what_pods_run_keeps_its_digest_only_where_it_is_served() -> None:
    pods = [
        LiveImage("v1.0.0", digest("v1.0.0")),
        LiveImage("v1.1.0", digest("of another registry")),
        LiveImage("v1.2.0", None),
    ]
    world = of("v1.0.0", "v1.1.0", pods=pods)
    found = await world.gather(errand())
    assert found.facts is not None
    assert found.facts.live == (
        LiveImage("v1.0.0", digest("v1.0.0")),
        LiveImage("v1.1.0", digest("v1.1.0")),
        LiveImage("v1.2.0", None),
    )


UNREAD = {"pods": Stalled("MissingRight", "no"), "GET v1.5.0": Unreachable("away")}


@pytest.mark.parametrize("part", UNREAD)
async def test_no_epoch_begins_while_it_is_not_known_what_runs(part: str) -> None:
    """The list offers less than what runs, and what runs could not be read: that is no reason to start below it."""
    world = of("v1.0.0", "v1.1.0", "v1.5.0", pods=[LiveImage("v1.5.0", None)], listed=["v1.0.0", "v1.1.0"])
    world.fails[part] = UNREAD[part]
    found = await world.gather(errand())
    assert found.facts is not None
    assert decide(found.facts).status.selection is None
    world.fails.clear()
    found = await world.gather(errand())
    assert found.facts is not None
    held = decide(found.facts).status.selection
    assert held is not None
    assert held.tag == "v1.5.0"


async def test_pods_matter_only_where_an_epoch_begins() -> None:
    other = spec(select={"alphabetical": {}})
    changed = errand(other, held())
    world = of("v1.0.0")
    await world.gather(changed)
    assert "pods" not in world.asked
    accepting = other.model_copy(update={"accept_ordering": changed.rules.ordering.fingerprint})
    await world.gather(replace(changed, subject=replace(changed.subject, spec=accepting)))
    assert world.asked[-1] == "pods"


async def test_a_list_seen_twice_is_confirmed() -> None:
    world = of("v1.0.0", "v1.1.0")
    for seen, confirmed in ((None, False), ("another", False), (tag_revision(world.tags), True)):
        found = await world.gather(errand(seen_revision=seen, seen_at=5.0, not_before=6.0))
        assert found.facts is not None
        assert found.facts.scan is not None
        assert found.facts.scan.confirmed is confirmed
    same = await world.gather(errand(seen_revision=tag_revision(world.tags), seen_at=6.0, not_before=6.0))
    assert same.facts is not None
    assert same.facts.scan is not None
    assert not same.facts.scan.confirmed, "the same answer cannot confirm itself"


async def test_a_long_list_gives_the_same_answer() -> None:
    tags = [f"v1.{n}.0" for n in range(LONG_LIST + 10)]
    world = World(dict.fromkeys(tags, digest("same")))
    found = await world.gather(errand())
    assert found.facts is not None
    assert found.facts.scan is not None
    assert found.facts.scan.candidates[0].tag == f"v1.{LONG_LIST + 9}.0"

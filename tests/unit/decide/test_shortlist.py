"""The shortlist against a model that judges tags one by one, and the rules around it."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.decide.specs import outcome, policy

from pawl.api.errors import Stalled
from pawl.api.imagepolicy import ImagePolicySpec, Select
from pawl.api.reasons import Reason
from pawl.decide.ordering import compile_ordering, value_part
from pawl.decide.shortlist import Candidate, Rejection, Rules, compile_rules, rejections, revision, shortlist
from pawl.decide.why import Why

SEMVER = {"semver": {"range": ">=1.0.0 <3.0.0"}}
DIGEST = {"digest": {"tag": "latest"}}


def rules(**fields: Any) -> Rules:
    return compile_rules(policy(**fields))


def picked(found: Rules, tags: list[str], **options: Any) -> list[str]:
    return [each.tag for each in shortlist(found, tags, **options).candidates]


# ----------------------------------------------------------------------------------------------------------- choice
@pytest.mark.parametrize(
    ("select", "tags", "wanted"),
    [
        (SEMVER, ["1.9.0", "1.10.0", "v2.0.0", "3.0.0", "2.1.0-rc.1", "latest"], ["v2.0.0", "1.10.0", "1.9.0"]),
        ({"semver": {"range": ">=1.0.0-0"}}, ["1.0.0-rc.2", "1.0.0-rc.10"], ["1.0.0-rc.10", "1.0.0-rc.2"]),
        ({"numerical": {}}, ["9", "10", "1.5", "-3", "x", "1e9"], ["10", "9"]),
        ({"numerical": {"order": "Descending"}}, ["9", "10", "007"], ["007", "9", "10"]),
        ({"alphabetical": {}}, ["b", "a", "ab", "B"], ["b", "ab", "a", "B"]),
        ({"alphabetical": {"order": "Descending"}}, ["b", "a", "ab", "B"], ["B", "a", "ab", "b"]),
        (DIGEST, ["latest", "v1"], ["latest"]),
    ],
)
def test_the_greatest_comes_first(select: dict[str, Any], tags: list[str], wanted: list[str]) -> None:
    found = picked(rules(select=select), tags)
    assert found[: len(wanted)] == wanted
    assert picked(rules(select=select), tags[::-1] * 2) == found


def test_of_tags_with_one_value_the_greatest_raw_tag_stands() -> None:
    assert picked(rules(select=SEMVER), ["1.2.3", "v1.2.3", "01.2.3"]) == ["v1.2.3"]
    falling = rules(select={"numerical": {"order": "Descending"}})
    assert picked(falling, ["1", "01", "1.0", "2"]) == ["1.0", "2"]


def test_above_keeps_greater_values_only_and_is_no_rejection() -> None:
    found = rules(select=SEMVER)
    key = found.key("1.2.0")
    assert isinstance(key, str)
    answer = shortlist(found, ["1.1.0", "1.2.0", "v1.2.0", "1.2.1", "1.3.0"], above=key)
    assert [each.tag for each in answer.candidates] == ["1.3.0", "1.2.1"]
    assert answer.rejected == {}
    assert answer.considered == 5


def test_the_limit_holds_whatever_the_order() -> None:
    tags = [f"1.0.{patch}" for patch in range(500)]
    best = [f"1.0.{patch}" for patch in range(499, 489, -1)]
    assert picked(rules(select=SEMVER), tags) == picked(rules(select=SEMVER), tags[::-1]) == best
    assert picked(rules(select=SEMVER), tags, limit=1) == best[:1]
    assert picked(rules(select=SEMVER), tags, limit=0) == []
    # The last of the ten has another spelling, which comes to light when the ten are known.
    assert picked(rules(select=SEMVER), ["v1.0.490", *tags]) == [*best[:-1], "v1.0.490"]


def test_an_empty_list_has_no_candidates() -> None:
    answer = shortlist(rules(), [])
    assert (answer.candidates, answer.considered, answer.rejected) == ((), 0, {})


# ---------------------------------------------------------------------------------------------------------- reasons
def test_every_tag_left_out_has_its_reason() -> None:
    found = rules(
        select=SEMVER,
        tags={"include": "^v?(?P<n>.*)$", "extract": "$n", "exclude": ["-debug$"]},
        floor={"tag": "v1.1.0"},
        blocked=["v1.3.0"],
    )
    signature = f"sha256-{'a' * 64}.sig"
    tags = ["a b", signature, "v1.2.0-debug", "latest", "v1.0.0", "v1.3.0", "v1.4.0", "v3.0.0", "v2.0.0-rc.1", "v1.2.0"]
    assert {each.tag: each.reason for each in rejections(found, tags, frozenset({"v1.4.0"}))} == {
        "a b": Why.NOT_A_TAG,
        signature: Why.SIGNATURE,
        "v1.2.0-debug": Why.EXCLUDED,
        "latest": Why.NOT_A_VERSION,
        "v1.0.0": Why.BELOW_FLOOR,
        "v1.3.0": Why.BLOCKED,
        "v1.4.0": Why.BLOCKED,
        "v3.0.0": Why.OUT_OF_RANGE,
        "v2.0.0-rc.1": Why.PRERELEASE,
    }


@pytest.mark.parametrize(
    ("fields", "tag", "reason"),
    [
        ({"select": {"numerical": {}}}, "x1", Why.NOT_A_NUMBER),
        ({"select": DIGEST}, "v1", Why.OTHER_TAG),
        ({"tags": {"include": "^(a)?b$", "extract": "$1"}}, "b", Why.EMPTY_VALUE),
        ({"tags": {"include": "^(.*)$", "extract": "$1$1$1$1$1"}}, "x" * 120, Why.VALUE_TOO_LONG),
        ({"tags": {"include": "^(.*)$", "extract": "$1$1$1"}}, "x" * 128, Why.VALUE_TOO_LONG),
        (
            {"tags": {"include": "^(.*)$", "extract": "$1" * 9}, "select": SEMVER},
            "1." * 60,
            Why.VALUE_TOO_LONG,
        ),
        ({"tags": {"include": "^v"}}, "x", Why.NOT_INCLUDED),
    ],
)
def test_a_reason(fields: dict[str, Any], tag: str, reason: str) -> None:
    found = rules(**fields)
    assert found.key(tag) == Rejection(tag, reason)
    assert found.judge(tag, frozenset()) == Rejection(tag, reason)
    assert shortlist(found, [tag]).rejected == {reason: 1}


def test_a_key_knows_neither_range_nor_floor_nor_blocked() -> None:
    found = rules(select=SEMVER, floor={"tag": "1.5.0"}, blocked=["1.2.0"])
    for tag in ("0.1.0", "1.2.0", "9.0.0", "2.0.0-rc.1"):
        assert isinstance(found.key(tag), str)
        assert isinstance(found.judge(tag, frozenset()), Rejection)


def test_what_a_rollback_may_not_pass_is_told_first() -> None:
    found = rules(select=SEMVER, floor={"tag": "1.5.0"}, blocked=["0.2.0"])
    assert found.judge("0.2.0") == Rejection("0.2.0", Why.BLOCKED)
    assert found.judge("0.1.0") == Rejection("0.1.0", Why.BELOW_FLOOR)


# ------------------------------------------------------------------------------------------------------------ floor
def test_the_floor_is_inclusive_and_compared_after_extract() -> None:
    found = rules(select=SEMVER, tags={"include": "^v(.*)$", "extract": "$1"}, floor={"tag": "v1.9.0"})
    assert picked(found, ["v1.8.0", "v1.9.0", "v1.10.0"]) == ["v1.10.0", "v1.9.0"]
    falling = rules(select={"numerical": {"order": "Descending"}}, floor={"tag": "5"})
    assert picked(falling, ["4", "5.0", "6"]) == ["4", "5.0"]


def test_the_floor_may_lie_outside_the_range() -> None:
    assert picked(rules(select=SEMVER, floor={"tag": "0.5.0"}), ["0.6.0", "1.0.0"]) == ["1.0.0"]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"select": SEMVER, "floor": {"tag": "latest"}}, Why.NOT_A_VERSION),
        ({"tags": {"include": "^v"}, "floor": {"tag": "x"}}, Why.NOT_INCLUDED),
        ({"tags": {"exclude": ["x"]}, "floor": {"tag": "x"}}, Why.EXCLUDED),
        ({"select": DIGEST, "floor": {"tag": "v1"}}, Why.OTHER_TAG),
    ],
)
def test_a_floor_that_cannot_be_compared_stalls(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(Stalled) as caught:
        rules(**fields)
    assert caught.value.reason == Reason.INVALID_FLOOR
    assert says in caught.value.message


# --------------------------------------------------------------------------------------------------------- the spec
def test_the_digest_strategy_compares_the_tag_and_no_extract() -> None:
    found = rules(select=DIGEST, tags={"include": "^(l).*$", "extract": "$1", "exclude": ["x"]})
    assert found.judge("latest") == Candidate("latest", "= latest")
    assert picked(found, ["latest"], above="= latest") == []


@pytest.mark.parametrize(
    "select", [{}, {"semver": {"range": "*"}, "numerical": {}}, {"digest": {"tag": "a"}, "alphabetical": {}}]
)
def test_exactly_one_strategy(select: dict[str, Any]) -> None:
    spec = ImagePolicySpec.model_construct(image="nginx", select=Select.model_validate(select), tags=policy().tags)
    found = outcome(lambda: compile_ordering(spec))
    assert isinstance(found, Stalled)
    assert found.reason == Reason.INVALID_SPEC


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"image": "https://nginx"}, Reason.INVALID_IMAGE),
        ({"image": "nginx:1"}, Reason.INVALID_IMAGE),
        ({"select": {"semver": {"range": "latest"}}}, Reason.INVALID_RANGE),
        ({"tags": {"include": "("}}, Reason.INVALID_PATTERN),
        ({"tags": {"exclude": ["(?=x)"]}}, Reason.INVALID_PATTERN),
        ({"tags": {"extract": "$1"}}, Reason.INVALID_EXTRACT),
    ],
)
def test_a_spec_that_cannot_be_carried_out_stalls(fields: dict[str, Any], reason: str) -> None:
    found = outcome(lambda: rules(**fields))
    assert isinstance(found, Stalled)
    assert found.reason == reason


def test_admits_is_the_range() -> None:
    semver = rules(select=SEMVER).ordering
    assert semver.admits("1.2.3")
    assert not semver.admits("3.0.0")
    assert not semver.admits("latest")
    assert rules(select={"numerical": {}}).ordering.admits("anything")


def test_the_revision_is_that_of_the_set() -> None:
    assert revision(["b", "a", "b"]) == revision(["a", "b"]) == hashlib.sha256(b"a\nb").hexdigest()
    assert revision([]) == hashlib.sha256(b"").hexdigest()
    assert len(revision(["\ud800"])) == 64


# ------------------------------------------------------------------------------------------------------- properties
RULES = (
    rules(select=SEMVER, blocked=["1.1.1"]),
    rules(select={"semver": {"range": ">=1.0.0-0 || ^0.1"}}, floor={"tag": "0.1.1"}),
    rules(select={"semver": {"range": "*-0"}}, tags={"include": "^v(.*)$", "extract": "$1", "exclude": ["a"]}),
    rules(select={"numerical": {}}),
    rules(select={"numerical": {"order": "Descending"}}, floor={"tag": "1.1"}),
    rules(select={"alphabetical": {}}),
    rules(select={"alphabetical": {"order": "Descending"}}, tags={"include": "(.)(.?)", "extract": "${2}x${1}"}),
    rules(select=DIGEST),
)
ODD = ["latest", "1.1.1", "v1.1.1", "01.1.1", "2.1.0-a", "1.10.0", f"sha256-{'0' * 64}", "a b", "1", "x" * 129]
TAG = st.text(alphabet="01.va-", min_size=1, max_size=6) | st.sampled_from(ODD) | st.text(max_size=4)
TAG_LISTS = st.lists(TAG, max_size=40)


def model(
    found: Rules, tags: list[str], limit: int, above: str | None, blocked: frozenset[str]
) -> list[tuple[str, str]]:
    judged = [found.judge(tag, blocked) for tag in set(tags)]
    kept = [each for each in judged if isinstance(each, Candidate)]
    if above is not None:
        kept = [each for each in kept if value_part(each.key) > value_part(above)]
    best = {value_part(each.key): each for each in sorted(kept, key=lambda each: each.tag)}
    return [(best[part].tag, best[part].key) for part in sorted(best, reverse=True)[:limit]]


@settings(max_examples=200)
@given(st.sampled_from(RULES), TAG_LISTS, st.integers(0, 4), st.sets(st.sampled_from(ODD)), st.data())
def test_the_shortlist_is_what_judging_one_by_one_gives(
    found: Rules, tags: list[str], limit: int, blocked: set[str], data: st.DataObject
) -> None:
    keys = [key for tag in tags if isinstance(key := found.key(tag), str)]
    above = data.draw(st.sampled_from([None, *keys]))
    answer = shortlist(found, tags, limit=limit, above=above, blocked=frozenset(blocked))
    assert [(each.tag, each.key) for each in answer.candidates] == model(found, tags, limit, above, frozenset(blocked))
    assert answer.considered == len(set(tags))
    assert answer.rejected == Counter(each.reason for each in rejections(found, tags, frozenset(blocked)))


@settings(max_examples=200)
@given(st.sampled_from(RULES), TAG_LISTS, st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_changes_the_answer(found: Rules, tags: list[str], random: Any) -> None:
    shuffled = tags + tags[: len(tags) // 2]
    random.shuffle(shuffled)
    assert shortlist(found, shuffled) == shortlist(found, tags)
    assert revision(shuffled) == revision(tags)


@settings(max_examples=200)
@given(st.sampled_from(RULES), st.text(max_size=30))
def test_any_text_as_tag_is_judged_and_never_raises(found: Rules, tag: str) -> None:
    verdict = found.judge(tag, frozenset())
    assert verdict.tag == tag
    if isinstance(verdict, Candidate):
        assert len(verdict.key.encode()) <= 512
        assert verdict.key.isascii()


@settings(max_examples=200)
@given(st.sampled_from(RULES), TAG_LISTS, TAG_LISTS)
def test_more_tags_never_lower_the_best(found: Rules, tags: list[str], more: list[str]) -> None:
    def best(seen: list[str]) -> str:
        candidates = shortlist(found, seen, limit=1).candidates
        return candidates[0].key if candidates else ""

    assert best(tags + more) == max(best(tags), best(more))

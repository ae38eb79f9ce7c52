"""Semver ranges: a conformance table, and the rules about prereleases as properties."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.decide.range_rows import INVALID, ROWS
from tests.unit.decide.specs import outcome

from pawl.api.errors import Stalled
from pawl.api.reasons import Reason
from pawl.decide.ranges import MAX_COMPARATORS, parse_range
from pawl.decide.semver import version
from pawl.decide.why import Why


def refusal(text: str, candidate: str) -> str | None:
    key = version(candidate)
    assert key is not None, candidate
    return parse_range(text).refusal(key)


def test_the_table_is_large_enough_and_names_a_range_once() -> None:
    assert len(ROWS) >= 200
    assert len({text for text, _ in ROWS}) == len(ROWS)


@pytest.mark.parametrize(("text", "row"), ROWS)
def test_a_range_admits_and_refuses(text: str, row: str) -> None:
    admitted, refused = (side.split() for side in row.split("|"))
    assert [each for each in admitted if refusal(text, each) is not None] == []
    assert [each for each in refused if refusal(text, each) is None] == []


@pytest.mark.parametrize("text", INVALID)
def test_a_range_that_masterminds_refuses_stalls(text: str) -> None:
    with pytest.raises(Stalled) as caught:
        parse_range(text)
    assert caught.value.reason == Reason.INVALID_RANGE
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 300


def test_as_many_comparators_as_allowed_are_read() -> None:
    assert parse_range(" ".join(["1"] * MAX_COMPARATORS)).refusal(version("1.0.0") or "") is None


@pytest.mark.parametrize(
    ("text", "candidate", "why"),
    [
        (">=1.0.0", "1.5.0-rc.1", Why.PRERELEASE),
        (">=1.0.0", "0.5.0-rc.1", Why.OUT_OF_RANGE),
        (">=1.0.0 <2.0.0", "2.0.0-rc.1", Why.OUT_OF_RANGE),
        (">=1.0.0 <2.0.0", "2.0.0", Why.OUT_OF_RANGE),
        ("^1 || ^2.0.0-0", "1.5.0-rc.1", Why.PRERELEASE),
    ],
)
def test_a_refusal_says_whether_only_the_prerelease_was_not_asked_for(text: str, candidate: str, why: str) -> None:
    assert refusal(text, candidate) == why


numbers = st.integers(min_value=0, max_value=12)
cores = st.tuples(numbers, numbers, numbers)


def dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))


@settings(max_examples=200)
@given(cores, cores, st.sampled_from(["<", "<=", ">", ">=", "=", "!=", "^", "~"]))
def test_whole_versions_compare_as_tuples(bound: tuple[int, int, int], seen: tuple[int, int, int], op: str) -> None:
    major, minor, patch = bound
    zero = (0, 0, 0)
    caret = (major + 1, 0, 0) if major else (0, minor + 1, 0) if minor else (0, 0, patch + 1)
    model = {
        "<": seen < bound,
        "<=": seen <= bound,
        ">": seen > bound,
        ">=": seen >= bound,
        "=": seen == bound,
        "!=": seen != bound,
        "^": bound <= seen < caret,
        "~": bound <= seen and (bound == zero or seen < (major, minor + 1, 0)),
    }
    assert (refusal(op + dotted(bound), dotted(seen)) is None) is model[op]


@settings(max_examples=200)
@given(st.lists(numbers, min_size=1, max_size=2), cores, st.sampled_from(["<", "<=", ">", ">=", "=", "!=", "^", "~"]))
def test_partial_versions_stand_for_their_line(line: list[int], seen: tuple[int, int, int], op: str) -> None:
    part = tuple(line)
    cut = seen[: len(part)]
    caret = cut[0] == part[0] and (part[0] > 0 or len(part) == 1 or cut == part)
    model = {
        "<": cut < part,
        "<=": cut <= part,
        ">": cut > part,
        ">=": cut >= part,
        "=": cut == part,
        "!=": cut != part,
        "^": cut >= part and caret,
        "~": cut == part,
    }
    for text in (dotted(part), dotted(part) + ".x"):
        assert (refusal(op + text, dotted(seen)) is None) is model[op]


@settings(max_examples=200)
@given(cores, cores, st.sampled_from(["<", "<=", "^", "~", "=", ">=", ">"]), st.sampled_from(["0", "rc.1", "z-9"]))
def test_a_range_that_names_no_prerelease_admits_none(
    bound: tuple[int, int, int], seen: tuple[int, int, int], op: str, pre: str
) -> None:
    assert refusal(op + dotted(bound), f"{dotted(seen)}-{pre}") is not None


@settings(max_examples=200)
@given(cores, st.sampled_from(["0", "rc.1", "z-9"]), st.sampled_from(["<{}", "<{} >=0.0.0-0", ">=0.0.0-0, <{}"]))
def test_an_upper_bound_never_admits_its_own_prereleases(bound: tuple[int, int, int], pre: str, form: str) -> None:
    assert refusal(form.format(dotted(bound)), f"{dotted(bound)}-{pre}") == Why.OUT_OF_RANGE


@settings(max_examples=200)
@given(st.text(alphabet="0123456789.xX*<>=!~^|-, v+ab\t\u0663", max_size=24) | st.text(max_size=40))
def test_no_text_raises_anything_but_stalled(text: str) -> None:
    found = outcome(lambda: parse_range(text))
    if isinstance(found, Stalled):
        assert found.reason == Reason.INVALID_RANGE
    else:
        assert found.refusal(version("1.2.3") or "") in {None, Why.OUT_OF_RANGE}

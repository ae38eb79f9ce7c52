"""Keys compare as values do: each strategy and direction against a model that knows nothing of keys."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.decide.specs import policy

from pawl.decide.numbers import MAX_DIGITS, decimal, natural
from pawl.decide.ordering import Ordering, compile_ordering, sort_key, value_part
from pawl.decide.semver import version

ASCENDING, DESCENDING = {"order": "Ascending"}, {"order": "Descending"}


def ordering(**select: object) -> Ordering:
    return compile_ordering(policy(select=select))


# ---------------------------------------------------------------------------------------------------------- numbers
@pytest.mark.parametrize("text", ["", "-", ".", "1.", ".5", "+1", "1e3", "0x1f", "inf", "nan", "1_000", "--1", "1.2.3"])
def test_what_is_no_number(text: str) -> None:
    assert decimal(text) is None
    assert decimal(text, descending=True) is None


@pytest.mark.parametrize("text", ["\u0661", "1 ", " 1", "1\n", "\uff11", "1\u00b2"])
def test_digits_of_other_scripts_are_no_numbers(text: str) -> None:
    assert decimal(text) is None


@pytest.mark.parametrize(
    ("left", "right"),
    [("-0", "0"), ("0.0", "0"), ("-0.00", "0"), ("1.50", "1.5"), ("007", "7"), ("-007.10", "-7.1"), ("00", "0")],
)
def test_equal_numbers_have_equal_keys(left: str, right: str) -> None:
    for descending in (False, True):
        assert decimal(left, descending=descending) == decimal(right, descending=descending) is not None


@pytest.mark.parametrize(
    "rising",
    [
        [
            "-10",
            "-9.5",
            "-9",
            "-1.55",
            "-1.5",
            "-1",
            "-0.5",
            "-0.05",
            "0",
            "0.05",
            "0.5",
            "1",
            "1.5",
            "1.55",
            "2",
            "10",
        ],
        ["9007199254740992", "9007199254740993", "9007199254740994"],
        ["9" * 400, "1" + "0" * 400, "1" + "0" * 399 + "1"],
        ["-1" + "0" * 400, "-" + "9" * 400, "-" + "9" * 399 + "8"],
    ],
)
def test_numbers_rise(rising: list[str]) -> None:
    keys = [decimal(each) or "" for each in rising]
    assert all(left < right for left, right in pairwise(keys))
    falling = [decimal(each, descending=True) or "" for each in rising]
    assert all(left > right for left, right in pairwise(falling))


def test_a_number_beyond_pythons_own_limit_is_refused_and_not_raised() -> None:
    assert decimal("9" * MAX_DIGITS) is not None
    assert decimal("9" * (MAX_DIGITS + 1)) is None
    assert decimal("0" * 5000 + "7") == decimal("7")
    with pytest.raises(ValueError, match="too long"):
        natural("9" * 5000)


digits = st.text(alphabet="0123456789", min_size=1, max_size=6)
decimals = st.builds(
    lambda sign, whole, tail: sign + whole + tail,
    st.sampled_from(["", "-"]),
    digits,
    st.just("") | digits.map(".{}".format),
)


def scaled(text: str) -> int:
    """The number times 10^6, as an exact integer."""
    sign, body = (-1, text[1:]) if text.startswith("-") else (1, text)
    whole, _, fraction = body.partition(".")
    return sign * (int(whole) * 10**6 + int(fraction.ljust(6, "0") or "0"))


@settings(max_examples=200)
@given(decimals, decimals)
def test_numerical_keys_compare_as_numbers(left: str, right: str) -> None:
    rising, falling = ordering(numerical=ASCENDING), ordering(numerical=DESCENDING)
    assert_same_order(rising.value(left), rising.value(right), scaled(left), scaled(right))
    assert_same_order(falling.value(left), falling.value(right), -scaled(left), -scaled(right))


# ----------------------------------------------------------------------------------------------------- alphabetical
printable = st.text(alphabet=st.characters(min_codepoint=0x21, max_codepoint=0x7D), min_size=1, max_size=6)


@settings(max_examples=200)
@given(printable, printable)
def test_alphabetical_keys_compare_as_bytes(left: str, right: str) -> None:
    rising, falling = ordering(alphabetical=ASCENDING), ordering(alphabetical=DESCENDING)
    assert_same_order(rising.value(left), rising.value(right), left.encode(), right.encode())
    assert_same_order(falling.value(right), falling.value(left), left.encode(), right.encode())


@pytest.mark.parametrize("text", ["", " ", "a b", "\u00e9", "a~", "\x00", "a\n"])
def test_text_beyond_the_printable_range_is_no_value(text: str) -> None:
    assert ordering(alphabetical=ASCENDING).value(text) is None
    assert ordering(alphabetical=DESCENDING).value(text) is None


# ----------------------------------------------------------------------------------------------------------- semver
@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1.2",
        "1.2.3.4",
        "v",
        "V1.2.3",
        "vv1.2.3",
        "1.2.x",
        "1.2.3-",
        "1.2.3-a..b",
        "1.2.3-.a",
        "1.2.3-a_b",
        "1.2.3+",
        "1.2.3-a+",
        "-1.2.3",
        "1.-2.3",
        "1.v2.3",
        "1.2.3 ",
        " 1.2.3",
        "1.2.3\n",
        "\u0661.2.3",
        "1..3",
        "latest",
        "1.2.3_b",
    ],
)
def test_what_is_no_version(text: str) -> None:
    assert version(text) is None


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("v1.2.3", "1.2.3"),
        ("01.2.3", "1.2.3"),
        ("1.2.3+a", "1.2.3+b"),
        ("1.2.3-rc.01", "1.2.3-rc.1"),
        ("0.0.0", "00.000.0"),
        ("1.0.0-007", "1.0.0-7"),
        ("1.0.0-0", "1.0.0-000"),
    ],
)
def test_equal_versions_have_equal_keys(left: str, right: str) -> None:
    assert version(left) == version(right) is not None


RISING = (
    "0.0.0-0 0.0.0-foo 0.0.0 0.0.1 0.9.0 0.9.9 0.10.0 0.99.0 1.0.0-0 1.0.0-1 1.0.0-9 1.0.0-10 1.0.0-10.0 1.0.0-- "
    "1.0.0-0a 1.0.0-4-foo 1.0.0-A 1.0.0-R2 1.0.0-a 1.0.0-a.5 1.0.0-a.10 1.0.0-a.b 1.0.0-a.b.c.5.d.100 "
    "1.0.0-a.b.c.10.d.5 1.0.0-a- 1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 "
    "1.0.0-r100 1.0.0-r2 1.0.0-rc.1 1.0.0 1.2.3-4 1.2.3-5 1.2.3-5-Foo 1.2.3-5-foo 1.2.3-asdf 1.2.3 2.0.0 2.7.2 10.0.0 "
    "99999999999999999999.0.0 100000000000000000000.0.0"
)


def test_versions_rise_as_semver_org_says() -> None:
    keyed = [(version(each) or "", each) for each in RISING.split()]
    assert [(low[1], high[1]) for low, high in pairwise(keyed) if low[0] >= high[0]] == []


fields = st.integers(min_value=0, max_value=120).map(str) | st.text(alphabet="-0aZ", min_size=1, max_size=3)
prereleases = st.lists(fields, max_size=3).map(tuple)
small = st.integers(min_value=0, max_value=101)
versions = st.tuples(small, small, small, prereleases)


def spell(parts: tuple[int, int, int, tuple[str, ...]]) -> str:
    pre = f"-{'.'.join(parts[3])}" if parts[3] else ""
    return f"{parts[0]}.{parts[1]}.{parts[2]}{pre}"


def precedence(parts: tuple[int, int, int, tuple[str, ...]]) -> tuple[object, ...]:
    ids = tuple((0, int(each), "") if each.isdigit() else (1, 0, each) for each in parts[3])
    return (*parts[:3], not parts[3], ids)


@settings(max_examples=200)
@given(versions, versions)
def test_semver_keys_compare_by_precedence(
    left: tuple[int, int, int, tuple[str, ...]], right: tuple[int, int, int, tuple[str, ...]]
) -> None:
    semver = ordering(semver={"range": "*-0"})
    assert_same_order(semver.value(spell(left)), semver.value(spell(right)), precedence(left), precedence(right))


# -------------------------------------------------------------------------------------------------------- all of them
ORDERINGS = (
    ordering(semver={"range": "*"}),
    ordering(numerical=ASCENDING),
    ordering(numerical=DESCENDING),
    ordering(alphabetical=ASCENDING),
    ordering(alphabetical=DESCENDING),
    ordering(digest={"tag": "latest"}),
)


def assert_same_order(left: str | None, right: str | None, low: object, high: object) -> None:
    assert left is not None
    assert right is not None
    assert (left.encode() < right.encode()) is (low < high)  # type: ignore[operator]
    assert (left == right) is (low == high)


@settings(max_examples=200)
@given(st.text(max_size=20) | st.text(alphabet="0123456789.-v+rc~ ", max_size=20), st.sampled_from(ORDERINGS))
def test_any_text_has_a_printable_value_part_or_none(text: str, ordering: Ordering) -> None:
    part = ordering.value(text)
    if part is not None:
        assert part
        assert all("!" <= each <= "~" for each in part)
        assert value_part(sort_key(part, "tag")) == part
    assert ordering.admits(text) in {True, False}


@settings(max_examples=200)
@given(st.data())
def test_whole_keys_compare_by_value_first(data: st.DataObject) -> None:
    tags = st.text(alphabet="0129.-a_", min_size=1, max_size=5)
    ordering = data.draw(st.sampled_from(ORDERINGS))
    keyed = [(part, tag) for tag in data.draw(st.lists(tags, max_size=8)) if (part := ordering.value(tag))]
    assert sorted(keyed) == sorted(keyed, key=lambda each: sort_key(*each).encode())


def test_a_long_tag_of_prerelease_fields_fits_a_key() -> None:
    tag = "1.1.1-" + "1." * 60 + "1"
    part = version(tag)
    assert part is not None
    assert len(tag) == 127
    assert len(sort_key(part, tag)) <= 512

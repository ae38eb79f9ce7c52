"""WWW-Authenticate, Link and Retry-After, as servers really write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawl.registry.challenges import Challenge, parse_challenges
from pawl.registry.limits import MAX_WAIT, retry_after
from pawl.registry.links import next_link

HUB = 'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull"'
CHALLENGES = [
    (HUB, [Challenge("bearer", "https://auth.docker.io/token", "registry.docker.io")]),
    ('bearer   realm = "x" , service=y', [Challenge("bearer", "x", "y")]),
    ('Basic realm="Registry Realm"', [Challenge("basic", "Registry Realm")]),
    ("Basic", [Challenge("basic")]),
    ('Basic realm="a", Bearer realm="b",service="c"', [Challenge("basic", "a"), Challenge("bearer", "b", "c")]),
    ('Bearer realm="b",service="c", Basic realm="a"', [Challenge("bearer", "b", "c"), Challenge("basic", "a")]),
    ("Negotiate, Basic", [Challenge("negotiate"), Challenge("basic")]),
    ('Negotiate YII=, Basic realm="x"', [Challenge("negotiate"), Challenge("basic", "x")]),
    (r'Bearer realm="a\"b, c", service="d"', [Challenge("bearer", 'a"b, c', "d")]),
    ('Bearer REALM="x",realm="y"', [Challenge("bearer", "x")]),
    ("", []),
    (",, ,", []),
    ('"', []),
]


@pytest.mark.parametrize(("header", "expected"), CHALLENGES)
def test_challenges(header: str, expected: list[Challenge]) -> None:
    assert parse_challenges([header]) == expected


def test_several_headers_are_one_list() -> None:
    assert [c.scheme for c in parse_challenges(['Basic realm="a"', HUB])] == ["basic", "bearer"]


@given(st.text(alphabet=' ,="\\abcBearer;', max_size=200))
def test_any_challenge_is_read_in_no_time(header: str) -> None:
    parse_challenges([header])


LINKS = [
    ('</v2/a/tags/list?last=x&n=1>; rel="next"', "/v2/a/tags/list?last=x&n=1"),
    ("<u>;rel=next", "u"),
    ("<u> ; title=\"a; b, c\" ; REL = 'next'", None),
    ('<u>; rel="prev NEXT"', "u"),
    ('<a>; rel="prev", <b>; rel="next", <c>; rel="next"', "b"),
    ('<a,b;c>; rel="next"', "a,b;c"),
    ('< u >; foo; rel="next"', "u"),
    ('<u>; rel="nextish"', None),
    ('<u>; rel="prev"; rev="next"', None),
    ("u; rel=next", None),
    ("", None),
]


@pytest.mark.parametrize(("header", "target"), LINKS)
def test_links(header: str, target: str | None) -> None:
    assert next_link([header]) == target


def test_a_link_may_stand_in_a_second_header() -> None:
    assert next_link(['<a>; rel="help"', '<b>; rel="next"']) == "b"


@given(st.text(alphabet=' <>;,="\\relnxt', max_size=200))
def test_any_link_is_read_in_no_time(header: str) -> None:
    next_link([header])


NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT
WAITS = [
    (["5"], 5.0),
    ([" 5 "], 5.0),
    (["0"], 0.0),
    (["999999999999999999999"], MAX_WAIT),
    (["Tue, 14 Nov 2023 22:14:20 GMT"], 60.0),
    (["Tuesday, 14-Nov-23 22:14:20 GMT"], 60.0),
    (["Tue, 14 Nov 2023 22:12:20 GMT"], 0.0),
    (["Tue, 14 Nov 2033 22:12:20 GMT"], MAX_WAIT),
    (["later"], None),
    (["-5"], None),
    (["\u0665"], None),
    ([], None),
    (["later", "5"], 5.0),
]


@pytest.mark.parametrize(("values", "expected"), WAITS)
def test_retry_after(values: list[str], expected: float | None) -> None:
    assert retry_after(values, NOW) == expected

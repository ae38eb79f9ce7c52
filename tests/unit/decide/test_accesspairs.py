"""When a registry's certificate is changed: never before clients can trust it, never after it has ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawl.decide.accesspairs import AUTHORITY_BEFORE, OVERLAP, Act, PairState, act, next_look

NOW = datetime(2026, 11, 21, tzinfo=UTC)
DAY = timedelta(days=1)
YEAR = 365 * DAY


def state(**given: object) -> PairState:
    known: dict[str, object] = {"authority_ends": NOW + 4 * YEAR, "pair_ends": NOW + YEAR}
    return PairState(**(known | given))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("known", "due"),
    [
        (PairState(), Act.BEGIN),
        (state(), Act.KEEP),
        (state(authority_ends=NOW), Act.BEGIN),
        (state(pair_ends=None), Act.SIGN),
        (state(lacks=("images.corp",)), Act.SIGN),
        (state(pair_ends=NOW + 90 * DAY), Act.SIGN),
        (state(pair_ends=NOW + 91 * DAY), Act.KEEP),
        (state(authority_ends=NOW + AUTHORITY_BEFORE), Act.PUBLISH),
        (state(authority_ends=NOW + YEAR, next_ends=NOW + 5 * YEAR, published_at=NOW), Act.KEEP),
        (state(authority_ends=NOW + YEAR, next_ends=NOW + 5 * YEAR, published_at=NOW - OVERLAP), Act.TURN),
        (state(authority_ends=NOW + YEAR, next_ends=NOW, published_at=NOW - 5 * DAY), Act.PUBLISH),
        (state(authority_ends=NOW, next_ends=NOW + 5 * YEAR, published_at=NOW), Act.TURN),
        (state(lacks=("x",), next_ends=NOW + 5 * YEAR, published_at=NOW), Act.SIGN),
    ],
)
def test_what_is_due(known: PairState, due: Act) -> None:
    assert act(known, NOW) is due


MOMENT = st.none() | st.integers(-30, 6 * 365).map(lambda days: NOW + timedelta(days=days))
STATES = st.builds(
    PairState,
    authority_ends=MOMENT,
    pair_ends=MOMENT,
    lacks=st.sampled_from([(), ("a",)]),
    next_ends=MOMENT,
    published_at=MOMENT,
)


@given(STATES)
def test_nothing_is_turned_before_its_time_while_the_present_authority_holds(known: PairState) -> None:
    if act(known, NOW) is Act.TURN and known.authority_ends is not None and known.authority_ends > NOW:
        assert known.published_at is not None
        assert NOW - known.published_at >= OVERLAP


@given(STATES)
def test_only_what_is_good_is_kept(known: PairState) -> None:
    if act(known, NOW) is Act.KEEP:
        assert known.authority_ends is not None
        assert known.authority_ends > NOW
        assert known.pair_ends is not None
        assert not known.lacks
        later = next_look(known)
        assert later is not None


@pytest.mark.parametrize(
    ("known", "at"),
    [
        (state(), NOW + 275 * DAY),
        (state(authority_ends=NOW + YEAR, pair_ends=NOW + YEAR), NOW),
        (state(next_ends=NOW + 5 * YEAR, published_at=NOW), NOW + OVERLAP),
        (PairState(), None),
    ],
)
def test_the_next_look_is_when_something_is_due(known: PairState, at: datetime | None) -> None:
    assert next_look(known) == at

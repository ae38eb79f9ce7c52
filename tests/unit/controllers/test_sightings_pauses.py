"""Pauses after failures: doubled, bounded, ended by time and by demand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.registry_client import Clock

from pawl.controllers.sightings_pauses import FIRST, MOST, Pauses


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pauses(clock: Clock) -> Pauses[str, str]:
    return Pauses(clock)


def test_pauses_double_up_to_the_longest(pauses: Pauses[str, str], clock: Clock) -> None:
    seen = []
    for _ in range(6):
        pauses.fail("key", "down", clock.now)
        seen.append(pauses.left("key"))
        clock.now += pauses.left("key")
    assert seen == [30.0, 60.0, 120.0, 240.0, 300.0, 300.0]
    assert (FIRST, MOST) == (30.0, 300.0)


def test_a_failure_stands_until_its_pause_is_over(pauses: Pauses[str, str], clock: Clock) -> None:
    assert pauses.held("key") is None
    pauses.fail("key", "down", clock.now)
    clock.now += 29.9
    assert pauses.held("key") == "down"
    clock.now += 0.1
    assert pauses.held("key") is None
    assert pauses.left("key") == 0


def test_who_asks_for_something_newer_does_not_get_the_old_failure(pauses: Pauses[str, str], clock: Clock) -> None:
    pauses.fail("key", "down", asked=clock.now)
    clock.now += 5
    assert pauses.held("key", not_before=1000.0) == "down"
    assert pauses.held("key", not_before=1000.1) is None
    pauses.fail("key", "still down", asked=clock.now)
    assert pauses.held("key", not_before=1000.1) == "still down"
    assert pauses.left("key") == 60.0


def test_keys_are_apart(pauses: Pauses[str, str], clock: Clock) -> None:
    pauses.fail("one", "down", clock.now)
    assert pauses.held("other") is None


@given(st.integers(1, 3000), st.floats(0, 3600))
def test_no_pause_is_shorter_than_was_asked_for_or_longer_than_both_bounds(times: int, at_least: float) -> None:
    pauses: Pauses[str, str] = Pauses(lambda: 0.0)
    for _ in range(times):
        pauses.fail("key", "down", 0.0, at_least)
    assert max(FIRST, at_least) <= pauses.left("key") <= max(MOST, at_least)

"""Rollout windows: open or not, how long, across midnight and the nights when clocks change."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawl.api.errors import Stalled
from pawl.api.imageoverride import Window
from pawl.decide.windows import opening


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def window(schedule: str, duration: str, zone: str = "UTC") -> Window:
    return Window(schedule=schedule, duration=duration, time_zone=zone)


NIGHT = window("0 22 * * *", "8h")
BERLIN = window("30 2 * * *", "1h", "Europe/Berlin")
ROWS = [
    (NIGHT, "2026-11-21T21:59:59", "UTC", False, 1),
    (NIGHT, "2026-11-21T22:00:00", "UTC", True, 8 * 3600),
    (NIGHT, "2026-11-22T05:59:59", "UTC", True, 1),
    (NIGHT, "2026-11-22T06:00:00", "UTC", False, 16 * 3600),
    (window("0 22 * * 1-5", "1h"), "2026-11-21T12:00:00", "UTC", False, (2 * 24 + 10) * 3600),
    (BERLIN, "2026-07-01T02:30:00", "Europe/Berlin", True, 3600),
]


@pytest.mark.parametrize(("given_window", "now", "zone", "is_open", "seconds"), ROWS)
def test_a_window_opens_and_closes(given_window: Window, now: str, zone: str, seconds: float, *, is_open: bool) -> None:
    found = opening(given_window, at(now, zone))
    assert (found.open, found.seconds) == (is_open, seconds)


def test_a_time_that_a_night_skips_opens_right_after_it() -> None:
    assert opening(BERLIN, at("2026-03-29T03:10:00", "Europe/Berlin")).open
    assert not opening(BERLIN, at("2026-03-29T01:59:00", "Europe/Berlin")).open


@pytest.mark.parametrize("schedule", ["99 * * * *", "* * * *  ", "* * * * * *", "@daily    ", "a b c d e"])
def test_schedules_that_are_none_are_refused(schedule: str) -> None:
    with pytest.raises(Stalled) as caught:
        opening(window(schedule, "1h"), 0.0)
    assert caught.value.reason == "InvalidSpec"
    assert "schedule" in caught.value.message


def test_unknown_zones_are_refused() -> None:
    with pytest.raises(Stalled, match="timeZone"):
        opening(window("0 22 * * *", "1h", "Europe/Atlantis"), 0.0)


@given(st.integers(1_700_000_000, 2_000_000_000), st.sampled_from(["*/7 3 * * *", "0 22 * * 1-5", "15 0 1 * *"]))
def test_the_seconds_lead_to_the_other_state(now: int, schedule: str) -> None:
    hours = window(schedule, "5m", "America/New_York")
    found = opening(hours, float(now))
    assert found.seconds is not None
    assert found.seconds > 0
    if not found.open:
        assert opening(hours, now + found.seconds).open

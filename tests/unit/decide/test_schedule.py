"""When a collection is due by cron."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from tests.unit.decide.registryworld import World, spec

from pawl.decide.schedule import due, fault, upcoming

NIGHT = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("since", "now", "expected"),
    [
        (NIGHT - timedelta(hours=1), NIGHT - timedelta(seconds=1), False),
        (NIGHT - timedelta(hours=1), NIGHT, True),
        (NIGHT, NIGHT, False),
        (NIGHT, NIGHT + timedelta(hours=23), False),
        (NIGHT, NIGHT + timedelta(days=9), True),
        (NIGHT + timedelta(days=1), NIGHT, False),
    ],
)
def test_due_after_one_time_and_not_after_another(since: datetime, now: datetime, expected: bool) -> None:  # noqa: FBT001
    assert due("0 3 * * *", since, now) is expected


def test_times_are_in_utc_whatever_the_clock_says() -> None:
    west = NIGHT.astimezone(timezone(timedelta(hours=-8)))
    assert upcoming("0 3 * * *", west - timedelta(minutes=5)) == NIGHT


def test_no_schedule_is_never_due() -> None:
    assert not due(None, NIGHT, NIGHT + timedelta(days=99))
    assert upcoming("0 0 31 2 *", NIGHT) is None


@pytest.mark.parametrize("schedule", ["", "0 3 * *", "0 3 * * * *", "61 3 * * *", "every day", "@daily"])
def test_what_is_no_schedule_is_said_and_never_due(schedule: str) -> None:
    assert "write it like 0 3 * * *" in fault(schedule)
    assert not due(schedule, NIGHT, NIGHT + timedelta(days=99))
    found = World(spec(collection={"schedule": schedule})).serving().look()
    assert next(one.reason for one in found.conditions if one.type == "Stalled") == "InvalidSpec"
    assert found.want is not None

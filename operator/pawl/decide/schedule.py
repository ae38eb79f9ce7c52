"""When a collection is due by its schedule: five cron fields, in UTC.

Cron is `cronsim`'s. Neighbours: `decide.windows` does the same for rollouts, `decide.storagemachine_collection` asks.
Not here: what else begins a collection.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from cronsim import CronSim, CronSimError

FIELDS: Final = 5


def due(schedule: str | None, since: datetime, now: datetime) -> bool:
    """Whether the schedule names a time after `since`, and not after `now`. A schedule that is none is never due."""
    begins = upcoming(schedule, since)
    return begins is not None and begins <= now


def upcoming(schedule: str | None, after: datetime) -> datetime | None:
    """Return the first time after a moment, None for no schedule, for none that is valid, or for one without times."""
    if schedule is None or fault(schedule):
        return None
    return next(CronSim(schedule, after.astimezone(UTC)), None)


def fault(schedule: str | None) -> str:
    """Say why a schedule is none, or nothing."""
    if schedule is None:
        return ""
    try:
        if len(schedule.split()) != FIELDS:
            raise CronSimError(f"it has {len(schedule.split())} fields instead of {FIELDS}")
        CronSim(schedule, datetime(2000, 1, 1, tzinfo=UTC))
    except (CronSimError, ValueError) as error:
        what = f"spec.collection.schedule {schedule[:64]!r} is no cron expression ({error})"
        return f"{what}; write it like 0 3 * * *, in UTC"
    return ""

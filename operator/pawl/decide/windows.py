"""Whether a rollout window is open, and when the next one opens.

Cron and its daylight saving rules are `cronsim`'s: a schedule at a time that a night skips opens right after it, one in
an hour that comes twice opens once. Neighbours: `decide.stages` begins nothing new outside. Not here: time itself.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from cronsim import CronSim, CronSimError

from pawl.api.errors import Stalled
from pawl.api.imageoverride import Window
from pawl.api.reasons import Reason
from pawl.decide.durations import parse_duration

FIELDS: Final = 5
"""Fields of a schedule: minute, hour, day of month, month, day of week."""


class Opening(msgspec.Struct, frozen=True):
    """Whether the window is open. `seconds`: until it closes, or until it opens (None: never within fifty years)."""

    open: bool
    seconds: float | None


def opening(window: Window, now: float) -> Opening:
    """Judge a window at `now`, in seconds since the epoch.

    Raises Stalled(InvalidSpec) for a schedule that is no cron expression of five fields or a time zone nobody knows.
    """
    length, zone = parse_duration(window.duration), _zone(window.time_zone)
    local = datetime.fromtimestamp(now, UTC).astimezone(zone)
    begun = _latest(window.schedule, local)
    if begun is not None and now < begun + length.total_seconds():
        return Opening(open=True, seconds=begun + length.total_seconds() - now)
    begins = _next(window.schedule, local)
    return Opening(open=False, seconds=None if begins is None else begins - now)


def _latest(schedule: str, local: datetime) -> float | None:
    """Return the newest opening at or before `local`; cronsim never yields its start, so it starts a second later."""
    found = next(_cron(schedule, local + timedelta(seconds=1), reverse=True), None)
    return None if found is None else found.timestamp()


def _next(schedule: str, local: datetime) -> float | None:
    found = next(_cron(schedule, local, reverse=False), None)
    return None if found is None else found.timestamp()


def _cron(schedule: str, local: datetime, *, reverse: bool) -> CronSim:
    fields = schedule.split()
    try:
        if len(fields) != FIELDS:
            raise CronSimError(f"it has {len(fields)} fields instead of {FIELDS}")
        return CronSim(schedule, local, reverse=reverse)
    except (CronSimError, ValueError) as error:
        text = f"spec.rollout.window.schedule {schedule!r} is no cron expression ({error}); write it like 0 22 * * 1-5"
        raise Stalled(Reason.INVALID_SPEC, text) from error


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        text = f"spec.rollout.window.timeZone {name!r} is not known here; write one like Europe/Berlin, or UTC"
        raise Stalled(Reason.INVALID_SPEC, text) from error

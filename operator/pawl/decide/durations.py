"""Durations as Go writes them ("1h30m") and as timedelta. Parsing is `durationpy`'s; bounds are ours."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import durationpy

from pawl.api.errors import Stalled
from pawl.api.reasons import Reason

LONGEST: Final = timedelta(hours=8760)


def parse_duration(text: str) -> timedelta:
    """Parse a Go duration of at most a year. Raises Stalled(InvalidSpec) otherwise."""
    try:
        value = durationpy.from_str(text)
    except (ValueError, OverflowError, durationpy.DurationError) as error:
        raise Stalled(Reason.INVALID_SPEC, f"{text!r} is no duration; write it like 30s, 5m or 1h30m") from error
    if not timedelta(0) <= value <= LONGEST:
        raise Stalled(Reason.INVALID_SPEC, f"duration {text!r} is not between 0s and 8760h")
    return value

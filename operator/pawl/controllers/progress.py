"""What the leader remembers of a policy between two looks; losing it costs a request, never a selection.

Neighbours: `imagepolicy` keeps one for each policy. Not here: anything that must survive the process.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

AUDIT_EVERY = 10
"""A tag's digest is looked at again every so many intervals: one poll of an unchanged repository is one request."""

FRESH = 0.5
"""A scan begun after this share of the interval serves: policies of one repository share one, whatever their jitter."""


@dataclass(slots=True)
class Progress:
    """Times in monotonic seconds. `version`: the resource as it was when nothing was left to do."""

    version: int = 0
    uid: str = ""
    revision: str | None = None
    quiet: bool = False
    scanned_at: float = 0.0
    audited: int = -1
    interval: float = 300.0

    def round_of(self, image: str, now: float) -> int:
        """Return the number of the audit round: one for all policies of an image, at another time for each image."""
        period = AUDIT_EVERY * self.interval
        phase = zlib.crc32(image.encode()) / (1 << 32)
        return int(now / period + phase)

    def fresh_from(self, interval: float, now: float) -> float:
        """Return since when a scan must have been begun to serve a look that nobody asked for."""
        due = self.scanned_at + FRESH * interval
        return max(due, now - interval) if due <= now else self.scanned_at

"""How far a copy is, and how fast: what a report says of it.

Neighbours: `copy` counts here, `migrate` tells. Not here: what is copied.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final

from pawl.api.registrywork import Progress, Report, Task

Tell = Callable[[Report], None]
_WINDOW: Final = 10.0
_EVERY: Final = 0.2
SHOWN: Final = 20
MESSAGE: Final = 500


class Gauge:
    """Counts, and tells the newest report a few times a second. `clock` in seconds, of any origin."""

    def __init__(self, task: Task, order: str, tell: Tell, clock: Callable[[], float] = time.monotonic) -> None:
        self._task, self._order, self._tell, self._clock = task, order, tell, clock
        self._marks: deque[tuple[float, int]] = deque([(clock(), 0)])
        self._told = 0.0
        self.phase = ""
        self.message = ""
        self.objects = self.bytes = self.objects_done = self.bytes_done = self.rounds = 0
        self.moved = 0
        """Bytes that went by, proved or not."""
        self.fetched = 0
        """Of these, read from the source."""
        self.quarantine: list[str] = []

    def enter(self, phase: str, message: str = "") -> None:
        """Begin a phase."""
        self.phase, self.message = phase, message[:MESSAGE]
        self.say(at_once=True)

    def pass_by(self, size: int, *, fetched: bool = True) -> None:
        """Count bytes that were read."""
        self.moved += size
        self.fetched += size if fetched else 0
        self.say()

    def done(self, objects: int, size: int) -> None:
        """Count what is proved on the target."""
        self.objects_done += objects
        self.bytes_done += size
        self.say()

    def say(self, *, at_once: bool = False) -> None:
        """Tell the newest report, unless one was told just now."""
        now = self._clock()
        if at_once or now - self._told >= _EVERY:
            self._told = now
            self._mark(now)
            self._tell(self._report())

    def end(self, reason: str, message: str, *, ok: bool) -> Report:
        """Return the last report."""
        last = {"done": True, "ok": ok, "reason": reason, "message": message[:MESSAGE]}
        return self._report().model_copy(update=last)

    def _mark(self, now: float) -> None:
        self._marks.append((now, self.moved))
        while len(self._marks) > 2 and now - self._marks[1][0] >= _WINDOW:
            self._marks.popleft()

    def _report(self) -> Report:
        (begin, before), (end, after) = self._marks[0], self._marks[-1]
        rate = int((after - before) / (end - begin)) if end > begin else 0
        left = max(0, self.bytes - self.bytes_done)
        progress = Progress(
            objects=self.objects,
            objects_done=self.objects_done,
            bytes=self.bytes,
            bytes_done=self.bytes_done,
            bytes_per_second=rate,
            eta_seconds=left // rate if rate else None,
            rounds=self.rounds,
        )
        return Report(
            task=self._task,
            id=self._order,
            phase=self.phase,
            message=self.message,
            progress=progress,
            quarantine=self.quarantine[:SHOWN],
        )

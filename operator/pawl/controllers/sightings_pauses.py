"""Failures that are told again for a while instead of being asked for again.

The pause doubles from half a minute to five: a registry that is down, or an image that is not pushed yet, is asked
about once a pause, however many Pods want it.
Neighbours: `sightings` and `explain` keep theirs here. Not here: the rest of a host that asked to be left alone
(`registry.limits`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from pawl.registry.caches import Bounded

FIRST: Final = 30.0
"""The first pause, in seconds."""
MOST: Final = 300.0
"""The longest pause, in seconds; a registry may ask for a longer one."""
CAPACITY: Final = 4096

K = TypeVar("K", bound=Hashable)
F = TypeVar("F")


@dataclass(frozen=True, slots=True)
class _Paused(Generic[F]):
    failure: F
    asked: float
    until: float
    times: int


class Pauses(Generic[K, F]):
    """Failures by key. All times are monotonic seconds, read from `clock`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._known: Bounded[K, _Paused[F]] = Bounded(CAPACITY)

    def held(self, key: K, not_before: float = 0.0) -> F | None:
        """Return the failure that stands: its pause is not over, and it was asked for at `not_before` or later."""
        known = self._known.get(key)
        stands = known is not None and self.clock() < known.until and known.asked >= not_before
        return known.failure if known is not None and stands else None

    def fail(self, key: K, failure: F, asked: float, at_least: float = 0.0) -> None:
        """Note the failure of a question asked at `asked`; `at_least` are the seconds that the other side wants."""
        known = self._known.get(key)
        times = known.times + 1 if known is not None else 1
        pause = min(FIRST * 2.0 ** min(times - 1, 16), MOST)
        self._known.put(key, _Paused(failure, asked, self.clock() + max(pause, at_least), times))

    def left(self, key: K) -> float:
        """Return the seconds until the question may be asked again; 0 if now."""
        known = self._known.get(key)
        return max(known.until - self.clock(), 0.0) if known is not None else 0.0

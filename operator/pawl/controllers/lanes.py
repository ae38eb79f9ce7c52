"""Fair turns between lanes: keys that are due wait in their lane, and lanes with room are served in rotation.

A lane is whatever can be slow on its own, here a registry host: it may take `per_lane` places and no more, so that
others go on. Pure data structure; every operation is constant time. Neighbours: `queue` decides when a key is due.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

K = TypeVar("K")


class Lanes(Generic[K]):
    """Keys that are ready to run, by lane, with the count of those that run."""

    def __init__(self, per_lane: int) -> None:
        if per_lane < 1:
            raise ValueError("a lane needs at least one place")
        self._per_lane = per_lane
        self._waiting: dict[str, deque[K]] = {}
        self._running: dict[str, int] = {}
        # Lanes with a key and a free place, each once, the one whose turn it is first.
        self._turns: deque[str] = deque()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def push(self, lane: str, key: K) -> None:
        """Put a key at the end of its lane. The caller sees to it that no key is in two places."""
        keys = self._waiting.setdefault(lane, deque())
        keys.append(key)
        self._size += 1
        if len(keys) == 1 and self._running.get(lane, 0) < self._per_lane:
            self._turns.append(lane)

    def pop(self) -> tuple[str, K] | None:
        """Take the next key and count it as running; None where every lane is empty or full."""
        if not self._turns:
            return None
        lane = self._turns.popleft()
        keys = self._waiting[lane]
        key = keys.popleft()
        self._size -= 1
        self._running[lane] = self._running.get(lane, 0) + 1
        if not keys:
            del self._waiting[lane]
        elif self._running[lane] < self._per_lane:
            self._turns.append(lane)
        return lane, key

    def done(self, lane: str) -> None:
        """Give the place of one running key back."""
        was = self._running[lane]
        if was == 1:
            del self._running[lane]
        else:
            self._running[lane] = was - 1
        if was == self._per_lane and lane in self._waiting:
            self._turns.append(lane)

"""The queue of keys: each object at most once, at most one worker on it, at a time that is due, in fair lanes.

A key holds no content: whoever works on it reads the world. A key added while it runs runs again afterwards, so no
change is ever missed and none is worked on twice at once.
Neighbours: watches and timers add keys, a controller's `reconcile` is the worker, `lanes` shares the places out.
Not here: what a key means, metrics' names (`metrics`).
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from pawl.controllers.lanes import Lanes

MAX_DOUBLINGS: Final = 32

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Key:
    """Names one object to look at. `namespace` is "" for kinds without one."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


def unmeasured(_key: Key, _seconds: float) -> None:
    """Ignore a duration: for queues without metrics."""


def one_lane(_key: Key) -> str:
    """Put every key in the same lane."""
    return ""


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """Settings of a queue; times in seconds."""

    total: int = 32
    """Workers at once."""
    per_lane: int = 4
    """Workers at once in one lane."""
    base: float = 1.0
    """The longest pause after a first failure; it doubles with each further one."""
    cap: float = 300.0
    """The longest pause after any failure."""
    grace: float = 10.0
    """For running workers to end after `stop`, before they are cancelled."""
    lane_of: Callable[[Key], str] = one_lane
    """Asked when a key becomes due, since the lane of an object may change."""
    jitter: Callable[[], float] = random.random
    """A number in [0, 1): the part of a pause that is really waited."""
    waited: Callable[[Key, float], None] = unmeasured
    """Told how long a key was due before a worker took it."""
    ran: Callable[[Key, float], None] = unmeasured
    """Told how long a worker took, whatever its end."""


@dataclass(frozen=True, slots=True)
class QueueStats:
    """Keys by state: waiting for their time, due but without a place, running."""

    waiting: int
    due: int
    running: int


@dataclass(slots=True)
class _Run:
    """A running key. The two times are kept apart: what a worker plans must not put off what others ask for."""

    task: asyncio.Task[None]
    added: float | None = None
    scheduled: float | None = None

    @property
    def again(self) -> float | None:
        return min((at for at in (self.added, self.scheduled) if at is not None), default=None)


async def _work(worker: Callable[[Key], Awaitable[None]], key: Key) -> None:
    """Make a coroutine of any awaitable, so that a task can be made of it."""
    await worker(key)


class WorkQueue:
    """The queue. All times are those of the event loop; all methods belong to its thread and none of them blocks."""

    def __init__(self, settings: QueueSettings | None = None) -> None:
        self._settings = settings or QueueSettings()
        self._lanes: Lanes[Key] = Lanes(self._settings.per_lane)
        self._waiting: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._pushes = 0
        self._due: dict[Key, float] = {}
        self._running: dict[Key, _Run] = {}
        self._failures: dict[Key, int] = {}
        self._wake = asyncio.Event()
        self._stopping = False
        self._alive = False

    @property
    def alive(self) -> bool:
        """Whether `run` is at work."""
        return self._alive

    @property
    def stats(self) -> QueueStats:
        """How many keys are in which state."""
        return QueueStats(len(self._waiting), len(self._due), len(self._running))

    def add(self, key: Key) -> None:
        """Run the key now, or once more after the run that is going on."""
        self.add_at(key, 0.0)

    def add_at(self, key: Key, delay: float) -> None:
        """Run the key in `delay` seconds at the latest: an earlier time that is already set stays."""
        at = self._now() + max(delay, 0.0)
        run = self._running.get(key)
        if run is not None:
            run.added = at if run.added is None else min(run.added, at)
        elif key not in self._due and at < self._waiting.get(key, float("inf")):
            self._wait(key, at)

    def schedule(self, key: Key, delay: float) -> None:
        """Run the key in `delay` seconds instead of at the time set so far.

        A key that is already due stays due, and one that was added while it runs still runs again at once.
        """
        at = self._now() + max(delay, 0.0)
        run = self._running.get(key)
        if run is not None:
            run.scheduled = at
        elif key not in self._due:
            self._wait(key, at)

    def backoff(self, key: Key) -> float:
        """Count a failure and return the seconds to wait: full jitter up to a bound that doubles. Adds nothing."""
        failures = self._failures.get(key, 0)
        self._failures[key] = min(failures + 1, MAX_DOUBLINGS)
        return min(self._settings.cap, self._settings.base * (1 << failures)) * self._settings.jitter()

    def forget(self, key: Key) -> None:
        """Forget the failures of a key: it succeeded, or it is gone."""
        self._failures.pop(key, None)

    def failures(self, key: Key) -> int:
        """Return how often the key failed since it was last forgotten."""
        return self._failures.get(key, 0)

    def stop(self) -> None:
        """Start no more workers. `run` returns when those that run have ended, or `grace` seconds from now."""
        self._stopping = True
        self._wake.set()

    async def run(self, worker: Callable[[Key], Awaitable[None]]) -> None:
        """Work on keys as they become due, until `stop`. Cancelling cancels the workers at once.

        An exception in a worker is logged and its key tried again with backoff; it never ends the queue.
        """
        self._alive = True
        try:
            while not self._stopping:
                self._wake.clear()
                self._promote()
                self._dispatch(worker)
                await self._sleep()
            await self._drain()
        finally:
            self._alive = False
            await self._cancel_all()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _wait(self, key: Key, at: float) -> None:
        """Set the time of a key that neither is due nor runs. Its older entries in the heap become void."""
        self._waiting[key] = at
        self._pushes += 1
        heapq.heappush(self._heap, (at, self._pushes, key))
        if self._heap[0][2] is key:
            self._wake.set()
        if len(self._heap) > 2 * len(self._waiting) + 64:
            self._sweep()

    def _sweep(self) -> None:
        """Drop void entries, or a key that is put off again and again would fill the heap."""
        self._heap = [entry for entry in self._heap if self._waiting.get(entry[2]) == entry[0]]
        heapq.heapify(self._heap)

    def _promote(self) -> None:
        """Move the keys whose time has come into their lanes."""
        now = self._now()
        while self._heap and self._heap[0][0] <= now:
            at, _, key = heapq.heappop(self._heap)
            if self._waiting.get(key) == at:
                del self._waiting[key]
                self._due[key] = at
                self._lanes.push(self._lane_of(key), key)

    def _lane_of(self, key: Key) -> str:
        try:
            return self._settings.lane_of(key)
        except Exception:
            log.exception("lane of a key could not be told", key=str(key))
            return ""

    def _dispatch(self, worker: Callable[[Key], Awaitable[None]]) -> None:
        """Start workers while there are places."""
        while len(self._running) < self._settings.total:
            taken = self._lanes.pop()
            if taken is None:
                return
            lane, key = taken
            self._settings.waited(key, self._now() - self._due.pop(key))
            task = asyncio.create_task(_work(worker, key))
            self._running[key] = _Run(task)
            # A callback, not the end of the coroutine: a task cancelled before its first step never enters it.
            task.add_done_callback(partial(self._finish, key, lane, self._now()))

    def _finish(self, key: Key, lane: str, begin: float, task: asyncio.Task[None]) -> None:
        """Take the key out of its place, and put it back where it has to run again."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("worker failed", key=str(key), exc_info=error)
        if error is not None or task.cancelled():
            self.add_at(key, self.backoff(key))
        again = self._running.pop(key).again
        if again is not None:
            self._wait(key, again)
        self._lanes.done(lane)
        self._wake.set()
        self._settings.ran(key, self._now() - begin)

    async def _sleep(self) -> None:
        """Wait until something changes or the next key is due."""
        timer = None
        if self._heap:
            timer = asyncio.get_running_loop().call_at(self._heap[0][0], self._wake.set)
        try:
            await self._wake.wait()
        finally:
            if timer is not None:
                timer.cancel()

    def _tasks(self) -> set[asyncio.Task[None]]:
        return {run.task for run in self._running.values()}

    async def _drain(self) -> None:
        tasks = self._tasks()
        if tasks:
            await asyncio.wait(tasks, timeout=self._settings.grace)

    async def _cancel_all(self) -> None:
        tasks = self._tasks()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=self._settings.grace)

"""The worker: one reconcile, and what its end means for the queue. Only the three outcomes are understood here.

Neighbours: `queue` calls it, `imagepolicy` is called. Not here: what an outcome says to the user.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Protocol

import structlog

from pawl.api.errors import ClusterError, LeaseLost, Retry, Stalled, WaitUntil
from pawl.controllers.metrics import Metrics
from pawl.controllers.queue import Key, WorkQueue

log = structlog.get_logger(__name__)


class Reconciler(Protocol):
    """One kind's controller."""

    def reconcile(self, key: Key) -> Awaitable[float | None]:
        """Look at one object and return the seconds until the next look, None for never."""
        ...

    def interval(self, key: Key) -> float:
        """Return the seconds after which an object that stalled is looked at again."""
        ...


class Loop:
    """Runs one reconciler for a queue."""

    def __init__(self, queue: WorkQueue, reconciler: Reconciler, metrics: Metrics) -> None:
        self._queue = queue
        self._reconciler = reconciler
        self._metrics = metrics

    async def work(self, key: Key) -> None:
        """Reconcile one key and say when it comes next."""
        clock = asyncio.get_running_loop().time
        begin = clock()
        result, delay = await self._outcome(key)
        self._metrics.reconciled(key.kind, result, clock() - begin)
        if delay is not None:
            self._queue.schedule(key, delay)

    async def _outcome(self, key: Key) -> tuple[str, float | None]:
        try:
            delay = await self._reconciler.reconcile(key)
        except Stalled as stalled:
            # Secrets and rights are not watched: what the user mends there is found at the next interval.
            log.info("stalled", object=str(key), reason=stalled.reason, message=stalled.message)
            self._queue.forget(key)
            return "stalled", self._reconciler.interval(key)
        except WaitUntil as wait:
            self._queue.forget(key)
            return "waiting", max((wait.at - datetime.now(UTC)).total_seconds(), 1.0)
        except Retry as retry:
            return "retry", self._later(key, retry.reason, retry.message, retry.after)
        except LeaseLost:
            return "not-leading", None
        except ClusterError as error:
            return "retry", self._later(key, type(error).__name__, str(error), getattr(error, "retry_after", None))
        self._queue.forget(key)
        return "ok", delay

    def _later(self, key: Key, reason: str, message: str, after: float | None) -> float:
        delay = max(self._queue.backoff(key), after or 0.0)
        log.info("will be tried again", object=str(key), reason=reason, message=message, seconds=round(delay, 1))
        return delay

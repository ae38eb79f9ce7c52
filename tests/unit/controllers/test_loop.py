"""What each end of a reconcile means for the queue."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from pawl.api.errors import ApiUnavailable, Invalid, LeaseLost, Retry, Stalled, WaitUntil
from pawl.controllers.loop import Loop
from pawl.controllers.metrics import Metrics
from pawl.controllers.queue import Key, QueueSettings, WorkQueue

WEB = Key("ImagePolicy", "shop", "web")


class Queue(WorkQueue):
    """A queue that notes what it was told."""

    def __init__(self) -> None:
        super().__init__(QueueSettings(jitter=lambda: 1.0))
        self.planned: list[float] = []

    def schedule(self, key: Key, delay: float) -> None:
        assert key == WEB
        self.planned.append(delay)


class Reconciler:
    """Ends in the given ways, in turn."""

    def __init__(self, *ends: float | Exception | None) -> None:
        self.ends = list(ends)

    async def reconcile(self, _key: Key) -> float | None:
        end = self.ends.pop(0)
        if isinstance(end, Exception):
            raise end
        return end

    def interval(self, _key: Key) -> float:
        return 120.0


async def play(*ends: float | Exception | None) -> tuple[Queue, Metrics]:
    queue, metrics = Queue(), Metrics()
    loop = Loop(queue, Reconciler(*ends), metrics)
    for _ in range(len(ends)):
        await loop.work(WEB)
    return queue, metrics


def count(metrics: Metrics, result: str) -> float:
    labels = {"kind": "ImagePolicy", "result": result}
    return metrics.registry.get_sample_value("pawl_reconcile_total", labels) or 0.0


async def test_success_comes_again_when_it_says() -> None:
    queue, metrics = await play(300.0)
    assert (queue.planned, count(metrics, "ok")) == ([300.0], 1)


async def test_what_is_gone_never_comes_again() -> None:
    assert (await play(None))[0].planned == []


async def test_what_only_the_user_can_mend_is_looked_at_each_interval() -> None:
    queue, metrics = await play(Stalled("SecretNotFound", "no"), Stalled("SecretNotFound", "no"))
    assert (queue.planned, queue.failures(WEB), count(metrics, "stalled")) == ([120.0, 120.0], 0, 2)


async def test_failures_back_off_and_success_forgets_them() -> None:
    retry = Retry("Unreachable", "no")
    queue, metrics = await play(retry, retry, retry, 300.0, retry)
    assert queue.planned == [1.0, 2.0, 4.0, 300.0, 1.0]
    assert count(metrics, "retry") == 4


async def test_a_wait_that_was_asked_for_is_kept() -> None:
    """Retry-After is the least; the backoff may be longer."""
    queue, _ = await play(Retry("RateLimited", "no", after=9.0), Retry("RateLimited", "no", after=0.5))
    assert queue.planned == [9.0, 2.0]


@pytest.mark.parametrize(("error", "wanted"), [(ApiUnavailable("no", retry_after=7.0), 7.0), (Invalid("no"), 1.0)])
async def test_the_api_servers_refusals_back_off(error: Exception, wanted: float) -> None:
    queue, metrics = await play(error)
    assert (queue.planned, count(metrics, "retry")) == ([wanted], 1)


async def test_without_the_lease_nothing_is_planned() -> None:
    queue, metrics = await play(LeaseLost("gone"))
    assert (queue.planned, count(metrics, "not-leading")) == ([], 1)


async def test_a_time_to_come_back_at_is_waited_for_and_never_in_the_past() -> None:
    now = datetime.now(UTC)
    ends = [WaitUntil("MinimumAge", "wait", at=now + timedelta(seconds=60)), WaitUntil("MinimumAge", "wait", at=now)]
    queue, _ = await play(*ends)
    assert 58 < queue.planned[0] <= 60
    assert queue.planned[1] == 1.0


async def test_what_nobody_thought_of_reaches_the_queue() -> None:
    with pytest.raises(ZeroDivisionError):
        await play(ZeroDivisionError())
    await asyncio.sleep(0)

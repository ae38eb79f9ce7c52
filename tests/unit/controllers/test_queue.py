"""The queue: nothing lost, nothing twice at once, fair lanes, times as promised."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from pawl.controllers.queue import Key, QueueSettings, QueueStats, WorkQueue

TICK = 0.02


def key(name: str = "a", namespace: str = "shop") -> Key:
    return Key("ImagePolicy", namespace, name)


async def until(condition: Callable[[], bool], seconds: float = 3.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.001)


@asynccontextmanager
async def running(queue: WorkQueue, worker: Callable[[Key], Awaitable[None]]) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(queue.run(worker))
    await asyncio.sleep(0)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Recorder:
    """A worker that notes what it did; `gate` holds it until set."""

    def __init__(self, *, gated: bool = False) -> None:
        self.done: list[Key] = []
        self.began: list[Key] = []
        self.running: set[Key] = set()
        self.gate = asyncio.Event()
        self.at: list[float] = []
        if not gated:
            self.gate.set()

    async def __call__(self, item: Key) -> None:
        assert item not in self.running
        self.running.add(item)
        self.began.append(item)
        self.at.append(asyncio.get_running_loop().time())
        try:
            await self.gate.wait()
            self.done.append(item)
        finally:
            self.running.discard(item)


def test_a_key_reads_like_an_object() -> None:
    assert str(key()) == "ImagePolicy shop/a"
    assert str(key(namespace="")) == "ImagePolicy a"


async def test_a_key_added_twice_runs_once() -> None:
    queue, worker = WorkQueue(), Recorder()
    queue.add(key())
    queue.add(key())
    async with running(queue, worker):
        await until(lambda: worker.done == [key()])
        await asyncio.sleep(TICK)
    assert worker.done == [key()]
    assert queue.stats == QueueStats(0, 0, 0)


async def test_a_key_added_while_it_runs_runs_again_once() -> None:
    queue, worker = WorkQueue(), Recorder(gated=True)
    async with running(queue, worker):
        queue.add(key())
        await until(lambda: len(worker.began) == 1)
        queue.add(key())
        queue.add(key())
        await asyncio.sleep(TICK)
        assert worker.began == [key()]
        worker.gate.set()
        await until(lambda: len(worker.done) == 2)
        await asyncio.sleep(TICK)
    assert len(worker.done) == 2


async def test_add_at_keeps_the_earlier_time() -> None:
    queue, worker = WorkQueue(), Recorder()
    begin = asyncio.get_running_loop().time()
    queue.add_at(key(), 60)
    queue.add_at(key(), 2 * TICK)
    queue.add_at(key(), 60)
    async with running(queue, worker):
        await until(lambda: bool(worker.done))
    assert 2 * TICK <= worker.at[0] - begin < 1


async def test_schedule_replaces_the_time_in_both_directions() -> None:
    queue, worker = WorkQueue(), Recorder()
    queue.schedule(key("later"), TICK)
    queue.schedule(key("later"), 60)
    queue.schedule(key("sooner"), 60)
    queue.schedule(key("sooner"), TICK)
    async with running(queue, worker):
        await until(lambda: bool(worker.done))
        await asyncio.sleep(3 * TICK)
    assert worker.done == [key("sooner")]
    assert queue.stats.waiting == 1


async def test_schedule_does_not_put_off_a_key_that_is_due() -> None:
    queue, worker = WorkQueue(QueueSettings(total=1)), Recorder(gated=True)
    async with running(queue, worker):
        queue.add(key("first"))
        await until(lambda: len(worker.began) == 1)
        queue.add(key("second"))
        await until(lambda: queue.stats.due == 1)
        queue.schedule(key("second"), 60)
        worker.gate.set()
        await until(lambda: len(worker.done) == 2)


async def test_what_a_worker_plans_does_not_swallow_what_was_added_while_it_ran() -> None:
    queue = WorkQueue()
    seen: list[str] = []

    async def worker(item: Key) -> None:
        seen.append("read the world")
        if len(seen) == 1:
            queue.add(item)  # a change arrives
        queue.schedule(item, 60)  # and the worker, which did not see it, plans its next look

    async with running(queue, worker):
        queue.add(key())
        await until(lambda: len(seen) == 2)
        await until(lambda: queue.stats == QueueStats(1, 0, 0))


async def test_a_worker_that_raises_is_tried_again_and_others_go_on() -> None:
    queue = WorkQueue(QueueSettings(base=TICK, jitter=lambda: 0.5))
    runs: Counter[str] = Counter()

    async def worker(item: Key) -> None:
        runs[item.name] += 1
        if item.name == "bad" and runs["bad"] < 3:
            raise RuntimeError("no luck")
        queue.forget(item)

    with structlog.testing.capture_logs() as logs:
        async with running(queue, worker) as task:
            queue.add(key("bad"))
            await until(lambda: queue.failures(key("bad")) == 1)
            queue.add_at(key("good"), 0)
            await until(lambda: runs == {"bad": 3, "good": 1})
            await until(lambda: queue.stats == QueueStats(0, 0, 0))
            assert not task.done()
    assert [entry["key"] for entry in logs] == ["ImagePolicy shop/bad"] * 2
    assert queue.failures(key("bad")) == 0


async def test_a_worker_that_cancels_itself_is_not_lost() -> None:
    queue = WorkQueue(QueueSettings(base=TICK))
    runs: list[Key] = []

    async def worker(item: Key) -> None:
        runs.append(item)
        if len(runs) == 1:
            raise asyncio.CancelledError

    async with running(queue, worker):
        queue.add(key())
        await until(lambda: len(runs) == 2)


async def test_a_lane_that_cannot_be_told_is_the_nameless_one() -> None:
    def lane_of(_: Key) -> str:
        raise KeyError("gone")

    queue, worker = WorkQueue(QueueSettings(lane_of=lane_of)), Recorder()
    with structlog.testing.capture_logs() as logs:
        async with running(queue, worker):
            queue.add(key())
            await until(lambda: worker.done == [key()])
    assert logs[0]["event"] == "lane of a key could not be told"


async def test_backoff_doubles_with_full_jitter_up_to_the_cap() -> None:
    queue = WorkQueue(QueueSettings(base=1.0, cap=300.0, jitter=lambda: 1.0))
    assert [queue.backoff(key()) for _ in range(11)] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert queue.failures(key()) == 11
    for _ in range(100):
        queue.backoff(key())
    assert queue.backoff(key()) == 300
    queue.forget(key())
    assert queue.backoff(key()) == 1
    assert WorkQueue(QueueSettings(jitter=lambda: 0.0)).backoff(key()) == 0


async def test_a_slow_lane_takes_its_places_and_no_more() -> None:
    queue = WorkQueue(QueueSettings(total=8, per_lane=2, lane_of=lambda item: item.namespace))
    gate, done = asyncio.Event(), Counter[str]()

    async def worker(item: Key) -> None:
        if item.namespace == "slow":
            await gate.wait()
        done[item.namespace] += 1

    for number in range(50):
        queue.add(key(str(number), "slow"))
    for number in range(50):
        queue.add(key(str(number), "fast"))
    async with running(queue, worker):
        await until(lambda: done["fast"] == 50)
        assert done["slow"] == 0
        assert queue.stats == QueueStats(waiting=0, due=48, running=2)
        gate.set()
        await until(lambda: done["slow"] == 50)


async def test_lanes_take_turns() -> None:
    queue = WorkQueue(QueueSettings(total=1, per_lane=1, lane_of=lambda item: item.namespace))
    worker = Recorder()
    for lane in ("a", "b", "c"):
        for number in range(3):
            queue.add(key(str(number), lane))
    async with running(queue, worker):
        await until(lambda: len(worker.done) == 9)
    assert [item.namespace for item in worker.done] == ["a", "b", "c"] * 3


async def test_stop_lets_workers_end_and_starts_no_more() -> None:
    queue, worker = WorkQueue(QueueSettings(total=1)), Recorder(gated=True)
    async with running(queue, worker) as task:
        queue.add(key("first"))
        await until(lambda: len(worker.began) == 1)
        assert queue.alive
        queue.add(key("second"))
        queue.stop()
        await asyncio.sleep(TICK)
        assert not task.done()
        worker.gate.set()
        await asyncio.wait_for(task, 1)
    assert worker.done == [key("first")]
    assert not queue.alive
    assert queue.stats.waiting + queue.stats.due == 1


async def test_stop_cancels_workers_that_outlive_the_grace() -> None:
    queue, worker = WorkQueue(QueueSettings(grace=TICK)), Recorder(gated=True)
    async with running(queue, worker) as task:
        queue.add(key())
        await until(lambda: len(worker.began) == 1)
        queue.stop()
        await asyncio.wait_for(task, 1)
    assert worker.done == []
    assert worker.running == set()


async def test_cancelling_cancels_workers_at_once() -> None:
    queue, worker = WorkQueue(), Recorder(gated=True)
    async with running(queue, worker) as task:
        queue.add(key())
        await until(lambda: len(worker.began) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 1)
    assert worker.running == set()
    assert queue.stats.running == 0


async def test_hooks_hear_of_waiting_and_of_work() -> None:
    waited: list[tuple[Key, float]] = []
    ran: list[tuple[Key, float]] = []
    queue = WorkQueue(QueueSettings(waited=lambda *it: waited.append(it), ran=lambda *it: ran.append(it)))

    async def worker(_: Key) -> None:
        await asyncio.sleep(TICK)

    queue.add(key())
    await asyncio.sleep(TICK)
    async with running(queue, worker):
        await until(lambda: bool(ran))
    assert waited[0][0] == ran[0][0] == key()
    assert waited[0][1] >= TICK * 0.9
    assert ran[0][1] >= TICK * 0.9


async def test_a_key_put_off_again_and_again_does_not_fill_the_heap() -> None:
    queue = WorkQueue()
    for number in range(10_000):
        queue.schedule(key(), 60 + number)
    assert len(queue._heap) < 100
    assert queue.stats.waiting == 1


async def test_five_thousand_keys_need_no_task_each() -> None:
    queue, done = WorkQueue(QueueSettings(lane_of=lambda item: item.namespace)), Counter[Key]()

    async def worker(item: Key) -> None:
        done[item] += 1

    for number in range(5_000):
        queue.add_at(key(str(number), f"host{number % 50}"), number / 100_000)
    before = len(asyncio.all_tasks())
    async with running(queue, worker):
        await until(lambda: len(done) == 5_000, 20)
        assert len(asyncio.all_tasks()) <= before + 1 + 32
    assert set(done.values()) == {1}


KEYS = [Key("ImagePolicy", lane, name) for lane in ("a", "b", "c") for name in ("1", "2", "3")]
STEP = st.one_of(
    st.tuples(st.just("add"), st.sampled_from(KEYS), st.just(0)),
    st.tuples(st.just("add_at"), st.sampled_from(KEYS), st.integers(0, 4)),
    st.tuples(st.just("schedule"), st.sampled_from(KEYS), st.integers(0, 4)),
    st.tuples(st.just("finish"), st.sampled_from(KEYS), st.booleans()),
    st.tuples(st.just("pause"), st.just(KEYS[0]), st.integers(0, 3)),
)


class Model:
    """What must hold: no two runs of a key at once, limits, and every add is followed by a run that began after it."""

    def __init__(self, total: int, per_lane: int) -> None:
        self.total, self.per_lane = total, per_lane
        self.queue = WorkQueue(
            QueueSettings(total=total, per_lane=per_lane, base=0.001, lane_of=lambda item: item.namespace)
        )
        self.running: dict[Key, asyncio.Future[bool]] = {}
        self.owed: set[Key] = set()
        self.closing = False

    async def worker(self, item: Key) -> None:
        assert item not in self.running
        lane = sum(other.namespace == item.namespace for other in self.running)
        assert lane < self.per_lane
        assert len(self.running) < self.total
        self.owed.discard(item)
        self.running[item] = future = asyncio.get_running_loop().create_future()
        try:
            if not self.closing and not await future:
                self.owed.add(item)  # a failure must be tried again
                raise RuntimeError("made to fail")
        finally:
            del self.running[item]

    async def step(self, action: str, item: Key, number: int) -> None:
        if action == "pause":
            await asyncio.sleep(number / 1000)
        elif action == "finish":
            future = self.running.get(item)
            if future is not None and not future.done():
                future.set_result(bool(number))
        else:
            self.owed.add(item)
            delay = {} if action == "add" else {"delay": number / 1000}
            getattr(self.queue, action)(item, **delay)
        if random.random() < 0.5:
            await asyncio.sleep(0)

    def end(self) -> bool:
        for future in self.running.values():
            if not future.done():
                future.set_result(True)
        return not self.owed and not self.running


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(STEP, max_size=60), total=st.integers(1, 4), per_lane=st.integers(1, 3))
def test_no_key_is_lost_and_none_runs_twice_at_once(
    steps: list[tuple[str, Key, int]], total: int, per_lane: int
) -> None:
    async def scenario() -> None:
        model = Model(total, per_lane)
        async with running(model.queue, model.worker) as task:
            for step in steps:
                await model.step(*step)
            model.closing = True
            await until(model.end)
            assert not task.done()

    with structlog.testing.capture_logs() as logs:
        asyncio.run(scenario())
    assert all("made to fail" in str(entry.get("exc_info", "")) for entry in logs)

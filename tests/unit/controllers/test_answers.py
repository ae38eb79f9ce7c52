"""One answer for many: shared while it is asked for, kept while it is fresh, and no failure outlives its waiters."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from pawl.controllers.answers import Answers


class Source:
    """Counts questions; each answer waits for its gate."""

    def __init__(self) -> None:
        self.asked = 0
        self.gate = asyncio.Event()
        self.error: Exception | None = None

    async def ask(self) -> int:
        self.asked += 1
        number = self.asked
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return number


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def source() -> Source:
    return Source()


async def test_one_question_for_all_who_wait(clock: Clock, source: Source) -> None:
    answers: Answers[int] = Answers(clock)
    waiting = [asyncio.create_task(answers.get("k", 0.0, source.ask)) for _ in range(5)]
    await asyncio.sleep(0)
    source.gate.set()
    assert await asyncio.gather(*waiting) == [1] * 5
    assert await answers.get("k", 100.0, source.ask) == 1


async def test_an_answer_asked_for_earlier_does_not_serve(clock: Clock, source: Source) -> None:
    """What counts is when it was asked for, not when it came."""
    source.gate.set()
    answers: Answers[int] = Answers(clock)
    assert await answers.get("k", 0.0, source.ask) == 1
    clock.now = 105.0
    assert await answers.get("k", 100.1, source.ask) == 2
    assert await answers.get("k", 105.0, source.ask) == 2


async def test_a_question_under_way_that_is_too_old_is_asked_again(clock: Clock, source: Source) -> None:
    answers: Answers[int] = Answers(clock)
    first = asyncio.create_task(answers.get("k", 0.0, source.ask))
    await asyncio.sleep(0)
    clock.now = 110.0
    second = asyncio.create_task(answers.get("k", 101.0, source.ask))
    await asyncio.sleep(0)
    source.gate.set()
    assert (await first, await second, source.asked) == (1, 2, 2)


async def test_keys_do_not_share(clock: Clock, source: Source) -> None:
    source.gate.set()
    answers: Answers[int] = Answers(clock)
    assert [await answers.get(key, 0.0, source.ask) for key in ("a", "b", "a")] == [1, 2, 1]


async def test_a_failure_is_told_to_all_and_not_kept(clock: Clock, source: Source) -> None:
    source.error = ValueError("no")
    answers: Answers[int] = Answers(clock)
    waiting = [asyncio.create_task(answers.get("k", 0.0, source.ask)) for _ in range(3)]
    await asyncio.sleep(0)
    source.gate.set()
    ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert [str(end) for end in ends] == ["no"] * 3
    source.error = None
    assert await answers.get("k", 0.0, source.ask) == 2


async def test_a_waiter_that_goes_leaves_the_answer_to_the_others(clock: Clock, source: Source) -> None:
    answers: Answers[int] = Answers(clock)
    first, second = (asyncio.create_task(answers.get("k", 0.0, source.ask)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert first.cancelled()
    source.gate.set()
    assert (await second, source.asked) == (1, 1)


async def test_a_failure_that_nobody_waits_for_is_no_noise(clock: Clock, source: Source) -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
    source.error = ValueError("no")
    answers: Answers[int] = Answers(clock)
    waiting = asyncio.create_task(answers.get("k", 0.0, source.ask))
    await asyncio.sleep(0)
    waiting.cancel()
    source.gate.set()
    await asyncio.gather(waiting, return_exceptions=True)
    for _ in range(5):
        await asyncio.sleep(0)
    del answers
    assert complaints == []


async def test_the_least_recently_used_goes_first(clock: Clock) -> None:
    asked: list[str] = []

    def about(key: str) -> Callable[[], Awaitable[str]]:
        async def ask() -> str:
            asked.append(key)
            return key

        return ask

    answers: Answers[str] = Answers(clock, limit=2)
    for key in ("a", "b", "a", "c", "a", "b"):
        assert await answers.get(key, 0.0, about(key)) == key
    assert asked == ["a", "b", "c", "b"]

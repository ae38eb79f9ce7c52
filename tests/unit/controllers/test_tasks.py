"""Works side by side: the first that fails ends all, a stop ends all, and a work may simply be done."""

from __future__ import annotations

import asyncio

import pytest

from pawl.controllers.tasks import run_until


async def for_ever(ended: list[str], name: str) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        ended.append(name)


async def fails(error: Exception) -> None:
    raise error


async def test_a_stop_ends_all_and_waits_for_their_ends() -> None:
    stop, ended = asyncio.Event(), list[str]()
    running = asyncio.create_task(run_until(stop, for_ever(ended, "a"), for_ever(ended, "b")))
    await asyncio.sleep(0.01)
    assert not running.done()
    stop.set()
    await asyncio.wait_for(running, 1)
    assert sorted(ended) == ["a", "b"]


async def test_the_first_failure_ends_all_and_is_raised_as_it_is() -> None:
    ended = list[str]()
    with pytest.raises(ValueError, match="this one"):
        await run_until(asyncio.Event(), for_ever(ended, "a"), fails(ValueError("this one")))
    assert ended == ["a"]


async def test_a_work_that_is_done_ends_nothing_but_itself() -> None:
    stop, ended = asyncio.Event(), list[str]()
    running = asyncio.create_task(run_until(stop, asyncio.sleep(0), for_ever(ended, "a")))
    await asyncio.sleep(0.01)
    assert not running.done()
    stop.set()
    await running
    assert ended == ["a"]


async def test_when_all_is_done_it_returns() -> None:
    await asyncio.wait_for(run_until(asyncio.Event(), asyncio.sleep(0), asyncio.sleep(0)), 1)


async def test_being_cancelled_ends_all() -> None:
    ended = list[str]()
    running = asyncio.create_task(run_until(asyncio.Event(), for_ever(ended, "a")))
    await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert (running.cancelled(), ended) == (True, ["a"])


async def test_a_failure_wins_over_a_stop_at_the_same_moment() -> None:
    stop = asyncio.Event()
    stop.set()
    with pytest.raises(ValueError, match="heard"):
        await run_until(stop, fails(ValueError("heard")))

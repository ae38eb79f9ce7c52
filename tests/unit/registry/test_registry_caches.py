"""Bounded maps, shared flights, hosts' places and budgets: no network."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.registry_client import Clock

from pawl.api.errors import RateLimited, Unreachable
from pawl.registry.budgets import Budget
from pawl.registry.caches import Bounded, Flights
from pawl.registry.limits import HostGate


def test_the_longest_unused_is_forgotten() -> None:
    cache: Bounded[str, int] = Bounded(2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert (cache.get("a"), cache.get("b"), cache.get("c"), len(cache)) == (1, None, 3, 2)
    cache.drop("a")
    cache.drop("a")
    assert len(cache) == 1


async def test_a_flight_takes_all_who_ask_meanwhile() -> None:
    flights: Flights[str, int] = Flights()
    gate, calls = asyncio.Event(), 0

    async def call() -> int:
        nonlocal calls
        calls += 1
        await gate.wait()
        return calls

    waiting = [asyncio.create_task(flights.join("a", call)) for _ in range(10)]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*waiting) == [1] * 10
    assert await flights.join("a", call) == 2


async def test_a_failed_flight_is_not_kept_and_grows_no_traceback() -> None:
    flights: Flights[str, int] = Flights()
    error = Unreachable("down")

    async def fail() -> int:
        await asyncio.sleep(0)
        raise error

    results = await asyncio.gather(*(flights.join("a", fail) for _ in range(50)), return_exceptions=True)
    assert set(map(id, results)) == {id(error)}
    depth, frame = 0, error.__traceback__
    while frame is not None:
        depth, frame = depth + 1, frame.tb_next
    assert depth < 10

    async def succeed() -> int:
        return 1

    assert await flights.join("a", succeed) == 1


async def test_a_flight_without_passengers_is_cancelled_on_close() -> None:
    flights: Flights[str, None] = Flights()
    ended = asyncio.Event()

    async def call() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    passenger = asyncio.create_task(flights.join("a", call))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    passenger.cancel()
    await asyncio.gather(passenger, return_exceptions=True)
    assert not ended.is_set()
    await flights.aclose()
    assert ended.is_set()


async def test_a_cancelled_wait_gives_its_place_back() -> None:
    gate = HostGate(1, Clock())
    async with gate.place("a"):

        async def wait() -> None:
            async with gate.place("a"):
                raise AssertionError

        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    async with gate.place("a"):
        pass


async def test_a_shorter_wait_does_not_open_a_frozen_host() -> None:
    clock = Clock()
    gate = HostGate(1, clock)
    assert gate.freeze("a", 100).retry_after == 100
    assert gate.freeze("a", 5).retry_after == 100
    assert gate.freeze("a", None).retry_after == 100
    with pytest.raises(RateLimited, match="a asks for a pause of 100 s"):
        async with gate.place("a"):
            raise AssertionError
    clock.now += 101
    assert gate.frozen_for("a") == 0


async def test_hosts_that_nobody_needs_are_forgotten() -> None:
    clock = Clock()
    gate = HostGate(1, clock)
    gate.freeze("frozen", 10)
    for n in range(5000):
        async with gate.place(f"h{n}"):
            pass
    assert len(gate._hosts) < 4200
    assert gate.frozen_for("frozen") == 10


async def test_a_budget_within_a_budget_spends_both() -> None:
    outer = Budget(0.05, "scan")
    with pytest.raises(Unreachable, match=r"0\.05 s \(scan\)"):
        async with outer.within(10, "timeout").spend("a"):
            await asyncio.sleep(1)
    with pytest.raises(Unreachable):
        async with outer.within(10, "timeout").spend("a"):
            await asyncio.sleep(0.001)
    inner = Budget(10, "scan").within(0.01, "timeout")
    with pytest.raises(Unreachable, match=r"0\.01 s \(timeout\)"):
        async with inner.spend("a"):
            await asyncio.sleep(1)

"""Time: slow servers are cut off, busy hosts are left alone."""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate

import pytest
from tests.support.registry import FakeRegistry
from tests.support.registry_client import Clock, new_client, plain
from tests.support.registry_raw import Exchange, raw_server

from pawl.api.errors import RateLimited, Unreachable
from pawl.registry.client import ClientSettings, RegistryClient
from pawl.registry.wire import Observation

pytestmark = pytest.mark.registry


async def drip(exchange: Exchange, text: bytes) -> None:
    """A byte now and then, for ever: every single read succeeds."""
    await exchange.send(text)
    while True:
        await exchange.send(b"x")
        await asyncio.sleep(0.01)


SLOW = {
    "headers": b"HTTP/1.1 200 OK\r\nX-Drip: ",
    "body": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99999\r\n\r\n",
    "error body": b"HTTP/1.1 500 Oh\r\nContent-Length: 99999\r\n\r\n",
}


@pytest.mark.parametrize("start", SLOW.values(), ids=SLOW.keys())
async def test_a_drip_is_cut_off(client: RegistryClient, observations: list[Observation], start: bytes) -> None:
    async with raw_server(lambda exchange: drip(exchange, start)) as server:
        with pytest.raises(Unreachable, match=r"within 0\.3 s \(spec\.timeout\)"):
            await client.list_tags(plain(server.host, timeout=0.3), "r")
    assert [o.code for o in observations] == ["Unreachable"]


async def test_a_silent_server_is_cut_off(client: RegistryClient) -> None:
    async with raw_server(lambda _: asyncio.Event().wait()) as server:  # type: ignore[arg-type, return-value]
        with pytest.raises(Unreachable, match="did not answer"):
            await client.list_tags(plain(server.host, timeout=0.1), "r")


async def test_redirects_and_the_second_try_share_one_timeout(client: RegistryClient) -> None:
    async def script(exchange: Exchange) -> None:
        await asyncio.sleep(0.12)
        await exchange.answer(302, Location=f"/{len(server.seen)}")

    async with raw_server(script) as server:
        # Each hop is well within the timeout; were they counted alone, the sixth would end it as a BadAnswer.
        with pytest.raises(Unreachable, match="did not answer"):
            await client.get_manifest(plain(server.host, timeout=0.4), "r", "v1")
        assert len(server.seen) < 6


async def test_a_scan_has_a_bound_of_its_own() -> None:
    async def script(exchange: Exchange) -> None:
        n = len(server.seen)
        await asyncio.sleep(0.05)
        await exchange.json({"tags": [f"v{n}"]}, Link=f"</v2/r/tags/list?last={n}>; rel=next")

    settings = ClientSettings(scan_seconds=0.3)
    async with raw_server(script) as server, new_client(settings=settings) as client:
        with pytest.raises(Unreachable, match="limit of one scan"):
            await client.list_tags(plain(server.host), "r")
        assert 1 <= len(server.seen) <= 7


async def test_many_timeouts_leave_no_connection_behind(client: RegistryClient) -> None:
    stuck = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        if "slow" in exchange.target:
            await stuck.wait()
        await exchange.json({"tags": ["v1"]})

    async with raw_server(script) as server:
        slow = [client.list_tags(plain(server.host, timeout=0.1), "slow") for _ in range(48)]
        results = await asyncio.gather(*slow, return_exceptions=True)
        assert all(isinstance(result, Unreachable) for result in results)
        found = await asyncio.gather(*(client.list_tags(plain(server.host), "r") for _ in range(48)))
        assert {each.count for each in found} == {1}


async def test_waiting_for_a_place_is_not_the_servers_fault() -> None:
    async def script(exchange: Exchange) -> None:
        await asyncio.sleep(0.1)
        await exchange.json({"tags": ["v1"]})

    async with raw_server(script) as server, new_client(settings=ClientSettings(concurrency=2)) as client:
        calls = [client.list_tags(plain(server.host, timeout=0.9), f"r{n}") for n in range(20)]
        assert len(await asyncio.gather(*calls)) == 20
        assert server.connections <= 2


async def test_at_most_so_many_requests_at_once() -> None:
    now = most = 0

    async def script(exchange: Exchange) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1
        await exchange.json({"tags": []})

    async with raw_server(script) as server, new_client(settings=ClientSettings(concurrency=3)) as client:
        await asyncio.gather(*(client.list_tags(plain(server.host), f"r{n}") for n in range(30)))
    assert most == 3


async def test_a_connection_is_used_again(client: RegistryClient) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.json({"tags": []})

    async with raw_server(script) as server:
        for n in range(10):
            await client.list_tags(plain(server.host), f"r{n}")
        assert server.connections == 1


async def test_a_connection_that_broke_while_idle_costs_nothing(client: RegistryClient) -> None:
    async def script(exchange: Exchange) -> None:
        if len(server.seen) == 2:
            exchange.hang_up()  # as a server does that closes an idle connection at the same moment
        else:
            await exchange.json({"tags": []})

    async with raw_server(script) as server:
        await client.list_tags(plain(server.host), "r")
        await client.list_tags(plain(server.host), "r")
        assert len(server.seen) == 3


async def test_a_server_that_always_hangs_up_is_unreachable(client: RegistryClient) -> None:
    async def script(exchange: Exchange) -> None:
        exchange.hang_up()

    async with raw_server(script) as server:
        with pytest.raises(Unreachable, match="hung up"):
            await client.list_tags(plain(server.host), "r")
        assert len(server.seen) == 2


async def test_what_is_not_http(client: RegistryClient) -> None:
    async with raw_server(lambda exchange: exchange.send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")) as server:
        with pytest.raises(Exception, match="does not speak HTTP"):
            await client.list_tags(plain(server.host), "r")


WAITS = [("7", 7.0, True), ("99999", 3600.0, True), ("0", 1.0, True), ("", 1.0, False), ("soon", 1.0, False)]


@pytest.mark.parametrize(("header", "wait", "told"), WAITS)
async def test_429_freezes_the_host_for_all(header: str, wait: float, told: bool) -> None:  # noqa: FBT001
    clock = Clock()
    async with FakeRegistry() as registry, new_client(clock=clock) as client:
        registry.push("a", "v1")
        access = plain(registry.host)
        assert client.host_frozen_for(registry.host) == 0
        registry.behave(fail=429, retry_after=header, times=1)
        with pytest.raises(RateLimited) as first:
            await client.list_tags(access, "a")
        assert (first.value.retry_after, first.value.told, first.value.status) == (wait, told, 429)
        clock.now += wait - 0.5
        with pytest.raises(RateLimited) as second:
            await client.list_tags(access, "b")
        assert second.value.retry_after == pytest.approx(0.5)
        assert client.host_frozen_for(registry.host) == pytest.approx(0.5)
        assert len(registry.requests) == 1
        clock.now += 0.6
        assert (await client.list_tags(access, "a")).count == 1


async def test_retry_after_may_be_a_date() -> None:
    async with FakeRegistry() as registry, new_client(clock=Clock()) as client:
        registry.behave(fail=429, retry_after=formatdate(time.time() + 120, usegmt=True))
        with pytest.raises(RateLimited) as caught:
            await client.list_tags(plain(registry.host), "a")
    assert 115 < caught.value.retry_after <= 120


async def test_429s_without_a_word_wait_longer_and_longer_up_to_a_minute() -> None:
    clock = Clock()
    waits = []
    async with FakeRegistry() as registry, new_client(clock=clock) as client:
        registry.push("a", "v1")
        registry.behave(fail=429)
        for _ in range(8):
            with pytest.raises(RateLimited) as caught:
                await client.list_tags(plain(registry.host), "a")
            waits.append(caught.value.retry_after)
            clock.now += caught.value.retry_after + 0.001
        registry.behave()
        await client.list_tags(plain(registry.host), "a")
        registry.behave(fail=429)
        with pytest.raises(RateLimited) as caught:
            await client.list_tags(plain(registry.host), "a")
    assert waits == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60])
    assert caught.value.retry_after == 1


async def test_a_volley_of_429s_counts_once() -> None:
    async with FakeRegistry() as registry, new_client(clock=Clock()) as client:
        registry.behave(fail=429, delay=0.05)
        calls = [client.list_tags(plain(registry.host), f"r{n}") for n in range(40)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(result, RateLimited) for result in results)
        assert client.host_frozen_for(registry.host) == 1
        assert len(registry.requests) == 16  # those that waited for a place were told at once


async def test_503_freezes_only_with_retry_after() -> None:
    clock = Clock()
    async with FakeRegistry() as registry, new_client(clock=clock) as client:
        registry.behave(fail=503, times=1)
        with pytest.raises(Unreachable):
            await client.list_tags(plain(registry.host), "a")
        assert client.host_frozen_for(registry.host) == 0
        registry.behave(fail=503, retry_after="20", times=1)
        with pytest.raises(RateLimited) as caught:
            await client.list_tags(plain(registry.host), "a")
        assert caught.value.status == 503
        assert client.host_frozen_for(registry.host) == 20


async def test_another_host_is_not_frozen() -> None:
    async with FakeRegistry() as busy, FakeRegistry() as calm, new_client(clock=Clock()) as client:
        calm.push("a", "v1")
        busy.behave(fail=429, retry_after="60")
        with pytest.raises(RateLimited):
            await client.list_tags(plain(busy.host), "a")
        assert (await client.list_tags(plain(calm.host), "a")).count == 1

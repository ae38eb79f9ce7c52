"""Connections: kept for the next request, bounded in number, closed in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from tests.support.registry_client import new_client, plain, port_of
from tests.support.registry_raw import Exchange, raw_server

from pawl.registry.addresses import NetworkPolicy
from pawl.registry.client import ClientSettings
from pawl.registry.pools import _IDLE_CONNECTIONS, _POOLS
from pawl.registry.proxies import ProxySettings
from pawl.registry.sockets import SocketStream

pytestmark = pytest.mark.registry


async def here(host: str, port: int) -> Sequence[str]:
    """All names are this machine."""
    del host, port
    return ["127.0.0.1"]


def hosts(port: str, count: int) -> list[str]:
    return [f"h{n}.corp:{port}" for n in range(count)]


async def listing(exchange: Exchange) -> None:
    await exchange.json({"tags": ["v1"]})


async def test_connections_of_hosts_unused_for_longest_are_closed() -> None:
    async with raw_server(listing) as server:
        many = hosts(port_of(server.host), _POOLS + 3)
        policy = NetworkPolicy(deny_loopback=False, plain_http_hosts=frozenset(many))
        async with new_client(policy, resolve=here) as client:
            for host in many:
                await client.list_tags(plain(host), "r")
            for _ in range(3):
                await asyncio.wait_for(server.ended.get(), 10)
            assert server.ended.empty()
            await client.list_tags(plain(many[-1]), "r")  # still open
            assert server.connections == len(many)
        for _ in range(_POOLS):
            await asyncio.wait_for(server.ended.get(), 10)


@pytest.mark.parametrize("proxied", [False, True])
async def test_a_request_under_way_outlives_its_pool(proxied: bool) -> None:  # noqa: FBT001
    gate = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        if "slow" in exchange.target:
            await gate.wait()
        await listing(exchange)

    async with raw_server(script) as server:
        many = hosts(port_of(server.host), _POOLS + 1)
        policy = NetworkPolicy(deny_loopback=False, plain_http_hosts=frozenset(many))
        settings = ClientSettings(proxies=ProxySettings.of({"http": server.host} if proxied else {}))
        async with new_client(policy, resolve=here, settings=settings) as client:
            slow = asyncio.create_task(client.list_tags(plain(many[0]), "slow"))
            await asyncio.sleep(0)
            for host in many[1:]:
                await client.list_tags(plain(host), "r")
            gate.set()
            assert (await slow).count == 1
            await asyncio.wait_for(server.ended.get(), 10)
            assert len([exchange for exchange in server.seen if "slow" in exchange.target]) == 1


async def test_only_a_few_idle_connections_are_kept() -> None:
    async with raw_server(listing) as server, new_client() as client:
        await asyncio.gather(*(client.list_tags(plain(server.host), f"r{n}") for n in range(64)))
        assert 1 <= server.connections <= 64
        for _ in range(server.connections - min(server.connections, _IDLE_CONNECTIONS)):
            await asyncio.wait_for(server.ended.get(), 10)
        assert server.ended.empty()


async def test_a_server_that_closes_each_connection_is_dialled_anew() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.json({"tags": ["v1"]}, Connection="close")
        exchange.hang_up()

    async with raw_server(script) as server, new_client() as client:
        for _ in range(5):
            await client.list_tags(plain(server.host), "r")
        assert (server.connections, len(server.seen)) == (5, 5)


async def test_a_server_that_restarted_costs_nobody_a_request() -> None:
    """All idle connections are dead then, not only the one that is tried first."""
    together = asyncio.Barrier(4)

    async def script(exchange: Exchange) -> None:
        if len(server.seen) <= 4:
            await together.wait()  # four connections at a time
        await listing(exchange)

    async with raw_server(script) as server, new_client() as client:
        await asyncio.gather(*(client.list_tags(plain(server.host), f"r{n}") for n in range(4)))
        for exchange in server.seen:
            exchange.hang_up()
        for n in range(4):
            assert (await client.list_tags(plain(server.host), f"r{n}")).count == 1


async def test_an_idle_connection_that_was_closed_is_not_used() -> None:
    async with raw_server(listing) as server, new_client() as client:
        await client.list_tags(plain(server.host), "r")
        server.seen[0].hang_up()
        await asyncio.wait_for(server.ended.get(), 10)
        await client.list_tags(plain(server.host), "r")
        assert len(server.seen) == 2


async def test_words_out_of_turn_make_an_idle_connection_unfit() -> None:
    """An answer to a question that nobody asked would be taken for the answer to the next one."""
    stream = SocketStream("registry.corp")
    assert stream.get_extra_info("is_readable") is False
    stream.data_received(b"HTTP/1.1 200 OK")
    assert stream.get_extra_info("is_readable") is True


async def test_an_end_makes_an_idle_connection_unfit() -> None:
    for end in (SocketStream.eof_received, lambda stream: stream.connection_lost(None)):
        stream = SocketStream("registry.corp")
        end(stream)
        assert stream.get_extra_info("is_readable") is True
        assert await stream.read(10) == b""


async def test_a_reader_that_lags_holds_the_writer_back() -> None:
    """64 MiB must not pile up in our buffer because somebody sends faster than we count."""
    reading = True

    class Transport(asyncio.Transport):
        def pause_reading(self) -> None:
            nonlocal reading
            reading = False

        def resume_reading(self) -> None:
            nonlocal reading
            reading = True

    stream = SocketStream("registry.corp")
    stream.connection_made(Transport())
    stream.data_received(b"x" * 300_000)
    assert not reading
    assert len(await stream.read(200_000)) == 200_000
    assert not reading
    assert len(await stream.read(200_000)) == 100_000
    assert reading

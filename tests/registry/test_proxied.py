"""Proxies: requests take them, and they open no way to denied targets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.support.registry import FakeRegistry
from tests.support.registry_client import new_client, plain
from tests.support.registry_raw import Exchange, raw_server
from tests.support.tls import Authority

from pawl.api.errors import ForbiddenTarget, Unreachable
from pawl.registry.addresses import NetworkPolicy
from pawl.registry.client import ClientSettings
from pawl.registry.proxies import ProxySettings
from pawl.registry.targets import Access, Endpoint

pytestmark = pytest.mark.registry

IN_POD = NetworkPolicy(deny_loopback=True, plain_http_hosts=frozenset({"registry.corp:5000"}))


@asynccontextmanager
async def tunnel(port: int) -> AsyncIterator[tuple[str, list[str]]]:
    """A proxy that connects everything to one local port; its host, and what was asked of it."""
    asked: list[str] = []
    tasks: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer), return_exceptions=True)

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(serve(reader, writer))
        tasks.add(task)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await server.wait_closed()


async def test_https_goes_through_a_tunnel_and_tls_is_ours(authority: Authority) -> None:
    async with FakeRegistry(tls=authority.server("registry.corp")) as registry, tunnel(registry.port) as (proxy, asked):
        registry.push("r", "v1")
        settings = ClientSettings(proxies=ProxySettings.of({"https": f"http://user:pass@{proxy}"}))
        # the proxy itself is on loopback, which is its administrator's choice even in a Pod
        async with new_client(IN_POD, settings=settings) as client:
            access = Access(Endpoint("registry.corp", ca_pem=authority.pem))
            assert (await client.list_tags(access, "r")).count == 1
    assert asked[0].startswith("CONNECT registry.corp:443 HTTP/1.1")
    assert "Proxy-Authorization: Basic dXNlcjpwYXNz" in asked[0]
    assert "proxy-authorization" not in registry.requests[0].headers


async def test_plain_http_is_forwarded() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.json({"tags": ["v1"]})

    async with raw_server(script) as proxy:
        settings = ClientSettings(proxies=ProxySettings.of({"http": proxy.host}))
        async with new_client(IN_POD, settings=settings) as client:
            assert (await client.list_tags(plain("registry.corp:5000"), "r")).count == 1
    assert proxy.seen[0].target == "http://registry.corp:5000/v2/r/tags/list?n=1000"


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "metadata.google.internal", "[::ffff:100.100.100.200]", "[fd00:ec2::254]"]
)
async def test_denied_literals_are_denied_before_the_proxy(host: str) -> None:
    async with tunnel(1) as (proxy, asked):
        settings = ClientSettings(proxies=ProxySettings.of({"https": proxy}))
        async with new_client(IN_POD, settings=settings) as client:
            with pytest.raises(ForbiddenTarget, match="never dialled"):
                await client.list_tags(Access(Endpoint(host)), "r")
        assert asked == []


async def test_loopback_takes_no_proxy() -> None:
    async with FakeRegistry() as registry, tunnel(1) as (proxy, asked):
        registry.push("r", "v1")
        settings = ClientSettings(proxies=ProxySettings.of({"http": proxy, "https": proxy}))
        async with new_client(settings=settings) as client:
            assert (await client.list_tags(plain(registry.host), "r")).count == 1
        assert asked == []


async def test_a_proxy_that_refuses() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.answer(407)

    async with raw_server(script) as proxy:
        settings = ClientSettings(proxies=ProxySettings.of({"https": f"http://user:s3cret@{proxy.host}"}))
        async with new_client(settings=settings) as client:
            with pytest.raises(Unreachable, match="proxy") as caught:
                await client.list_tags(Access(Endpoint("registry.corp")), "r")
    assert "s3cret" not in str(caught.value)

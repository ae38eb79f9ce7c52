"""Hosts and addresses: what is never dialled, and that names cannot trick us."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.registry import FakeRegistry
from tests.support.registry_client import Names, new_client, plain, port_of
from tests.support.registry_raw import Exchange, raw_server
from tests.support.tls import Authority

from pawl.api.errors import ForbiddenTarget, Unreachable
from pawl.registry.addresses import NetworkPolicy
from pawl.registry.client import ClientSettings, RegistryClient
from pawl.registry.targets import Access, Endpoint

pytestmark = pytest.mark.registry


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "100.100.100.200", "[fd00:ec2::254]", "0.0.0.0", "[fe80::1]", "2852039166"]
)
async def test_metadata_is_never_dialled(client: RegistryClient, host: str) -> None:
    with pytest.raises(ForbiddenTarget, match="never dialled"):
        await client.list_tags(Access(Endpoint(host)), "r")


@pytest.mark.parametrize("host", ["127.0.0.1:5000", "localhost:5000", "[::1]:5000", "2130706433"])
async def test_loopback_is_never_dialled_from_a_pod(host: str) -> None:
    async with new_client(NetworkPolicy(deny_loopback=True)) as client:
        with pytest.raises(ForbiddenTarget, match="Service name"):
            await client.list_tags(Access(Endpoint(host)), "r")


async def test_plain_http_needs_leave(client: RegistryClient) -> None:
    with pytest.raises(ForbiddenTarget, match=r"--plain-http-hosts registry\.corp:5000"):
        await client.list_tags(plain("registry.corp:5000"), "r")


async def test_plain_http_with_leave() -> None:
    async with FakeRegistry() as registry:
        registry.push("r", "v1")
        host = f"registry.corp:{registry.port}"
        policy = NetworkPolicy(deny_loopback=False, plain_http_hosts=frozenset({host}))
        async with new_client(policy, resolve=Names(registry_corp=[["127.0.0.1"]])) as client:
            assert (await client.list_tags(plain(host), "r")).count == 1
            with pytest.raises(ForbiddenTarget):
                await client.list_tags(plain("registry.corp:1"), "r")
        assert registry.requests[0].headers["host"] == host


async def test_a_name_that_changes_its_mind_is_dialled_as_it_was_judged() -> None:
    """DNS rebinding: the first answer is fine, the second is the metadata service."""

    async def script(exchange: Exchange) -> None:
        await exchange.json({"tags": ["v1"]}, Connection="close")
        exchange.hang_up()

    names = Names(rebind_corp=[["127.0.0.1"], ["169.254.169.254"]])
    async with raw_server(script) as server:
        host = f"rebind.corp:{port_of(server.host)}"
        policy = NetworkPolicy(deny_loopback=False, plain_http_hosts=frozenset({host}))
        async with new_client(policy, resolve=names) as client:
            assert (await client.list_tags(plain(host), "r")).count == 1
            assert names.asked == ["rebind.corp"]  # judged and dialled with one answer
            with pytest.raises(ForbiddenTarget, match=r"169\.254\.169\.254 is link-local"):
                await client.list_tags(plain(host), "r")


async def test_of_mixed_addresses_only_the_allowed_are_dialled() -> None:
    async with FakeRegistry() as registry:
        registry.push("r", "v1")
        host = f"mixed.corp:{registry.port}"
        policy = NetworkPolicy(deny_loopback=False, plain_http_hosts=frozenset({host}))
        names = Names(mixed_corp=[["169.254.169.254", "127.0.0.1"]])
        async with new_client(policy, resolve=names) as client:
            assert (await client.list_tags(plain(host), "r")).count == 1


async def test_localhost_must_be_loopback() -> None:
    async with new_client(resolve=Names(localhost=[["10.0.0.1"]])) as client:
        with pytest.raises(ForbiddenTarget, match="must be"):
            await client.list_tags(plain("localhost:5000"), "r")


async def test_tls_names_the_host_and_not_the_address(authority: Authority) -> None:
    async with FakeRegistry(tls=authority.server("registry.corp")) as registry:
        registry.push("r", "v1")
        async with new_client(resolve=Names(registry_corp=[["127.0.0.1"]])) as client:
            access = Access(Endpoint(f"registry.corp:{registry.port}", ca_pem=authority.pem))
            assert (await client.list_tags(access, "r")).count == 1


async def test_a_name_without_address() -> None:
    async def fails(host: str, port: int) -> list[str]:
        raise OSError(f"no such name {host}:{port}")

    async def empty(host: str, port: int) -> list[str]:
        del host, port
        return []

    for resolve in (fails, empty):
        async with new_client(resolve=resolve) as client:
            with pytest.raises(Unreachable, match=r"nowhere\.corp"):
                await client.list_tags(Access(Endpoint("nowhere.corp")), "r")


async def test_the_system_resolves_names(client: RegistryClient) -> None:
    async with FakeRegistry() as registry:
        registry.push("r", "v1")
        assert (await client.list_tags(plain(f"localhost:{registry.port}"), "r")).count == 1


async def test_a_closed_port_is_unreachable(client: RegistryClient) -> None:
    with pytest.raises(Unreachable, match="Connection refused"):
        await client.list_tags(plain("127.0.0.1:1"), "r")


async def test_the_next_address_is_tried() -> None:
    async with FakeRegistry() as registry:
        registry.push("r", "v1")
        host = f"two.corp:{registry.port}"
        policy = NetworkPolicy(deny_loopback=False, plain_http_hosts=frozenset({host}))
        async with new_client(policy, resolve=Names(two_corp=[["127.0.0.9", "127.0.0.1"]])) as client:
            assert (await client.list_tags(plain(host), "r")).count == 1


async def test_a_slow_resolver_does_not_hold_us() -> None:
    async def never(host: str, port: int) -> list[str]:
        del host, port
        await asyncio.Event().wait()
        return []

    async with new_client(resolve=never, settings=ClientSettings(connect_seconds=0.05)) as client:
        with pytest.raises(Unreachable, match="not resolved within"):
            await client.list_tags(Access(Endpoint("slow.corp")), "r")

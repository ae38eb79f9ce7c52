"""Redirects: where an answer may send us, and that credentials stay behind."""

from __future__ import annotations

import pytest
from tests.support.registry import FakeRegistry
from tests.support.registry_client import Names, new_client, plain, port_of
from tests.support.registry_images import OCI_INDEX
from tests.support.registry_raw import Exchange, raw_server
from tests.support.tls import Authority

from pawl.api.errors import BadAnswer, ForbiddenTarget, Missing, TooLarge, Unauthorized
from pawl.registry.addresses import NetworkPolicy
from pawl.registry.client import RegistryClient
from pawl.registry.credentials import Credentials
from pawl.registry.targets import Access, Endpoint

pytestmark = pytest.mark.registry

ALICE = Credentials("alice", "s3cret")
INDEX = b'{"schemaVersion":2,"manifests":[]}'


async def to_basic(exchange: Exchange) -> bool:
    """Ask for Basic; True if it was shown."""
    if "authorization" in exchange.headers:
        return True
    await exchange.answer(401, WWW_Authenticate="Basic")
    return False


async def test_a_manifest_may_come_from_storage_which_sees_no_credentials(client: RegistryClient) -> None:
    async def storage_script(exchange: Exchange) -> None:
        await exchange.answer(200, INDEX, Content_Type=OCI_INDEX)

    async with raw_server(storage_script) as storage:

        async def script(exchange: Exchange) -> None:
            if await to_basic(exchange):
                await exchange.answer(307, Location=f"http://{storage.host}/bucket/x?signature=y")

        async with raw_server(script) as server:
            found = await client.get_manifest(plain(server.host, ALICE), "r", "v1")
    assert found.media_type == OCI_INDEX
    assert [e.target for e in storage.seen] == ["/bucket/x?signature=y"]
    assert "authorization" not in storage.seen[0].headers
    assert "accept" in storage.seen[0].headers


async def test_a_signature_does_not_stand_in_a_message(client: RegistryClient) -> None:
    async def script(exchange: Exchange) -> None:
        if exchange.target.startswith("/bucket"):
            await exchange.answer(200, b"x" * (5 * 1024 * 1024))
        else:
            await exchange.answer(307, Location="/bucket/x?signature=s3cret")

    async with raw_server(script) as server:
        with pytest.raises(TooLarge, match="/bucket/x") as caught:
            await client.get_manifest(plain(server.host), "r", "v1")
    assert "s3cret" not in str(caught.value)


async def test_credentials_do_not_come_back_after_they_were_dropped(client: RegistryClient) -> None:
    async def bounce(exchange: Exchange) -> None:
        await exchange.answer(307, Location=f"http://{server.host}/back")

    async def script(exchange: Exchange) -> None:
        if exchange.target == "/back":
            await exchange.answer(401, WWW_Authenticate="Basic")
        elif await to_basic(exchange):
            await exchange.answer(307, Location=f"http://{other.host}/")

    async with raw_server(bounce) as other, raw_server(script) as server:
        with pytest.raises(Unauthorized):
            await client.get_manifest(plain(server.host, ALICE), "r", "v1")
        assert all("authorization" not in e.headers for e in server.seen if e.target == "/back")
        assert all("authorization" not in e.headers for e in other.seen)


async def test_a_401_from_elsewhere_is_not_answered(client: RegistryClient) -> None:
    async def greedy(exchange: Exchange) -> None:
        await exchange.answer(401, WWW_Authenticate="Basic")

    async with raw_server(greedy) as other:

        async def script(exchange: Exchange) -> None:
            await exchange.answer(307, Location=f"http://{other.host}/")

        async with raw_server(script) as server:
            with pytest.raises(Unauthorized):
                await client.get_manifest(plain(server.host, ALICE), "r", "v1")
    assert len(other.seen) == 1
    assert "authorization" not in other.seen[0].headers


@pytest.mark.parametrize("hops", [5, 6])
async def test_at_most_five_redirects(client: RegistryClient, hops: int) -> None:
    async def script(exchange: Exchange) -> None:
        if len(server.seen) <= hops:
            await exchange.answer(302, Location=f"/hop{len(server.seen)}")
        else:
            await exchange.answer(404)

    async with raw_server(script) as server:
        with pytest.raises(Missing if hops == 5 else BadAnswer):
            await client.get_manifest(plain(server.host), "r", "v1")
        assert len(server.seen) == 6


async def test_a_tag_list_moves_on_its_own_host_only(client: RegistryClient) -> None:
    async with FakeRegistry() as other:
        other.push("r", "v1")

        async def script(exchange: Exchange) -> None:
            if exchange.target.startswith("/v2/moved/"):
                await exchange.answer(308, Location="/v2/r/tags/list")
            elif exchange.target.startswith("/v2/gone/"):
                await exchange.answer(307, Location=f"{other.url}/v2/r/tags/list")
            else:
                await exchange.json({"tags": ["v1"]})

        async with raw_server(script) as server:
            assert (await client.list_tags(plain(server.host), "moved")).count == 1
            with pytest.raises(BadAnswer, match=f"redirects to {other.host}"):
                await client.list_tags(plain(server.host), "gone")
        assert other.requests == []


@pytest.mark.parametrize("location", ["", "::", "ftp://x/", "http://a b/", "http://u:p@127.0.0.1/"])
async def test_a_redirect_to_nowhere(client: RegistryClient, location: str) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.answer(302, Location=location)

    async with raw_server(script) as server:
        with pytest.raises(BadAnswer):
            await client.get_manifest(plain(server.host), "r", "v1")
        assert len(server.seen) <= 6


@pytest.mark.parametrize(
    "target", ["169.254.169.254", "[fe80::a9fe:a9fe]", "[::ffff:169.254.169.254]", "100.100.100.200", "[fd00:ec2::254]"]
)
async def test_a_redirect_to_the_metadata_service_is_not_dialled(authority: Authority, target: str) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.answer(307, Location=f"https://{target}/latest/meta-data")

    async with raw_server(script, tls=authority.server("127.0.0.1")) as server, new_client() as client:
        access = Access(Endpoint(server.host, ca_pem=authority.pem))
        with pytest.raises(ForbiddenTarget, match="never dialled"):
            await client.get_manifest(access, "r", "v1")


async def test_tls_is_never_left(authority: Authority) -> None:
    async with FakeRegistry() as other:

        async def script(exchange: Exchange) -> None:
            await exchange.answer(307, Location=f"{other.url}/v2/r/manifests/v1")

        async with raw_server(script, tls=authority.server("127.0.0.1")) as server, new_client() as client:
            access = Access(Endpoint(server.host, ca_pem=authority.pem))
            with pytest.raises(ForbiddenTarget, match="from TLS to plain HTTP"):
                await client.get_manifest(access, "r", "v1")
        assert other.requests == []


async def test_a_plain_registry_may_not_lead_to_a_plain_host_that_was_not_allowed() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.answer(307, Location=f"http://inside.corp:{port_of(server.host)}/")

    policy = NetworkPolicy(deny_loopback=False)
    async with raw_server(script) as server, new_client(policy, resolve=Names(inside_corp=[["10.0.0.1"]])) as client:
        with pytest.raises(ForbiddenTarget, match=r"--plain-http-hosts inside\.corp"):
            await client.get_manifest(plain(server.host), "r", "v1")

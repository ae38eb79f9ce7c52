"""Tokens: how they are won, kept, renewed, and to whom credentials are never shown."""

from __future__ import annotations

import asyncio
import base64

import pytest
from tests.support.registry import Auth, FakeRegistry
from tests.support.registry_client import Clock, new_client, plain
from tests.support.registry_raw import Exchange, raw_server

from pawl.api.errors import BadAnswer, Denied, ForeignRealm, RateLimited, Unauthorized, Unreachable
from pawl.registry.client import RegistryClient
from pawl.registry.credentials import Credentials
from pawl.registry.wire import Answer, Outgoing

pytestmark = pytest.mark.registry

ALICE = Credentials("alice", "s3cret")
BOB = Credentials("bob", "hunter2")
USERS = {"alice": "s3cret", "bob": "hunter2"}


def bearer(**more: object) -> Auth:
    return Auth("bearer", dict(USERS), **more)  # type: ignore[arg-type]


def paths(registry: FakeRegistry) -> list[str]:
    return [request.path for request in registry.requests]


async def test_the_first_scan_pays_for_the_token_and_the_second_is_one_request(client: RegistryClient) -> None:
    async with FakeRegistry(auth=bearer()) as registry:
        registry.push("shop/web", "v1")
        access = plain(registry.host, ALICE)
        assert (await client.list_tags(access, "shop/web")).tags == ("v1",)
        listing = "/v2/shop/web/tags/list"
        assert paths(registry) == [listing, "/token", listing]
        registry.requests.clear()
        await client.list_tags(access, "shop/web")
        assert paths(registry) == [listing]


async def test_a_token_is_asked_for_pull_on_this_repository_only(client: RegistryClient) -> None:
    async with FakeRegistry(auth=bearer()) as registry:
        registry.push("shop/web", "v1")
        await client.list_tags(plain(registry.host, ALICE), "shop/web")
        (asked,) = registry.asked("/token")
    assert asked.query == {"service": "fake registry", "scope": "repository:shop/web:pull"}
    assert asked.headers["authorization"] == "Basic " + base64.b64encode(b"alice:s3cret").decode()


async def test_basic_is_remembered_for_the_host(client: RegistryClient) -> None:
    async with FakeRegistry(auth=Auth("basic", dict(USERS))) as registry:
        registry.push("a", "v1")
        registry.push("b", "v1")
        access = plain(registry.host, ALICE)
        await client.list_tags(access, "a")
        await client.list_tags(access, "b")
        assert paths(registry) == ["/v2/a/tags/list", "/v2/a/tags/list", "/v2/b/tags/list"]


async def test_tokens_are_not_shared_across_credentials_or_repositories(client: RegistryClient) -> None:
    async with FakeRegistry(auth=bearer()) as registry:
        registry.push("a", "v1")
        registry.push("b", "v1")
        for who in (ALICE, BOB):
            for path in ("a", "b"):
                await client.list_tags(plain(registry.host, who), path)
        assert len(registry.asked("/token")) == 4


async def test_a_token_is_renewed_after_four_fifths_of_its_life_without_another_401() -> None:
    clock = Clock()
    async with FakeRegistry(auth=bearer(expires_in=100)) as registry, new_client(clock=clock) as client:
        registry.push("a", "v1")
        access = plain(registry.host, ALICE)
        await client.list_tags(access, "a")
        clock.now += 79
        await client.list_tags(access, "a")
        assert len(registry.asked("/token")) == 1
        registry.requests.clear()
        clock.now += 2
        await client.list_tags(access, "a")
        assert paths(registry) == ["/token", "/v2/a/tags/list"]


async def test_a_token_without_a_life_lives_a_minute() -> None:
    clock = Clock()
    async with FakeRegistry(auth=bearer(expires_in=None)) as registry, new_client(clock=clock) as client:
        registry.push("a", "v1")
        for wait, tokens in ((0, 1), (47, 1), (2, 2)):
            clock.now += wait
            await client.list_tags(plain(registry.host, ALICE), "a")
            assert len(registry.asked("/token")) == tokens


async def test_a_token_that_the_registry_forgot_is_replaced_once(client: RegistryClient) -> None:
    async with FakeRegistry(auth=bearer()) as registry:
        registry.push("a", "v1")
        access = plain(registry.host, ALICE)
        await client.list_tags(access, "a")
        registry.tokens.clear()
        await client.list_tags(access, "a")
        assert len(registry.asked("/token")) == 2
        registry.requests.clear()
        registry.behave(fail=401, only="tags/list")
        with pytest.raises(BadAnswer, match="no way to authenticate"):
            await client.list_tags(access, "a")


async def test_a_registry_that_refuses_its_own_tokens_is_asked_twice_at_most(client: RegistryClient) -> None:
    async def script(exchange: Exchange) -> None:
        if exchange.target.startswith("/token"):
            await exchange.json({"token": f"t{len(server.seen)}"})
        else:
            realm = f'Bearer realm="http://{exchange.headers["host"]}/token"'
            await exchange.answer(401, WWW_Authenticate=realm)

    async with raw_server(script) as server:
        for _ in range(2):
            server.seen.clear()
            with pytest.raises(Unauthorized):
                await client.list_tags(plain(server.host, ALICE), "a")
            assert len([e for e in server.seen if "tags/list" in e.target]) == 2


async def test_a_thousand_at_once_fetch_one_token(client: RegistryClient) -> None:
    async with FakeRegistry(auth=bearer()) as registry:
        registry.push("a", "v1")
        access = plain(registry.host, ALICE)
        await asyncio.gather(*(client.list_tags(access, "a") for _ in range(100)))
        assert len(registry.asked("/token")) == 1


async def test_an_identity_token_is_posted(client: RegistryClient) -> None:
    async with FakeRegistry(auth=bearer(identity_tokens={"refresh-me"})) as registry:
        registry.push("a", "v1")
        who = Credentials("<token>", "", identity_token="refresh-me")
        await client.list_tags(plain(registry.host, who), "a")
        (asked,) = registry.asked("/token")
        assert (asked.method, asked.query) == ("POST", {})
        assert "authorization" not in asked.headers


async def test_a_registry_token_is_shown_at_once(client: RegistryClient) -> None:
    async with FakeRegistry(auth=bearer()) as registry:
        registry.push("a", "v1")
        registry.tokens.add("ready")
        await client.list_tags(plain(registry.host, Credentials(registry_token="ready")), "a")
        assert len(registry.requests) == 1
        with pytest.raises(Unauthorized):
            await client.list_tags(plain(registry.host, Credentials(registry_token="stale")), "a")


async def test_anonymous_access_gets_a_token_where_everybody_does(client: RegistryClient) -> None:
    async with FakeRegistry(auth=bearer(anonymous=True)) as registry:
        registry.push("a", "v1")
        await client.list_tags(plain(registry.host), "a")
        assert "authorization" not in registry.asked("/token")[0].headers


@pytest.mark.parametrize("kind", ["basic", "bearer"])
async def test_wrong_and_no_credentials_are_unauthorized(client: RegistryClient, kind: str) -> None:
    async with FakeRegistry(auth=Auth(kind, dict(USERS))) as registry:
        registry.push("a", "v1")
        with pytest.raises(Unauthorized, match="check the credentials in") as wrong:
            await client.list_tags(plain(registry.host, Credentials("alice", "wr0ng")), "a")
        with pytest.raises(Unauthorized, match="name a Secret in"):
            await client.list_tags(plain(registry.host), "a")
    assert "wr0ng" not in str(wrong.value) + repr(wrong.value)


async def test_wrong_credentials_are_shown_once_a_scan(client: RegistryClient) -> None:
    async with FakeRegistry(auth=Auth("basic", dict(USERS))) as registry:
        access = plain(registry.host, Credentials("alice", "wr0ng"))
        for _ in range(2):
            registry.requests.clear()
            with pytest.raises(Unauthorized):
                await client.list_tags(access, "a")
            assert len([r for r in registry.requests if "authorization" in r.headers]) == 1


async def test_a_registry_cannot_write_a_password_into_our_messages(client: RegistryClient) -> None:
    """It was shown the password, and would have it stand in a status that many can read."""
    who = Credentials("ALICE", "HUNTER2")

    async def script(exchange: Exchange) -> None:
        if "authorization" in exchange.headers:
            shown = base64.b64decode(exchange.headers["authorization"].removeprefix("Basic ")).decode()
            body = f'{{"errors": [{{"code": "{shown.partition(":")[2]}", "message": "{shown}"}}]}}'
            await exchange.answer(403, body.encode(), WWW_Authenticate=f'Basic realm="{shown}"')
        else:
            await exchange.answer(401, WWW_Authenticate="Basic")

    async with raw_server(script) as server:
        with pytest.raises(Denied) as caught:
            await client.list_tags(plain(server.host, who), "a")
    assert "HUNTER2" not in str(caught.value)


def test_no_value_on_the_way_shows_a_secret() -> None:
    access = plain("a.io", ALICE)
    out = Outgoing("POST", access.url("/token"), access.endpoint, 1, ((b"Authorization", b"s3cret"),), b"s3cret")
    answer = Answer(access.url("/token"), 200, ((b"Set-Cookie", b"s3cret"),), b"s3cret", 6)
    assert "s3cret" not in repr((access, out, answer))


TOKENS: dict[str, tuple[int, bytes, type[Exception]]] = {
    "403": (403, b"{}", Unauthorized),
    "400": (400, b"{}", Unauthorized),
    "404": (404, b"{}", BadAnswer),
    "500": (500, b"{}", Unreachable),
    "no token": (200, b"{}", BadAnswer),
    "html": (200, b"<html>", BadAnswer),
    "huge": (200, b'{"token": "' + b"x" * 65536 + b'"}', Exception),
    "header injection": (200, b'{"token": "x\\r\\nX-Evil: 1"}', BadAnswer),
    "redirect": (307, b"", BadAnswer),
}


@pytest.mark.parametrize(("status", "body", "error"), TOKENS.values(), ids=TOKENS.keys())
async def test_token_servers_that_fail(
    client: RegistryClient, status: int, body: bytes, error: type[Exception]
) -> None:
    async def script(exchange: Exchange) -> None:
        if exchange.target.startswith("/token"):
            await exchange.answer(status, body, Location="http://169.254.169.254/", Content_Type="application/json")
        else:
            await exchange.answer(401, WWW_Authenticate=f'Bearer realm="http://{exchange.headers["host"]}/token?x=1"')

    async with raw_server(script) as server:
        with pytest.raises(error):
            await client.list_tags(plain(server.host, ALICE), "a")
    assert any("/token?x=1&scope=" in e.target for e in server.seen)


async def test_a_token_server_that_limits_freezes_its_host(client: RegistryClient) -> None:
    async with FakeRegistry(auth=bearer()) as registry:
        registry.push("a", "v1")
        registry.behave(fail=429, retry_after="30", only="/token")
        with pytest.raises(RateLimited) as caught:
            await client.list_tags(plain(registry.host, ALICE), "a")
        assert 29 < caught.value.retry_after <= 30


@pytest.mark.parametrize("who", [ALICE, Credentials()])
async def test_a_foreign_realm_is_never_asked(client: RegistryClient, who: Credentials) -> None:
    async with FakeRegistry() as evil, FakeRegistry(auth=bearer(realm=f"{evil.url}/token")) as registry:
        registry.push("a", "v1")
        with pytest.raises(ForeignRealm) as caught:
            await client.list_tags(plain(registry.host, who), "a")
        assert evil.requests == []
    assert evil.host in str(caught.value)
    assert "spec.access.tokenRealms" in str(caught.value)


async def test_a_listed_realm_is_asked(client: RegistryClient) -> None:
    async with FakeRegistry(auth=bearer()) as realm, FakeRegistry(auth=bearer(realm=f"{realm.url}/token")) as registry:
        registry.tokens = realm.tokens  # they trust each other
        registry.push("a", "v1")
        access = plain(registry.host, ALICE, token_realms=(realm.host,))
        assert (await client.list_tags(access, "a")).count == 1
        assert len(realm.asked("/token")) == 1


@pytest.mark.parametrize("realm", ["not a url", "ftp://127.0.0.1/", "http://user:pw@127.0.0.1/", ""])
async def test_a_realm_that_is_none(client: RegistryClient, realm: str) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.answer(401, WWW_Authenticate=f'Bearer realm="{realm}"')

    async with raw_server(script) as server:
        with pytest.raises(BadAnswer):
            await client.list_tags(plain(server.host, ALICE), "a")
        assert len(server.seen) == 1


async def test_403_with_a_token_is_denied(client: RegistryClient) -> None:
    async with FakeRegistry(auth=bearer()) as registry:
        registry.behave(fail=403, only="tags/list")
        with pytest.raises(Denied, match="rights on this repository"):
            await client.list_tags(plain(registry.host, ALICE), "a")


async def test_one_of_many_waiting_for_a_token_may_leave(client: RegistryClient) -> None:
    asked, gate = asyncio.Event(), asyncio.Event()

    async def script(exchange: Exchange) -> None:
        if exchange.target.startswith("/token"):
            asked.set()
            await gate.wait()
            await exchange.json({"token": "t"})
        elif exchange.headers.get("authorization") == "Bearer t":
            await exchange.json({"tags": ["v1"]})
        else:
            await exchange.answer(401, WWW_Authenticate=f'Bearer realm="http://{exchange.headers["host"]}/token"')

    async with raw_server(script) as server:
        access = plain(server.host, ALICE)
        first = asyncio.create_task(client.list_tags(access, "a"))
        await asked.wait()
        second = asyncio.create_task(client.list_tags(access, "a"))
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        gate.set()
        assert (await second).count == 1
        assert len([e for e in server.seen if e.target.startswith("/token")]) == 1


async def test_ping_tells_a_registry_that_knows_us(client: RegistryClient) -> None:
    async with FakeRegistry(auth=bearer()) as registry:
        await client.ping(plain(registry.host, ALICE))
        assert registry.asked("/token")[0].query == {"service": "fake registry"}
        with pytest.raises(Unauthorized):
            await client.ping(plain(registry.host, Credentials("alice", "wrong")))

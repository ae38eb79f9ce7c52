"""Reading tag lists: pages, their links, their bounds, and what is no list at all."""

from __future__ import annotations

import gzip
import json
import tracemalloc

import pytest
from tests.support.registry import FakeRegistry
from tests.support.registry_client import plain
from tests.support.registry_raw import Exchange, raw_server

from pawl.api.errors import BadAnswer, Denied, Missing, TooLarge, Unauthorized, Unreachable
from pawl.decide.shortlist import revision as tag_revision
from pawl.registry.client import RegistryClient
from pawl.registry.tags import MAX_BYTES
from pawl.registry.wire import Observation

pytestmark = pytest.mark.registry

TAGS = [f"v1.{n}.0" for n in range(25)]


async def test_pages_are_followed_to_the_end(client: RegistryClient) -> None:
    async with FakeRegistry(page_size=10) as registry:
        for tag in TAGS:
            registry.push("shop/web", tag)
        found = await client.list_tags(plain(registry.host), "shop/web")
    assert set(found.tags or ()) == set(TAGS)
    assert (found.count, found.pages, found.complete) == (25, 3, True)
    assert [request.query.get("n") for request in registry.requests] == ["1000", "10", "10"]
    assert found.revision == tag_revision(TAGS)


async def test_an_empty_repository_is_an_empty_list(client: RegistryClient) -> None:
    async with FakeRegistry() as registry:
        registry.repository("empty")
        found = await client.list_tags(plain(registry.host), "empty")
    assert found.tags == ()


async def test_a_list_may_be_compressed(client: RegistryClient) -> None:
    async with FakeRegistry(page_size=1000) as registry:
        for n in range(500):
            registry.repository("big").tags[f"v{n}"] = "sha256:0"
        found = await client.list_tags(plain(registry.host), "big")
    assert found.count == 500
    assert found.bytes < 3000


LINKS = {
    "absolute": '<http://{host}/v2/r/tags/list?last=a&n=1000>; rel="next"',
    "path": '</v2/r/tags/list?last=a&n=1000>; rel="next"',
    "relative": "<list?last=a&n=1000>; rel=next",
    "among others": '</help>; rel="help", </v2/r/tags/list?last=a>; title="a, b"; rel="prev next"',
}


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS.keys())
async def test_links_of_all_kinds_are_followed(client: RegistryClient, link: str) -> None:
    async def script(exchange: Exchange) -> None:
        if "last" in exchange.target:
            await exchange.json({"tags": ["b"]})
        else:
            await exchange.json({"tags": ["a"]}, Link=link.format(host=exchange.headers["host"]))

    async with raw_server(script) as server:
        found = await client.list_tags(plain(server.host), "r")
    assert found.tags == ("a", "b")


FOREIGN = [
    "http://169.254.169.254/latest/meta-data",
    "https://{host}/v2/r/tags/list?last=a",
    "http://127.0.0.1:1/v2/r/tags/list?last=a",
    "//evil.example/v2/r/tags/list",
    "ftp://{host}/x",
    "http://user:password@{host}/v2/r/tags/list?last=a",
    "http://{host}\x00/x",
]


@pytest.mark.parametrize("link", FOREIGN)
async def test_a_link_elsewhere_is_not_followed(client: RegistryClient, link: str) -> None:
    async def script(exchange: Exchange) -> None:
        target = link.format(host=exchange.headers["host"])
        await exchange.json({"tags": ["a"]}, Link=f'<{target}>; rel="next"')

    async with raw_server(script) as server:
        with pytest.raises(BadAnswer):
            await client.list_tags(plain(server.host), "r")
        assert len(server.seen) == 1


async def test_pages_in_a_circle_end(client: RegistryClient) -> None:
    async def script(exchange: Exchange) -> None:
        page = "b" if "last=a" in exchange.target else "a"
        await exchange.json({"tags": [f"{page}{len(server.seen)}"]}, Link=f'</v2/r/tags/list?last={page}>; rel="next"')

    async with raw_server(script) as server:
        with pytest.raises(BadAnswer, match="circle"):
            await client.list_tags(plain(server.host), "r")
        assert len(server.seen) == 3


async def test_pages_that_bring_nothing_new_end(client: RegistryClient) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.json({"tags": ["a"]}, Link=f'</v2/r/tags/list?last={len(server.seen)}>; rel="next"')

    async with raw_server(script) as server:
        with pytest.raises(BadAnswer, match="no new tag"):
            await client.list_tags(plain(server.host), "r")
        assert len(server.seen) == 2


async def test_a_few_empty_pages_are_allowed_and_many_are_not(client: RegistryClient) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.json({"tags": []}, Link=f'</v2/r/tags/list?last={len(server.seen)}>; rel="next"')

    async with raw_server(script) as server:
        with pytest.raises(BadAnswer, match="page 11 brings no new tag"):
            await client.list_tags(plain(server.host), "r")


async def test_an_endless_list_is_cut_at_a_thousand_pages(client: RegistryClient) -> None:
    async def script(exchange: Exchange) -> None:
        n = len(server.seen)
        await exchange.json({"tags": [f"v{n}"]}, Link=f'</v2/r/tags/list?last={n}>; rel="next"')

    async with raw_server(script) as server:
        with pytest.raises(TooLarge, match="1000 pages"):
            await client.list_tags(plain(server.host), "r")
        assert len(server.seen) == 1000


async def test_a_gigabyte_is_refused_by_its_length_and_cut_without_one(client: RegistryClient) -> None:
    sent = 0

    async def script(exchange: Exchange) -> None:
        nonlocal sent
        if "promised" in exchange.target:
            await exchange.send(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1073741824\r\n\r\n{"
            )
            return
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b'"v",' * 16384 + b"\r\n"
        for _ in range(16384):
            await exchange.send(chunk)
            sent += 65536

    async with raw_server(script) as server:
        with pytest.raises(TooLarge, match=str(MAX_BYTES)):
            await client.list_tags(plain(server.host), "promised")
        with pytest.raises(TooLarge, match=str(MAX_BYTES)):
            await client.list_tags(plain(server.host), "endless")
    assert sent < MAX_BYTES + 32 * 1024 * 1024


async def test_a_small_bomb_is_not_unpacked(client: RegistryClient) -> None:
    bomb = gzip.compress(b" " * (100 * 1024 * 1024), 1)

    async def script(exchange: Exchange) -> None:
        await exchange.answer(200, bomb, Content_Type="application/json", Content_Encoding="gzip")

    async with raw_server(script) as server:
        with pytest.raises(TooLarge):
            await client.list_tags(plain(server.host), "r")
        tracemalloc.start()
        with pytest.raises(TooLarge):
            await client.get_manifest(plain(server.host), "r", "v1")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 20 * 1024 * 1024


@pytest.mark.parametrize(("encoding", "message"), [("br", "not asked for"), ("gzip", "broken compression")])
async def test_an_encoding_that_cannot_be_read(client: RegistryClient, encoding: str, message: str) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.answer(200, b"x" * 100, Content_Type="application/json", Content_Encoding=encoding)

    async with raw_server(script) as server:
        with pytest.raises(BadAnswer, match=message):
            await client.list_tags(plain(server.host), "r")


async def test_pages_count_together(client: RegistryClient) -> None:
    page = [f'"{"x" * 1_000_000}{n}"' for n in range(30)]

    async def script(exchange: Exchange) -> None:
        n = len(server.seen)
        body = ('{"tags":[' + ",".join(page).replace("xx", f"{n:02d}", 1) + "]}").encode()
        await exchange.answer(200, body, Content_Type="application/json", Link=f"</v2/r/tags/list?last={n}>; rel=next")

    async with raw_server(script) as server:
        with pytest.raises(TooLarge):
            await client.list_tags(plain(server.host), "r")
        assert len(server.seen) == 3


async def test_too_many_tags(client: RegistryClient) -> None:
    body = json.dumps({"tags": [str(n) for n in range(1_000_001)]}).encode()

    async def script(exchange: Exchange) -> None:
        await exchange.answer(200, body, Content_Type="application/json")

    async with raw_server(script) as server:
        with pytest.raises(TooLarge, match="1000000 tags"):
            await client.list_tags(plain(server.host), "r")


WRONG = {
    "html": (b"<html>login</html>", "text/html; charset=utf-8", "web page"),
    "no json": (b"{", "application/json", "not JSON"),
    "no object": (b"[]", "application/json", "unexpected shape"),
    "no list": (b'{"tags": "v1"}', "application/json", "unexpected shape"),
    "no strings": (b'{"tags": [1]}', "application/json", "unexpected shape"),
    "no tags": (b'{"name": "r"}', "application/json", "no list of tags"),
    "error in a 200": (b'{"errors": [{"code": "X"}]}', "application/json", "no list of tags"),
    "half": (b'{"name": "r", "tags": ["v1", ', "application/json", "not JSON"),
    "deep": (b"[" * 100_000, "application/json", "."),
    "latin": (b'{"tags": ["\xe9"]}', "application/json", "."),
}


@pytest.mark.parametrize(("body", "kind", "message"), WRONG.values(), ids=WRONG.keys())
async def test_what_is_no_list_is_an_error(client: RegistryClient, body: bytes, kind: str, message: str) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.answer(200, body, Content_Type=kind)

    async with raw_server(script) as server:
        with pytest.raises(BadAnswer, match=message):
            await client.list_tags(plain(server.host), "r")


STATUSES = [
    (401, Unauthorized),
    (403, Denied),
    (404, Missing),
    (500, Unreachable),
    (502, Unreachable),
    (418, BadAnswer),
]


@pytest.mark.parametrize(("status", "error"), STATUSES)
async def test_statuses(client: RegistryClient, status: int, error: type[Exception]) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.answer(status, b'{"errors":[{"code":"A_CODE","message":"secret"}]}', WWW_Authenticate="Basic")

    async with raw_server(script) as server:
        with pytest.raises(error) as caught:
            await client.list_tags(plain(server.host), "r")
    assert getattr(caught.value, "status", None) == status
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_a_failure_after_some_pages_fails_the_scan(client: RegistryClient) -> None:
    async with FakeRegistry(page_size=10) as registry:
        for tag in TAGS:
            registry.push("shop/web", tag)
        registry.behave(fail=500, only="tags/list", times=1)
        with pytest.raises(Unreachable):
            await client.list_tags(plain(registry.host), "shop/web")

    async def script(exchange: Exchange) -> None:
        if "last" in exchange.target:
            await exchange.answer(500)
        else:
            await exchange.json({"tags": ["a"]}, Link="</v2/r/tags/list?last=a>; rel=next")

    async with raw_server(script) as server:
        with pytest.raises(Unreachable):
            await client.list_tags(plain(server.host), "r")


async def test_a_torn_answer_is_no_list(client: RegistryClient) -> None:
    async with FakeRegistry() as registry:
        registry.push("r", "v1")
        registry.behave(truncate=12)
        with pytest.raises(Unreachable, match="broke"):
            await client.list_tags(plain(registry.host), "r")
        registry.behave()
        assert (await client.list_tags(plain(registry.host), "r")).count == 1


async def test_an_etag_saves_the_second_list(client: RegistryClient) -> None:
    async with FakeRegistry(etags=True) as registry:
        registry.push("r", "v1")
        access = plain(registry.host)
        first = await client.list_tags(access, "r")
        second = await client.list_tags(access, "r", known_revision=first.revision)
        assert (second.unchanged, second.tags, second.revision, second.count) == (True, None, first.revision, 1)
        assert "if-none-match" not in registry.requests[0].headers
        third = await client.list_tags(access, "r", known_revision="another")
        assert third.tags == ("v1",)
        registry.push("r", "v2")
        fourth = await client.list_tags(access, "r", known_revision=first.revision)
        assert fourth.tags == ("v1", "v2")


async def test_an_unasked_304_is_an_error(client: RegistryClient) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.answer(304)

    async with raw_server(script) as server:
        with pytest.raises(BadAnswer, match="304"):
            await client.list_tags(plain(server.host), "r")


async def test_one_request_is_one_observation(client: RegistryClient, observations: list[Observation]) -> None:
    async with FakeRegistry() as registry:
        registry.push("r", "v1")
        found = await client.list_tags(plain(registry.host), "r")
        with pytest.raises(Missing):
            await client.list_tags(plain(registry.host), "none")
    assert [(o.host, o.code) for o in observations] == [(registry.host, "200"), (registry.host, "404")]
    assert observations[0].bytes == found.bytes > 0
    assert 0 < observations[0].seconds < 10


async def test_a_hundred_thousand_tags_stay_small(client: RegistryClient) -> None:
    body = json.dumps({"tags": [f"v1.{n}.0-{n:08x}" for n in range(100_000)]}).encode()

    async def script(exchange: Exchange) -> None:
        await exchange.answer(200, body, Content_Type="application/json")

    async with raw_server(script) as server:
        await client.list_tags(plain(server.host), "warm")
        tracemalloc.start()
        found = await client.list_tags(plain(server.host), "r")
        now, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert found.count == 100_000
    assert peak < 30 * 1024 * 1024
    assert now < 12 * 1024 * 1024


@pytest.mark.parametrize("path", ["", "../x", "a//../b", "a b", "a?x=1", "a#b", "x" * 300, "/a", "a/"])
async def test_a_path_that_is_none_is_a_mistake_of_the_caller(client: RegistryClient, path: str) -> None:
    with pytest.raises(ValueError, match="not a repository path"):
        await client.list_tags(plain("127.0.0.1:1"), path)

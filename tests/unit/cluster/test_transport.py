"""The transport over real sockets, against a small server that can be slow, closed, forgetful or rude."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import structlog
import yaml
from aiohttp import web

from pawl.api.errors import ApiUnavailable, Forbidden
from pawl.cluster.calls import Request
from pawl.cluster.connect import HttpTransport, retry_after
from pawl.cluster.credentials import Place
from pawl.cluster.resources import CONFIG_MAPS

GET = Request("get", "GET", CONFIG_MAPS, "ns", "a", timeout=2.0)
PATCH = Request("patch", "PATCH", CONFIG_MAPS, "ns", "a", body=b"{}", content_type="application/merge-patch+json")


class Server:
    """Answers by `handler`, keeps the requests."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.handler: Callable[[web.Request], Awaitable[web.StreamResponse]] = self.plain
        self.valid = "good"
        self.url = ""

    async def plain(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"{}")

    async def by_token(self, request: web.Request) -> web.StreamResponse:
        good = request.headers.get("Authorization") == f"Bearer {self.valid}"
        return web.Response(status=200 if good else 401, body=b"{}")

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        self.requests.append(request)
        return await self.handler(request)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    served = Server()
    runner = web.ServerRunner(web.Server(served), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    served.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield served
    await runner.cleanup()


@pytest.fixture
def place(server: Server, tmp_path: Path) -> Place:
    token = tmp_path / "token"
    token.write_text("good")
    path = tmp_path / "kc"
    document = {
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": server.url}}],
        "users": [{"name": "u", "user": {"tokenFile": str(token)}}],
    }
    path.write_text(yaml.safe_dump(document))
    return Place(str(path), environ={})


def rewrite(place: Place, **cluster: str) -> None:
    """Change the cluster of a kubeconfig."""
    path = Path(place.kubeconfig or "")
    document = yaml.safe_load(path.read_text())
    document["clusters"][0]["cluster"] |= cluster
    path.write_text(yaml.safe_dump(document))


def forget(place: Place) -> None:
    """Take a kubeconfig away."""
    Path(place.kubeconfig or "").unlink()


@pytest.fixture
async def transport(place: Place) -> AsyncIterator[HttpTransport]:
    opened = await HttpTransport.open(place, reload_pause=0.0)
    yield opened
    await opened.close()


async def test_what_is_on_the_wire(server: Server, transport: HttpTransport) -> None:
    answer = await transport.send(PATCH)
    assert (answer.status, answer.body, answer.retry_after) == (200, b"{}", None)
    (seen,) = server.requests
    assert (seen.method, seen.path) == ("PATCH", "/api/v1/namespaces/ns/configmaps/a")
    assert seen.headers["Authorization"] == "Bearer good"
    assert seen.headers["Content-Type"] == "application/merge-patch+json"
    assert seen.headers["Accept"] == "application/json"
    assert seen.headers["Accept-Encoding"] == "identity"
    assert seen.headers["User-Agent"].startswith("pawl/")
    assert await seen.read() == b"{}"


async def test_queries_and_odd_names_arrive_as_they_are(server: Server, transport: HttpTransport) -> None:
    await transport.send(
        Request("list", "GET", CONFIG_MAPS, "ns", query={"labelSelector": "a in (b, c),d=é&e", "n": "1"})
    )
    await transport.send(Request("get", "GET", CONFIG_MAPS, "ns", "a/../b%2F"))
    assert dict(server.requests[0].query) == {"labelSelector": "a in (b, c),d=é&e", "n": "1"}
    assert server.requests[1].raw_path == "/api/v1/namespaces/ns/configmaps/a%2F..%2Fb%252F"


async def test_connections_are_kept(server: Server, transport: HttpTransport) -> None:
    for _ in range(5):
        await transport.send(GET)
    assert len({request.transport for request in server.requests}) == 1


async def test_a_large_body_arrives_whole(server: Server, transport: HttpTransport) -> None:
    body = b"x" * (3 * 2**19)
    lengths: list[int] = []

    async def measure(request: web.Request) -> web.Response:
        lengths.append(len(await request.read()))
        return web.Response()

    server.handler = measure
    request = Request("create", "POST", CONFIG_MAPS, "ns", "a", body=body[: 2**20 - 10])
    await transport.send(request)
    assert lengths == [2**20 - 10]


async def test_a_redirect_is_not_followed(server: Server, transport: HttpTransport) -> None:
    async def elsewhere(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "http://169.254.169.254/"})

    server.handler = elsewhere
    assert (await transport.send(GET)).status == 302
    assert len(server.requests) == 1


async def test_a_server_that_is_silent_is_unavailable_in_time(server: Server, transport: HttpTransport) -> None:
    async def silent(_: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    server.handler = silent
    begin = asyncio.get_running_loop().time()
    with pytest.raises(
        ApiUnavailable, match=r"could not get configmaps ns/a at http://127.*: it gave no answer in time"
    ):
        await transport.send(Request("get", "GET", CONFIG_MAPS, "ns", "a", timeout=0.1))
    assert asyncio.get_running_loop().time() - begin < 1


async def test_a_server_that_drips_is_unavailable_in_time(server: Server, transport: HttpTransport) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(100):
            await response.write(b" ")
            await asyncio.sleep(0.02)
        return response

    server.handler = drip
    with pytest.raises(ApiUnavailable, match="no answer in time"):
        await transport.send(Request("get", "GET", CONFIG_MAPS, "ns", "a", timeout=0.2))


async def test_nobody_there_is_unavailable(place: Place) -> None:
    rewrite(place, server="http://127.0.0.1:1")
    opened = await HttpTransport.open(place)
    with pytest.raises(ApiUnavailable, match="could not get configmaps ns/a"):
        await opened.send(GET)
    await opened.close()


async def test_a_refused_token_is_read_again_and_the_request_sent_once_more(
    server: Server, transport: HttpTransport, tmp_path: Path
) -> None:
    server.handler = server.by_token
    server.valid = "newer"
    assert (await transport.send(PATCH)).status == 401
    (tmp_path / "token").write_text("newer")
    assert (await transport.send(PATCH)).status == 200
    assert (await transport.connection_info()).token == "newer"


async def test_a_storm_of_refusals_reads_the_credentials_once(server: Server, place: Place, tmp_path: Path) -> None:
    opened = await HttpTransport.open(place, reload_pause=0.05)
    server.handler = server.by_token
    server.valid = "newer"
    (tmp_path / "token").write_text("newer")
    await asyncio.sleep(0.1)
    answers = await asyncio.gather(*(opened.send(GET) for _ in range(20)))
    assert {answer.status for answer in answers} == {200}
    server.valid = "newest"
    assert (await opened.send(GET)).status == 401
    count = len(server.requests)
    assert (await opened.send(GET)).status == 401
    assert len(server.requests) == count + 1  # read a moment ago: not read again
    await opened.close()


async def test_credentials_that_cannot_be_renewed_go_on_and_are_complained_about(
    server: Server, place: Place, transport: HttpTransport
) -> None:
    forget(place)
    transport._due = 0.0
    with structlog.testing.capture_logs() as logs:
        assert (await transport.send(GET)).status == 200
    assert "there is no kubeconfig" in logs[0]["error"]
    assert server.requests[0].headers["Authorization"] == "Bearer good"


async def test_other_certificates_open_another_session_and_leave_running_requests(
    server: Server, place: Place, transport: HttpTransport
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        begun.set()
        await go_on.wait()
        return web.Response(body=b"{}")

    server.handler = slow
    running = asyncio.create_task(transport.send(GET))
    await begun.wait()
    rewrite(place, **{"tls-server-name": "other"})
    transport._due = 0.0
    before = transport._session
    server.handler = server.plain
    await transport.send(GET)
    assert transport._session is not before
    go_on.set()
    assert (await running).status == 200
    rewrite(place, **{"tls-server-name": "third"})
    transport._due = 0.0
    await transport.send(GET)
    assert before.closed


async def test_a_watch_gives_its_lines(server: Server, transport: HttpTransport) -> None:
    async def lines(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"a":1}\n{"b"')
        await response.write(b":2}\n")
        return response

    server.handler = lines
    async with transport.stream(Request("watch", "GET", CONFIG_MAPS, "ns", query={"watch": "true"})) as stream:
        assert [line async for line in stream] == [b'{"a":1}\n', b'{"b":2}\n']


async def test_a_silent_watch_and_a_refused_one_are_errors(server: Server, transport: HttpTransport) -> None:
    async def silent(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.sleep(2)
        return response

    server.handler = silent
    watch = Request("watch", "GET", CONFIG_MAPS, "ns", timeout=0.1)
    with pytest.raises(ApiUnavailable, match="no answer in time"):
        async with transport.stream(watch) as stream:
            await anext(stream)

    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=401)

    server.handler = refuse
    with pytest.raises(Forbidden):
        async with transport.stream(watch):
            pass


def test_both_forms_of_retry_after() -> None:
    assert retry_after("7") == 7.0
    assert retry_after("-7") == 0.0
    later = retry_after(format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True))
    assert later is not None
    assert 55 < later <= 60
    assert retry_after("soon") is None
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0


async def test_the_wait_of_a_refusal_is_kept(server: Server, transport: HttpTransport) -> None:
    async def slow_down(_: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "3"})

    server.handler = slow_down
    assert (await transport.send(GET)).retry_after == 3.0

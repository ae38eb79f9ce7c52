"""The narrow list+watch on a real API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import msgspec
import pytest

from pawl.cluster.calls import Answer, ConnectionValues, Request
from pawl.cluster.client import Cluster
from pawl.cluster.connect import HttpTransport
from pawl.cluster.credentials import Place
from pawl.cluster.resources import CONFIG_MAPS
from pawl.cluster.watch import Scope, Watch, WatchEvent, WatchSettings
from pawl.sandbox import Cluster as Sandbox

pytestmark = pytest.mark.cluster


class Meta(msgspec.Struct):
    name: str


class Row(msgspec.Struct):
    metadata: Meta
    data: dict[str, str] | None = None


DECODE = msgspec.json.Decoder(Row).decode
QUICK = WatchSettings(chunk=10, base=0.01)


class Breakable:
    """A real transport whose watches can be ended from the outside, and begun at another version."""

    def __init__(self, inner: HttpTransport) -> None:
        self._inner = inner
        self.versions: list[str] = []
        self.lists = 0
        self.forged: str | None = None
        self.cut = asyncio.Event()

    async def send(self, request: Request) -> Answer:
        self.lists += request.verb == "list"
        return await self._inner.send(request)

    @asynccontextmanager
    async def _stream(self, request: Request) -> AsyncIterator[AsyncIterator[bytes]]:
        query = dict(request.query or {})
        if self.forged is not None:
            query["resourceVersion"], self.forged = self.forged, None
        self.versions.append(query["resourceVersion"])
        async with self._inner.stream(msgspec.structs.replace(request, query=query)) as lines:
            yield self._until_cut(lines)

    def stream(self, request: Request) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._stream(request)

    async def _until_cut(self, lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        while True:
            line, cut = asyncio.ensure_future(anext(lines)), asyncio.ensure_future(self.cut.wait())
            await asyncio.wait({line, cut}, return_when=asyncio.FIRST_COMPLETED)
            cut.cancel()
            if not line.done():
                line.cancel()
                self.cut.clear()
                return
            try:
                text = line.result()
            except StopAsyncIteration:
                return
            yield text

    async def connection_info(self) -> ConnectionValues:
        return await self._inner.connection_info()

    async def close(self) -> None:
        await self._inner.close()


class Rows:
    """A cache as a consumer would keep it."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.listing: set[str] = set()
        self.seen: list[str] = []

    def take(self, event: WatchEvent[Row]) -> None:
        self.seen.append(event.type)
        if event.object is None:
            if event.type == "LISTED":
                self.names = {name: value for name, value in self.names.items() if name in self.listing}
            self.listing = set()
            return
        name = event.object.metadata.name
        self.listing.add(name)
        if event.type == "DELETED":
            self.names.pop(name, None)
        else:
            self.names[name] = (event.object.data or {}).get("k", "")


@pytest.fixture
async def transport(cluster: Sandbox) -> AsyncIterator[Breakable]:
    opened = Breakable(await HttpTransport.open(Place(str(cluster.kubeconfig))))
    yield opened
    await opened.close()


@asynccontextmanager
async def following(
    transport: Breakable, namespace: str, settings: WatchSettings = QUICK
) -> AsyncIterator[tuple[Rows, Watch[Row]]]:
    rows = Rows()
    watch = Watch(Cluster(transport), Scope(CONFIG_MAPS, namespace, "mine=yes"), DECODE, settings)

    async def follow() -> None:
        async for event in watch.events():
            rows.take(event)

    task = asyncio.create_task(follow())
    try:
        await until(lambda: "LISTED" in rows.seen)
        yield rows, watch
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.005)


async def make(client: Cluster, namespace: str, name: str, value: str = "1") -> None:
    metadata = {"name": name, "labels": {"mine": "yes"}}
    await client.create(CONFIG_MAPS, namespace, {"metadata": metadata, "data": {"k": value}})


async def test_listing_then_following(transport: Breakable, namespace: str) -> None:
    client = Cluster(transport)
    for number in range(25):
        await make(client, namespace, f"c{number}")
    async with following(transport, namespace) as (rows, watch):
        assert len(rows.names) == 25
        assert rows.seen[0] == "LISTING"
        assert transport.lists == 3
        await make(client, namespace, "new")
        await client.merge_patch(CONFIG_MAPS, namespace, "c1", {"data": {"k": "2"}})
        await client.delete(CONFIG_MAPS, namespace, "c2")
        await client.merge_patch(CONFIG_MAPS, namespace, "c3", {"metadata": {"labels": {"mine": "no"}}})
        await until(lambda: len(rows.names) == 24)
        assert rows.names["c1"] == "2"
        assert {"c2", "c3"}.isdisjoint(rows.names)
        assert watch.age < 5
        assert watch.trouble == ""


async def test_a_cut_connection_goes_on_where_it_was(transport: Breakable, namespace: str) -> None:
    client = Cluster(transport)
    async with following(transport, namespace) as (rows, _):
        await make(client, namespace, "one")
        await until(lambda: "one" in rows.names)
        transport.cut.set()
        await make(client, namespace, "two")
        await until(lambda: "two" in rows.names)
        assert transport.lists == 1
        assert len(transport.versions) == 2
        assert rows.seen.count("ADDED") == 2


async def test_an_expired_version_is_listed_again_and_what_went_meanwhile_is_gone(
    transport: Breakable, namespace: str
) -> None:
    client = Cluster(transport)
    await make(client, namespace, "stays")
    await make(client, namespace, "goes")
    async with following(transport, namespace) as (rows, _):
        await until(lambda: len(transport.versions) == 1)
        await asyncio.sleep(0.1)
        transport.forged = "1"
        transport.cut.set()
        await client.delete(CONFIG_MAPS, namespace, "goes")
        await until(lambda: rows.seen.count("LISTED") == 2 or "DELETED" in rows.seen)
        await until(lambda: set(rows.names) == {"stays"})


async def test_a_connection_that_ends_by_itself_is_opened_again(transport: Breakable, namespace: str) -> None:
    client = Cluster(transport)
    settings = WatchSettings(base=0.01, lifetime=1.0, jitter=lambda: 0.0)
    async with following(transport, namespace, settings) as (rows, _):
        await until(lambda: len(transport.versions) >= 3)
        await make(client, namespace, "late")
        await until(lambda: "late" in rows.names)
        assert transport.lists == 1


async def test_a_silent_connection_is_opened_again(transport: Breakable, namespace: str) -> None:
    settings = WatchSettings(base=0.01, silence=0.3)
    async with following(transport, namespace, settings) as (rows, watch):
        await until(lambda: len(transport.versions) >= 3)
        assert watch.trouble == ""  # a kind that nobody writes is silent, and that is no trouble
        assert rows.seen.count("LISTED") == 1

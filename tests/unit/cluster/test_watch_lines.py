"""What a watch makes of the lines that it is sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import msgspec
import structlog
from tests.unit.cluster.memory_api import MemoryApi, View

from pawl.api.errors import ApiUnavailable
from pawl.cluster.calls import Answer, Request
from pawl.cluster.client import Cluster, Options
from pawl.cluster.resources import PODS
from pawl.cluster.watch import Scope, Watch, WatchEvent, WatchSettings

Script = list[list[bytes] | Exception]


class Scripted(View):
    """Lists `names`; each watch gives the next lines of the script, and the last one waits."""

    def __init__(self, script: Script, names: tuple[str, ...] = ("a",)) -> None:
        super().__init__(MemoryApi(), None)
        self.script, self.names = script, names
        self.queries: list[dict[str, str]] = []
        self.lists = 0

    async def send(self, _request: Request) -> Answer:
        self.lists += 1
        items = [{"metadata": {"name": name}} for name in self.names]
        return Answer(200, json.dumps({"metadata": {"resourceVersion": "10"}, "items": items or None}).encode())

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[AsyncIterator[bytes]]:
        self.queries.append(dict(request.query or {}))
        lines = self.script.pop(0) if self.script else None
        if isinstance(lines, Exception):
            raise lines
        yield self._lines(lines)

    async def _lines(self, lines: list[bytes] | None) -> AsyncIterator[bytes]:
        if lines is None:
            await asyncio.Event().wait()
        for line in lines or ():
            yield line


class Meta(msgspec.Struct):
    name: str


class Row(msgspec.Struct):
    metadata: Meta


def line(kind: str, version: str, name: str = "a") -> bytes:
    return json.dumps({"type": kind, "object": {"metadata": {"name": name, "resourceVersion": version}}}).encode()


def error(code: int) -> bytes:
    return json.dumps({"type": "ERROR", "object": {"code": code, "message": "too old"}}).encode()


def watch_of(transport: Scripted) -> Watch[Row]:
    cluster = Cluster(transport, Options(tries=1))
    settings = WatchSettings(base=0.01, cap=0.02)
    return Watch(cluster, Scope(PODS, "ns", "a=b", "c=d"), msgspec.json.Decoder(Row).decode, settings)


async def take(watch: Watch[Row], count: int) -> list[WatchEvent[Row]]:
    taken: list[WatchEvent[Row]] = []
    async with asyncio.timeout(3), aclosing(watch.events()) as events:
        async for event in events:
            taken.append(event)
            if len(taken) == count:
                break
    return taken


async def test_events_carry_their_rows_and_versions() -> None:
    transport = Scripted([[line("MODIFIED", "11"), line("BOOKMARK", "15"), line("DELETED", "16")]])
    events = await take(watch_of(transport), 5)
    assert [event.type for event in events] == ["LISTING", "ADDED", "LISTED", "MODIFIED", "DELETED"]
    assert [event.resource_version for event in events] == ["", "10", "10", "11", "16"]
    assert events[3].object == Row(Meta("a"))
    query = transport.queries[0]
    assert (query["resourceVersion"], query["allowWatchBookmarks"], query["watch"]) == ("10", "true", "true")
    assert (query["labelSelector"], query["fieldSelector"]) == ("a=b", "c=d")
    assert 300 <= int(query["timeoutSeconds"]) <= 600


async def test_a_bookmark_moves_where_the_next_connection_begins() -> None:
    transport = Scripted([[line("BOOKMARK", "40")], [line("ADDED", "41", "b")]])
    events = await take(watch_of(transport), 4)
    assert events[-1].object == Row(Meta("b"))
    assert [query["resourceVersion"] for query in transport.queries] == ["10", "40"]
    assert transport.lists == 1


async def test_an_expired_watch_lists_again() -> None:
    transport = Scripted([[error(410)]])
    events = await take(watch_of(transport), 6)
    assert [event.type for event in events] == ["LISTING", "ADDED", "LISTED"] * 2


async def test_any_other_end_and_a_broken_line_list_again_too() -> None:
    for lines in ([error(500)], [b"{nonsense"], [b'{"type":"ADDED"}']):
        transport = Scripted([lines])
        with structlog.testing.capture_logs():
            events = await take(watch_of(transport), 6)
        assert [event.type for event in events][3:] == ["LISTING", "ADDED", "LISTED"]


async def test_failures_are_tried_again_and_said_once() -> None:
    transport = Scripted([ApiUnavailable("cut")] * 4 + [[]] + [[line("ADDED", "11", "b")]])
    watch = watch_of(transport)
    with structlog.testing.capture_logs() as logs:
        events = await take(watch, 4)
    assert events[-1].object == Row(Meta("b"))
    assert [entry["error"] for entry in logs] == ["cut", "the watch of pods was closed without a word"]
    assert transport.lists == 1
    assert watch.trouble == ""


async def test_an_object_that_cannot_be_read_is_left_out() -> None:
    bad = json.dumps({"type": "ADDED", "object": {"metadata": {"name": 3, "resourceVersion": "12"}}}).encode()
    transport = Scripted([[bad, line("ADDED", "13", "b")]])
    with structlog.testing.capture_logs() as logs:
        events = await take(watch_of(transport), 4)
    assert events[-1].object == Row(Meta("b"))
    assert logs[0]["event"] == "object could not be read"


async def test_an_empty_list_is_a_list() -> None:
    events = await take(watch_of(Scripted([], ())), 2)
    assert [event.type for event in events] == ["LISTING", "LISTED"]


async def test_age_counts_from_the_last_sign_of_life() -> None:
    transport = Scripted([])
    watch = watch_of(transport)
    await asyncio.sleep(0.05)
    assert watch.age >= 0.045
    await take(watch, 3)
    assert watch.age < 0.04


async def test_pauses_grow_to_the_cap_and_never_undercut_what_was_asked_for() -> None:
    settings = WatchSettings(base=0.5, cap=30.0, jitter=lambda: 1.0)
    watch = Watch(Cluster(Scripted([])), Scope(PODS), lambda raw: raw, settings)
    pauses = [watch._pause(ApiUnavailable("x")) for _ in range(8)]
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert watch._pause(ApiUnavailable("x", retry_after=45.0)) == 45

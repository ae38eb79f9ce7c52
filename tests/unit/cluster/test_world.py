"""How the world lives with a server that refuses, breaks off and comes back; rows are those of CronJobs and Pods."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Self

from tests.unit.cluster.memory_api import status
from tests.unit.cluster.waiting import until

from pawl.cluster.calls import Answer, ConnectionValues, Request
from pawl.cluster.client import Cluster, Options
from pawl.cluster.watch import WatchSettings
from pawl.cluster.world import WATCHED, Change, World

FORBIDDEN = status(403, "Forbidden", 'User "pawl" cannot list')
QUICK = WatchSettings(base=0.001, cap=0.002, chunk=1)


def space(name: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}}


class Server:
    """Lists `objects` of a plural one by one; `refuse` answers instead; watches are silent until `cut`."""

    def __init__(self) -> None:
        self.objects: dict[str, list[dict[str, Any]]] = {}
        self.spaces = [space("shop"), space("bank")]
        self.refuse: Callable[[Request], Answer | None] = lambda _request: None
        self.requests: list[Request] = []
        self.cut = asyncio.Event()

    async def send(self, request: Request) -> Answer:
        self.requests.append(request)
        await asyncio.sleep(0)
        refused = self.refuse(request)
        if refused is not None:
            return refused
        return self._one(request) if request.verb == "get" else self._page(request)

    def _one(self, request: Request) -> Answer:
        found = [each for each in self.spaces if each["metadata"]["name"] == request.name]
        return Answer(200, json.dumps(found[0]).encode()) if found else status(404, "NotFound", "none")

    def _page(self, request: Request) -> Answer:
        items = [
            each
            for each in self.objects.get(request.resource.plural, [])
            if request.namespace in {None, each["metadata"].get("namespace")}
        ]
        start = int((request.query or {}).get("continue", "0"))
        more = {"continue": str(start + 1)} if start + 1 < len(items) else {}
        body = {"metadata": {"resourceVersion": "1", **more}, "items": items[start : start + 1]}
        return Answer(200, json.dumps(body).encode())

    @asynccontextmanager
    async def _stream(self, _request: Request) -> AsyncIterator[AsyncIterator[bytes]]:
        yield self._lines()

    def stream(self, request: Request) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._stream(request)

    async def _lines(self) -> AsyncIterator[bytes]:
        await self.cut.wait()
        yield json.dumps({"type": "ERROR", "object": {"code": 410, "message": "too old"}}).encode()

    async def connection_info(self) -> ConnectionValues:
        raise NotImplementedError

    async def close(self) -> None:
        return


def cron_job(name: str, namespace: str = "shop", version: str = "1") -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace, "uid": f"uid-{name}", "resourceVersion": version}}


class Followed:
    """A world on a server, its changes, and a wait for what must become true."""

    def __init__(self, server: Server, *namespaces: str) -> None:
        self.changes: list[Change] = []
        self.world = World(Cluster(server, Options(tries=1)), namespaces, self.changes.append, QUICK)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.world.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def until(self, done: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not done():
                assert not self._task.done()
                await asyncio.sleep(0.001)

    @property
    def names(self) -> list[str]:
        return sorted(row.name for row in self.world.workloads())


async def test_before_it_runs_nothing_is_known_and_nothing_is_fresh() -> None:
    world = Followed(Server()).world
    assert (world.synced, world.age, world.trouble()) == (False, math.inf, {})


async def test_synced_means_that_every_kind_was_listed() -> None:
    server = Server()
    server.objects["cronjobs"] = [cron_job("a"), cron_job("b")]
    held = asyncio.Event()
    server.refuse = lambda request: None if request.resource.plural != "pods" or held.is_set() else Answer(503, b"")
    async with Followed(server) as seen:
        await seen.until(lambda: seen.names == ["a", "b"] and seen.world.trouble())
        assert not seen.world.synced
        held.set()
        await asyncio.wait_for(seen.world.until_synced(), 5)
        assert seen.world.trouble() == {}
        assert {request.resource.plural for request in server.requests} == {resource.plural for _, resource in WATCHED}


async def test_a_right_that_is_missing_is_told_and_does_not_hold_up_the_rest() -> None:
    server, granted = Server(), asyncio.Event()
    server.objects["cronjobs"] = [cron_job("a"), cron_job("b", "bank")]
    server.refuse = lambda request: FORBIDDEN if request.namespace == "bank" and not granted.is_set() else None
    async with Followed(server, "shop", "bank") as seen:
        await asyncio.wait_for(seen.world.until_synced(), 5)
        await seen.until(lambda: "pods in namespace bank" in seen.world.trouble())
        assert seen.names == ["a"]
        assert "grant pawl" in seen.world.trouble()["pods in namespace bank"]
        assert not [title for title in seen.world.trouble() if "shop" in title]
        assert seen.world.age < 5
        granted.set()
        await seen.until(lambda: seen.names == ["a", "b"] and not seen.world.trouble())


async def test_a_new_listing_forgets_what_it_does_not_name_and_is_silent_about_the_rest() -> None:
    server = Server()
    server.objects["cronjobs"] = [cron_job("kept"), cron_job("gone"), cron_job("new-version")]
    async with Followed(server) as seen:
        await asyncio.wait_for(seen.world.until_synced(), 5)
        assert len(seen.changes) == 3
        server.objects["cronjobs"] = [cron_job("kept"), cron_job("new-version", version="2")]
        server.cut.set()
        await seen.until(lambda: seen.names == ["kept", "new-version"] and len(seen.changes) >= 5)
        later = {(each.uid, each.deleted) for each in seen.changes[3:]}
        assert later == {("uid-gone", True), ("uid-new-version", False)}


async def test_a_listing_that_breaks_off_forgets_nothing() -> None:
    server, breaking = Server(), asyncio.Event()
    server.objects["cronjobs"] = [cron_job("a"), cron_job("b"), cron_job("c")]
    broken: list[str] = []

    def refuse(request: Request) -> Answer | None:
        page = (request.query or {}).get("continue")
        if not breaking.is_set() or request.resource.plural != "cronjobs" or page != "1":
            return None
        broken.append(page)
        return status(410, "Expired", "too old") if len(broken) % 2 else Answer(500, b"")

    server.refuse = refuse
    async with Followed(server) as seen:
        await asyncio.wait_for(seen.world.until_synced(), 5)
        breaking.set()
        server.cut.set()
        await seen.until(lambda: len(broken) > 5)
        assert seen.names == ["a", "b", "c"]
        assert not [each for each in seen.changes if each.deleted]
        server.cut.clear()
        server.objects["cronjobs"] = [cron_job("b")]  # "a" was named by the listings that broke off
        await seen.until(lambda: seen.names == ["b"])


async def test_an_object_that_cannot_be_read_is_left_out() -> None:
    server = Server()
    server.objects["cronjobs"] = [cron_job("a"), {"metadata": {"name": 3}}, cron_job("b")]
    async with Followed(server) as seen:
        await asyncio.wait_for(seen.world.until_synced(), 5)
        assert seen.names == ["a", "b"]


async def test_namespaces_scope_what_is_in_them_and_nothing_else() -> None:
    server = Server()
    async with Followed(server, "shop", "bank", "shop") as seen:
        await asyncio.wait_for(seen.world.until_synced(), 5)
        asked = [(request.resource.plural, request.namespace) for request in server.requests if request.verb == "list"]
    assert sorted(each for each in asked if each[0] == "pods") == [("pods", "bank"), ("pods", "shop")]
    assert ("nodes", None) in asked
    assert len(asked) == len(set(asked)) == 15
    read = [request.name for request in server.requests if request.verb == "get"]
    assert sorted(name or "" for name in read) == ["bank", "shop"]


def cluster_wide(request: Request) -> Answer | None:
    """What no Role can grant."""
    return FORBIDDEN if request.verb == "list" and request.namespace is None else None


async def test_a_scoped_world_needs_nothing_that_only_a_cluster_role_grants() -> None:
    server = Server()
    server.refuse = cluster_wide
    async with Followed(server, "shop", "bank") as seen:
        await asyncio.wait_for(seen.world.until_synced(), 5)
        assert sorted(row.name for row in seen.world.namespaces()) == ["bank", "shop"]
        assert (seen.world.sees_nodes, seen.world.missing_rights()) == (False, ())
        await asyncio.sleep(0.05)
    wide = [request for request in server.requests if request.namespace is None and request.verb == "list"]
    assert [request.resource.plural for request in wide] == ["nodes"]


async def test_a_world_of_all_namespaces_misses_nodes_that_it_may_not_list() -> None:
    server = Server()
    server.refuse = lambda request: FORBIDDEN if request.resource.plural == "nodes" else None
    async with Followed(server) as seen:
        await asyncio.wait_for(seen.world.until_synced(), 5)
        assert not seen.world.sees_nodes
        assert any("nodes" in said for said in seen.world.missing_rights())


async def test_a_namespace_that_is_read_by_name_follows_its_labels_and_its_end() -> None:
    server = Server()
    world = World(Cluster(server, Options(tries=1)), ["shop"], None, QUICK, period=0.001)
    task = asyncio.create_task(world.run())
    try:
        async with asyncio.timeout(5):
            await world.until_synced()
            server.spaces = [space("shop", tier="gold")]
            await until(lambda: world.namespaces()[0].labels == (("tier", "gold"),))
            server.spaces = []
            await until(lambda: not world.namespaces())
            assert world.missing_rights() == ()
            server.refuse = lambda request: FORBIDDEN if request.verb == "get" else None
            await until(lambda: bool(world.missing_rights(["shop"])))
            assert world.missing_rights(["bank"]) == ()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

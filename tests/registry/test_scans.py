"""Sharing of scans: how many requests, whose results, and how long lists live."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator

import pytest
from tests.support.registry import Auth, FakeRegistry
from tests.support.registry_client import Clock, plain

from pawl.api.errors import Unreachable
from pawl.decide.shortlist import revision as tag_revision
from pawl.registry.client import RegistryClient
from pawl.registry.credentials import Credentials
from pawl.registry.scans import ScanHub
from pawl.registry.tags import TagList
from pawl.registry.targets import Access, Endpoint

pytestmark = pytest.mark.registry

ANYBODY = Access(Endpoint("registry.corp"))


class Lister:
    """Lists tags when told to."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.calls: list[tuple[Access, str, str | None]] = []
        self.tags: tuple[str, ...] = ("v1", "v2")
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.started: asyncio.Queue[str] = asyncio.Queue()
        self.keeps_etags = False
        self.gate.set()

    async def list_tags(self, access: Access, path: str, *, known_revision: str | None = None) -> TagList:
        self.calls.append((access, path, known_revision))
        self.started.put_nowait(path)
        tags, error = self.tags, self.error
        await self.gate.wait()
        if error is not None:
            raise error
        revision = tag_revision(tags)
        if self.keeps_etags and revision == known_revision:
            return TagList(None, revision, len(tags), 0, 1, unchanged=True)
        return TagList(tags, revision, len(tags), 100, 1)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lister(clock: Clock) -> Lister:
    return Lister(clock)


@pytest.fixture
async def hub(lister: Lister, clock: Clock) -> AsyncIterator[ScanHub]:
    made = ScanHub(lister, clock=clock)
    yield made
    await made.aclose()


async def test_a_thousand_policies_are_one_request(client: RegistryClient) -> None:
    hub = ScanHub(client)
    async with FakeRegistry() as registry:
        registry.push("shop/web", "v1")
        access = plain(registry.host)
        scans = [hub.scan(access, "shop/web", not_before=0.0) for _ in range(1000)]
        results = await asyncio.gather(*scans)
        assert {result.tags for result in results} == {("v1",)}
        assert len(registry.requests) == 1
    await hub.aclose()


async def test_results_are_not_shared_across_credentials(client: RegistryClient) -> None:
    hub = ScanHub(client)
    users = {"alice": "a", "bob": "b"}
    async with FakeRegistry(auth=Auth("basic", users)) as registry:
        registry.push("r", "v1")
        for who in users.items():
            await hub.scan(plain(registry.host, Credentials(*who)), "r", not_before=0.0)
        with pytest.raises(Exception, match="not authorized"):
            await hub.scan(plain(registry.host, Credentials("alice", "wrong")), "r", not_before=0.0)
        assert len({request.headers.get("authorization") for request in registry.requests}) == 4
    await hub.aclose()


@pytest.mark.parametrize(
    "other",
    [
        Access(Endpoint("registry.corp"), Credentials("a", "b")),
        Access(Endpoint("registry.corp", ca_pem="x")),
        Access(Endpoint("registry.corp", plain_http=True)),
        Access(Endpoint("registry.corp", token_realms=("x",))),
        Access(Endpoint("registry.corp", timeout=1)),
        Access(Endpoint("registry.corp:444")),
    ],
)
async def test_another_access_is_another_scan(hub: ScanHub, lister: Lister, other: Access) -> None:
    await hub.scan(ANYBODY, "r", not_before=0.0)
    await hub.scan(other, "r", not_before=0.0)
    assert len(lister.calls) == 2


async def test_a_result_serves_who_wants_no_newer(hub: ScanHub, lister: Lister, clock: Clock) -> None:
    first = await hub.scan(ANYBODY, "r", not_before=clock.now)
    clock.now += 10
    assert (await hub.scan(ANYBODY, "r", not_before=clock.now - 10)).tags == first.tags
    assert len(lister.calls) == 1
    await hub.scan(ANYBODY, "r", not_before=clock.now - 9)
    assert len(lister.calls) == 2


async def test_a_running_scan_is_joined_only_if_it_is_young_enough(hub: ScanHub, lister: Lister, clock: Clock) -> None:
    lister.gate.clear()
    first = asyncio.create_task(hub.scan(ANYBODY, "r", not_before=clock.now))
    await lister.started.get()
    joined = asyncio.create_task(hub.scan(ANYBODY, "r", not_before=clock.now))
    clock.now += 1
    lister.tags = ("v1", "v2", "v3")
    later = asyncio.create_task(hub.scan(ANYBODY, "r", not_before=clock.now))
    await lister.started.get()
    lister.gate.set()
    assert (await first).count == (await joined).count == 2
    assert (await later).count == 3
    assert (await hub.scan(ANYBODY, "r", not_before=0.0)).count == 3


async def test_an_older_scan_that_ends_later_does_not_replace_a_newer(
    hub: ScanHub, lister: Lister, clock: Clock
) -> None:
    old_gate = lister.gate
    old_gate.clear()
    old = asyncio.create_task(hub.scan(ANYBODY, "r", not_before=clock.now))
    await lister.started.get()
    clock.now += 1
    lister.gate, lister.tags = asyncio.Event(), ("new",)
    lister.gate.set()
    assert (await hub.scan(ANYBODY, "r", not_before=clock.now)).tags == ("new",)
    old_gate.set()
    await old
    assert (await hub.scan(ANYBODY, "r", not_before=0.0)).tags == ("new",)


async def test_one_who_leaves_does_not_stop_the_scan(hub: ScanHub, lister: Lister) -> None:
    lister.gate.clear()
    leaver = asyncio.create_task(hub.scan(ANYBODY, "r", not_before=0.0))
    await lister.started.get()
    stayer = asyncio.create_task(hub.scan(ANYBODY, "r", not_before=0.0))
    await asyncio.sleep(0)
    leaver.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaver
    lister.gate.set()
    assert (await stayer).count == 2
    assert len(lister.calls) == 1


async def test_a_failure_is_for_those_who_waited(hub: ScanHub, lister: Lister) -> None:
    lister.error = Unreachable("down")
    lister.gate.clear()
    waiting = [asyncio.create_task(hub.scan(ANYBODY, "r", not_before=0.0)) for _ in range(3)]
    await lister.started.get()
    await asyncio.sleep(0)
    lister.error = None
    lister.gate.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, Unreachable) for result in results)
    assert (await hub.scan(ANYBODY, "r", not_before=0.0)).count == 2


async def test_a_failure_keeps_the_last_result(hub: ScanHub, lister: Lister, clock: Clock) -> None:
    good = await hub.scan(ANYBODY, "r", not_before=0.0)
    clock.now += 1
    lister.error = Unreachable("down")
    with pytest.raises(Unreachable):
        await hub.scan(ANYBODY, "r", not_before=clock.now)
    assert (await hub.scan(ANYBODY, "r", not_before=0.0)).revision == good.revision


async def test_a_list_that_is_gone_is_unchanged_for_who_knows_it(hub: ScanHub, lister: Lister) -> None:
    revision = (await hub.scan(ANYBODY, "r", not_before=0.0)).revision
    hub.forget_lists()
    await asyncio.sleep(0)  # the loop lets go of the finished task
    again = await hub.scan(ANYBODY, "r", not_before=0.0, known_revision=revision)
    assert (again.tags, again.unchanged, again.revision, again.count) == (None, True, revision, 2)
    assert len(lister.calls) == 1
    newcomer = await hub.scan(ANYBODY, "r", not_before=0.0)
    assert newcomer.tags == ("v1", "v2")
    assert len(lister.calls) == 2


async def test_a_list_lives_while_somebody_holds_it(hub: ScanHub, lister: Lister) -> None:
    held = await hub.scan(ANYBODY, "r", not_before=0.0)
    hub.forget_lists()
    assert (await hub.scan(ANYBODY, "r", not_before=0.0)).tags is held.tags
    assert len(lister.calls) == 1


async def test_lists_are_dropped_after_their_time(lister: Lister, clock: Clock) -> None:
    hub, gone = ScanHub(lister, clock=clock, list_seconds=0.01), asyncio.Event()
    weakref.finalize(await hub.scan(ANYBODY, "r", not_before=0.0), gone.set)
    await asyncio.wait_for(gone.wait(), 10)
    await hub.aclose()


async def test_lists_make_way_for_others(lister: Lister, clock: Clock) -> None:
    hub = ScanHub(lister, clock=clock, listed_tags=3)
    for path in ("a", "b"):
        await hub.scan(ANYBODY, path, not_before=0.0)
    await hub.scan(ANYBODY, "b", not_before=0.0)
    assert len(lister.calls) == 2
    await hub.scan(ANYBODY, "a", not_before=0.0)
    assert len(lister.calls) == 3
    await hub.aclose()


async def test_a_304_serves_who_knows_the_list_and_no_other(hub: ScanHub, lister: Lister, clock: Clock) -> None:
    revision = (await hub.scan(ANYBODY, "r", not_before=0.0)).revision
    await lister.started.get()
    hub.forget_lists()
    clock.now += 1
    lister.keeps_etags = True
    lister.gate.clear()
    knower = asyncio.create_task(hub.scan(ANYBODY, "r", not_before=clock.now, known_revision=revision))
    await lister.started.get()
    newcomer = asyncio.create_task(hub.scan(ANYBODY, "r", not_before=clock.now))
    await asyncio.sleep(0)
    lister.gate.set()
    assert (await knower).unchanged
    assert (await newcomer).tags == ("v1", "v2")
    assert [known for _, _, known in lister.calls] == [None, revision, None]


async def test_closing_ends_what_runs(lister: Lister, clock: Clock) -> None:
    hub = ScanHub(lister, clock=clock)
    lister.gate.clear()
    waiting = asyncio.create_task(hub.scan(ANYBODY, "r", not_before=0.0))
    await lister.started.get()
    await hub.aclose()
    with pytest.raises(asyncio.CancelledError):
        await waiting

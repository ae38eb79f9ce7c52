"""A watch that loses events: the list now and then finds what is missing, wakes it, and says when the watch is dead."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from tests.cluster.api import Api
from tests.cluster.operators import Shop, spec

from pawl.cluster.client import Cluster as Client
from pawl.controllers.queue import Key
from pawl.controllers.replica import lane_of
from pawl.controllers.resync import Resync
from pawl.controllers.store import PolicyStore
from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.faults, pytest.mark.usefixtures("installed")]


@pytest.fixture
async def client(cluster: Cluster) -> AsyncIterator[Client]:
    async with await Client.connect(str(cluster.kubeconfig)) as made:
        yield made


@pytest.fixture
def shop(api: Api, namespace: str) -> Shop:
    return Shop(api, namespace, None)  # type: ignore[arg-type] - no process takes part


def body(shop: Shop, name: str) -> bytes:
    return json.dumps(shop.api.get(shop.path(name)).body).encode()


async def test_what_the_watch_missed_is_found(shop: Shop, client: Client) -> None:
    """Created, changed and deleted behind the watch's back, and one that the watch did bring."""
    store, woken = PolicyStore(lane_of), list[Key]()
    resync = Resync(client, store, woken.append, (shop.namespace,))
    keys = {name: Key("ImagePolicy", shop.namespace, name) for name in ("seen", "new", "changed", "gone")}
    for name in ("seen", "changed", "gone"):
        shop.create(spec("r.example.com"), name)
        store.offer(body(shop, name), asked_at=0.0)
    assert await resync.compare(grace=0) == 0
    shop.create(spec("r.example.com"), "new")
    shop.edit("changed", interval="1h")
    shop.delete("gone")
    assert await resync.compare(grace=0.01) == 3
    assert sorted(key.name for key in woken) == ["changed", "gone", "new"]
    assert set(store) == {keys["seen"], keys["new"], keys["changed"]}
    row = store.row(keys["changed"])
    assert row is not None
    assert b'"1h"' in row.raw
    assert row.asked_at > 0, "an answer of the registry from before does not serve"
    assert await resync.compare(grace=0) == 0


async def test_what_the_watch_brings_in_time_is_not_missed(shop: Shop, client: Client) -> None:
    store, woken = PolicyStore(lane_of), list[Key]()
    resync = Resync(client, store, woken.append, (shop.namespace,))
    shop.create(spec("r.example.com"), "late")
    comparing = asyncio.create_task(resync.compare(grace=0.5))
    await asyncio.sleep(0)
    store.offer(body(shop, "late"), asked_at=0.0)
    assert await comparing == 0
    assert woken == []


async def test_a_watch_that_misses_twice_running_is_dead(shop: Shop, client: Client) -> None:
    """And not before, and not for ever."""
    store = PolicyStore(lane_of)
    resync = Resync(client, store, lambda _: None, (shop.namespace,))
    task = asyncio.create_task(resync.run(period=0.05, grace=0.01))
    try:
        for number in range(40):
            shop.create(spec("r.example.com"), f"p{number}")
            await asyncio.sleep(0.06)
            if resync.watch_is_dead:
                break
        assert resync.watch_is_dead
        async with asyncio.timeout(5):
            while resync.watch_is_dead:  # noqa: ASYNC110 - it has no event of its own
                await asyncio.sleep(0.02)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_ready_means_that_every_policy_is_known(shop: Shop, client: Client) -> None:
    store = PolicyStore(lane_of)
    resync = Resync(client, store, lambda _: None, (shop.namespace,))
    for name in ("one", "two"):
        shop.create(spec("r.example.com"), name)
    waiting = asyncio.create_task(resync.until_complete(poll=0.01))
    store.offer(body(shop, "one"), asked_at=0.0)
    await asyncio.sleep(0.1)
    assert not waiting.done()
    store.offer(body(shop, "two"), asked_at=0.0)
    await asyncio.wait_for(waiting, 5)

"""The meter over real sockets: who may ask, what it says of a store, and plans beside its own walk."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.support.servers import free_address
from tests.support.storelayout import NOW, Layout

from pawl.api.errors import InputError
from pawl.api.registrystorage_spec import Collection, RetentionRule
from pawl.api.registrywork import Meter, Order, Place, Plan, Task
from pawl.jobs.meter import serve

pytestmark = pytest.mark.registry

WEB = "shop/web"
TOKEN = "the meter's own"


@pytest.fixture
def store(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "store")
    made.tag(WEB, "v1", made.image(WEB, [b"base" * 100, b"web"]))
    made.tag(WEB, "old", made.image(WEB, [b"base" * 100], config=b"{1}"))
    made.tag("lib/base", "v1", made.image("lib/base", [b"base" * 100]))
    made.upload(WEB, "begun", b"x" * 10, timedelta(hours=1))
    return made


def order(store: Layout, task: Task = Task.METER, **more: Any) -> Order:
    return Order(task=task, id="m", source=Place(kind="Filesystem", path=str(store.root)), **more)


class Asking:
    """Asks one meter."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self._session, self._base = session, f"http://{address}"

    async def ask(self, path: str, body: bytes | None = None, token: str = TOKEN) -> tuple[int, bytes]:
        method = "GET" if body is None else "POST"
        headers = {"Authorization": f"Bearer {token}"}
        async with self._session.request(method, self._base + path, data=body, headers=headers) as answer:
            return answer.status, await answer.read()

    async def usage(self, until: Callable[[Meter], bool] = lambda meter: meter.walked_at is not None) -> Meter:
        """Ask until the walk has seen it."""
        async with asyncio.timeout(20):
            while True:
                with suppress(aiohttp.ClientConnectionError):
                    meter = Meter.model_validate_json((await self.ask("/usage"))[1])
                    if until(meter):
                        return meter
                await asyncio.sleep(0.02)


@asynccontextmanager
async def metering(store: Layout, interval: float = 300.0) -> AsyncIterator[Asking]:
    address = free_address()
    host, _, port = address.partition(":")
    task = asyncio.create_task(serve(order(store), (host, int(port)), TOKEN, interval))
    try:
        async with aiohttp.ClientSession() as session:
            asking = Asking(session, address)
            await asking.usage(lambda _: True)
            yield asking
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_what_a_store_holds(store: Layout) -> None:
    async with metering(store) as meter:
        found = await meter.usage()
    room = os.statvfs(store.root)
    assert found.capacity == room.f_blocks * room.f_frsize
    assert 0 < found.used <= found.capacity
    assert (found.blobs, found.bytes) == (len(store.blobs()), sum(map(len, store.blobs().values())))
    assert (found.tags, found.uploads, found.repository_count) == (3, 1, 2)
    assert found.upload_bytes > 10
    sizes = {one.name: one for one in found.repositories}
    assert [one.name for one in found.repositories] == [WEB, "lib/base"]
    base = sum(len(store.bodies[digest]) for name, digest in store.revisions() if name == "lib/base") + 400 + 2
    assert sizes["lib/base"].bytes == base  # the layer that both share counts in each, and once in each
    assert sizes[WEB].bytes == sum(len(store.bodies[d]) for n, d in store.revisions() if n == WEB) + 400 + 2 + 3 + 3
    assert (sizes[WEB].tags, sizes["lib/base"].tags) == (2, 1)


async def test_it_walks_again(store: Layout) -> None:
    async with metering(store, interval=0.01) as meter:
        await meter.usage()
        store.tag(WEB, "v2", store.image(WEB, [b"more"], config=b"{2}"))
        assert (await meter.usage(lambda seen: seen.tags == 4)).tags == 4


async def test_who_does_not_show_the_token_learns_nothing(store: Layout) -> None:
    async with metering(store) as meter:
        for path, body in (("/usage", None), ("/plan", b"{}")):
            for token in ("", "wrong", TOKEN + "x"):
                status, said = await meter.ask(path, body, token)
                assert (status, said) == (401, b"")
        assert (await meter.ask("/healthz", token=""))[0] == 200
        assert (await meter.ask("/elsewhere"))[0] == 404


async def test_a_plan(store: Layout) -> None:
    wanted = order(
        store,
        Task.PREPARE,
        retention=[RetentionRule(repositories=["**"], keep_tags=["^v"])],
        collection=Collection(max_delete_percent=50),
        now=NOW,
    )
    before = store.files()
    async with metering(store) as meter:
        status, raw = await meter.ask("/plan", wanted.model_dump_json(by_alias=True).encode())
        bad = order(store, Task.PREPARE, retention=[RetentionRule(repositories=["**"], keep_tags=["("])], now=NOW)
        refused = await meter.ask("/plan", bad.model_dump_json(by_alias=True).encode())
        nonsense = await meter.ask("/plan", b"[]")
    plan = Plan.model_validate_json(raw)
    assert (status, plan.tags, plan.delete_tags, plan.refused) == (200, 3, 1, "")
    assert {one.tag: one.reason for one in plan.verdicts if not one.keep} == {"old": "Expired"}
    assert plan.delete_bytes == 3 + sum(len(store.bodies[one.digest]) for one in plan.verdicts if not one.keep)
    assert refused[0] == 400
    assert b"pattern '('" in refused[1]
    assert nonsense[0] == 400
    assert store.files() == before


async def test_a_store_that_is_away_is_said_and_an_order_without_one_refused(store: Layout) -> None:
    async with metering(store) as meter:
        await meter.usage()
        store.root.rename(store.root.with_name("away"))
        status, said = await meter.ask("/usage")
        assert status == 503
        assert said.startswith(f"directory {store.root}".encode())
    with pytest.raises(InputError, match="needs `source`"):
        await serve(Order(task=Task.METER, id="m"), ("127.0.0.1", 0), TOKEN)


LEAN = """
import asyncio, sys
from pawl.api.registrywork import Place
from pawl.jobs.meter import measure
from pawl.jobs.open import open_store
print(asyncio.run(measure(open_store(Place(kind="Filesystem", path=sys.argv[1])))).tags)
print([name for name in sys.modules if "retention" in name or name == "re2"])
"""


def test_a_walk_does_not_bring_in_what_plans_need(store: Layout) -> None:
    done = subprocess.run([sys.executable, "-c", LEAN, str(store.root)], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["3", "[]"]

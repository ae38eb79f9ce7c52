"""The meter: how full a store is, and what a collection would do, answered beside the server that writes it.

Room is looked up for each question; blobs are counted by a walk of its own pace, so that no answer waits for it.
What reads whole stores is imported when it is needed: a meter idles nearly always.
Neighbours: `controllers.registryworkers` asks, `inventory` reads, `collectplan` plans. Not here: what is too full.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web
from pydantic import ValidationError

from pawl.api.errors import InputError, Stalled
from pawl.api.registrywork import Meter, Order, Plan, RepositorySize
from pawl.jobs.copystore import CopyStore
from pawl.jobs.open import open_store
from pawl.jobs.progress import admitted
from pawl.jobs.store import StoreError

if TYPE_CHECKING:
    from pawl.jobs.inventory import Held, Inventory

INTERVAL: Final = 300.0
"""Seconds between two walks, at the least."""
SHARE: Final = 10
"""A walk that took a minute is followed by ten minutes of rest."""
LARGEST: Final = 500
"""Repositories that are told by name."""
ORDER_BYTES: Final = 32 << 20
"""An order for a plan names every image in use."""

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def serve(order: Order, listen: tuple[str, int], token: str, interval: float = INTERVAL) -> None:
    """Answer until cancelled. Raises OSError where it cannot listen, and InputError."""
    if order.source is None:
        raise InputError(f"order {order.id}: a meter needs `source`, the store that it is about")
    store = open_store(order.source)
    meter = _Meter(order, store)
    runner = web.AppRunner(_application(meter, token), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, *listen, reuse_address=True).start()
        await meter.walk_for_ever(interval)
    finally:
        await runner.cleanup()
        await store.close()


def _application(meter: _Meter, token: str) -> web.Application:
    def guarded(handler: _Handler) -> _Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            if not admitted(request.headers.get("Authorization", ""), token):
                return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})
            try:
                return await handler(request)
            except StoreError as error:
                return web.Response(status=503, text=str(error))

        return answer

    app = web.Application(client_max_size=ORDER_BYTES)
    app.router.add_get("/usage", guarded(meter.usage), allow_head=False)
    app.router.add_post("/plan", guarded(meter.plan))
    app.router.add_get("/healthz", _healthz, allow_head=False)
    return app


async def _healthz(_request: web.Request) -> web.Response:
    return web.Response(text="ok")


class _Meter:
    """Holds the last count, and makes one plan at a time."""

    def __init__(self, order: Order, store: CopyStore) -> None:
        self._order, self._store = order, store
        self._counted = Meter()
        self._planning = asyncio.Lock()

    async def walk_for_ever(self, interval: float) -> None:
        """Count, rest, count again."""
        while True:
            began = time.monotonic()
            try:
                self._counted = await measure(self._store)
            except StoreError as error:
                structlog.get_logger().warning("the store could not be walked", error=str(error))
            await asyncio.sleep(max(interval, SHARE * (time.monotonic() - began)))

    async def usage(self, _request: web.Request) -> web.Response:
        """GET /usage."""
        space = await self._store.space()
        now = {
            "used": space.capacity - space.free,
            "capacity": space.capacity,
            "inodes": space.inodes,
            "inodes_used": space.inodes - space.inodes_free,
        }
        return _json(self._counted.model_copy(update=now if space.capacity else {"used": self._counted.bytes}))

    async def plan(self, request: web.Request) -> web.Response:
        """POST /plan."""
        from pawl.jobs.collectplan import plan_of  # noqa: PLC0415 - see above
        from pawl.jobs.inventory import read_inventory  # noqa: PLC0415 - see above

        try:
            order = Order.model_validate_json(await request.read())
        except ValidationError as error:
            return web.Response(status=400, text=f"this is no order: {error.error_count()} fields are wrong")
        async with self._planning:
            inventory = await read_inventory(self._store, by_etag=True)
            try:
                plan = await asyncio.to_thread(plan_of, inventory, order)
            except Stalled as stalled:
                return web.Response(status=400, text=stalled.message)
            return web.Response(body=await asyncio.to_thread(_encoded, plan), content_type="application/json")


def _json(model: Meter) -> web.Response:
    return web.Response(body=_encoded(model), content_type="application/json")


def _encoded(model: Meter | Plan) -> bytes:
    return model.model_dump_json(by_alias=True, exclude_defaults=True).encode()


async def measure(store: CopyStore) -> Meter:
    """Count what is in a store, by its listing alone. Raises StoreError."""
    from pawl.jobs.inventory import list_inventory  # noqa: PLC0415 - see above

    inventory = await list_inventory(store)
    sizes = [_size(name, held, inventory) for name, held in inventory.repositories.items()]
    return Meter(
        bytes=inventory.bytes,
        blobs=len(inventory.blobs),
        tags=inventory.tags,
        uploads=len(inventory.uploads),
        upload_bytes=sum(upload.size for upload in inventory.uploads.values()),
        repository_count=len(sizes),
        repositories=sorted(sizes, key=lambda size: (-size.bytes, size.name))[:LARGEST],
        walked_at=datetime.now(UTC),
    )


def _size(name: str, held: Held, inventory: Inventory) -> RepositorySize:
    """Return the size of a repository: each blob counts once in it, and again in every other that holds it."""
    own = held.layers | held.revisions.keys()
    return RepositorySize(name=name, bytes=sum(inventory.blobs.get(digest, 0) for digest in own), tags=len(held.tags))

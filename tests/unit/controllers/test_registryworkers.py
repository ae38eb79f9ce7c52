"""Workers are asked within bounds: what answers at their address is believed only in the form that was asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from pawl.api.registrywork import Meter, Order, Plan, Report, Task
from pawl.controllers.registryworkers import SMALL, Asked, WorkerClient

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def answering(handler: Handler) -> AsyncIterator[tuple[WorkerClient, Asked]]:
    application = web.Application()
    application.router.add_route("*", "/{path}", handler)
    runner, client = web.AppRunner(application, shutdown_timeout=0.1), WorkerClient()
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield client, Asked("127.0.0.1", "secret-token", port)
    finally:
        await client.close()
        await runner.cleanup()


def says(text: str | bytes, status: int = 200, **headers: str) -> Handler:
    async def handler(_: web.Request) -> web.Response:
        raw = text.encode() if isinstance(text, str) else text
        return web.Response(body=raw, status=status, headers=headers)

    return handler


async def sends_elsewhere(request: web.Request) -> web.Response:
    """There, it would be believed."""
    if request.path == "/usage":
        return web.Response(status=302, headers={"Location": "/elsewhere"})
    return web.json_response(Meter().wire())


async def test_a_worker_is_asked_with_its_token() -> None:
    seen = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.method, request.path, request.headers["Authorization"]))
        return web.json_response(Report(task=Task.BULK, phase="Bulk").wire())

    async with answering(handler) as (client, asked):
        report = await client.progress(asked)
    assert report is not None
    assert report.phase == "Bulk"
    assert seen == [("GET", "/progress", "Bearer secret-token")]


async def test_a_plan_is_asked_for_with_its_order() -> None:
    bodies = []

    async def handler(request: web.Request) -> web.Response:
        bodies.append(Order.model_validate_json(await request.read()))
        return web.json_response(Plan(tags=3, delete_tags=1).wire())

    order = Order(task=Task.METER, id="c1")
    async with answering(handler) as (client, asked):
        plan = await client.plan(asked, order)
    assert plan is not None
    assert plan.delete_tags == 1
    assert bodies == [order]


@pytest.mark.parametrize(
    "handler",
    [
        says("not json"),
        says('{"bytes":-'),
        says('{"bytes":"many"}'),
        says(Meter().model_dump_json(), status=401),
        sends_elsewhere,
        says(Meter().model_dump_json() + " " * SMALL),
        says(b"\x00" * 100),
    ],
    ids=["no JSON", "cut off", "another form", "refused", "sent elsewhere", "too large", "noise"],
)
async def test_what_is_no_answer_is_none(handler: Handler) -> None:
    async with answering(handler) as (client, asked):
        assert await client.usage(asked) is None


async def test_a_worker_that_drips_is_left_after_its_time() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(30):
            await answer.write(b" ")
            await asyncio.sleep(0.05)
        await answer.write(Meter().model_dump_json().encode())
        return answer

    quick = WorkerClient(seconds=0.3)
    async with answering(handler) as (_, asked):
        assert await quick.usage(asked) is None
        await quick.close()


async def test_nobody_there_is_no_answer() -> None:
    client = WorkerClient()
    assert await client.usage(Asked("127.0.0.1", "t", 1)) is None
    await client.close()


def test_the_token_is_not_shown_and_an_address_of_version_6_is_written_as_one() -> None:
    asked = Asked("fd00::1", "secret-token")
    assert "secret-token" not in repr(asked)
    assert asked.url("usage") == "http://[fd00::1]:8099/usage"

"""A registry whose tag list can be written by hand, for policies that meet the worst of the web.

Neighbours: `tests.support.registry` does everything else. Not here: HTTP that no server would speak
(`tests.support.registry_raw`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

from aiohttp import web
from tests.support.registry import FakeRegistry

Script = Callable[[web.Request], Awaitable[web.StreamResponse]]
GIGABYTE = 1 << 30
_numbers = count()


class HostileRegistry(FakeRegistry):
    """Tag lists come from `script` while there is one. `sent` counts the bytes of endless answers."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.script: Script | None = None
        self.sent = 0

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if self.script is not None and request.path.endswith("/tags/list"):
            return await self.script(request)
        return await super()._serve(request)

    async def gigabyte(self, request: web.Request) -> web.StreamResponse:
        """A well-formed list of a gigabyte, if anybody reads it to its end."""
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        piece = b'"' + b'","'.join(b"v1.%d.0-%064d" % (n, n) for n in range(1000)) + b'",'
        self.sent = 0
        await response.write(b'{"tags":[')
        try:
            while self.sent < GIGABYTE:
                await response.write(piece)
                self.sent += len(piece)
        except ConnectionError:
            return response
        await response.write(b'"v9.9.9"]}')
        return response


def page(tags: list[str], link: str = "") -> web.Response:
    headers = {"Link": f'<{link}>; rel="next"'} if link else {}
    return web.json_response({"tags": tags}, headers=headers)


async def endless(request: web.Request) -> web.StreamResponse:
    """Every page brings a new tag and a link to another page."""
    number = next(_numbers)
    return page([f"v1.{number}.0"], f"{request.path}?last={number}")


async def looping(request: web.Request) -> web.StreamResponse:
    """Two pages that link to each other."""
    there = request.query.get("last") == "a"
    return page(["v3.0.0" if there else "v4.0.0"], f"{request.path}?last={'b' if there else 'a'}")


async def elsewhere(request: web.Request) -> web.StreamResponse:
    """The next page is on a host of its choice."""
    return page(["v5.0.0"], f"http://169.254.169.254{request.path}")


async def wrong_type(_request: web.Request) -> web.StreamResponse:
    return web.Response(text=json.dumps({"tags": ["v6.0.0"]}), content_type="text/html")


async def wrong_json(_request: web.Request) -> web.StreamResponse:
    return web.Response(text='{"tags": ["v6.0.0"', content_type="application/json")


async def wrong_shape(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"tags": {"v6.0.0": 1}})


async def drip(request: web.Request) -> web.StreamResponse:
    """A byte now and then: every single read succeeds, the whole never does."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    try:
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.05)
    except (ConnectionError, asyncio.CancelledError):
        return response

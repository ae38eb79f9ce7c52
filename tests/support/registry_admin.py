"""Steering a fake registry from outside: for demos and fault tests whose operators are processes of their own.

python -m tests.support.registry --port 5001          prints the host, then serves until it is killed
POST   /_admin/push          {"repo", "tag", "platforms"?, "content"?, "single"?}   -> {"digest"}
POST   /_admin/delete_tag    {"repo", "tag"}
POST   /_admin/behave        fields of Behaviour; {} ends it
GET    /_admin/requests      -> [{"method", "path", "query", "headers"}]
DELETE /_admin/requests
GET    /_admin/tags          -> {repo: {tag: digest}}
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from tests.support.registry import FakeRegistry


async def administer(registry: FakeRegistry, request: web.Request) -> web.Response:
    """Carry out one order."""
    order = request.path.removeprefix("/_admin/")
    if order == "requests":
        return _requests(registry, request.method)
    if order == "tags":
        return web.json_response({name: repository.tags for name, repository in registry.repositories.items()})
    orders: dict[str, Callable[..., Any]] = {
        "push": registry.push,
        "delete_tag": registry.delete_tag,
        "behave": registry.behave,
    }
    if order not in orders or request.method != "POST":
        return web.json_response({"error": f"no such order: {request.method} {order}"}, status=404)
    try:
        result = orders[order](**await request.json())
    except (TypeError, ValueError, KeyError) as error:
        return web.json_response({"error": str(error)}, status=400)
    return web.json_response({"digest": result} if result else {})


def _requests(registry: FakeRegistry, method: str) -> web.Response:
    if method == "DELETE":
        registry.requests.clear()
    return web.json_response([asdict(request) for request in registry.requests])


async def _run(address: str, port: int, page_size: int) -> None:
    from tests.support.registry import FakeRegistry

    async with FakeRegistry(address=address, port=port, page_size=page_size) as registry:
        sys.stdout.write(f"{registry.host}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description="A registry that misbehaves on request.")
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--page-size", type=int, default=1000)
    options = parser.parse_args()
    try:
        asyncio.run(_run(options.address, options.port, options.page_size))
    except KeyboardInterrupt:
        return

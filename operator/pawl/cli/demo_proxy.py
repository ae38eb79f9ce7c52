"""A reverse proxy in front of the demo's registry that can be told to answer only half of the tags.

    python -m pawl.cli.demo_proxy PORT REGISTRY

A process of its own, so that `pawl demo --keep` leaves a registry behind that answers, and that can still be told to
lie: `curl -X PUT http://HOST:PORT/demo/half` and `/demo/whole`. `GET /demo` says what it does and how often it did.
Neighbours: `demo_stage` starts it. Not here: writes (the demo pushes to the registry itself), TLS, pages.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from typing import Final

import aiohttp
from aiohttp import web

LOOPBACK: Final = "127.0.0.1"
HALF: Final = "half"
WHOLE: Final = "whole"
PASSED_ON: Final = ("Accept", "Authorization", "If-None-Match", "User-Agent")
PASSED_BACK: Final = ("Content-Type", "Docker-Content-Digest", "ETag", "Link", "WWW-Authenticate")
LIST: Final = "/tags/list"


@dataclass
class Answers:
    """How the tag list is answered, and how many lists were cut so far."""

    mode: str = WHOLE
    cut: int = 0


class Proxy:
    """Forwards reads to `registry` (`host:port`)."""

    def __init__(self, registry: str, session: aiohttp.ClientSession) -> None:
        self._registry = registry
        self._session = session
        self._answers = Answers()

    def application(self) -> web.Application:
        """Return the routes."""
        app = web.Application()
        app.router.add_get("/demo", self._tell)
        app.router.add_put("/demo/{mode}", self._switch)
        app.router.add_get("/v2/{path:.*}", self._forward, allow_head=True)
        return app

    async def _tell(self, _request: web.Request) -> web.Response:
        return web.json_response(asdict(self._answers))

    async def _switch(self, request: web.Request) -> web.Response:
        mode = request.match_info["mode"]
        if mode not in {HALF, WHOLE}:
            return web.Response(status=400, text=f"{mode} is neither {HALF} nor {WHOLE}\n")
        self._answers.mode = mode
        return web.json_response(asdict(self._answers))

    async def _forward(self, request: web.Request) -> web.Response:
        url = f"http://{self._registry}{request.rel_url}"
        headers = {name: request.headers[name] for name in PASSED_ON if name in request.headers}
        async with self._session.request(request.method, url, headers=headers, allow_redirects=False) as reply:
            body = await reply.read()
            back = {name: reply.headers[name] for name in PASSED_BACK if name in reply.headers}
            if request.method == "HEAD":
                back["Content-Length"] = reply.headers.get("Content-Length", "0")
            return web.Response(status=reply.status, body=self._told(request, reply.status, body), headers=back)

    def _told(self, request: web.Request, status: int, body: bytes) -> bytes:
        if self._answers.mode == WHOLE or status != 200 or not request.path.endswith(LIST):
            return body
        self._answers.cut += 1
        return first_half(body)


def first_half(body: bytes) -> bytes:
    """Return a tag list with the first half of its tags, rounded down; nothing in it says that tags are missing."""
    listed = json.loads(body)
    tags = sorted(listed.get("tags") or [])
    return json.dumps({**listed, "tags": tags[: len(tags) // 2]}).encode()


async def application(registry: str) -> web.Application:
    """Return the proxy with a session that ends with it."""
    session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))
    app = Proxy(registry, session).application()

    async def close(_app: web.Application) -> None:
        await session.close()

    app.on_cleanup.append(close)
    return app


def main() -> None:
    """Serve until SIGTERM."""
    port, registry = sys.argv[1:]
    web.run_app(application(registry), host=LOOPBACK, port=int(port), print=lambda *_: None, access_log=None)


if __name__ == "__main__":
    main()

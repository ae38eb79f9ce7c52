"""What a process really asks of the API server: a proxy before it that notes verb, resource, place and answer.

Everything passes, watches too, with the caller's own token, so that the API server judges by its own RBAC. Neighbours:
`grants` makes ServiceAccounts and their rights. Not here: expectations.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import aiohttp
import yaml
from aiohttp import web
from tests.cluster.api import Api
from tests.cluster.operators import good

VERBS: Final = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
BACK: Final = ("Content-Type", "Retry-After")
ENDING: Final = b"NamespaceTerminating"
HERE: Final = ("Host", "Content-Length", "Transfer-Encoding", "Connection")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request in the words of RBAC. `resource` has its subresource: `pods/eviction`; `selector` is that of labels.

    `ending`: it was refused for its namespace is being deleted, which has the code of a missing right.
    """

    verb: str
    group: str
    resource: str
    namespace: str
    name: str
    code: int = 0
    selector: str = ""
    ending: bool = False

    @property
    def right(self) -> tuple[str, str, str]:
        """Group, resource and verb."""
        return self.group, self.resource, self.verb

    @property
    def rights(self) -> tuple[tuple[str, str, str], ...]:
        """All rights that were needed: who applies what was not there needs to be allowed to create it too."""
        made = self.verb == "patch" and self.code == 201
        return (self.right, (self.group, self.resource, "create")) if made else (self.right,)

    def __str__(self) -> str:
        where = f" in {self.namespace}" if self.namespace else ""
        return f"{self.verb} {self.resource}.{self.group} {self.name or '*'}{where}: {self.code}"


@dataclass
class Audit:
    """All that was asked. `before` is called with a request that is about to be passed on, in the proxy's thread."""

    url: str
    asked: list[Asked] = field(default_factory=list)
    before: Callable[[Asked], None] | None = None

    @property
    def refused(self) -> list[Asked]:
        """What a right was missing for."""
        return [one for one in self.asked if one.code == 403 and not one.ending]

    @property
    def rights(self) -> set[tuple[str, str, str]]:
        """What was asked for and not refused."""
        return {right for one in self.asked if one.code not in (0, 403) for right in one.rights}


@dataclass
class Nudge:
    """Writes to an object in the moment before a write of Pawl reaches it, once: that write is a conflict."""

    api: Api
    due: dict[tuple[str, str], str] = field(default_factory=dict)

    def __call__(self, asked: Asked) -> None:
        path = self.due.pop((asked.resource, asked.name), None) if asked.verb == "patch" else None
        if path is not None:
            good(self.api.merge(path, {"metadata": {"annotations": {"nudged": "yes"}}}))


def read(method: str, path: str, query: Any) -> Asked | None:
    """Read a request as the API server does (its RequestInfo); None for what is no resource."""
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["api"] and len(parts) > 2:
        group, rest = "", parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, rest = parts[1], parts[3:]
    else:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    elif rest[0] == "namespaces" and len(rest) == 2:
        namespace = rest[1]
    plural, name, sub = (*rest, "", "")[:3]
    verb = VERBS.get(method) or ("get" if name else "watch" if query.get("watch") == "true" else "list")
    selector = query.get("labelSelector", "")
    return Asked(verb, group, f"{plural}/{sub}" if sub else plural, namespace, name, selector=selector)


class _Proxy:
    def __init__(self, server: str, tls: ssl.SSLContext, audit: Audit) -> None:
        self._server, self._tls, self._audit = server, tls, audit
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> web.AppRunner:
        connector = aiohttp.TCPConnector(limit=0, ssl=self._tls)
        self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", self._pass)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self._audit.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        assert self._session is not None
        asked = read(request.method, request.path, request.query)
        if asked is not None and self._audit.before is not None:
            await asyncio.to_thread(self._audit.before, asked)
        headers = {key: value for key, value in request.headers.items() if key not in HERE}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        url = f"{self._server}{request.rel_url}"
        body = await request.read()
        async with self._session.request(
            request.method, url, headers=headers, data=body or None, timeout=timeout, allow_redirects=False
        ) as reply:
            refusal = await reply.read() if reply.status == 403 else b""
            if asked is not None:
                self._audit.asked.append(replace(asked, code=reply.status, ending=ENDING in refusal))
            return await _passed_back(request, reply, refusal)


async def _passed_back(request: web.Request, reply: aiohttp.ClientResponse, begun: bytes) -> web.StreamResponse:
    """Pass an answer back, of which some was read before."""
    back = {name: reply.headers[name] for name in BACK if name in reply.headers}
    answer = web.StreamResponse(status=reply.status, headers=back)
    with suppress(aiohttp.ClientError, ConnectionError):  # whoever asked went away
        await answer.prepare(request)
        await answer.write(begun)
        async for piece in reply.content.iter_any():
            await answer.write(piece)
        await answer.write_eof()
    return answer


@contextmanager
def auditing(kubeconfig: Path) -> Iterator[Audit]:
    """A proxy before the API server of a kubeconfig, in a thread of its own, for the time of a `with` block."""
    cluster = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    audit, loop = Audit(""), asyncio.new_event_loop()
    proxy = _Proxy(cluster["server"], ssl.create_default_context(cadata=authority), audit)
    thread = threading.Thread(target=loop.run_forever, name="audit", daemon=True)
    thread.start()
    runner = asyncio.run_coroutine_threadsafe(proxy.start(), loop).result(10)
    try:
        yield audit
    finally:
        asyncio.run_coroutine_threadsafe(_ended(runner, proxy), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _ended(runner: web.AppRunner, proxy: _Proxy) -> None:
    await proxy.close()
    await runner.cleanup()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:  # watches whose client has not gone yet
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)

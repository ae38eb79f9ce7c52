"""A registry in the test's own process, over real sockets, that misbehaves on request.

    async with FakeRegistry() as registry:
        digest = registry.push("shop/web", "v1.2.0", platforms=["linux/amd64"])
        registry.behave(half=True)
        registry.requests          # what was asked, in order

Also a process, steered by JSON: `python -m tests.support.registry --port 5001`, then POST /_admin/push and others (see
`registry_admin`). Neighbours: `registry_images` makes images, `registry_raw` breaks HTTP itself.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import secrets
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self
from urllib.parse import quote

from aiohttp import web
from tests.support.registry_images import Repository


@dataclass(frozen=True)
class Request:
    """What a client asked. Header names are lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass(frozen=True)
class Behaviour:
    """How answers go wrong.

    Attributes:
        fail: this status instead of an answer, with `retry_after` as its header if given.
        half: tag lists end in the middle, without a link: a 200 that is not the truth.
        empty: tag lists are empty.
        html: a login page with status 200.
        truncate: the connection breaks after so many bytes of the body.
        delay: seconds before the answer.
        flip: bytes of manifests are changed, headers are not.
        only: applies to paths that contain this.
        times: applies to so many requests, then never again. -1 is for ever.
    """

    fail: int = 0
    retry_after: str = ""
    half: bool = False
    empty: bool = False
    html: bool = False
    truncate: int = -1
    delay: float = 0.0
    flip: bool = False
    only: str = ""
    times: int = -1


@dataclass
class Auth:
    """How the registry wants to be spoken to: `kind` is "", "basic" or "bearer"."""

    kind: str = ""
    users: dict[str, str] = field(default_factory=dict)
    anonymous: bool = False  # a token for everybody, as public registries give
    realm: str = ""  # where tokens come from; empty for /token of this registry
    expires_in: int | None = 300
    identity_tokens: set[str] = field(default_factory=set)


class FakeRegistry:
    """The registry. Use it as an asynchronous context manager; `host` is host:port while it runs."""

    def __init__(
        self,
        *,
        auth: Auth | None = None,
        tls: ssl.SSLContext | None = None,
        page_size: int = 1000,
        etags: bool = False,
        address: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.auth = auth or Auth()
        self.page_size = page_size
        self.etags = etags
        self.repositories: dict[str, Repository] = {}
        self.requests: list[Request] = []
        self.tokens: set[str] = set()
        self.behaviour = Behaviour()
        self._tls, self._address, self.port = tls, address, port
        self._app = web.Application(client_max_size=64 * 1024 * 1024)
        self._app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=0.1)

    # for tests

    @property
    def host(self) -> str:
        """Host and port, as in an image reference."""
        return f"{self._address}:{self.port}"

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"{'https' if self._tls else 'http'}://{self.host}"

    def push(
        self,
        repo: str,
        tag: str,
        platforms: Sequence[str] = ("linux/amd64",),
        *,
        content: str = "",
        single: bool = False,
    ) -> str:
        """Push an image; the digest of its index (of its manifest if `single`). Another `content` is another digest."""
        return self.repository(repo).push(tag, platforms, content or f"{repo}:{tag}", single=single)

    def repository(self, repo: str) -> Repository:
        """The repository, made if it is not there."""
        return self.repositories.setdefault(repo, Repository())

    def delete_tag(self, repo: str, tag: str) -> None:
        """Forget a tag; its manifest stays."""
        self.repositories[repo].tags.pop(tag, None)

    def delete_manifest(self, repo: str, digest: str) -> None:
        """Forget a manifest and the tags that name it."""
        repository = self.repositories[repo]
        repository.manifests.pop(digest, None)
        repository.tags = {tag: known for tag, known in repository.tags.items() if known != digest}

    def behave(self, **changes: Any) -> None:
        """Misbehave from now on; see `Behaviour`. Without arguments, behave well again."""
        self.behaviour = Behaviour(**changes)

    def asked(self, part: str) -> list[Request]:
        """The requests whose path contains `part`."""
        return [request for request in self.requests if part in request.path]

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._address, self.port, ssl_context=self._tls)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    # the server

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.path.startswith("/_admin/"):
            from tests.support.registry_admin import administer

            return await administer(self, request)
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append(Request(request.method, request.path, dict(request.query), headers))
        behaviour = self._take_behaviour(request.path)
        if behaviour.delay:
            await asyncio.sleep(behaviour.delay)
        if behaviour.fail:
            return _refuse(behaviour.fail, "UNKNOWN", {"Retry-After": behaviour.retry_after})
        if behaviour.html:
            return web.Response(text="<html>Please log in</html>", content_type="text/html")
        response = await self._answer(request, behaviour)
        if behaviour.truncate >= 0:
            return await _truncated(request, response, behaviour.truncate)
        return response

    def _take_behaviour(self, path: str) -> Behaviour:
        now = self.behaviour
        if now.only not in path or now.times == 0:
            return Behaviour()
        if now.times > 0:
            self.behaviour = Behaviour(**{**_as_dict(now), "times": now.times - 1})
        return now

    async def _answer(self, request: web.Request, behaviour: Behaviour) -> web.Response:
        if request.path == "/token":
            return await self._token(request)
        if (refused := self._authorize(request)) is not None:
            return refused
        if request.path in {"/v2/", "/v2"}:
            return web.json_response({})
        return self._content(request, behaviour)

    def _content(self, request: web.Request, behaviour: Behaviour) -> web.Response:
        path = request.path.removeprefix("/v2/")
        for middle, serve in (("/tags/list", self._tags), ("/manifests/", self._manifest), ("/blobs/", self._blob)):
            repo, found, rest = path.partition(middle)
            if found:
                if repo not in self.repositories:
                    return _refuse(404, "NAME_UNKNOWN")
                return serve(request, repo, rest, behaviour)
        return _refuse(404, "UNSUPPORTED")

    def _tags(self, request: web.Request, repo: str, _rest: str, behaviour: Behaviour) -> web.Response:
        tags = [] if behaviour.empty else sorted(self.repositories[repo].tags)
        if behaviour.half:
            tags = tags[: len(tags) // 2]
        last, size = request.query.get("last", ""), min(int(request.query.get("n", self.page_size)), self.page_size)
        left = [tag for tag in tags if tag > last]
        page = left[:size]
        headers = {}
        if len(left) > size:
            headers["Link"] = f'</v2/{repo}/tags/list?last={quote(page[-1])}&n={size}>; rel="next"'
        body = json.dumps({"name": repo, "tags": page or None}).encode()
        if self.etags:
            headers["ETag"] = f'"{abs(hash(body)):x}"'
            if request.headers.get("If-None-Match") == headers["ETag"]:
                return web.Response(status=304, headers=headers)
        return _json_body(request, body, headers)

    def _manifest(self, request: web.Request, repo: str, reference: str, behaviour: Behaviour) -> web.Response:
        repository = self.repositories[repo]
        digest = repository.tags.get(reference, reference)
        if digest not in repository.manifests:
            return _refuse(404, "MANIFEST_UNKNOWN")
        media_type, body = repository.manifests[digest]
        headers = {"Docker-Content-Digest": digest, "ETag": f'"{digest}"', "Content-Type": media_type}
        if request.headers.get("If-None-Match") == f'"{digest}"':
            return web.Response(status=304, headers=headers)
        return web.Response(body=body.replace(b"2", b"3", 1) if behaviour.flip else body, headers=headers)

    def _blob(self, _request: web.Request, repo: str, digest: str, behaviour: Behaviour) -> web.Response:
        body = self.repositories[repo].blobs.get(digest)
        if body is None:
            return _refuse(404, "BLOB_UNKNOWN")
        headers = {"Content-Type": "application/octet-stream"}
        return web.Response(body=body.replace(b"o", b"0", 1) if behaviour.flip else body, headers=headers)

    # who asks

    def _authorize(self, request: web.Request) -> web.Response | None:
        """A refusal, or None for those who may."""
        shown = request.headers.get("Authorization", "")
        if self.auth.kind == "basic" and not self._knows(shown):
            return _refuse(401, "UNAUTHORIZED", {"WWW-Authenticate": 'Basic realm="the registry, all of it"'})
        if self.auth.kind == "bearer" and shown.removeprefix("Bearer ") not in self.tokens:
            realm = self.auth.realm or f"{self.url}/token"
            challenge = f'Bearer realm="{realm}",service="fake registry",scope="repository:all:pull,push"'
            return _refuse(401, "UNAUTHORIZED", {"WWW-Authenticate": challenge})
        return None

    def _knows(self, shown: str) -> bool:
        name, _, password = base64.b64decode(shown.removeprefix("Basic ")).decode().partition(":")
        return shown.startswith("Basic ") and self.auth.users.get(name) == password

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        shown = request.headers.get("Authorization", "")
        welcome = (self.auth.anonymous and not shown) or form.get("refresh_token") in self.auth.identity_tokens
        if not welcome and not (shown and self._knows(shown)):
            return _refuse(401, "UNAUTHORIZED")
        token = secrets.token_hex(16)
        self.tokens.add(token)
        life = {} if self.auth.expires_in is None else {"expires_in": self.auth.expires_in}
        return web.json_response({"token": token, **life})


def _as_dict(behaviour: Behaviour) -> dict[str, Any]:
    return {each.name: getattr(behaviour, each.name) for each in fields(behaviour)}


def _refuse(status: int, code: str, headers: dict[str, str] | None = None) -> web.Response:
    given = {name: value for name, value in (headers or {}).items() if value}
    body = {"errors": [{"code": code, "message": "refused", "detail": None}]}
    return web.json_response(body, status=status, headers=given)


def _json_body(request: web.Request, body: bytes, headers: dict[str, str]) -> web.Response:
    if len(body) > 2048 and "gzip" in request.headers.get("Accept-Encoding", ""):
        body, headers = gzip.compress(body, 1), {**headers, "Content-Encoding": "gzip"}
    return web.Response(body=body, content_type="application/json", headers=headers)


async def _truncated(request: web.Request, whole: web.Response, size: int) -> web.StreamResponse:
    """Promise the whole body, send a part, hang up."""
    body = whole.body if isinstance(whole.body, bytes) else b""
    response = web.StreamResponse(status=whole.status, headers=whole.headers)
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[:size])
    if request.transport is not None:
        request.transport.close()
    return response


if __name__ == "__main__":
    from tests.support.registry_admin import main

    main()

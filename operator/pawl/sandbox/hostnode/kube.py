"""The host node's way to the API server: JSON over kept connections, as the holder of a kubeconfig.

A call that gets no answer is an Answer with status 0: a node lives on while its API server is away. Neighbours: `rest`
is the synchronous client that starts a sandbox.
"""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import yaml
from aiohttp.connector import NEEDS_CLEANUP_CLOSED

from pawl.sandbox.rest import NO_ANSWER, Answer

Json = dict[str, Any]

OK, CREATED, NOT_FOUND, CONFLICT = 200, 201, 404, 409
MERGE = "application/merge-patch+json"
JSON = "application/json"
TIMEOUT = aiohttp.ClientTimeout(total=10)


@dataclass(frozen=True)
class Access:
    """Where the API server is and who asks."""

    server: str
    tls: ssl.SSLContext


def access(kubeconfig: Path) -> Access:
    """What the current context of `kubeconfig` says; certificates must stand in it, as the sandbox writes them."""
    config = yaml.safe_load(kubeconfig.read_text())
    context = _named(config["contexts"], config["current-context"])["context"]
    cluster = _named(config["clusters"], context["cluster"])["cluster"]
    user = _named(config["users"], context["user"])["user"]
    tls = ssl.create_default_context(cadata=_decoded(cluster["certificate-authority-data"]))
    # The ssl module reads a pair from files only.
    with tempfile.NamedTemporaryFile("w") as pair:
        pair.write(_decoded(user["client-certificate-data"]) + _decoded(user["client-key-data"]))
        pair.flush()
        tls.load_cert_chain(pair.name)
    return Access(cluster["server"], tls)


class Kube:
    """A client in one event loop; use it as an asynchronous context manager."""

    def __init__(self, where: Access) -> None:
        self._where = where
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=self._where.tls, limit=8, enable_cleanup_closed=NEEDS_CLEANUP_CLOSED)
        self._session = aiohttp.ClientSession(connector=connector, timeout=TIMEOUT, trust_env=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    async def call(self, method: str, path: str, body: object = None) -> Answer:
        """One request; a PATCH is a merge patch."""
        if self._session is None:
            return Answer(NO_ANSWER, "not open")
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": MERGE if method == "PATCH" else JSON, "Accept": JSON}
        try:
            async with self._session.request(method, self._where.server + path, data=data, headers=headers) as reply:
                return Answer(reply.status, await reply.json())
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            return Answer(NO_ANSWER, str(error))

    async def get(self, path: str) -> Json | None:
        """The object at `path`; None when it is not there, or the server is not."""
        answer = await self.call("GET", path)
        return answer.body if answer.status == OK else None

    async def items(self, path: str, query: str = "") -> list[Json] | None:
        """The objects of a list, from the server's cache; None when there is no answer."""
        answer = await self.call("GET", f"{path}?resourceVersion=0{query}")
        return list(answer.body.get("items") or []) if answer.status == OK else None


def _named(entries: list[Json], name: str) -> Json:
    return next(entry for entry in entries if entry["name"] == name)


def _decoded(data: str) -> str:
    return base64.b64decode(data).decode()

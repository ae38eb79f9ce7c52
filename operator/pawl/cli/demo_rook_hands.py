"""How the operator that plays Rook reads and writes: JSON in and out, each write under its own name and told in a line.

Neighbours: `demo_rook_life` says what is written. Not here: when, retries.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

import msgspec

from pawl.api.errors import Conflict, NotFound
from pawl.cli.demo_rook_objects import Json, image_in
from pawl.cluster.calls import Answer, ConnectionValues, Request, Transport
from pawl.cluster.client import Cluster
from pawl.cluster.resources import Resource

MANAGER: Final = "rook"
"""Field manager of what is written; it would be the client's `pawl` otherwise."""
SIGNED: Final = frozenset({"create", "update", "patch"})

Say = Callable[[str, str, str], None]
"""Told once a write: what was done, to which object, with which image or why."""


class Signed:
    """A transport whose writes carry a field manager; see `Transport`."""

    def __init__(self, transport: Transport, manager: str = MANAGER) -> None:
        self._transport = transport
        self._manager = manager

    async def send(self, request: Request) -> Answer:
        """Send a request, a write under the manager's name."""
        if request.verb in SIGNED:
            query = {**(request.query or {}), "fieldManager": self._manager}
            request = msgspec.structs.replace(request, query=query)
        return await self._transport.send(request)

    def stream(self, request: Request) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open a watch."""
        return self._transport.stream(request)

    async def connection_info(self) -> ConnectionValues:
        """Return the connection's values."""
        return await self._transport.connection_info()

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()


class Hands:
    """The API server as one namespace's operator uses it. Every call may raise a ClusterError."""

    def __init__(self, cluster: Cluster, namespace: str, say: Say) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._say = say

    async def get(self, resource: Resource, name: str) -> Json | None:
        """Return an object, None if there is none."""
        try:
            found: Json = json.loads(await self._cluster.get(resource, self._namespace, name))
        except NotFound:
            return None
        return found

    async def find(self, resource: Resource, selector: str = "") -> list[Json]:
        """Return the objects that a label selector selects."""
        namespace = self._namespace if resource.namespaced else None
        pages = self._cluster.list_pages(resource, namespace, selector)
        return [item async for page in pages for item in json.loads(page)["items"]]

    async def create(self, resource: Resource, body: Json) -> bool:
        """Create an object; False if the name is taken."""
        try:
            await self._cluster.create(resource, self._namespace, body)
        except Conflict:
            return False
        self._say("created", _named(body), image_in(body))
        return True

    async def put(self, resource: Resource, body: Json) -> None:
        """Replace an object whatever it is now: no resourceVersion is sent, so nothing that others wrote is kept."""
        await self._cluster.replace(resource, self._namespace, body["metadata"]["name"], body)
        self._say("put", _named(body), image_in(body))

    async def delete(self, resource: Resource, found: Json, propagation: str) -> None:
        """Delete what was found, and nothing that stands there by now."""
        metadata = found["metadata"]
        await self._cluster.delete(
            resource, self._namespace, metadata["name"], uid=metadata["uid"], propagation=propagation
        )
        self._say("deleted", f"{resource.plural}/{metadata['name']}", propagation)


def _named(body: Json) -> str:
    return f"{body['kind'].lower()}s/{body['metadata']['name']}"

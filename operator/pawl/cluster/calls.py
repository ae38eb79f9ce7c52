"""One request to the API server and its answer, as plain values; a transport is anything that turns one into the other.

Neighbours: `client` makes requests, `connect` carries them over HTTP, `refusals` reads answers that say no. Tests put a
function in place of the network here. Not here: retries, credentials.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import msgspec

from pawl.cluster.resources import Resource


class Request(msgspec.Struct, frozen=True, gc=False):
    """A request. `verb` is RBAC's word (get, list, watch, create, update, patch, delete), `timeout` in seconds."""

    verb: str
    method: str
    resource: Resource
    namespace: str | None
    name: str | None = None
    subresource: str | None = None
    query: Mapping[str, str] | None = None
    body: bytes | None = None
    content_type: str = "application/json"
    accept: str = "application/json"
    timeout: float = 10.0

    @property
    def path(self) -> str:
        """The encoded path, without the query."""
        listed = self.verb == "create" and self.subresource is None  # a new object is posted to the list
        return self.resource.path(self.namespace, None if listed else self.name, self.subresource)

    @property
    def target(self) -> str:
        """The object in the words of a message: `imagepolicies.pawl.dev shop/web`."""
        return self.resource.named(self.namespace, self.name)

    @property
    def right(self) -> str:
        """The resource as RBAC and the metrics name it: `imagepolicies/status`."""
        plural = self.resource.plural
        return f"{plural}/{self.subresource}" if self.subresource else plural


class Answer(msgspec.Struct, frozen=True, gc=False):
    """An answer of any status. `retry_after` is the wait in seconds that the server asked for, or None."""

    status: int
    body: bytes
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class ConnectionValues:
    """What another client needs to reach the same API server as the same user. The token never shows in a repr."""

    server: str
    ca_path: str | None = None
    certificate_path: str | None = None
    private_key_path: str | None = None
    insecure: bool = False
    proxy: str | None = None
    scheme: str | None = None
    token: str | None = field(default=None, repr=False)
    expiration: datetime | None = None
    """When these values should be asked for again (timezone-aware), or None if they never change."""


class Transport(Protocol):
    """Carries requests. An HTTP status of any kind is an answer; no answer at all raises ApiUnavailable."""

    async def send(self, request: Request) -> Answer:
        """Send one request and read the whole answer."""
        ...

    def stream(self, request: Request) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open a watch; inside, iterate its lines. A refusal raises a ClusterError on entering."""
        ...

    async def connection_info(self) -> ConnectionValues:
        """Return the connection's values with fresh credentials."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...

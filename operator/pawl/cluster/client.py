"""The Kubernetes API for the rest of Pawl: a dozen verbs over raw bytes, every refusal an error with a sentence.

Callers decode the few fields that they need; whole objects are never built here. Reads are tried three times, writes
once: only the caller knows whether a write that may have happened can go again.
Neighbours: `connect` is the network, `resources` the kinds. Not here: watches (`watch`), caches, kopf.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import msgspec

from pawl.api.errors import ApiUnavailable
from pawl.cluster.calls import Answer, ConnectionValues, Request, Transport
from pawl.cluster.connect import HttpTransport
from pawl.cluster.credentials import Place
from pawl.cluster.refusals import error_of
from pawl.cluster.resources import LEASES, Resource

MERGE_PATCH: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
METADATA: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
METADATA_OF_ONE: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
APPLY_PATCH: Final = "application/apply-patch+yaml"

Observe = Callable[[str, str, int, float], None]
"""Called once a request with verb, resource, HTTP status (0: no answer) and seconds."""


def unobserved(verb: str, resource: str, code: int, seconds: float) -> None:
    """Ignore a request: for users of the client without metrics."""


@dataclass(frozen=True, slots=True)
class Options:
    """Settings of a client; times in seconds."""

    timeout: float = 10.0
    """For one call, its retries included."""
    concurrency: int = 32
    """Requests in flight at most. The API server's own limits are per user; a burst of ours would delay the Lease."""
    tries: int = 3
    """For reads. Writes are sent once."""
    backoff: float = 0.2
    """The longest pause before the second try; it doubles with each further one."""
    patience: float = 5.0
    """The longest Retry-After that is waited for here; a longer one goes to the caller, who has a queue."""
    observe: Observe = unobserved
    jitter: Callable[[], float] = random.random
    """A number in [0, 1): the part of a pause that is really waited."""


class _ListMeta(msgspec.Struct):
    token: str = msgspec.field(name="continue", default="")


class _Page(msgspec.Struct):
    metadata: _ListMeta


_ENCODER: Final = msgspec.json.Encoder()
_PAGE: Final = msgspec.json.Decoder(_Page)


class Cluster:
    """The API server. Every call may raise a ClusterError (`pawl.api.errors`); bodies come and go as JSON bytes."""

    def __init__(self, transport: Transport, options: Options | None = None) -> None:
        self._transport = transport
        self._options = options or Options()
        self._places = asyncio.Semaphore(self._options.concurrency)

    @classmethod
    async def connect(cls, kubeconfig: str | None, options: Options | None = None) -> Cluster:
        """Open a client from `kubeconfig`, else `KUBECONFIG`, else the Pod's ServiceAccount, else ~/.kube/config.

        Sends nothing yet. Raises InputError where no usable credentials are found.
        """
        return cls(await HttpTransport.open(Place(kubeconfig=kubeconfig)), options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    async def connection_info(self) -> ConnectionValues:
        """Return server, CA, certificate and token as plain values, fresh now, for another client in this process."""
        return await self._transport.connection_info()

    async def get(self, resource: Resource, namespace: str | None, name: str, *, metadata_only: bool = False) -> bytes:
        """Return one object; `metadata_only` leaves everything but `metadata` on the server."""
        request = self._request("get", "GET", resource, namespace, name)
        return await self._read(msgspec.structs.replace(request, accept=METADATA_OF_ONE) if metadata_only else request)

    async def list_pages(
        self,
        resource: Resource,
        namespace: str | None,
        label_selector: str = "",
        field_selector: str = "",
        *,
        limit: int = 500,
        metadata_only: bool = False,
    ) -> AsyncIterator[bytes]:
        """Yield the list in pages of at most `limit` objects; `namespace` None lists all namespaces.

        `metadata_only` leaves everything but `metadata` on the server.
        Raises Expired where the list took so long that the next page is no longer there: begin again.
        """
        selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
        query = {"limit": str(limit)} | {key: value for key, value in selectors.items() if value}
        while True:
            request = self._request("list", "GET", resource, namespace, query=query)
            page = await self._read(msgspec.structs.replace(request, accept=METADATA) if metadata_only else request)
            yield page
            token = _PAGE.decode(page).metadata.token
            if not token:
                return
            query = {**query, "continue": token}

    async def create(
        self,
        resource: Resource,
        namespace: str | None,
        body: Mapping[str, object],
        subresource: str | None = None,
        *,
        dry_run: bool = False,
    ) -> bytes:
        """Create an object, or post to a `subresource`; `dry_run` stores nothing. Raises Conflict for a taken name."""
        query, raw = {"dryRun": "All"} if dry_run else None, _ENCODER.encode(body)
        request = self._request("create", "POST", resource, namespace, _name_in(body), query=query, body=raw)
        return await self._write(msgspec.structs.replace(request, subresource=subresource))

    async def replace(self, resource: Resource, namespace: str | None, name: str, body: Mapping[str, object]) -> bytes:
        """Replace an object; a resourceVersion in the body makes a stale write a Conflict."""
        return await self._write(self._request("update", "PUT", resource, namespace, name, body=_ENCODER.encode(body)))

    async def merge_patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: Mapping[str, object],
        subresource: str | None = None,
    ) -> bytes:
        """Apply a JSON merge patch; `metadata.resourceVersion` in the body makes a stale write a Conflict."""
        return await self._patch(_Patch(MERGE_PATCH, body, subresource), resource, namespace, name)

    async def json_patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: Sequence[Mapping[str, object]],
        subresource: str | None = None,
        manager: str | None = None,
    ) -> bytes:
        """Apply a JSON patch, a list of operations; a failed `test` raises Invalid. `manager` owns what changes."""
        query = {"fieldManager": manager} if manager else None
        return await self._patch(_Patch(JSON_PATCH, body, subresource, query), resource, namespace, name)

    async def apply(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: Mapping[str, object],
        *,
        manager: str = "pawl",
        force: bool = True,
        subresource: str | None = None,
    ) -> bytes:
        """Server-side apply: own the fields in `body`. Without `force`, fields of other managers raise Conflict."""
        query = {"fieldManager": manager, "force": "true" if force else "false"}
        return await self._patch(_Patch(APPLY_PATCH, body, subresource, query), resource, namespace, name)

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: str | None = None,
    ) -> None:
        """Delete an object; raises Conflict where `uid` or `resource_version` is no longer the stored one."""
        conditions = {"uid": uid, "resourceVersion": resource_version}
        preconditions = {key: value for key, value in conditions.items() if value is not None}
        wanted = {"preconditions": preconditions or None, "propagationPolicy": propagation}
        body = {key: value for key, value in wanted.items() if value is not None}
        await self._write(self._request("delete", "DELETE", resource, namespace, name, body=_ENCODER.encode(body)))

    def watch(
        self, resource: Resource, namespace: str | None, query: Mapping[str, str], silence: float
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open a watch and iterate its lines; raises ApiUnavailable after `silence` seconds without one."""
        request = self._request("watch", "GET", resource, namespace, query={**query, "watch": "true"})
        return self._transport.stream(msgspec.structs.replace(request, timeout=silence))

    def _request(
        self,
        verb: str,
        method: str,
        resource: Resource,
        namespace: str | None,
        name: str | None = None,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Request:
        return Request(
            verb=verb,
            method=method,
            resource=resource,
            namespace=namespace,
            name=name,
            query=query,
            body=body,
            timeout=self._options.timeout,
        )

    async def _patch(self, patch: _Patch, resource: Resource, namespace: str | None, name: str) -> bytes:
        body = _ENCODER.encode(patch.body)
        request = self._request("patch", "PATCH", resource, namespace, name, query=patch.query, body=body)
        request = msgspec.structs.replace(request, subresource=patch.subresource, content_type=patch.content_type)
        return await self._write(request)

    async def _write(self, request: Request) -> bytes:
        answer = await self._send(request)
        if answer.status >= 300:
            raise error_of(request, answer)
        return answer.body

    async def _read(self, request: Request) -> bytes:
        """Send a read up to `tries` times within its timeout."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + request.timeout
        for attempt in range(self._options.tries):
            try:
                return await self._write(msgspec.structs.replace(request, timeout=deadline - loop.time()))
            except ApiUnavailable as error:
                pause = self._pause(attempt, error)
                if attempt + 1 == self._options.tries or pause is None or loop.time() + pause >= deadline:
                    raise
                await asyncio.sleep(pause)
        raise AssertionError("a read is tried at least once")

    def _pause(self, attempt: int, error: ApiUnavailable) -> float | None:
        """Seconds to wait before the next try; None where the server asks for more than is waited here."""
        pause = self._options.backoff * (1 << attempt) * self._options.jitter()
        if error.retry_after is None:
            return pause
        return None if error.retry_after > self._options.patience else error.retry_after + pause

    async def _send(self, request: Request) -> Answer:
        if request.resource is LEASES:  # a place in the queue behind slow requests could cost the leadership
            return await self._observed(request)
        async with self._places:
            return await self._observed(request)

    async def _observed(self, request: Request) -> Answer:
        loop = asyncio.get_running_loop()
        begin, code = loop.time(), 0
        try:
            answer = await self._transport.send(request)
            code = answer.status
            return answer
        finally:
            self._options.observe(request.verb, request.right, code, loop.time() - begin)


@dataclass(frozen=True, slots=True)
class _Patch:
    content_type: str
    body: object
    subresource: str | None
    query: Mapping[str, str] | None = None


def _name_in(body: Mapping[str, object]) -> str | None:
    """The name of an object about to be created, for messages."""
    metadata = body.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return name if isinstance(name, str) else None

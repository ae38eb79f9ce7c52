"""An API server in a dictionary: create, get, list, replace, merge patch and delete, to test what sits on a client.

It checks resource versions and uids, counts requests, and asks a hook before each one, which may raise or wait.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from pawl.cluster.calls import Answer, ConnectionValues, Request
from pawl.cluster.client import Cluster, Options
from pawl.cluster.refusals import error_of

Hook = Callable[[Request], Awaitable[Answer | None]]


def status(code: int, reason: str, message: str, **details: object) -> Answer:
    body = {"kind": "Status", "code": code, "reason": reason, "message": message, "details": details}
    return Answer(code, json.dumps(body).encode())


class MemoryApi:
    def __init__(self, namespaces: tuple[str, ...] = ("default",)) -> None:
        self.objects: dict[str, dict[str, Any]] = {f"/api/v1/namespaces/{name}": {} for name in namespaces}
        self.requests: list[Request] = []
        self.hook: Hook | None = None
        self._version = 0

    @property
    def verbs(self) -> Counter[str]:
        return Counter(request.verb for request in self.requests)

    def view(self, hook: Hook | None = None) -> View:
        """One client's way to this server, with its own faults."""
        return View(self, hook)

    def cluster(self, hook: Hook | None = None, options: Options | None = None) -> Cluster:
        return Cluster(self.view(hook), options)

    def answer(self, request: Request) -> Answer:
        self.requests.append(request)
        handler = getattr(self, f"_{request.verb}")
        answer: Answer = handler(request)
        return answer

    def bump(self, obj: dict[str, Any]) -> None:
        self._version += 1
        obj.setdefault("metadata", {})["resourceVersion"] = str(self._version)

    def put(self, path: str, obj: dict[str, Any]) -> None:
        obj.setdefault("metadata", {}).setdefault("uid", f"uid-{self._version}")
        self.bump(obj)
        self.objects[path] = obj

    def _create(self, request: Request) -> Answer:
        if request.namespace and f"/api/v1/namespaces/{request.namespace}" not in self.objects:
            return status(404, "NotFound", f'namespaces "{request.namespace}" not found', name=request.namespace)
        body = json.loads(request.body or b"{}")
        path = f"{request.path}/{body['metadata']['name']}"
        if path in self.objects:
            return status(409, "AlreadyExists", f"{path} already exists")
        self.put(path, body)
        return self._ok(path, 201)

    def _get(self, request: Request) -> Answer:
        return self._ok(request.path) if request.path in self.objects else self._missing(request)

    def _list(self, request: Request) -> Answer:
        query = dict(request.query or {})
        prefix, limit = f"{request.path}/", int(query.get("limit", "500"))
        names = sorted(path for path in self.objects if path.startswith(prefix))
        start = int(query.get("continue", "0"))
        more = str(start + limit) if start + limit < len(names) else ""
        items = [self.objects[path] for path in names[start : start + limit]]
        return Answer(200, json.dumps({"metadata": {"continue": more}, "items": items}).encode())

    def _update(self, request: Request) -> Answer:
        if request.path not in self.objects:
            return self._missing(request)
        body = json.loads(request.body or b"{}")
        return self._store(request, body, body)

    def _patch(self, request: Request) -> Answer:
        if request.path not in self.objects:
            return self._missing(request)
        change = json.loads(request.body or b"{}")
        return self._store(request, merged(self.objects[request.path], change), change)

    def _delete(self, request: Request) -> Answer:
        if request.path not in self.objects:
            return self._missing(request)
        wanted = json.loads(request.body or b"{}").get("preconditions", {})
        metadata = self.objects[request.path]["metadata"]
        if any(metadata.get(key) != value for key, value in wanted.items()):
            return status(409, "Conflict", "the precondition failed")
        del self.objects[request.path]
        return Answer(200, b"{}")

    def _store(self, request: Request, obj: dict[str, Any], change: dict[str, Any]) -> Answer:
        stored = self.objects[request.path]["metadata"]["resourceVersion"]
        wanted = change.get("metadata", {}).get("resourceVersion", stored)
        if wanted != stored:
            return status(409, "Conflict", "the object has been modified")
        obj["metadata"]["uid"] = self.objects[request.path]["metadata"].get("uid", "")
        same = {**obj, "metadata": {**obj["metadata"], "resourceVersion": stored}} == self.objects[request.path]
        if not same:  # as the real one: a write that changes nothing is none
            self.bump(obj)
            self.objects[request.path] = obj
        return self._ok(request.path)

    def _ok(self, path: str, code: int = 200) -> Answer:
        return Answer(code, json.dumps(self.objects[path]).encode())

    def _missing(self, request: Request) -> Answer:
        return status(404, "NotFound", f'{request.resource.plural} "{request.name}" not found', name=request.name)


class View:
    """A transport: what one client sees of the server."""

    def __init__(self, api: MemoryApi, hook: Hook | None) -> None:
        self.hook = hook
        self._api = api

    async def send(self, request: Request) -> Answer:
        await asyncio.sleep(0)
        for hook in (self.hook, self._api.hook):
            answer = await hook(request) if hook else None
            if answer is not None:
                return answer
        return self._api.answer(request)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[AsyncIterator[bytes]]:
        """A watch in which nothing happens, or that is refused by a hook."""
        for hook in (self.hook, self._api.hook):
            answer = await hook(request) if hook else None
            if answer is not None:
                raise error_of(request, answer)
        yield _silence()

    async def connection_info(self) -> ConnectionValues:
        return ConnectionValues("https://memory")

    async def close(self) -> None:
        return None


def merged(target: object, change: object) -> Any:
    """JSON merge patch (RFC 7386)."""
    if not isinstance(change, dict):
        return change
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


async def _silence() -> AsyncIterator[bytes]:
    for line in ():
        yield line

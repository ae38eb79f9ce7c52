"""An API server in a dictionary that knows server-side apply and label selectors, and one registry in it.

Neighbours: `tests.unit.cluster.memory_api` is the server. Not here: watches, Pods that run (tests/cluster).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from tests.unit.cluster.memory_api import MemoryApi

from pawl.api.registrystorage import RegistryStorage
from pawl.cluster.calls import Answer, Request
from pawl.cluster.client import APPLY_PATCH, Cluster
from pawl.cluster.registryobjects import RegistryObjects
from pawl.controllers.registryapply import Applier, Done
from pawl.controllers.registryfacts import KINDS, Gathered, identity_of
from pawl.decide.access import AccessFacts
from pawl.decide.storagefacts import Facts, Identity, Memory

Json = dict[str, Any]

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
IDENTITY = Identity("shop", "main", "uid-main", 1)


class ApplyingApi(MemoryApi):
    """Apply makes what is not there; lists obey equality in label selectors, and name no kind in their items."""

    def __init__(self) -> None:
        super().__init__(("shop",))

    def _patch(self, request: Request) -> Answer:
        if request.content_type == APPLY_PATCH and request.path not in self.objects:
            self.put(request.path, json.loads(request.body or b"{}"))
            return self._ok(request.path, 201)
        return super()._patch(request)

    def _list(self, request: Request) -> Answer:
        answer = super()._list(request)
        key, _, value = dict(request.query or {}).get("labelSelector", "").partition("=")
        body = json.loads(answer.body)
        body["items"] = [
            {field: each for field, each in item.items() if field not in {"kind", "apiVersion"}}
            for item in body["items"]
            if not key or (item["metadata"].get("labels") or {}).get(key) == value
        ]
        return Answer(200, json.dumps(body).encode())

    def writes(self) -> list[tuple[str, str]]:
        """What was asked for besides reads, as verb and name."""
        return [(each.verb, each.name or "") for each in self.requests if each.verb not in {"get", "list"}]


class Hands:
    """An applier on such a server, and what came of it."""

    def __init__(self) -> None:
        self.api = ApplyingApi()
        self.cluster: Cluster = self.api.cluster()
        self.objects = RegistryObjects(self.cluster)
        self.guarded = 0
        self.applier = Applier(self.cluster, self.objects, self.guard)
        self.done = Done()

    def guard(self) -> int:
        self.guarded += 1
        return 1

    async def gathered(self, storage: RegistryStorage | None = None, **facts: Any) -> Gathered:
        """The facts with what is on the server now."""
        found = storage or registry()
        live = await self.objects.live("shop", "main", KINDS)
        made = Facts(
            now=NOW,
            identity=identity_of(found),
            spec=found.spec,
            status=found.status,
            memory=facts.pop("memory", Memory()),
            **facts,
        )
        return Gathered(found, made, live, AccessFacts(address="main:5000", server_name="main-registry"))


def registry(status: Json | None = None, **spec: Any) -> RegistryStorage:
    """One registry."""
    meta = {"name": "main", "namespace": "shop", "uid": "uid-main", "resourceVersion": "1", "generation": 1}
    return RegistryStorage.model_validate({"metadata": meta, "spec": spec, "status": status or {}})


def owned(kind: str, name: str, part: str = "server", uid: str = "uid-main", **more: Any) -> Json:
    """An object as it is wanted of a registry."""
    labels = {"app.kubernetes.io/managed-by": "pawl", "pawl.dev/registry": "main", "pawl.dev/part": part}
    owner = {
        "apiVersion": "pawl.dev/v1alpha1",
        "kind": "RegistryStorage",
        "name": "main",
        "uid": uid,
        "controller": True,
    }
    meta = {"name": name, "namespace": "shop", "labels": labels, "ownerReferences": [owner]}
    version = {"Deployment": "apps/v1", "Job": "batch/v1"}.get(kind, "v1")
    return {"apiVersion": version, "kind": kind, "metadata": meta} | more

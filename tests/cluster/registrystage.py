"""One registry of a test on a real API server: its resource, its Secrets, namespaces beside its own."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests.cluster.api import Api

from pawl.api.registrystorage import RegistryStorage
from pawl.cluster.client import Cluster, Options
from pawl.controllers.registryaccess import AccessKeeper
from pawl.controllers.registryaccess_spread import Believed
from pawl.sandbox import Cluster as Sandbox

Json = dict[str, Any]

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
KIND = "apis/pawl.dev/v1alpha1"


@dataclass
class Stage:
    """One registry of a test. `writes` are those of the operator."""

    api: Api
    cluster: Cluster
    namespace: str
    writes: list[str]
    others: list[str] = field(default_factory=list)
    ticks: float = 1000.0

    def storage(self, **given: Any) -> RegistryStorage:
        """Store the resource and return it."""
        head = {"name": "main", "namespace": self.namespace}
        body = {"apiVersion": "pawl.dev/v1alpha1", "kind": "RegistryStorage", "metadata": head, "spec": given}
        path = f"{KIND}/namespaces/{self.namespace}/registrystorages"
        known = self.api.get(f"{path}/main")
        if known.ok:
            head["resourceVersion"] = known.body["metadata"]["resourceVersion"]
        answer = self.api.put(f"{path}/main", body) if known.ok else self.api.post(path, body)
        assert answer.ok, answer.message
        return RegistryStorage.model_validate(
            {
                "metadata": {key: answer.body["metadata"][key] for key in ("name", "namespace", "uid", "generation")}
                | {"resourceVersion": answer.body["metadata"]["resourceVersion"]},
                "spec": answer.body["spec"],
            }
        )

    def keeper(self) -> AccessKeeper:
        """One for a term; believes nothing that an earlier one saw."""
        return AccessKeeper(self.cluster, believed=Believed(lambda: self.ticks))

    def secret(self, name: str, namespace: str = "") -> dict[str, str] | None:
        answer = self.api.get(f"api/v1/namespaces/{namespace or self.namespace}/secrets/{name}")
        if not answer.ok:
            return None
        return {key: base64.b64decode(each).decode() for key, each in answer.body.get("data", {}).items()}

    def put(self, name: str, values: dict[str, str], namespace: str = "", kind: str = "Opaque") -> None:
        place = f"api/v1/namespaces/{namespace or self.namespace}/secrets"
        self.api.delete(f"{place}/{name}")
        data = {key: base64.b64encode(each.encode()).decode() for key, each in values.items()}
        answer = self.api.post(
            place, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": kind, "data": data}
        )
        assert answer.ok, answer.message

    def another(self, **labels: str) -> str:
        """Make a further namespace."""
        name = f"n-{uuid4().hex[:10]}"
        head = {"name": name, "labels": labels}
        assert self.api.post("api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": head}).ok
        self.others.append(name)
        return name

    def login(self, host: str, user: str) -> int:
        name, _, word = user.partition(":")
        return httpx.get(f"http://{host}/v2/", auth=(name, word), trust_env=False).status_code


@pytest.fixture
async def stage(cluster: Sandbox, api: Api, installed: list[str], namespace: str) -> AsyncIterator[Stage]:
    del installed
    writes: list[str] = []

    def observe(verb: str, resource: str, code: int, seconds: float) -> None:
        del code, seconds
        if verb not in ("get", "list"):
            writes.append(f"{verb} {resource}")

    async with await Cluster.connect(str(cluster.kubeconfig), Options(observe=observe)) as client:
        found = Stage(api, client, namespace, writes)
        yield found
    for name in found.others:
        api.delete(f"api/v1/namespaces/{name}")

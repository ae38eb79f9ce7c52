"""ServiceAccounts with the rights of the table, through real Roles and bindings, as the chart makes them.

    with granted(sandbox, api, directory) as account: ...    an install for all namespaces
    granted(sandbox, api, directory, watched=["a"])          no ClusterRole at all
    granted(..., without=[("", "pods", "list")])             all but these rights

Neighbours: `audit` notes what is asked, `identities` makes accounts with other rights. Not here: the chart.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

import yaml
from tests.cluster.api import Api, Json
from tests.cluster.operators import good

from pawl.admission.install import apply_gate
from pawl.cluster.client import Cluster as Client
from pawl.cluster.rights import Where, rules
from pawl.sandbox import Cluster as Sandbox

RBAC: Final = "apis/rbac.authorization.k8s.io/v1"
EVERYWHERE: Final = (Where.CLUSTER, Where.WATCHED, Where.SECRETS, Where.SECRETS_WRITE)
WATCHED: Final = (Where.WATCHED, Where.NAMESPACED, Where.SECRETS, Where.SECRETS_WRITE)
REGISTRIES: Final = (Where.REGISTRIES, Where.REGISTRIES_CLUSTER)
"""Granted beside the others, for the operator asks whether there are any; the rest of them is for registries alone."""

Gone = Collection[tuple[str, str, str]]


@dataclass(frozen=True)
class Account:
    """A ServiceAccount: its namespace, which is Pawl's own, its name there, and its kubeconfig."""

    namespace: str
    name: str
    kubeconfig: Path

    @property
    def user(self) -> str:
        return f"system:serviceaccount:{self.namespace}:{self.name}"

    def through(self, url: str) -> Path:
        """A kubeconfig that goes through a proxy."""
        config = yaml.safe_load(self.kubeconfig.read_text())
        config["clusters"][0]["cluster"] = {"server": url}
        path = self.kubeconfig.with_suffix(".proxied")
        path.write_text(yaml.safe_dump(config))
        return path


def left(found: Sequence[Json], without: Gone) -> list[Json]:
    """Return rules without these rights (group, resource, verb)."""
    kept = []
    for rule in found:
        group, resource = rule["apiGroups"][0], rule["resources"][0]
        verbs = [verb for verb in rule["verbs"] if (group, resource, verb) not in without]
        if verbs:
            kept.append({**rule, "verbs": verbs})
    return kept


@contextmanager
def granted(
    sandbox: Sandbox,
    api: Api,
    directory: Path,
    *,
    watched: Sequence[str] = (),
    without: Gone = (),
    more: Collection[Where] = (),
) -> Iterator[Account]:
    """Make a namespace for Pawl and a ServiceAccount there with the rights of the table; all goes at the end."""
    namespace, name = f"own-{uuid4().hex[:8]}", "pawl"
    good(api.post("api/v1/namespaces", {"metadata": {"name": namespace}}))
    good(api.post(f"api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name}}))
    subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    _role(api, namespace, subject, left(rules(Where.OWN), without))
    for each in watched:
        _role(api, each, subject, left(rules(*WATCHED, Where.REGISTRIES), without))
    wide = [] if watched else left(rules(*EVERYWHERE, *REGISTRIES, *more), without)
    if wide:
        good(api.post(f"{RBAC}/clusterroles", {"metadata": {"name": namespace}, "rules": wide}))
        binding = _binding("ClusterRole", namespace, namespace, subject)
        good(api.post(f"{RBAC}/clusterrolebindings", binding))
    try:
        yield Account(namespace, name, _kubeconfig(sandbox, api, namespace, name, directory))
    finally:
        for plural in ("clusterrolebindings", "clusterroles") if wide else ():
            api.delete(f"{RBAC}/{plural}/{namespace}")
        api.delete(f"api/v1/namespaces/{namespace}")


async def gated(sandbox: Sandbox, namespace: str = "pawl-system") -> None:
    """Install the gate, as an administrator does."""
    async with await Client.connect(str(sandbox.kubeconfig)) as admin:
        await apply_gate(admin, namespace, "policy-v1")


def _role(api: Api, namespace: str, subject: Json, found: list[Json]) -> None:
    name = subject["namespace"]
    good(api.post(f"{RBAC}/namespaces/{namespace}/roles", {"metadata": {"name": name}, "rules": found}))
    binding = _binding("Role", name, name, subject)
    good(api.post(f"{RBAC}/namespaces/{namespace}/rolebindings", binding))


def _binding(kind: str, role: str, name: str, subject: Json) -> Json:
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role}
    return {"metadata": {"name": name}, "roleRef": ref, "subjects": [subject]}


def _kubeconfig(sandbox: Sandbox, api: Api, namespace: str, name: str, directory: Path) -> Path:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    asked = good(api.post(f"api/v1/namespaces/{namespace}/serviceaccounts/{name}/token", body)).body
    config = yaml.safe_load(sandbox.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": asked["status"]["token"]}
    path = directory / f"{namespace}.kubeconfig"
    path.write_text(json.dumps(config))
    return path

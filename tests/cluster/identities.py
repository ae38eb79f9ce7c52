"""ServiceAccounts with few rights, as kubeconfigs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import yaml

from pawl.cluster.client import Cluster
from pawl.cluster.resources import SERVICE_ACCOUNTS, Resource
from pawl.sandbox import Cluster as Sandbox

ROLES = Resource("rbac.authorization.k8s.io", "v1", "roles")
BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "rolebindings")
RBAC = "rbac.authorization.k8s.io/v1"


async def kubeconfig_of(
    cluster: Sandbox, namespace: str, name: str, directory: Path, rules: Sequence[dict[str, object]] = ()
) -> str:
    """Make a ServiceAccount with these rules in its namespace and return the path of a kubeconfig with its token."""
    async with await Cluster.connect(str(cluster.kubeconfig)) as admin:
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
        await admin.create(SERVICE_ACCOUNTS, namespace, account)
        await _grant(admin, namespace, name, rules)
        token = await _token(admin, namespace, name)
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    path = directory / f"{name}.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return str(path)


async def _grant(admin: Cluster, namespace: str, name: str, rules: Sequence[dict[str, object]]) -> None:
    if not rules:
        return
    role = {"apiVersion": RBAC, "kind": "Role", "metadata": {"name": name}, "rules": list(rules)}
    await admin.create(ROLES, namespace, role)
    binding = {
        "apiVersion": RBAC,
        "kind": "RoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
    }
    await admin.create(BINDINGS, namespace, binding)


async def _token(admin: Cluster, namespace: str, name: str) -> str:
    requests = Resource("", "v1", f"serviceaccounts/{name}/token")
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    token: str = json.loads(await admin.create(requests, namespace, body))["status"]["token"]
    return token

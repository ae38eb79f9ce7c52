"""ServiceAccounts with the rights of the table, through real Roles and bindings, as the chart makes them.

    with granted(sandbox, api, directory) as account: ...    an install for all namespaces
    granted(sandbox, api, directory, watched=["a"])          no ClusterRole at all
    granted(..., without=[("", "pods", "list")])             all but these rights
    granted(..., watched=["a", "b"], lacking={"a": [...]})   in one namespace all but these

Neighbours: `audit` notes what is asked, `identities` makes accounts with other rights. Not here: the chart.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
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
REVIEWS: Final = "apis/authorization.k8s.io/v1/subjectaccessreviews"
KNOWN: Final = 30.0
"""Seconds for the API server to learn of a role."""
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
    lacking: Mapping[str, Gone] = MappingProxyType({}),
    more: Collection[Where] = (),
) -> Iterator[Account]:
    """Make a namespace for Pawl and a ServiceAccount there with the rights of the table; all goes at the end.

    The API server knows of all of them once this yields.
    """
    namespace, name = f"own-{uuid4().hex[:8]}", "pawl"
    good(api.post("api/v1/namespaces", {"metadata": {"name": namespace}}))
    good(api.post(f"api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name}}))
    subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    roles = {namespace: left(rules(Where.OWN), without)}
    roles |= {each: left(rules(*WATCHED, Where.REGISTRIES), [*without, *lacking.get(each, ())]) for each in watched}
    for each, found in roles.items():
        _role(api, each, subject, found)
    wide = [] if watched else left(rules(*EVERYWHERE, *REGISTRIES, *more), without)
    if wide:
        good(api.post(f"{RBAC}/clusterroles", {"metadata": {"name": namespace}, "rules": wide}))
        binding = _binding("ClusterRole", namespace, namespace, subject)
        good(api.post(f"{RBAC}/clusterrolebindings", binding))
    account = Account(namespace, name, _kubeconfig(sandbox, api, namespace, name, directory))
    for each, found in (roles | ({"": wide} if wide else {})).items():
        _until_known(api, account.user, each, found)
    try:
        yield account
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


def _until_known(api: Api, user: str, namespace: str, found: Sequence[Json]) -> None:
    """Wait until the API server's own view of roles has reached the last rule."""
    if not found:
        return
    last, end = found[-1], time.monotonic() + KNOWN
    resource, _, sub = last["resources"][0].partition("/")
    asked = {"verb": last["verbs"][0], "group": last["apiGroups"][0], "resource": resource, "subresource": sub}
    asked |= {"namespace": namespace, "name": next(iter(last.get("resourceNames", ())), "")}
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview"}
    review = {**body, "spec": {"user": user, "resourceAttributes": asked}}
    while not good(api.post(REVIEWS, review)).body["status"]["allowed"]:
        assert time.monotonic() < end, f"{user} may not yet {asked}"
        time.sleep(0.02)


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

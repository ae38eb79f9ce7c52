"""The gate in a cluster: which one it can have, made as it should be, and proved by a Pod that is never made.

Neighbours: `admission.gate` makes the objects, `admission.certificates` what the webhook needs. The controllers ask a
`Gate` before they roll anything. Not here: tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from pawl.admission.gate import Served, gate_manifests
from pawl.admission.policies import PARTS, FailurePolicy, Version
from pawl.admission.probes import probe_pod, said
from pawl.admission.scope import Json
from pawl.admission.webhookconfig import NAME, Endpoint
from pawl.api.errors import NotFound
from pawl.api.imagerules import Table
from pawl.cluster.client import Cluster
from pawl.cluster.discovery import served
from pawl.cluster.resources import MUTATING_WEBHOOKS, PODS, Resource
from pawl.decide.tables import CompiledTable

GROUP: Final = "admissionregistration.k8s.io"
_KINDS: Final = {
    "MutatingAdmissionPolicy": "mutatingadmissionpolicies",
    "MutatingAdmissionPolicyBinding": "mutatingadmissionpolicybindings",
    "MutatingWebhookConfiguration": "mutatingwebhookconfigurations",
}
_DECODER: Final = msgspec.json.Decoder(dict[str, Any])


async def served_gate(cluster: Cluster) -> Served:
    """Ask which gate the API server can be. Raises ClusterError."""
    if "MutatingAdmissionPolicy" in await served(cluster, f"{GROUP}/v1"):
        return "policy-v1"
    if "MutatingAdmissionPolicy" in await served(cluster, f"{GROUP}/v1beta1"):
        return "policy-v1beta1"
    return "webhook"


async def apply_gate(
    cluster: Cluster,
    own_namespace: str,
    gate: Served,
    endpoint: Endpoint | None = None,
    failure: FailurePolicy = "Ignore",
) -> int:
    """Make the objects of the gate what they should be; return how many were written. Raises ClusterError.

    With a policy, a webhook of an older time is removed: two gates would only cost twice.
    """
    written = 0
    for document in gate_manifests(own_namespace, gate, endpoint, failure):
        written += await _apply(cluster, document)
    if gate != "webhook":
        written += await _remove_webhook(cluster)
    return written


async def probe(cluster: Cluster, namespace: str, table: Table) -> str | None:
    """Ask for a Pod that the table rewrites, as a dry run; None if it came back so, else a sentence.

    A table that rewrites no Pod at all needs no proof. Raises ClusterError.
    """
    compiled = CompiledTable.of(table)
    pod = probe_pod(table, compiled)
    if pod is None:
        return None
    raw = await cluster.create(PODS, namespace, pod.manifest, dry_run=True)
    return said(pod, _DECODER.decode(raw))


class ClusterGate:
    """The gate of one cluster, as the controllers ask for it. `endpoint` is where the webhook listens, if it does."""

    def __init__(self, cluster: Cluster, own_namespace: str, endpoint: Callable[[], Endpoint | None]) -> None:
        self._cluster = cluster
        self._own_namespace = own_namespace
        self._endpoint = endpoint

    async def kind(self) -> str:
        """Return what rewrites Pods: MutatingAdmissionPolicy, Webhook, or "" for nothing. Raises ClusterError."""
        gate = await served_gate(self._cluster)
        if gate != "webhook":
            version: Version = "v1" if gate == "policy-v1" else "v1beta1"
            bindings = Resource(GROUP, version, "mutatingadmissionpolicybindings", namespaced=False)
            if await _all_there(self._cluster, bindings, [part.name for part in PARTS[:2]]):
                return "MutatingAdmissionPolicy"
        return "Webhook" if await _all_there(self._cluster, MUTATING_WEBHOOKS, [NAME]) else ""

    async def apply(self) -> None:
        """Make the static objects what they should be; writes nothing where they are. Raises ClusterError."""
        await apply_gate(self._cluster, self._own_namespace, await served_gate(self._cluster), self._endpoint())

    async def probe(self, namespace: str, table: Table) -> str | None:
        """Return None if a Pod in a namespace comes back as the table says, else a sentence. Raises ClusterError."""
        return await probe(self._cluster, namespace, table)


async def _all_there(cluster: Cluster, resource: Resource, names: Iterable[str]) -> bool:
    try:
        for name in names:
            await cluster.get(resource, None, name)
    except NotFound:
        return False
    return True


async def _apply(cluster: Cluster, document: Json) -> bool:
    resource, name = _resource(document), str(document["metadata"]["name"])
    try:
        stored = _DECODER.decode(await cluster.get(resource, None, name))
    except NotFound:
        stored = {}
    if covers(stored, document):
        return False
    await cluster.apply(resource, None, name, document)
    return True


async def _remove_webhook(cluster: Cluster) -> bool:
    try:
        await cluster.get(MUTATING_WEBHOOKS, None, NAME)
        await cluster.delete(MUTATING_WEBHOOKS, None, NAME)
    except NotFound:
        return False
    return True


def _resource(document: Json) -> Resource:
    group, _, version = str(document["apiVersion"]).partition("/")
    return Resource(group, version, _KINDS[document["kind"]], namespaced=False)


def covers(stored: object, wanted: object) -> bool:
    """Tell whether all that is wanted is stored: maps may hold more, lists are equal in length and order."""
    if isinstance(wanted, Mapping):
        return isinstance(stored, Mapping) and all(covers(stored.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(stored, list):
        return len(stored) == len(wanted) and all(map(covers, stored, wanted))
    return stored == wanted

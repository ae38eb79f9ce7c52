"""The gate in a cluster: what of it is there, made as it should be, and proved by a Pod that is never made.

Neighbours: `admission.gate` makes the objects, `decide.gatechoice` chooses, `admission.certificates` has what the
webhook needs. The controllers ask a `Gate` before they roll anything. Not here: tables.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import structlog

from pawl.admission.gate import Served, gate_manifests
from pawl.admission.policies import PARTS, FailurePolicy, Version
from pawl.admission.probes import probe_pod, said
from pawl.admission.scope import Json
from pawl.admission.trust import merged
from pawl.admission.webhookconfig import (
    NAME,
    Endpoint,
    StoredWebhook,
    empty_manifest,
    read_webhook,
    unlabelled,
    webhook_manifest,
)
from pawl.api.errors import Forbidden, NotFound
from pawl.api.imagerules import Table
from pawl.cluster.client import Cluster
from pawl.cluster.discovery import served
from pawl.cluster.resources import MUTATING_WEBHOOKS, PODS, Resource
from pawl.decide.gatechoice import UNKNOWN, Act, GateChoice, GateFacts, Listener, choose
from pawl.decide.tables import CompiledTable

GROUP: Final = "admissionregistration.k8s.io"
SETTLE: Final = 120.0
"""Seconds for which policies must have been seen before the webhook goes: each API server has a cache of its own."""
OVERLAP: Final = 3600.0
"""Seconds for which an authority of an earlier certificate is trusted: no replica serves that one longer."""
_KINDS: Final = {
    "MutatingAdmissionPolicy": "mutatingadmissionpolicies",
    "MutatingAdmissionPolicyBinding": "mutatingadmissionpolicybindings",
    "MutatingWebhookConfiguration": "mutatingwebhookconfigurations",
}
_DECODER: Final = msgspec.json.Decoder(dict[str, Any])

log = structlog.get_logger(__name__)


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
    """Make the objects of one gate what they should be; return how many were written. Raises ClusterError."""
    written = 0
    for document in gate_manifests(own_namespace, gate, endpoint, failure):
        written += await _apply(cluster, document)
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


@dataclass(frozen=True, slots=True)
class Seen:
    """What of the gate is in a cluster."""

    served: Served
    policies: bool
    webhook: StoredWebhook


async def see(cluster: Cluster) -> Seen:
    """Look at the gate. Raises ClusterError, Forbidden where it may not be seen."""
    gate = await served_gate(cluster)
    policies = gate != "webhook" and await _policies(cluster, "v1" if gate == "policy-v1" else "v1beta1")
    try:
        webhook = read_webhook(await cluster.get(MUTATING_WEBHOOKS, None, NAME))
    except NotFound:
        webhook = StoredWebhook()
    return Seen(gate, policies, webhook)


class ClusterGate:
    """The gate of one cluster, as the controllers ask for it. `endpoint` is where the webhook listens, if it does."""

    def __init__(
        self,
        cluster: Cluster,
        own_namespace: str,
        endpoint: Callable[[], Endpoint | None],
        *,
        settle: float = SETTLE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._own_namespace = own_namespace
        self._endpoint = endpoint
        self._settle = settle
        self._clock = clock
        self._policies_since: float | None = None
        self._older_since: float | None = None
        self._warned = ""

    @property
    def listener(self) -> Listener:
        """How far the webhook of this replica is."""
        return "off" if self._endpoint() is None else "up"

    async def look(self, *, manage: bool = False) -> tuple[Seen, GateChoice]:
        """See what there is, and choose. Raises ClusterError."""
        seen = await see(self._cluster)
        if not seen.policies:
            self._policies_since = None
        elif self._policies_since is None:
            self._policies_since = self._clock()
        settled = self._policies_since is not None and self._clock() - self._policies_since >= self._settle
        facts = GateFacts(
            served=seen.served != "webhook",
            policies=seen.policies,
            settled=settled,
            configuration=seen.webhook.state,
            listener=self.listener,
            manage=manage,
        )
        return seen, choose(facts)

    async def keep(self, *, manage: bool) -> GateChoice:
        """Make the gate what it should be, writing nothing where it is, and return the choice. Raises ClusterError.

        Where the objects of the gate may not be seen, its kind is `Unknown`; where one may not be written, the way out
        says so.
        """
        try:
            seen, choice = await self.look(manage=manage)
        except Forbidden as error:
            self._warn("the gate may not be seen; trial Pods alone prove it", error)
            return GateChoice(UNKNOWN)
        try:
            for act in choice.acts:
                await self._act(act, seen)
        except Forbidden as error:
            self._warn("the gate may not be written", error)
            stands = seen.policies or seen.webhook.state == "filled"
            return choice if stands else GateChoice("", choice.serve, way_out=str(error))
        self._warned = ""
        return choice

    def _warn(self, what: str, error: Forbidden) -> None:
        """Say it once; a right that is missing is missing at every look."""
        if str(error) != self._warned:
            self._warned = str(error)
            log.warning(what, error=self._warned)

    async def probe(self, namespace: str, table: Table) -> str | None:
        """Return None if a Pod in a namespace comes back as the table says, else a sentence. Raises ClusterError."""
        return await probe(self._cluster, namespace, table)

    async def _act(self, act: Act, seen: Seen) -> None:
        endpoint = self._endpoint()
        if act is Act.APPLY_POLICIES:
            await apply_gate(self._cluster, self._own_namespace, seen.served)
        elif act is Act.DELETE_WEBHOOK:
            await _remove_webhook(self._cluster)
        elif act is Act.EMPTY_WEBHOOK:
            await self._cluster.apply(MUTATING_WEBHOOKS, None, NAME, unlabelled(empty_manifest()))
            log.info("the policies rewrite Pods; the webhook is not asked any more")
        elif endpoint is not None:
            await self._fill(endpoint, seen.webhook)

    async def _fill(self, endpoint: Endpoint, stored: StoredWebhook) -> None:
        """Let the API server ask the webhook; who made the configuration keeps its labels."""
        trusted = self._trusted(endpoint.authorities, stored.trusted or b"")
        document = webhook_manifest(self._own_namespace, Endpoint(endpoint.place, trusted, endpoint.failure))
        if await _apply(self._cluster, document if stored.state == "absent" else unlabelled(document)):
            log.info("the webhook is asked", place=endpoint.place)

    def _trusted(self, own: bytes, live: bytes) -> bytes:
        """Trust the authorities of other replicas' certificates too, for as long as they may serve them."""
        alone, both = merged(own, b""), merged(own, live)
        if both == alone:
            self._older_since = None
        elif self._older_since is None:
            self._older_since = self._clock()
        fresh = self._older_since is not None and self._clock() - self._older_since < OVERLAP
        return both if fresh else alone


async def _policies(cluster: Cluster, version: Version) -> bool:
    """Whether the policies for Pods are there with their bindings; those for templates are seldom of use."""
    names = [part.name for part in PARTS[:2]]
    kinds = ("mutatingadmissionpolicies", "mutatingadmissionpolicybindings")
    wanted = [Resource(GROUP, version, plural, namespaced=False) for plural in kinds]
    return all([await _all_there(cluster, resource, names) for resource in wanted])


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


async def _remove_webhook(cluster: Cluster) -> None:
    try:
        await cluster.delete(MUTATING_WEBHOOKS, None, NAME)
    except NotFound:
        return


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

"""Which gate a cluster has, in one line: what `pawl status` says above everything else.

Read from the objects of the gate; people without rights on them are told what Pawl told its overrides.
Neighbours: `admission.install` looks, `decide.gatechoice` chooses. Not here: whether it rewrites (`pawl why`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from pawl.admission.install import Seen, see
from pawl.api.errors import ClusterError
from pawl.cli.table_override import NO_GATE, SeenOverride, gates
from pawl.cluster.client import Cluster
from pawl.cluster.resources import Resource
from pawl.decide.gatechoice import POLICY, UNKNOWN, WEBHOOK

SLICES: Final = Resource("discovery.k8s.io", "v1", "endpointslices")


class _Conditions(msgspec.Struct):
    ready: bool | None = None


class _Place(msgspec.Struct):
    addresses: list[str] = msgspec.field(default_factory=list)
    conditions: _Conditions = msgspec.field(default_factory=_Conditions)


class _Slice(msgspec.Struct):
    endpoints: list[_Place] | None = None


class _Slices(msgspec.Struct):
    items: list[_Slice] | None = None


_DECODER: Final = msgspec.json.Decoder(_Slices)


async def gate_line(cluster: Cluster, overrides: Iterable[SeenOverride]) -> str:
    """Return what rewrites Pods in a cluster, in words. What may not be seen is said to be unknown."""
    try:
        seen = await see(cluster)
    except ClusterError as error:
        told = gates(overrides)
        if told in {NO_GATE, UNKNOWN}:
            return f"unknown: {error}"
        return f"{told} (as Pawl told its overrides)"
    if seen.policies:
        both = seen.webhook.state == "filled"
        return POLICY + " (the webhook is asked too, until the policies have stood for a while)" * both
    if seen.webhook.state == "filled":
        return f"{WEBHOOK} ({await _answering(cluster, seen)})"
    return f"{NO_GATE}: {_lacking(seen)}"


def _lacking(seen: Seen) -> str:
    """Say why nothing rewrites Pods, with the way out."""
    if seen.served != "webhook":
        return "nothing rewrites Pods; `pawl run` chooses a gate with the first override, `pawl gate` prints it"
    if seen.webhook.state == "absent":
        return (
            "this API server has no MutatingAdmissionPolicy, and MutatingWebhookConfiguration pawl does not exist; "
            "apply `pawl gate --webhook pawl-webhook`"
        )
    return (
        "this API server has no MutatingAdmissionPolicy, and nobody filled MutatingWebhookConfiguration pawl; "
        "`pawl run --webhook 0.0.0.0:8443` does with the first override"
    )


async def _answering(cluster: Cluster, seen: Seen) -> str:
    """Say who is asked, and how many there are if that may be seen."""
    if seen.webhook.service is None:
        return seen.webhook.url
    namespace, name = seen.webhook.service
    try:
        count = await _ready(cluster, namespace, name)
    except ClusterError:
        return f"Service {namespace}/{name}"
    if not count:
        return f"no replica answers for Service {namespace}/{name}: Pods start as they are written"
    return f"{count} replica{'s' * (count != 1)} behind Service {namespace}/{name}"


async def _ready(cluster: Cluster, namespace: str, service: str) -> int:
    found: set[str] = set()
    async for page in cluster.list_pages(SLICES, namespace, f"kubernetes.io/service-name={service}"):
        for each in _DECODER.decode(page).items or ():
            for place in each.endpoints or ():
                found |= set(place.addresses[:1]) if place.conditions.ready is not False else set()
    return len(found)

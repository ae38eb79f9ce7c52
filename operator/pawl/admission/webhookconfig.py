"""The MutatingWebhookConfiguration that sends reviews to Pawl, where the API server cannot rewrite by itself.

The same requests and the same exclusions as the policies. Neighbours: `admission.scope` says what is looked at,
`admission.webhook` answers. Not here: certificates.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from pawl.admission.scope import PATH, Json, namespace_selector, no_mirror, object_selector, rules
from pawl.decide.gatechoice import Configuration
from pawl.decide.tables import Layer

NAME: Final = "pawl"
TIMEOUT: Final = 2
"""Seconds that a create waits for a webhook that does not answer."""


_HEAD: Final[Json] = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "MutatingWebhookConfiguration",
    "metadata": {"name": NAME, "labels": {"app.kubernetes.io/name": "pawl"}},
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the API server finds the webhook: an https URL, or the name of a Service in Pawl's namespace."""

    place: str
    authorities: bytes = b""
    """PEM; empty where something else fills it in."""
    failure: Literal["Ignore", "Fail"] = "Ignore"

    def client_config(self, own_namespace: str) -> Json:
        """Return the `clientConfig`."""
        bundle = {"caBundle": base64.b64encode(self.authorities).decode()} if self.authorities else {}
        if self.place.startswith("https://"):
            return {"url": self.place.rstrip("/") + PATH, **bundle}
        service = {"name": self.place, "namespace": own_namespace, "path": PATH, "port": 443}
        return {"service": service, **bundle}


def webhook_manifest(own_namespace: str, endpoint: Endpoint) -> Json:
    """Return the configuration, for Pods and for templates."""
    layers: tuple[Layer, ...] = ("pods", "templates")
    return {**_HEAD, "webhooks": [_webhook(layer, own_namespace, endpoint) for layer in layers]}


def empty_manifest() -> Json:
    """Return the configuration that asks nobody: what charts ship, for the leader to fill."""
    return {**_HEAD, "webhooks": []}


def unlabelled(document: Json) -> Json:
    """Leave the labels to whoever made the object: Pawl applies only the webhooks then."""
    return {**document, "metadata": {"name": NAME}}


class _Service(msgspec.Struct):
    namespace: str = ""
    name: str = ""


class _Client(msgspec.Struct, rename="camel"):
    ca_bundle: bytes = b""
    url: str = ""
    service: _Service | None = None


class _Hook(msgspec.Struct, rename="camel"):
    client_config: _Client = msgspec.field(default_factory=_Client)


class _Stored(msgspec.Struct):
    webhooks: list[_Hook] | None = None


_DECODER: Final = msgspec.json.Decoder(_Stored)


@dataclass(frozen=True, slots=True)
class StoredWebhook:
    """The configuration as it is. `trusted` are the authorities that all its webhooks trust, None where it has none.

    Pods are sent to `url`, or to a Service by namespace and name.
    """

    state: Configuration = "absent"
    trusted: bytes | None = None
    url: str = ""
    service: tuple[str, str] | None = None


def read_webhook(raw: bytes) -> StoredWebhook:
    """Read the configuration."""
    found = [each.client_config for each in _DECODER.decode(raw).webhooks or ()]
    if not found:
        return StoredWebhook("empty")
    first, trusted = found[0], {each.ca_bundle for each in found}
    service = (first.service.namespace, first.service.name) if first.service is not None else None
    return StoredWebhook("filled", first.ca_bundle if len(trusted) == 1 else b"", first.url, service)


def _webhook(layer: Layer, own_namespace: str, endpoint: Endpoint) -> Json:
    return {
        "name": f"{layer}.pawl.dev",
        "admissionReviewVersions": ["v1"],
        "clientConfig": endpoint.client_config(own_namespace),
        "failurePolicy": endpoint.failure,
        "matchConditions": [no_mirror()],
        "matchPolicy": "Equivalent",
        "namespaceSelector": namespace_selector(own_namespace),
        "objectSelector": object_selector(),
        "reinvocationPolicy": "IfNeeded",
        "rules": rules(layer),
        "sideEffects": "None",
        "timeoutSeconds": TIMEOUT,
    }

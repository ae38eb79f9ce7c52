"""The MutatingWebhookConfiguration that sends reviews to Pawl, where the API server cannot rewrite by itself.

The same requests and the same exclusions as the policies. Neighbours: `admission.scope` says what is looked at,
`admission.webhook` answers. Not here: certificates.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Final, Literal

from pawl.admission.scope import PATH, Json, namespace_selector, no_mirror, object_selector, rules
from pawl.decide.tables import Layer

NAME: Final = "pawl"
TIMEOUT: Final = 2
"""Seconds that a create waits for a webhook that does not answer."""


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
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": NAME, "labels": {"app.kubernetes.io/name": "pawl"}},
        "webhooks": [_webhook(layer, own_namespace, endpoint) for layer in layers],
    }


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

"""The gate as manifests: what `pawl gate` prints, what the chart ships and what `admission.install` applies.

Neighbours: `admission.policies` for API servers that rewrite by themselves, `admission.webhookconfig` for others.
"""

from __future__ import annotations

from typing import Literal

from pawl.admission.policies import FailurePolicy, PolicyOptions, policy_manifests
from pawl.admission.scope import Json
from pawl.admission.webhookconfig import Endpoint, webhook_manifest

Served = Literal["policy-v1", "policy-v1beta1", "webhook"]
"""What an API server offers: MutatingAdmissionPolicy in one of two versions, or webhooks only."""


def gate_manifests(
    own_namespace: str,
    served: Served = "policy-v1",
    endpoint: Endpoint | None = None,
    failure: FailurePolicy = "Ignore",
) -> list[Json]:
    """Return the objects of the gate. With only webhooks served and no endpoint there are none."""
    if served == "webhook":
        return [] if endpoint is None else [webhook_manifest(own_namespace, endpoint)]
    version: Literal["v1", "v1beta1"] = "v1" if served == "policy-v1" else "v1beta1"
    return policy_manifests(PolicyOptions(own_namespace, version, failure))

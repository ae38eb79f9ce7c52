"""What the gate looks at and what it never touches: said once for the policies and for the webhook.

Neighbours: `admission.policies` and `admission.webhookconfig` put it into their objects, `admission.review` asks the
same in Python. Not here: what becomes of an image.
"""

from __future__ import annotations

from typing import Any, Final

from pawl.decide.objects import IGNORE, SYSTEM_NAMESPACES
from pawl.decide.tables import Layer

Json = dict[str, Any]

PATH: Final = "/mutate"
"""Where the webhook is asked."""

MIRROR: Final = "kubernetes.io/config.mirror"
"""Annotation of static Pods; the kubelet runs them from its own files."""

MAX_IMAGES: Final = 256
"""Containers and volumes of a Pod."""
MAX_CHARACTERS: Final = 32_768
"""Of all references of a Pod together, those left out that are too long to be one."""
MAX_SEGMENTS: Final = 1024
"""Of all references of a Pod together, as their slashes cut them.

Beyond any of these bounds the Pod is left alone, by the policies and by the webhook: CEL gives an expression a budget,
and no Pod may hold others up. Ten times what the largest Pods of the field have."""


def namespace_selector(own_namespace: str) -> Json:
    """Select all namespaces but the system's, Pawl's own, and those labelled pawl.dev/ignore."""
    never = sorted({*SYSTEM_NAMESPACES, own_namespace})
    return {
        "matchExpressions": [
            {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": never},
            {"key": IGNORE, "operator": "NotIn", "values": ["true"]},
        ]
    }


def object_selector() -> Json:
    """Select all objects but those labelled pawl.dev/ignore."""
    return {"matchExpressions": [{"key": IGNORE, "operator": "NotIn", "values": ["true"]}]}


def rules(layer: Layer) -> list[Json]:
    """Return the requests that are looked at, as in `admissionregistration.k8s.io`."""
    if layer == "pods":
        return [_rule("", ["pods"], ["CREATE"]), _rule("", ["pods/ephemeralcontainers"], ["UPDATE"])]
    both = ["CREATE", "UPDATE"]
    return [
        _rule("apps", ["deployments", "daemonsets", "statefulsets"], both),
        _rule("batch", ["cronjobs"], both),
        _rule("batch", ["jobs"], ["CREATE"]),
    ]


def no_mirror() -> Json:
    """Leave static Pods out."""
    annotations = "object.metadata.?annotations.orValue({})"
    return {"name": "no-mirror", "expression": f'!("{MIRROR}" in {annotations})'}


def _rule(group: str, resources: list[str], operations: list[str]) -> Json:
    rule: Json = {"apiGroups": [group], "apiVersions": ["v1"], "operations": operations, "resources": resources}
    return {**rule, "scope": "Namespaced"}

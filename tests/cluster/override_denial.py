"""A namespace in which the API server says 403 to writes: a ValidatingAdmissionPolicy, as administrators set it.

Kubernetes' own controllers (`system:...`) are let through. Neighbours: `identities` for rights that are missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.cluster.api import APPLY, Json
from tests.cluster.operators import good
from tests.cluster.override_scene import fresh
from tests.cluster.override_stage import Stage, wait_for

ADMISSION = "apis/admissionregistration.k8s.io/v1"
WORDS = "this namespace is frozen"


@contextmanager
def frozen(stage: Stage, probe: str, resources: Sequence[str] = ("deployments",)) -> Iterator[None]:
    """Refuse updates of these resources here; `probe` is a Deployment by which it is seen that this holds."""
    name = fresh("frozen")
    for plural, body in (("validatingadmissionpolicies", _policy(name, resources)), *_bindings(name, stage.namespace)):
        good(stage.api.post(f"{ADMISSION}/{plural}", body))
    wait_for(lambda: not _may(stage, probe), what="the freeze to hold")
    try:
        yield
    finally:
        stage.api.delete(f"{ADMISSION}/validatingadmissionpolicybindings/{name}")
        stage.api.delete(f"{ADMISSION}/validatingadmissionpolicies/{name}")
    wait_for(lambda: _may(stage, probe), what="the freeze to end")


def _may(stage: Stage, probe: str) -> bool:
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": probe, "labels": {"probe": "1"}}}
    query = {"fieldManager": "probe", "force": "true", "dryRun": "All"}
    return stage.api._send("PATCH", stage.path("deployments", probe), body, APPLY, query).ok


def _policy(name: str, resources: Sequence[str]) -> Json:
    rules = [
        {"apiGroups": ["apps", "batch"], "apiVersions": ["*"], "operations": ["UPDATE"], "resources": list(resources)}
    ]
    free = {"name": "people", "expression": "!request.userInfo.username.startsWith('system:')"}
    refusal = {"expression": "false", "message": WORDS, "reason": "Forbidden"}
    spec = {"matchConstraints": {"resourceRules": rules}, "matchConditions": [free], "validations": [refusal]}
    return _body("ValidatingAdmissionPolicy", name, spec)


def _bindings(name: str, namespace: str) -> list[tuple[str, Json]]:
    where = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    spec = {"policyName": name, "validationActions": ["Deny"], "matchResources": where}
    return [("validatingadmissionpolicybindings", _body("ValidatingAdmissionPolicyBinding", name, spec))]


def _body(kind: str, name: str, spec: Json) -> Json:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }

"""The gate as objects of the API server: MutatingAdmissionPolicies that read the tables, and their bindings.

Four pairs: for Pods and for stored templates, by the namespace's table and by the cluster's. They are static; only the
tables change. Neighbours: `admission.expressions` holds the CEL, `admission.gate` adds the webhook for clusters without
this API, `admission.install` applies. Not here: tables (`decide.rulebook`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from pawl.admission.expressions import POD, TABLES, TEMPLATE, Shape, has_work, image_count, patch, variables
from pawl.admission.scope import MAX_IMAGES, Json, namespace_selector, no_mirror, object_selector, rules
from pawl.api.imagerules import TABLE_NAME
from pawl.api.meta import API_VERSION
from pawl.decide.objects import IGNORE

GROUP: Final = "admissionregistration.k8s.io"

Version = Literal["v1", "v1beta1"]
FailurePolicy = Literal["Ignore", "Fail"]


@dataclass(frozen=True, slots=True)
class PolicyOptions:
    """What differs between clusters. `failure` is Fail only where errors are looked for."""

    own_namespace: str
    version: Version = "v1"
    failure: FailurePolicy = "Ignore"


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    kind: Literal["ImageRules", "ClusterImageRules"]
    shape: Shape


PARTS: Final = (
    _Part("pawl-namespace", "ImageRules", POD),
    _Part("pawl-cluster", "ClusterImageRules", POD),
    _Part("pawl-namespace-templates", "ImageRules", TEMPLATE),
    _Part("pawl-cluster-templates", "ClusterImageRules", TEMPLATE),
)


def policy_manifests(options: PolicyOptions) -> list[Json]:
    """Return policies and bindings, each policy before its binding."""
    return [document for part in PARTS for document in (_policy(part, options), _binding(part, options))]


def _policy(part: _Part, options: PolicyOptions) -> Json:
    layer = part.shape.layer
    constraints = {
        "matchPolicy": "Equivalent",
        "namespaceSelector": namespace_selector(options.own_namespace),
        "objectSelector": object_selector(),
        "resourceRules": rules(layer),
    }
    spec: Json = {
        "failurePolicy": options.failure,
        "reinvocationPolicy": "IfNeeded",
        "paramKind": {"apiVersion": API_VERSION, "kind": part.kind},
        "matchConstraints": constraints,
        "matchConditions": _conditions(part),
        "variables": [{"name": name, "expression": text} for name, text in variables(part.shape).items()],
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch(part.shape)}}],
    }
    return _document("MutatingAdmissionPolicy", part.name, spec, options.version)


def _binding(part: _Part, options: PolicyOptions) -> Json:
    """Bind a policy to the table `pawl`: of the namespace of the request where tables have namespaces."""
    reference = {"name": TABLE_NAME, "parameterNotFoundAction": "Allow"}
    spec: Json = {"policyName": part.name, "paramRef": reference}
    return _document("MutatingAdmissionPolicyBinding", part.name, spec, options.version)


def _conditions(part: _Part) -> list[Json]:
    """What ends the work early, the cheapest first."""
    found = [no_mirror()] if part.shape.layer == "pods" else [_not_ignored(), _any_template()]
    if part.kind == "ClusterImageRules":
        found.insert(0, {"name": "no-own-table", "expression": "!(request.namespace in params.spec.?own.orValue({}))"})
    found.append({"name": "has-work", "expression": has_work(part.shape)})
    bound = {"name": "bounded", "expression": f"{image_count(part.shape)} <= {MAX_IMAGES}"}
    return [*found, bound]


def _not_ignored() -> Json:
    return {"name": "not-ignored", "expression": f'{TEMPLATE.labels}[?"{IGNORE}"].orValue("") != "true"'}


def _any_template() -> Json:
    """Most tables say nothing of templates."""
    some = "t.exists(key, t[key].exists(e, e.?templates.orValue(false)))"
    return {"name": "any-template", "expression": f"{TABLES}.exists(t, {some})"}


def _document(kind: str, name: str, spec: Json, version: Version) -> Json:
    metadata = {"name": name, "labels": {"app.kubernetes.io/name": "pawl"}}
    return {"apiVersion": f"{GROUP}/{version}", "kind": kind, "metadata": metadata, "spec": spec}

"""The chart as Helm renders it, for the tests of this folder: values in, documents or a refusal out.

Renderings are remembered by their values: hundreds of tests ask for a few dozen. Neighbours: `chart_cases` has the
values. Not here: a cluster (`releases`).
"""

from __future__ import annotations

import functools
import json
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from pawl.cli.generate import ROOT
from pawl.cli.generate_deploy import helm

Json = dict[str, Any]

CHART = ROOT / "charts" / "pawl"
REGISTRY = "registry.corp:5000"
MINIMUM: Json = {"image": {"registry": REGISTRY}}
"""What every user has to say."""
POLICY_API = "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"
BETA_API = "admissionregistration.k8s.io/v1beta1/MutatingAdmissionPolicy"


class RefusedError(Exception):
    """Helm did not render; its words in one line."""


def run_helm(*arguments: str, stdin: str = "", env: Mapping[str, str] | None = None) -> str:
    """Run helm and return what it prints. Raises RefusedError."""
    tool = helm()
    assert tool is not None, "the environment has no helm"
    command = [str(tool), *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, env=env, timeout=110)
    if done.returncode:
        raise RefusedError(" ".join(done.stderr.split()))
    return done.stdout


def merged(*layers: Mapping[str, Any]) -> Json:
    """Return maps laid over each other, the last on top, as Helm does with values."""
    result: Json = {}
    for layer in layers:
        for key, value in layer.items():
            both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
            result[key] = merged(result[key], value) if both else value
    return result


def text(
    values: Json | None = None, namespace: str = "pawl-system", *, api: str = POLICY_API, name: str = "pawl"
) -> str:
    """Return what `helm template` prints for values that are laid over the minimum. Raises RefusedError."""
    return _text(json.dumps(merged(MINIMUM, values or {}), sort_keys=True), namespace, api, name)


@functools.cache
def _text(values: str, namespace: str, api: str, name: str) -> str:
    served = ["--api-versions", api] if api else []
    where = ["--namespace", namespace, "--kube-version", "1.36.0", *served]
    return run_helm("template", name, str(CHART), *where, "--values", "-", stdin=values)


def render(values: Json | None = None, namespace: str = "pawl-system", **rest: str) -> list[Json]:
    """Return the documents that values give. Raises RefusedError."""
    found: list[Json] = json.loads(_documents(text(values, namespace, **rest)))
    return found


@functools.cache
def _documents(rendered: str) -> str:
    # As JSON, so that nobody changes what others get. libyaml reads ten times as fast.
    return json.dumps([each for each in yaml.load_all(rendered, yaml.CSafeLoader) if each])


def refusal(values: Json) -> str:
    """Return the words with which Helm refuses values, "" if it takes them."""
    try:
        text(values)
    except RefusedError as refused:
        return str(refused)
    return ""


def of_kind(documents: list[Json], kind: str) -> list[Json]:
    return [each for each in documents if each["kind"] == kind]


def deployment(values: Json | None = None, **place: str) -> Json:
    (found,) = of_kind(render(values, **place), "Deployment")
    return found


def operator_pod(values: Json | None = None, **place: str) -> Json:
    """Return the spec of the operator's Pods."""
    spec: Json = deployment(values, **place)["spec"]["template"]["spec"]
    return spec


def variables(values: Json | None = None) -> dict[str, str]:
    """Return the operator's variables that have a plain value."""
    return {each["name"]: each["value"] for each in operator_pod(values)["containers"][0]["env"] if "value" in each}


def pod_specs(documents: list[Json]) -> Iterator[tuple[str, Json]]:
    """Every spec of a Pod in some documents, with the name of its object, hooks too."""
    for each in documents:
        if each["kind"] == "Pod":
            yield each["metadata"]["name"], each["spec"]
        elif "template" in each.get("spec", {}):
            yield each["metadata"]["name"], each["spec"]["template"]["spec"]

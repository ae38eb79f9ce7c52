"""Bad values fail before anything is installed, each with a sentence that names the value."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml
from tests.chart.chart_cases import CASES, DIGEST, nested
from tests.chart.rendering import CHART, MINIMUM, Json, RefusedError, merged, refusal, run_helm

from pawl.cli.generate_values import values

SCHEMA: Json = json.loads((CHART / "values.schema.json").read_text())
DEFAULTS: Json = yaml.safe_load((CHART / "values.yaml").read_text())

BAD: list[tuple[Json, str]] = [
    # what the templates say
    ({"image": {"registry": ""}}, "Pawl has no public image: say where yours is with image.registry"),
    ({"image": {"registry": "", "repository": "team/pawl"}}, "Pawl has no public image"),
    ({"image": {"repository": "host:5000/pawl"}}, "say the same thing twice"),
    ({"image": {"registry": "https://r.io"}}, 'image.registry "https://r.io" has a scheme'),
    ({"global": {"imageRegistry": "http://r.io"}}, 'global.imageRegistry "http://r.io" has a scheme'),
    ({"image": {"repository": "pawl:1.0"}}, "has a tag or a digest in it"),
    ({"image": {"repository": f"pawl@{DIGEST}"}}, "has a tag or a digest in it"),
    ({"image": {"digest": "sha256:12"}}, 'image.digest "sha256:12" is no digest'),
    ({"image": {"tag": "a b"}}, 'image.tag "a b" is no tag'),
    ({"watchNamespaces": ["Shop"]}, 'watchNamespaces: "Shop" is no name of a namespace'),
    ({"plainHTTPHosts": ["http://a:1"]}, 'plainHTTPHosts: "http://a:1" is not host:port'),
    ({"rbac": {"secrets": {"namespaces": ["a"]}}}, "set the scope to Namespaces"),
    ({"serviceAccount": {"create": False}}, "name the ServiceAccount that is there"),
    ({"priorityClass": {"create": True}, "priorityClassName": "x"}, "leave priorityClassName empty"),
    ({"webhook": {"certManager": {"enabled": True}}, "gate": {"enabled": False}}, "needs gate.enabled"),
    ({"pdb": {"minAvailable": 2}}, "pdb.minAvailable 2 of 2 replicas lets no node be drained"),
    ({"pdb": {"maxUnavailable": 0}}, "pdb.maxUnavailable 0 lets no node be drained"),
    ({"pdb": {"minAvailable": None}}, "pdb needs minAvailable or maxUnavailable"),
    # what the schema says
    ({"replicaCount": 2}, "(root): Additional property replicaCount is not allowed"),
    ({"image": {"pullpolicy": "Always"}}, "image: Additional property pullpolicy is not allowed"),
    ({"metrics": {"serviceMonitor": {"on": True}}}, "metrics.serviceMonitor: Additional property on is not allowed"),
    ({"securityContext": {"runAsRoot": True}}, "securityContext: Additional property runAsRoot is not allowed"),
    ({"gate": {"policy": "auto"}}, 'gate.policy must be one of the following: "Auto", "Always", "Never"'),
    ({"logLevel": "trace"}, "logLevel must be one of the following"),
    ({"replicas": 0}, "replicas: Must be greater than or equal to 1"),
    ({"replicas": "two"}, "replicas: Invalid type. Expected: integer, given: string"),
    ({"imagePullSecrets": [{"secret": "x"}]}, "imagePullSecrets.0"),
    ({"extraEnv": [{"value": "x"}]}, "extraEnv.0: name is required"),
    (
        {"rbac": {"customResources": [{"apiGroups": ["a"], "resources": ["b"], "verbs": ["*"]}]}},
        "verbs.0 must be one of",
    ),
]


@pytest.mark.parametrize(("given", "words"), BAD, ids=[words[:50] for _, words in BAD])
def test_a_bad_value_is_refused_with_words(given: Json, words: str) -> None:
    assert words in refusal(given)


def test_nothing_is_refused_where_nothing_is_wrong() -> None:
    assert refusal({}) == ""
    assert refusal({"global": {"of": "others"}, "enabled": True}) == ""


def test_the_defaults_alone_lack_the_registry_and_nothing_else() -> None:
    with pytest.raises(RefusedError, match=r"such as --set image\.registry=registry\.example\.com"):
        run_helm("template", "pawl", str(CHART))


def objects(schema: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    """Every object in the schema whose keys are named, by its path."""
    if "properties" in schema:
        yield path, schema
        for key, below in schema["properties"].items():
            yield from objects(below, f"{path}.{key}".strip("."))
    if "items" in schema:
        yield from objects(schema["items"], f"{path}[]")


@pytest.mark.parametrize(("path", "schema"), list(objects(SCHEMA)), ids=[path or "root" for path, _ in objects(SCHEMA)])
def test_unknown_keys_are_refused_at_every_level(path: str, schema: Json) -> None:
    # `global` belongs to all charts of a parent.
    assert path == "global" or schema["additionalProperties"] is False


@pytest.mark.parametrize("path", [path for path, _ in objects(SCHEMA) if path != "global" and "[]" not in path])
def test_an_unknown_key_is_seen_there(path: str) -> None:
    wrong = merged(MINIMUM, nested(f"{path}.unknownKey".strip("."), 1))
    with pytest.raises(jsonschema.ValidationError, match="unknownKey"):
        jsonschema.validate(merged(DEFAULTS, wrong), SCHEMA)


def test_schema_and_values_name_the_same_keys() -> None:
    named = {path for path, _ in leaves(SCHEMA)} - {"enabled"}
    declared = {value.path for value in values((CHART / "values.yaml").read_text())}
    # A described map is one value; its keys are the schema's business.
    assert {
        path for path in declared if path not in named and not any(name.startswith(path) for name in named)
    } == set()
    assert {
        name for name in named if not any(name == path or name.startswith(f"{path}.") for path in declared)
    } == set()


def leaves(schema: Json, path: str = "") -> Iterator[tuple[str, Any]]:
    if "properties" not in schema:
        yield path, schema
    for key, below in schema.get("properties", {}).items():
        yield from leaves(below, f"{path}.{key}".strip("."))


@pytest.mark.parametrize("path", CASES)
def test_every_value_is_described(path: str) -> None:
    (found,) = [value for value in values((CHART / "values.yaml").read_text()) if value.path == path]
    assert len(found.text) > 5
    assert found.text.endswith((".", "`"))

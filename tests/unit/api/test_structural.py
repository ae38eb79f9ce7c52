"""The CRDs are structural schemas, and every string, list, map and number that can have a bound has one."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

import pytest
import yaml
from pydantic import Field, StringConstraints, WithJsonSchema

from pawl.api.catalog import KINDS, Kind
from pawl.api.crd import crd, crds, structural_schema
from pawl.api.documents import as_yaml, documents
from pawl.api.meta import Model
from pawl.api.rules import Rule, at, hang_validations
from pawl.api.schema import ORDER, plain_schema, walk

LIMIT = 100 * 1024
OURS = {"spec", "status"}  # apiVersion, kind and metadata are Kubernetes' own

ALLOWED = {*ORDER, "x-kubernetes-validations"} - {"propertyNames"}
TYPES = {"object", "array", "string", "integer", "boolean", "number"}

UNTYPED = {"x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields"}

kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def ours(kind: Kind) -> list[tuple[str, dict[str, Any]]]:
    return [(path, node) for path, node in walk(structural_schema(kind)) if path.split(".")[0] in OURS]


@kinds
def test_only_keywords_of_structural_schemas(kind: Kind) -> None:
    for path, node in walk(structural_schema(kind)):
        assert node.keys() <= ALLOWED, path
        assert ("type" in node) != bool(node.keys() & UNTYPED), path
        assert node.get("type", "object") in TYPES, path
        assert "x-kubernetes-preserve-unknown-fields" not in node or "enum" in node, path  # open to listed words only


@kinds
def test_object_has_known_fields_or_a_bounded_map(kind: Kind) -> None:
    for path, node in ours(kind):
        if node.get("type") == "object":
            assert ("properties" in node) != ("additionalProperties" in node), path
            assert "additionalProperties" not in node or "maxProperties" in node, path
            assert set(node.get("required", ())) <= set(node.get("properties", ())), path


@kinds
def test_every_string_is_bounded(kind: Kind) -> None:
    for path, node in ours(kind):
        if node.get("type") == "string":
            assert "enum" in node or "maxLength" in node or node.get("format") == "date-time", path


@kinds
def test_every_list_is_bounded_and_says_how_it_merges(kind: Kind) -> None:
    for path, node in ours(kind):
        if node.get("type") == "array":
            assert "maxItems" in node, path
            assert node["x-kubernetes-list-type"] in {"atomic", "set", "map"}, path


@kinds
def test_list_maps_have_required_scalar_keys(kind: Kind) -> None:
    for path, node in ours(kind):
        if node.get("x-kubernetes-list-type") == "map":
            keys = node["x-kubernetes-list-map-keys"]
            assert set(keys) <= set(node["items"]["required"]), path
            assert all(node["items"]["properties"][key]["type"] == "string" for key in keys), path
        if node.get("x-kubernetes-list-type") == "set":
            assert node["items"]["type"] in {"string", "integer"}, path


@kinds
def test_every_number_is_bounded_and_64_bits_wide(kind: Kind) -> None:
    for path, node in ours(kind):
        if node.get("type") == "integer":
            assert "minimum" in node, path
            assert node["format"] == "int64", path


@kinds
def test_every_field_is_described(kind: Kind) -> None:
    for path, node in ours(kind):
        if not path.endswith(("[]", "{}")):
            assert len(node["description"]) > 3, path
            assert "\n" not in node["description"], path


@kinds
def test_only_the_spec_has_defaults_and_they_fit(kind: Kind) -> None:
    schema = structural_schema(kind)
    assert not kind.has_status or schema["properties"]["status"]["default"] == {"observedGeneration": -1}
    for path, node in ours(kind):
        if "default" in node and path != "status":
            assert path.startswith("spec."), path
            assert "enum" not in node or node["default"] in node["enum"], path


@kinds
def test_every_scalar_default_of_the_model_is_given(kind: Kind) -> None:
    plain = dict(walk(plain_schema(kind.model)["properties"]["spec"], "spec"))
    structural = dict(ours(kind))
    expected = {path for path, node in plain.items() if "default" in node}
    assert expected == {path for path in structural if path.startswith("spec.") and "default" in structural[path]}
    assert expected


@kinds
def test_rules_are_sentences_that_the_api_server_accepts(kind: Kind) -> None:
    for rule in kind.rules:
        assert 20 < len(rule.message) < 2048
        assert not rule.message.endswith(".")
        assert "\n" not in rule.message
        at(structural_schema(kind), rule.path + rule.field)  # raises where there is no such field


@kinds
def test_a_rule_below_a_list_is_no_transition(kind: Kind) -> None:
    assert [rule for rule in kind.rules if rule.transition and "[]" in rule.path] == []


@kinds
def test_names_columns_and_subresource(kind: Kind) -> None:
    document = crd(kind)
    version = document["spec"]["versions"][0]
    assert document["metadata"]["name"] == f"{kind.plural}.pawl.dev"
    assert document["spec"]["names"]["categories"] == ["pawl"]
    assert version.get("subresources") == ({"status": {}} if kind.has_status else None)
    assert ("status" in structural_schema(kind)["properties"]) is kind.has_status
    assert [column["name"] for column in version["additionalPrinterColumns"]][-1] == "Age"


OVERRIDE = (["Ready", "Reason", "Matched", "Verified", "Drifted", "Age"], ["Gate", "Batch", "Plan"])
COLUMNS = {
    "ImagePolicy": (["Tag", "Ready", "Reason", "Age"], ["Image", "Epoch", "Sequence", "Pending"]),
    "ImageOverride": OVERRIDE,
    "ClusterImageOverride": OVERRIDE,
    "ImageRules": (["Age"], []),
    "ClusterImageRules": (["Age"], []),
    "RegistryStorage": (["Phase", "Store", "Used", "Ready", "Reason", "Age"], ["Address", "Migrating"]),
}


@kinds
def test_columns(kind: Kind) -> None:
    columns = crd(kind)["spec"]["versions"][0]["additionalPrinterColumns"]
    shown = [each["name"] for each in columns if "priority" not in each]
    assert (shown, [each["name"] for each in columns if each.get("priority")]) == COLUMNS[kind.name]


@kinds
def test_columns_show_fields_that_exist(kind: Kind) -> None:
    """A path to nothing is an empty column for ever, and the API server says no word."""
    fields = {path for path, _ in walk(structural_schema(kind))}
    for column in kind.columns:
        path = re.sub(r"\[\?[^]]*\]", "[]", column.path).removeprefix(".")
        assert path in fields or path.startswith("metadata."), column


def test_small_enough_for_plain_apply() -> None:
    for path, content in documents().items():
        assert len(content.encode()) < LIMIT, path
    for document in crds():
        assert len(json.dumps(document)) < LIMIT  # the last-applied annotation holds it once more, at most 256 KiB


def test_yaml_without_anchors_reads_back() -> None:
    for document in crds():
        text = as_yaml(document)
        assert "&id" not in text
        assert yaml.safe_load(text) == document


class Union(Model):
    value: int | str = Field(description="Two types.")


class Odd(Model):
    value: float = Field(description="An unknown keyword.", multiple_of=0.5)


Key = Annotated[str, StringConstraints(pattern="^a$", max_length=9)]
TWO_PATTERNS = WithJsonSchema({"type": "object", "patternProperties": {"^a$": {}, "^b$": {}}})


class TwoGrammars(Model):
    value: Annotated[dict[str, str], TWO_PATTERNS] = Field(description="Two grammars of keys.")


def test_a_map_keeps_the_grammar_of_its_keys_for_editors_alone() -> None:
    class Labelled(Model):
        value: Annotated[dict[Key, str], Field(max_length=3)] = Field(description="A map.")

    node = plain_schema(Labelled)["properties"]["value"]
    assert node["propertyNames"] == {"pattern": "^a$", "maxLength": 9}
    assert (node["additionalProperties"], node["maxProperties"]) == ({"type": "string"}, 3)


@pytest.mark.parametrize(("model", "word"), [(Union, "one type"), (Odd, "multipleOf"), (TwoGrammars, "one grammar")])
def test_what_has_no_plain_form_is_refused(model: type[Model], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        plain_schema(model)


def test_a_rule_for_a_renamed_field_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no field 'spec\.gone'"):
        hang_validations(structural_schema(KINDS[0]), [Rule("spec.gone", "true", "never")])

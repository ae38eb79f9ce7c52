"""Overrides and tables: models, JSON Schemas and the sentences of the CEL rules say the same."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError
from tests.unit.api.override_samples import (
    BAD,
    BAD_CLUSTER,
    CLUSTER,
    DESIGN_EXAMPLE,
    FULL,
    GOOD,
    GOOD_CLUSTER,
    NAMESPACED,
    body,
    override,
)
from tests.unit.api.samples import Bad

from pawl.api.catalog import CLUSTER_IMAGE_OVERRIDE, CLUSTER_IMAGE_RULES, IMAGE_OVERRIDE, IMAGE_RULES, Kind
from pawl.api.editor import editor_schema
from pawl.api.imageoverride import ClusterImageOverride, ImageOverride, Jobs, Templates
from pawl.api.imageoverride_rules import PLACE, SOURCE
from pawl.api.imagerules import ClusterImageRules, ImageRules
from pawl.decide.reference import UnparsableReference
from pawl.decide.sources import parse_place, parse_source

SCHEMAS = {
    kind.name: Draft202012Validator(editor_schema(kind, "from a test"))
    for kind in (IMAGE_OVERRIDE, CLUSTER_IMAGE_OVERRIDE, IMAGE_RULES, CLUSTER_IMAGE_RULES)
}

part = st.sampled_from(
    ["a", "Z", "0", ".", "_", "__", "-", "/", ":5", ":", "[::1]", "localhost", "@", " ", "a.b", "*."]
)
texts = st.lists(part, min_size=1, max_size=8).map("".join)


def errors(document: dict[str, Any]) -> list[str]:
    return [error.message for error in SCHEMAS[document["kind"]].iter_errors(document)]


def model(document: dict[str, Any]) -> ImageOverride | ClusterImageOverride:
    kind = ImageOverride if document["kind"] == NAMESPACED else ClusterImageOverride
    return kind.model_validate(document)


@pytest.mark.parametrize("name", GOOD)
def test_good_specs_pass_schema_and_model(name: str) -> None:
    assert errors(override(GOOD[name])) == []
    model(override(GOOD[name]))


@pytest.mark.parametrize("name", GOOD_CLUSTER)
def test_good_cluster_specs_pass_schema_and_model(name: str) -> None:
    assert errors(override(GOOD_CLUSTER[name], CLUSTER)) == []
    model(override(GOOD_CLUSTER[name], CLUSTER))


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_bad_specs(bad: Bad) -> None:
    assert bool(errors(override(bad.spec))) is bad.editor


@pytest.mark.parametrize("bad", BAD_CLUSTER, ids=str)
def test_bad_cluster_specs(bad: Bad) -> None:
    assert bool(errors(override(bad.spec, CLUSTER))) is bad.editor


def test_what_the_model_refuses_the_schema_refuses_too() -> None:
    refused = [bad for bad in BAD if not _fits(bad)]
    assert len(refused) > 20
    assert [bad.name for bad in refused if not errors(override(bad.spec))] == []


def _fits(bad: Bad) -> bool:
    try:
        model(override(bad.spec))
    except ValidationError:
        return False
    return True


def test_the_example_of_the_manual_with_a_bare_off_and_a_bare_number() -> None:
    document = yaml.safe_load(DESIGN_EXAMPLE)
    assert document["spec"]["enforcement"]["templates"] is False  # what every reader of YAML 1.1 makes of Off
    assert errors(document) == []
    found = model(document).spec
    assert found.enforcement.templates is Templates.OFF
    assert found.rollout.batches == ["1", "25%", "100%"]


@pytest.mark.parametrize("written", ["Off", False])
def test_off_is_off_however_it_is_written(written: object) -> None:
    found = model(override(body(enforcement={"templates": written, "jobs": written}))).spec.enforcement
    assert (found.templates, found.jobs) == (Templates.OFF, Jobs.OFF)
    assert found.wire()["templates"] == "Off"


@pytest.mark.parametrize("written", [True, 0, 1, "off", None, "false"])
def test_nothing_else_is_off(written: object) -> None:
    with pytest.raises(ValidationError):
        model(override(body(enforcement={"templates": written})))


@pytest.mark.parametrize("written", [0, -1, 100_000, True, 1.5, "1.5", "", None])
def test_what_is_no_batch(written: object) -> None:
    with pytest.raises(ValidationError):
        model(override(body(rollout={"batches": [written]})))


def test_a_whole_override_goes_round() -> None:
    document = override(FULL)
    found = model(document)
    again = found.wire() | {"metadata": {"name": "rook"}}
    again.pop("status")
    assert errors(again) == []
    assert model(again).spec == found.spec


def _matches(pattern: str, text: str) -> bool:
    """As CEL and editors read it: their `$` is the very end."""
    return re.fullmatch(pattern.removeprefix("^").removesuffix("$"), text) is not None


@given(texts)
@example("[::1]:5000/a")
@example("a:5")
@example("Z/a")
@example("localhost")
@example("*.a.b")
def test_what_the_api_server_lets_in_can_be_parsed_and_the_reverse(text: str) -> None:
    for pattern, read in ((SOURCE, parse_source), (PLACE, lambda given: parse_place(given, "target"))):
        try:
            read(text)
        except UnparsableReference:
            assert not _matches(pattern, text)
        else:
            assert _matches(pattern, text) or re.search(r":[0-9]{6}", text)


ENTRY = {"to": "r.io/a", "override": "shop/rook", "rule": 0}


def table(kind: str, **spec: object) -> dict[str, Any]:
    return {"apiVersion": "pawl.dev/v1alpha1", "kind": kind, "metadata": {"name": "pawl"}, "spec": spec}


def test_tables_pass_schema_and_model_and_go_round() -> None:
    entry = {**ENTRY, "containers": "(?:a|b)", "kinds": ["Job"], "labels": [{"key": "a", "operator": "Exists"}]}
    secret = {"names": ["regcred"], "kinds": ["Pod"]}
    full = {
        "mandatory": {"docker.io": [ENTRY]},
        "rules": {"docker.io/rook": [entry, ENTRY], "*.io": [ENTRY]},
        "secrets": {"r.io/a": [secret]},
        "held": {"r.io/a/b:v1": "ImageMissing"},
        "exempt": {"1-2-3": "shop/rook@3"},
    }
    for document in (table("ImageRules", **full), table("ClusterImageRules", **full, own={"shop": True})):
        kind = ImageRules if document["kind"] == "ImageRules" else ClusterImageRules
        found = kind.model_validate(document)
        again = found.wire() | {"metadata": {"name": "pawl"}}
        assert errors(document) == errors(again) == []
        assert kind.model_validate(again).spec == found.spec


@pytest.mark.parametrize(
    "spec",
    [
        {"rules": {"docker.io": []}},
        {"rules": {"x" * 256: [ENTRY]}},
        {"rules": {"docker.io": [{**ENTRY, "rule": 1000}]}},
        {"rules": {"docker.io": [{**ENTRY, "when": "never"}]}},
        {"held": {"a": 1}},
        {"own": {"shop": True}},
        {"secrets": {"r.io": [{"names": []}]}},
    ],
    ids=str,
)
def test_wrong_tables_are_refused_by_schema_and_model(spec: dict[str, Any]) -> None:
    assert errors(table("ImageRules", **spec))
    with pytest.raises(ValidationError):
        ImageRules.model_validate(table("ImageRules", **spec))


@pytest.mark.parametrize("kind", [IMAGE_RULES, CLUSTER_IMAGE_RULES], ids=lambda kind: kind.name)
def test_tables_have_no_status(kind: Kind) -> None:
    assert "status" not in editor_schema(kind, "from a test")["properties"]


@pytest.mark.parametrize("kind", [IMAGE_OVERRIDE, CLUSTER_IMAGE_OVERRIDE], ids=lambda kind: kind.name)
def test_every_rule_is_broken_by_a_sample(kind: Kind) -> None:
    samples = BAD if kind is IMAGE_OVERRIDE else (*BAD, *BAD_CLUSTER)
    told = [bad.sentence for bad in samples]
    assert [rule.message for rule in kind.rules if not any(each in rule.message for each in told)] == []

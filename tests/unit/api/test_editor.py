"""The JSON Schema for editors says the same as the models and the CEL rules, as far as JSON Schema can."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError
from tests.unit.api.samples import BAD, GOOD, A, Bad, manifest, spec

from pawl.api.catalog import IMAGE_POLICY, KINDS, Kind
from pawl.api.editor import editor_schema
from pawl.api.imagepolicy import ImagePolicy
from pawl.api.schema import walk

VALIDATOR = Draft202012Validator(editor_schema(IMAGE_POLICY, "from a test"))


def errors(document: dict[str, Any]) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(document)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_is_a_schema_of_the_draft(kind: Kind) -> None:
    Draft202012Validator.check_schema(editor_schema(kind, "from a test"))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_unknown_fields_are_refused_wherever_fields_are_known(kind: Kind) -> None:
    for path, node in walk(editor_schema(kind, "from a test")):
        if "properties" in node and path != "metadata":
            assert node["additionalProperties"] is False, path
        assert not [key for key in node if key.startswith("x-")], path
        assert "type" in node or "enum" in node or "const" in node, path


@pytest.mark.parametrize("name", GOOD)
def test_good_specs_pass_schema_and_model(name: str) -> None:
    assert errors(manifest(GOOD[name])) == []
    ImagePolicy.model_validate(manifest(GOOD[name]))


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_bad_specs(bad: Bad) -> None:
    assert bool(errors(manifest(bad.spec))) is bad.editor


def test_what_the_model_refuses_the_schema_refuses_too() -> None:
    refused = 0
    for bad in BAD:
        try:
            ImagePolicy.model_validate(manifest(bad.spec))
        except ValidationError:
            refused += 1
            assert errors(manifest(bad.spec)) or "line break" in bad.name, bad.name
    assert refused > 20


def test_a_whole_object_goes_round() -> None:
    policy = ImagePolicy.model_validate(
        manifest(
            GOOD["everything"],
            status={
                "observedGeneration": 3,
                "selection": {
                    "epoch": 1,
                    "sequence": 2,
                    "tag": "v2",
                    "digest": A,
                    "reference": f"web:v2@{A}",
                    "sortKey": "2 v2",
                    "ordering": "0" * 32,
                    "selectedAt": "2026-01-02T03:04:05Z",
                    "cause": "Newer",
                },
            },
        )
    )
    found = policy.wire()
    found["metadata"] = {"name": policy.metadata.name}
    assert errors(found) == []
    assert ImagePolicy.model_validate(found).spec == policy.spec


@pytest.mark.parametrize(
    "change",
    [{"kind": "ImagePolicies"}, {"apiVersion": "pawl.dev/v1"}, {"metadata": {}}, {"extra": 1}, {"spec": None}],
    ids=str,
)
def test_frame(change: dict[str, Any]) -> None:
    assert errors(manifest(spec()) | change)

"""RegistryStorage: models, JSON Schema and the sentences of the CEL rules say the same."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic import ValidationError
from tests.unit.api.registrystorage_samples import (
    BAD_NAMES,
    CHANGES,
    DESIGN_EXAMPLE,
    FULL,
    GOOD,
    GOOD_NAMES,
    SHRUNK,
    registry,
)
from tests.unit.api.registrystorage_wrong import BAD
from tests.unit.api.samples import Bad

from pawl.api.catalog import REGISTRY_STORAGE
from pawl.api.crd import structural_schema
from pawl.api.editor import editor_schema
from pawl.api.registrystorage import RegistryStorage
from pawl.api.registrystorage_rules import NAME_LENGTH
from pawl.api.registrystorage_spec import AccessMode, RegistryStorageSpec
from pawl.api.registrywork import Task
from pawl.api.schema import walk
from pawl.decide.registrynames import Names

SCHEMA = Draft202012Validator(editor_schema(REGISTRY_STORAGE, "from a test"))


def errors(document: dict[str, Any]) -> list[str]:
    return [error.message for error in SCHEMA.iter_errors(document)]


@pytest.mark.parametrize("name", GOOD)
def test_good_specs_pass_schema_and_model(name: str) -> None:
    assert errors(registry(GOOD[name])) == []
    RegistryStorage.model_validate(registry(GOOD[name]))


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_bad_specs(bad: Bad) -> None:
    assert bool(errors(registry(bad.spec))) is bad.editor


def test_what_the_model_refuses_the_schema_refuses_too() -> None:
    refused = [bad for bad in BAD if not _fits(bad)]
    assert len(refused) > 10
    assert [bad.name for bad in refused if not errors(registry(bad.spec))] == []


def _fits(bad: Bad) -> bool:
    try:
        RegistryStorage.model_validate(registry(bad.spec))
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("name", [*GOOD_NAMES, *BAD_NAMES])
def test_names(name: str) -> None:
    assert bool(errors(registry({}, name))) is (name in BAD_NAMES)


def test_the_longest_name_leaves_room_for_those_of_jobs() -> None:
    """The name of a Job is the value of a label of its Pods."""
    names = Names("x" * NAME_LENGTH)
    assert max(len(names.job(task, "0123456789ab/Final/7")) for task in Task) <= 63


def test_a_whole_registry_goes_round() -> None:
    found = RegistryStorage.model_validate(registry(FULL))
    again = found.wire() | {"metadata": {"name": "main"}}
    again.pop("status")
    assert errors(again) == []
    assert RegistryStorage.model_validate(again).spec == found.spec


def test_the_example_of_the_manual() -> None:
    document = yaml.safe_load(DESIGN_EXAMPLE)
    assert errors(document) == []
    assert RegistryStorage.model_validate(document).spec.retention[0].keep_tags == ["^v"]


def test_nothing_said_means_a_claim_an_authority_and_a_user_of_pawls_own() -> None:
    spec = RegistryStorageSpec()
    assert (spec.storage.filesystem, spec.storage.s3) == (None, None)
    assert not spec.access.tls.disabled
    assert not spec.access.open_to_all
    assert RegistryStorageSpec.model_validate({"access": {"users": {"disabled": True}}}).access.open_to_all
    assert not RegistryStorageSpec.model_validate({"access": {"users": None}}).access.open_to_all


def test_an_empty_claim_is_the_default_one() -> None:
    found = RegistryStorageSpec.model_validate({"storage": {"filesystem": {}}}).storage.filesystem
    assert found is not None
    assert (found.size, found.series, found.access_mode) == ("100Gi", 0, AccessMode.READ_WRITE_ONCE)


def test_every_rule_is_broken_by_a_sample() -> None:
    told = [*(bad.sentence for bad in BAD), SHRUNK, "metadata.name begins with a letter"]
    assert [rule.message for rule in REGISTRY_STORAGE.rules if not any(each in rule.message for each in told)] == []


def test_changes_are_good_by_themselves() -> None:
    """What the API server says of a change is about the change: both ends are let in."""
    assert [name for name, before, after, _ in CHANGES if errors(registry(before)) or errors(registry(after))] == []


def test_no_item_of_a_list_gets_a_default_from_the_api_server() -> None:
    """Clients compare lists as a whole: what is filled in there would be a difference at every look."""
    found = [path for path, node in walk(structural_schema(REGISTRY_STORAGE)) if "[]" in path and "default" in node]
    assert found == []
    rule = RegistryStorageSpec.model_validate({"retention": [{"repositories": ["**"]}]}).retention[0]
    assert (rule.keep_in_use, rule.keep_untagged) == (True, False)

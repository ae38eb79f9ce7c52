"""The page of RegistryStorage holds what the code has: manifests, conditions, phases, reasons, commands, defaults.

Neighbours: `test_docs` for what all pages share. Not here: whether a sentence is true.
"""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest
import yaml
from tests.unit.test_docs import ROOT, Fence, fences, section

from pawl.api.catalog import REGISTRY_STORAGE
from pawl.api.editor import editor_schema
from pawl.api.reason_docs_registry import REGISTRY_CONDITIONS
from pawl.api.registrystorage import RegistryStorage
from pawl.api.registrystorage_spec import RegistryStorageSpec
from pawl.api.registrystorage_status import MigrationPhase
from pawl.cli.registry import COMMANDS
from pawl.decide.storagemachine_work import LASTING

PAGE = "docs/registrystorage.md"
TEXT = " ".join((ROOT / PAGE).read_text().split())


def registries() -> list[Fence]:
    return [fence for fence in fences("yaml") if "kind: RegistryStorage" in fence.text]


def fragments() -> list[Fence]:
    """Blocks of this page that show a part of a spec."""
    return [fence for fence in fences("yaml") if fence.page == ROOT / PAGE and "kind:" not in fence.text]


def test_there_is_something_to_test() -> None:
    assert (len(registries()) > 2, len(fragments()) > 2) == (True, True)


@pytest.mark.parametrize("fence", registries(), ids=str)
def test_every_registry_is_right(fence: Fence) -> None:
    schema = editor_schema(REGISTRY_STORAGE, "test")
    for document in yaml.safe_load_all(fence.text):
        RegistryStorage.model_validate(document)
        jsonschema.validate(document, schema, format_checker=jsonschema.FormatChecker())


@pytest.mark.parametrize("fence", fragments(), ids=str)
def test_every_part_of_a_spec_is_right(fence: Fence) -> None:
    part: dict[str, Any] = yaml.safe_load(fence.text)
    RegistryStorageSpec.model_validate(part)


def cells(head: str) -> list[list[str]]:
    rows = [line for line in section(PAGE, head).splitlines() if line.startswith("| `")]
    return [re.findall(r"`([^`]+)`", row.split(" | ")[0]) for row in rows]


def test_every_condition_is_explained() -> None:
    told = {word for row in cells("Conditions") for word in row}
    assert told == {kind.value for kind in REGISTRY_CONDITIONS}


def test_every_phase_of_a_move_is_a_row_or_is_named() -> None:
    text = section(PAGE, "Move to another store")
    missing = {phase.value for phase in MigrationPhase if f"`{phase.value}`" not in text}
    assert missing <= {"Failed"}


def test_every_reason_that_another_try_does_not_mend_says_what_to_do() -> None:
    rows = {row[0] for row in cells("Move to another store")}
    assert {reason.value for reason in LASTING} <= rows


def test_every_reason_of_a_tag_is_explained() -> None:
    texts = (path.read_text() for path in (ROOT / "operator/pawl/decide").glob("retention*.py"))
    lines = [line for text in texts for line in text.splitlines() if not line.startswith("__all__")]
    given = set(re.findall(r'"([A-Z][a-z]+[A-Z]?\w*)"', "\n".join(lines)))
    assert len(given) > 6
    assert given - {row[0] for row in cells("Retention and collection")} == set()


def test_every_command_of_the_group_is_in_the_table() -> None:
    told = {row[0].split()[2] for row in cells("Any registry, offline")}
    assert told == set(COMMANDS)


def test_defaults_that_the_page_names_are_those_of_the_spec() -> None:
    spec = RegistryStorageSpec()
    pressure, migration = spec.pressure, spec.migration
    for words in (
        f"| `pressure.expandAt`, {pressure.expand_at} |",
        f"| `pressure.collectAt`, {pressure.collect_at} |",
        f"| `pressure.readOnlyAt`, {pressure.read_only_at} |",
        f"`migration.rollbackWindow` long ({migration.rollback_window.replace('h', ' h')})",
        "a claim of 100Gi",
        "`users.rotateEvery` (720h)",
    ):
        assert words in TEXT

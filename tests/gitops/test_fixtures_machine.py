"""The committed fixtures of registries look as what the machine says today; with PAWL_WRITE_FIXTURES they are renewed.

Each is held against the schema of the kind too, so that nothing is said that the API server would refuse.
"""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator
from tests.gitops.fixtures import EXPECTED, normalised
from tests.gitops.registry_scenes import PLAYS, played
from tests.gitops.test_fixtures_live import judge

from pawl.api.catalog import REGISTRY_STORAGE
from pawl.api.editor import editor_schema

STEMS = [stem for stem in EXPECTED if stem.startswith("registrystorage-")]
SCHEMA = Draft202012Validator(editor_schema(REGISTRY_STORAGE, "from a test"))


@pytest.mark.parametrize("stem", STEMS)
def test_a_registry(stem: str) -> None:
    found = played(stem)
    assert [error.message for error in SCHEMA.iter_errors(found)] == []
    judge(stem, normalised(found))


def test_every_scene_is_expected() -> None:
    assert {*PLAYS, "registrystorage-new"} == set(STEMS)

"""The committed fixtures of registries look as what the machine says today; with PAWL_WRITE_FIXTURES they are renewed.

Each is held against the schema of the kind too, so that nothing is said that the API server would refuse.
"""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator
from tests.cluster.api import POLICIES, Api
from tests.cluster.operators import good
from tests.gitops.fixtures import EXPECTED, load, normalised
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


@pytest.mark.cluster
def test_the_api_server_takes_what_the_machine_says(api: Api, namespace: str, installed: list[str]) -> None:
    assert installed
    for stem in STEMS:
        found = load(stem)
        path = f"{POLICIES}/namespaces/{namespace}/registrystorages"
        body = {**found, "metadata": {"name": stem.removeprefix("registrystorage-"), "namespace": namespace}}
        stored = good(api.post(path, body)).body
        assert stored["spec"] == found["spec"]  # the defaults are those that the API server fills in
        status = good(api.merge(f"{path}/{body['metadata']['name']}/status", {"status": found["status"]})).body
        assert status["status"] == found["status"]

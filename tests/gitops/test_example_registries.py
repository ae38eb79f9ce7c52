"""The examples of registries: every store that their comments speak of is a spec that the door lets in."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from tests.gitops.examples import EXAMPLES, documents, files

from pawl.api.catalog import REGISTRY_STORAGE
from pawl.api.editor import editor_schema
from pawl.api.registrystorage import RegistryStorage
from pawl.decide.registrynames import Names

Json = dict[str, Any]

SCHEMA = Draft202012Validator(editor_schema(REGISTRY_STORAGE, "from a test"))
REGISTRIES = [path for path in files() if any(each["kind"] == "RegistryStorage" for each in documents(path))]


def registry(found: list[Json]) -> RegistryStorage:
    """The one registry among documents, held against the schema that editors use."""
    (one,) = [each for each in found if each["kind"] == "RegistryStorage"]
    assert [error.message for error in SCHEMA.iter_errors(one)] == []
    return RegistryStorage.model_validate(one)


def exchanged(text: str) -> str:
    """The other store: what is commented out below `storage` in the place of what is not."""
    storage = re.search(r"^  storage:\n(?:    .*\n)+", text, re.MULTILINE)
    assert storage is not None
    lines = storage[0].splitlines()[1:]
    other = [line.replace("    # ", "    ", 1) for line in lines if re.match(r"    # +\w+:|    # s3:", line)]
    kept = [line for line in other if line.strip() not in {"before:", "after:"}]
    return text.replace(storage[0], "  storage:\n" + "".join(f"{line}\n" for line in kept))


def test_the_stories_are_there() -> None:
    assert {path.name for path in REGISTRIES} == {"registrystorage.yaml", "rainbond.yaml", "komodo.yaml"}


@pytest.mark.parametrize("name", ["registrystorage.yaml", "rainbond.yaml"])
def test_both_stores_of_an_example_are_let_in(name: str) -> None:
    text = (EXAMPLES / name).read_text()
    now, other = registry(documents(EXAMPLES / name)), registry(list(yaml.safe_load_all(exchanged(text))))
    assert now.spec.storage.filesystem is not None
    assert now.spec.storage.s3 is None
    assert other.spec.storage.filesystem is None
    assert other.spec.storage.s3 is not None
    assert other.spec.storage.s3.credentials_secret_ref is not None
    assert now.spec.access == other.spec.access  # images keep their names


def test_what_komodos_hosts_are_told_to_fetch_is_what_pawl_makes() -> None:
    path = EXAMPLES / "komodo.yaml"
    found, text = registry(documents(path)), path.read_text()
    names = Names(found.metadata.name)
    assert f"configmap {names.ca} " in text
    assert found.spec.access.users is not None
    assert found.spec.access.users.secret_ref is not None
    assert f"secret generic {found.spec.access.users.secret_ref.name} " in text
    policy = next(each for each in documents(path) if each["kind"] == "ImagePolicy")
    assert policy["spec"]["access"]["pullSecretRef"]["name"] == names.pull
    assert policy["spec"]["image"].startswith(f"{found.spec.access.host}/")


def test_pull_secrets_reach_the_namespace_of_the_example() -> None:
    path = EXAMPLES / "komodo.yaml"
    secrets = registry(documents(path)).spec.access.pull_secrets
    assert secrets is not None
    spaces = {each["metadata"]["name"]: each["metadata"] for each in documents(path) if each["kind"] == "Namespace"}
    assert secrets.namespace_selector.match_labels.items() <= spaces["shop"]["labels"].items()

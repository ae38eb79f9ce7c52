"""Each example does what its story says: small manifests through `pawl rewrite`, image by image."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.gitops.examples import EXAMPLES, OURS, STORIES, Story, documents, files, group_of, is_foreign

Json = dict[str, Any]


def rewrite(tmp_path: Path, rules: list[Json], manifests: list[Json]) -> list[Json]:
    """Run the command over files; the documents that it prints."""
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump_all(rules))
    (tmp_path / "manifests.yaml").write_text(yaml.safe_dump_all(manifests))
    argv = [sys.executable, "-m", "pawl", "rewrite", "-f", "rules.yaml", "manifests.yaml"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def spec_of(document: Json) -> Json:
    spec: Json = document["spec"]
    return spec["template"]["spec"] if "template" in spec else spec


def place(document: Json) -> str:
    return f"{document['metadata']['namespace']}/{document['metadata']['name']}"


def played(tmp_path: Path, story: Story) -> dict[str, Json]:
    """The Pod specs after the rewriting, by namespace/name."""
    found = documents(EXAMPLES / story.file)
    rules = [each for each in found if group_of(each) == OURS]
    spaces = [each for each in found if each["kind"] == "Namespace"]
    made = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels)}}
        for name, labels in story.namespaces.items()
    ]
    done = rewrite(tmp_path, rules, [*spaces, *made, *story.before])
    return {place(each): spec_of(each) for each in done if each["kind"] != "Namespace"}


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.file)
def test_every_image_is_where_the_story_says(tmp_path: Path, story: Story) -> None:
    specs = played(tmp_path, story)
    assert {name: spec["containers"][0]["image"] for name, spec in specs.items()} == story.after
    secrets = {name: [one["name"] for one in specs[name].get("imagePullSecrets", [])] for name in story.secrets}
    assert secrets == story.secrets


def test_every_example_with_rules_has_a_story() -> None:
    """But those whose rule waits for a policy's selection, and those that have kinds of others only."""
    with_rules = {path.name for path in files() if any("Override" in each["kind"] for each in documents(path))}
    assert with_rules - {story.file for story in STORIES} == {"imagepolicy.yaml", "quickstart.yaml"}


def test_following_a_policy_takes_its_selection(tmp_path: Path) -> None:
    policy, follow = documents(EXAMPLES / "imagepolicy.yaml")
    digest = "sha256:" + "1" * 64
    reference = f"{policy['spec']['image']}:v1.4.2@{digest}"
    selection = {
        "epoch": 1,
        "sequence": 1,
        "tag": "v1.4.2",
        "digest": digest,
        "reference": reference,
        "sortKey": "0011040002~ v1.4.2",
        "ordering": "0" * 32,
        "selectedAt": "2026-01-02T03:04:05Z",
        "cause": "Newer",
    }
    pod = {"name": "web", "namespace": "shop"}
    spec = {"containers": [{"name": "app", "image": f"{policy['spec']['image']}:v1.0.0"}]}
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": pod, "spec": spec}
    (done,) = rewrite(tmp_path, [{**policy, "status": {"selection": selection}}, follow], [manifest])
    assert done["spec"]["containers"][0]["image"] == reference


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_every_example_says_first_what_it_is_for(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# ")
    assert len(documents(path)) == text.count("\n---\n") + 1


def test_no_example_holds_a_credential() -> None:
    for path in files():
        secrets = [each for each in documents(path) if each["kind"] == "Secret"]
        assert all(each["stringData"] == {".dockerconfigjson": '{"auths": {}}'} for each in secrets)
        assert not re.search(r"(?i)password|token:|auth\"?:\s*[\"']?[A-Za-z0-9+/]{16}", path.read_text())


def test_kinds_of_others_are_the_ones_that_are_meant() -> None:
    kinds = {each["kind"] for path in files() for each in documents(path) if is_foreign(each)}
    assert kinds == {"Application", "Kustomization"}


def test_sync_waves_go_up_from_the_crds() -> None:
    found = documents(EXAMPLES / "argocd-sync-waves.yaml")
    waves = {each["metadata"]["name"]: each["metadata"]["annotations"] for each in found}
    key = "argocd.argoproj.io/sync-wave"
    assert [int(waves[name][key]) for name in ("pawl-crds", "pawl", "images")] == [-1, 0, 1]


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_every_path_of_this_repository_that_an_application_names_exists(path: Path) -> None:
    sources = [each["spec"]["source"] for each in documents(path) if each["kind"] == "Application"]
    named = [source["path"] for source in sources if "pawl.git" in source["repoURL"]]
    assert all((EXAMPLES.parents[1] / one).is_dir() for one in named)

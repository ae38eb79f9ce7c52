"""`deploy/` is the chart, rendered: the same bytes, no trace of Helm, no object twice, every file listed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from tests.chart.rendering import Json, of_kind, render

from pawl.cli.generate import ROOT
from pawl.cli.generate_deploy import PLACES, REGISTRY, deploy_documents, helm

DEPLOY = ROOT / "deploy"
FORMS = {
    "all": ("crds", "operator", "gate"),
    "without policies": ("crds", "operator"),
    "namespaced": ("namespaced",),
}


def read(*places: str) -> list[Json]:
    """All objects of some directories below deploy/."""
    files = [file for place in places for file in sorted((DEPLOY / place).glob("*.yaml"))]
    texts = [file.read_text() for file in files if file.name != "kustomization.yaml"]
    return [each for text in texts for each in yaml.load_all(text, yaml.CSafeLoader)]


def test_a_fresh_rendering_has_the_same_bytes() -> None:
    tool = helm()
    assert tool is not None
    made = deploy_documents(ROOT, tool)
    assert {path: (ROOT / path).read_text() for path in made} == made
    kept = {file.relative_to(ROOT).as_posix() for place in PLACES for file in (DEPLOY / place).glob("*.yaml")}
    assert kept | {"deploy/kustomization.yaml"} == set(made)


@pytest.mark.parametrize("form", FORMS)
def test_no_trace_of_helm_is_left(form: str) -> None:
    for each in read(*FORMS[form]):
        metadata = each["metadata"]
        words = [*metadata.get("labels", {}).items(), *metadata.get("annotations", {}).items()]
        assert not [pair for pair in words if "helm" in f"{pair}".lower()], each["metadata"]["name"]


@pytest.mark.parametrize("form", FORMS)
def test_every_object_is_there_once_and_names_its_namespace(form: str) -> None:
    names = [(each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in read(*FORMS[form])]
    assert len(set(names)) == len(names)
    assert {namespace for _, namespace, _ in names} <= {None, "pawl-system", "apps"}


def test_nothing_of_the_chart_is_missing() -> None:
    wanted = {(each["kind"], each["metadata"]["name"]) for each in render({"test": {"enabled": False}})}
    found = {(each["kind"], each["metadata"]["name"]) for each in read(*FORMS["all"])}
    assert found == wanted | {("Namespace", "pawl-system")}


@pytest.mark.parametrize("place", PLACES)
def test_a_kustomization_lists_what_is_beside_it(place: str) -> None:
    listed = yaml.safe_load((DEPLOY / place / "kustomization.yaml").read_text())["resources"]
    beside = {file.name for file in (DEPLOY / place).glob("*.yaml")} - {"kustomization.yaml"}
    assert set(listed) == (beside or {"../crds", "../operator"})


def test_the_namespaced_form_has_no_right_over_the_cluster() -> None:
    documents = read("namespaced")
    assert not [each for each in documents if each["kind"].startswith("Cluster")]
    assert {each["metadata"]["namespace"] for each in of_kind(documents, "Role")} == {"pawl-system", "apps"}


def test_the_image_is_a_name_that_the_user_replaces() -> None:
    images = {
        each["image"]
        for document in of_kind(read("operator", "namespaced"), "Deployment")
        for each in document["spec"]["template"]["spec"]["containers"]
    }
    assert len(images) == 1
    assert images.pop().startswith(f"{REGISTRY}/pawl:")


def test_the_namespace_enforces_restricted_pods() -> None:
    (namespace,) = of_kind(read("operator"), "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_hand_written_folders_are_nobody_elses() -> None:
    assert not {"argocd", "flux", "examples"} & set(PLACES)
    assert Path(ROOT / "deploy").is_dir()

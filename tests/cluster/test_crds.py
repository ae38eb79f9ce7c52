"""The generated CRDs in a real API server: installed by plain `kubectl apply`, and which specs they let in."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from tests.cluster.api import Api
from tests.unit.api.samples import BAD, GOOD, Bad, Json, manifest, rollback, spec

from pawl.api.catalog import KINDS
from pawl.api.imagepolicy_rules import SPEC_RULES
from pawl.cli.generate import ROOT
from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("installed")]


HEAD = ["NAME", "TAG", "READY", "REASON", "IMAGE", "EPOCH", "SEQUENCE", "PENDING", "AGE"]


def policies(namespace: str, name: str = "") -> str:
    return f"apis/pawl.dev/v1alpha1/namespaces/{namespace}/imagepolicies/{name}".rstrip("/")


def kubectl(cluster: Cluster, *arguments: str, text: str = "") -> str:
    command = [cluster.env.get("KUBECTL", "kubectl"), *arguments]
    environment = os.environ | dict(cluster.env)
    done = subprocess.run(command, check=False, env=environment, input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_plain_apply_of_the_files(cluster: Cluster) -> None:
    """Under another group, so that the objects of other tests stay."""
    for file in sorted((ROOT / "crds").glob("*.yaml")):
        text = file.read_text().replace("pawl.dev", "apply.example.com")
        assert "created" in kubectl(cluster, "apply", "-f", "-", text=text)
        assert "unchanged" in kubectl(cluster, "apply", "-f", "-", text=text)
        kubectl(cluster, "wait", "--for=condition=Established", "--timeout=30s", "-f", "-", text=text)
        kubectl(cluster, "delete", "--wait=false", "-f", "-", text=text)
    assert len(list((ROOT / "crds").glob("*.yaml"))) == len(KINDS)


def test_api_server_finds_nothing_to_complain_about(api: Api, installed: list[str]) -> None:
    for name in installed:
        found = api.get(f"apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}").body
        conditions = {each["type"]: each["status"] for each in found["status"]["conditions"]}
        assert conditions == {"NamesAccepted": "True", "Established": "True"}  # and no NonStructuralSchema


@pytest.mark.parametrize("name", GOOD)
def test_good_specs_are_accepted(api: Api, namespace: str, name: str) -> None:
    answer = api.post(policies(namespace), manifest(GOOD[name]))
    assert answer.ok, answer.message


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_bad_specs_are_refused_with_the_way_out(api: Api, namespace: str, bad: Bad) -> None:
    answer = api.post(policies(namespace), manifest(bad.spec))
    assert answer.code in {400, 422}
    assert bad.sentence in answer.message


def test_every_spec_rule_is_broken_by_a_sample() -> None:
    unbroken = [rule.message for rule in SPEC_RULES if not any(bad.sentence in rule.message for bad in BAD)]
    assert unbroken == []


def test_one_mistake_gives_one_sentence(api: Api, namespace: str) -> None:
    for image in ("web:1.2", "https://r.io/web", "r.io/Web", "r.io/web@sha256:12"):
        answer = api.post(policies(namespace), manifest(spec(image=image)))
        assert len(answer.body["details"]["causes"]) == 1, answer.message


def test_a_wrong_field_is_named_in_the_causes(api: Api, namespace: str) -> None:
    answer = api.post(policies(namespace), manifest(spec(tags={"extract": "$1"})))
    assert answer.body["details"]["causes"][0]["field"] == "spec.tags.extract"
    assert answer.body["details"]["causes"][0]["reason"] == "FieldValueForbidden"


def test_defaults(api: Api, namespace: str) -> None:
    found = api.post(policies(namespace), manifest({"image": "web", "select": {"numerical": {}}, "gates": {}})).body
    assert found["spec"] == {
        "image": "web",
        "interval": "5m",
        "timeout": "30s",
        "suspend": False,
        "select": {"numerical": {"order": "Ascending"}},
        "tagMutability": "Immutable",
        "gates": {"approval": "None"},
        "bootstrap": "Newest",
    }
    assert found["status"] == {"observedGeneration": -1}


def test_null_is_absent(api: Api, namespace: str) -> None:
    """Charts render empty values as null; the API server drops them before it looks."""
    body = spec(floor=None, access=None, interval=None, select={"alphabetical": {}, "digest": None})
    found = api.post(policies(namespace), manifest(body)).body
    assert "floor" not in found["spec"]
    assert found["spec"]["interval"] == "5m"


def test_status_in_a_manifest_is_ignored_on_create(api: Api, namespace: str) -> None:
    found = api.post(policies(namespace), manifest(spec(), status={"observedGeneration": 7})).body
    assert found["status"] == {"observedGeneration": -1}


def test_edits_of_a_spec_are_free(api: Api, namespace: str) -> None:
    """What a spec means for the selection is decided by Pawl; the API server only wants it whole."""
    api.post(policies(namespace), manifest(spec()))
    for change in (
        {"image": "r.io/other", "select": {"semver": None, "numerical": {}}},
        {"rollback": rollback()},
        {"rollback": None, "floor": {"tag": "1"}},
        {"suspend": True},
    ):
        answer = api.merge(policies(namespace, "web"), {"spec": change})
        assert answer.ok, answer.message


def test_approvals_of_two_people_merge(api: Api, namespace: str) -> None:
    path = policies(namespace, "web")

    def approve(tag: str) -> Json:
        frame = manifest(spec())
        frame["spec"] = {**(spec() if tag == "v1" else {}), "approved": [{"tag": tag, "digest": "sha256:" + "c" * 64}]}
        return frame

    assert api.apply(path, approve("v1"), "ann", force=False).ok
    answer = api.apply(path, approve("v2"), "bob", force=False)
    assert answer.ok, answer.message
    assert [each["tag"] for each in answer.body["spec"]["approved"]] == ["v1", "v2"]


def test_kubectl_shows_columns_names_and_fields(cluster: Cluster, api: Api, namespace: str) -> None:
    api.post(policies(namespace), manifest(spec()))
    assert kubectl(cluster, "get", "ipol", "-n", namespace).split()[:4] == ["NAME", "TAG", "READY", "REASON"]
    wide = kubectl(cluster, "get", "pawl", "-n", namespace, "-o", "wide")
    # kinds of the cluster come too, if other tests left any
    assert HEAD in [line.split() for line in wide.splitlines()]
    assert "registry.example.com/shop/web" in wide
    assert "resume only above" in kubectl(cluster, "explain", "ipol.spec.rollback")


def test_kubectl_apply_twice_changes_nothing(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    file = tmp_path / "web.json"
    file.write_text(str(manifest(GOOD["everything"])).replace("'", '"').replace("True", "true"))
    assert "created" in kubectl(cluster, "apply", "-n", namespace, "-f", str(file))
    assert "unchanged" in kubectl(cluster, "apply", "-n", namespace, "-f", str(file))

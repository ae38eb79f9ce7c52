"""`pawl status` against a real API server: what it shows of a live policy, its exit codes, and errors in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from tests.cluster.api import POLICIES, Api
from tests.cluster.identities import kubeconfig_of
from tests.unit.cli import policies
from tests.unit.cli.policies import A, condition
from tests.unit.cli.run_pawl import Ended, pawl

from pawl.sandbox import Cluster

pytestmark = pytest.mark.cluster


def put(api: Api, namespace: str, document: policies.Json) -> None:
    """Create a policy with its status."""
    document["metadata"] = {"name": document["metadata"]["name"]}
    status = document.pop("status")
    path = f"{POLICIES}/namespaces/{namespace}/imagepolicies"
    created = api.post(path, document)
    assert created.ok, created.message
    written = api.merge(f"{path}/{document['metadata']['name']}/status", {"status": status})
    assert written.ok, written.message


@pytest.fixture(autouse=True)
def _nothing_wide(api: Api, installed: list[str]) -> None:
    """What holds in the whole cluster is told for every namespace, also what other tests left here."""
    assert installed
    where = f"{POLICIES}/clusterimageoverrides"
    for each in api.get(where).body["items"]:
        place = f"{where}/{each['metadata']['name']}"
        api.merge(place, {"metadata": {"finalizers": None}})
        api.delete(place)


@pytest.fixture
def shop(api: Api, installed: list[str], namespace: str) -> str:
    """A namespace with a policy that holds, one that is not Ready, and one that nobody looked at."""
    assert installed
    put(api, namespace, policies.document(condition("TagMutated", reason="DigestChanged"), name="web"))
    put(api, namespace, policies.document(condition("Stalled", reason="SecretNotFound"), name="api", held=False))
    put(api, namespace, policies.document(name="new", held=False, status={"conditions": []}))
    return namespace


def status(cluster: Cluster, *arguments: str) -> Ended:
    return pawl("status", "--kubeconfig", str(cluster.kubeconfig), *arguments)


def test_the_policies_of_a_namespace(cluster: Cluster, shop: str) -> None:
    ended = status(cluster, "-n", shop)
    gate, empty, head, *rows = ended.out.splitlines()
    assert ended.code == 0
    # other tests of this API server may have left their gate
    assert gate.startswith(("gate: none: nothing rewrites Pods;", "gate: MutatingAdmissionPolicy"))
    assert not empty
    assert head.startswith("NAMESPACE")
    assert [row.split()[:2] for row in rows] == [[shop, "api"], [shop, "new"], [shop, "web"]]
    assert "you must act (SecretNotFound)" in rows[0]
    assert "Unknown" in rows[1]
    assert "its tag has another digest" in rows[2]


def test_all_namespaces(cluster: Cluster, shop: str) -> None:
    assert f"{shop} " in status(cluster, "-A").out


def test_one_in_full(cluster: Cluster, shop: str) -> None:
    out = status(cluster, "web", "-n", shop).out
    assert f"{shop}/web  ready: True" in out
    assert f"v1.4.2@{A}" in out
    assert "Push the change under a new tag" in out


def test_documents(cluster: Cluster, shop: str) -> None:
    many = json.loads(status(cluster, "-n", shop, "-o", "json").out)
    assert [each["ready"] for each in many] == ["False", "Unknown", "True"]
    one = yaml.safe_load(status(cluster, "web", "-n", shop, "-o", "yaml").out)
    assert one["selection"]["tag"] == "v1.4.2"
    assert one == next(each for each in many if each["name"] == "web")


def test_check_fails_where_one_is_not_ready(cluster: Cluster, shop: str) -> None:
    assert status(cluster, "web", "-n", shop, "--check").code == 0
    assert status(cluster, "api", "-n", shop, "--check").code == 1
    assert status(cluster, "-n", shop, "--check").code == 1


def test_an_empty_namespace_says_so(cluster: Cluster, installed: list[str], namespace: str) -> None:
    assert installed
    ended = status(cluster, "-n", namespace)
    assert (ended.code, ended.out.count("\n")) == (0, 1)
    assert ended.out.startswith("gate: ")
    assert "-A looks in all" in ended.err


def test_a_policy_that_is_not_there(cluster: Cluster, installed: list[str], namespace: str) -> None:
    assert installed
    ended = status(cluster, "web", "-n", namespace)
    assert (ended.code, ended.err) == (1, f"pawl: imagepolicies.pawl.dev {namespace}/web does not exist\n")


@pytest.fixture
async def nobody(cluster: Cluster, namespace: str, tmp_path: Path) -> str:
    """A kubeconfig without any right."""
    return await kubeconfig_of(cluster, namespace, "nobody", tmp_path)


def test_a_missing_right_is_named(nobody: str, installed: list[str], namespace: str) -> None:
    assert installed
    ended = pawl("status", "--kubeconfig", nobody, "-n", namespace)
    assert ended.code == 1
    assert "grant" in ended.err
    assert "'list'" in ended.err
    assert ended.err.count("\n") == 1


def test_a_cluster_that_does_not_answer(cluster: Cluster, tmp_path: Path) -> None:
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    ended = pawl("status", "--kubeconfig", str(path))
    assert (ended.code, ended.out) == (1, "")
    assert "127.0.0.1:9" in ended.err
    assert ended.err.count("\n") == 1

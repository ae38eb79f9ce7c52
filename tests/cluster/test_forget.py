"""`pawl forget` against a real API server, without an operator and with one that would like to remember."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.api import POLICIES, Api, Json
from tests.cluster.conftest import wait_for
from tests.cluster.test_status import put
from tests.unit.cli import policies
from tests.unit.cli.run_pawl import Ended, pawl

from pawl.api.errors import InputError
from pawl.cli.forget import Target, start_over
from pawl.sandbox import Cluster
from pawl.sandbox.images import Image, Pusher

pytestmark = pytest.mark.cluster


def policy_path(namespace: str) -> str:
    return f"{POLICIES}/namespaces/{namespace}/imagepolicies/web"


def ledger_path(namespace: str) -> str:
    return f"api/v1/namespaces/{namespace}/configmaps/pawl-ledger-web"


def add_ledger(api: Api, namespace: str) -> None:
    text = json.dumps({"image": "r.io/web", "selection": policies.selection(sequence=9), "nonces": ["inc-1"]})
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "pawl-ledger-web"}, "data": {"ledger": text}}
    assert api.post(f"api/v1/namespaces/{namespace}/configmaps", body).ok


def forget(cluster: Cluster, namespace: str, wait: float = 0.2) -> Ended:
    config = str(cluster.kubeconfig)
    return pawl("forget", "web", "-n", namespace, "--yes", "--wait", str(wait), "--kubeconfig", config)


def codes(api: Api, namespace: str) -> tuple[int, int]:
    """How the API server answers for policy and ledger."""
    return api.get(policy_path(namespace)).code, api.get(ledger_path(namespace)).code


@pytest.fixture
def shop(api: Api, installed: list[str], namespace: str) -> str:
    """A namespace with a policy and its ledger."""
    assert installed
    put(api, namespace, policies.document())
    add_ledger(api, namespace)
    return namespace


def test_both_are_gone(cluster: Cluster, api: Api, shop: str) -> None:
    ended = forget(cluster, shop)
    assert ended.code == 0, ended.err
    assert codes(api, shop) == (404, 404)
    assert "sequence 9" in ended.out
    assert "kubectl apply" in ended.out
    assert "no operator answered within 0.2 s" in ended.err


def test_a_ledger_whose_policy_is_gone(cluster: Cluster, api: Api, shop: str) -> None:
    assert api.delete(policy_path(shop)).ok
    assert forget(cluster, shop).code == 0
    assert codes(api, shop) == (404, 404)


def test_a_policy_without_a_ledger(cluster: Cluster, api: Api, shop: str) -> None:
    assert api.delete(ledger_path(shop)).ok
    assert forget(cluster, shop).code == 0
    assert codes(api, shop) == (404, 404)


def test_nothing_to_forget(cluster: Cluster, installed: list[str], namespace: str) -> None:
    assert installed
    ended = forget(cluster, namespace)
    assert (ended.code, ended.err) == (1, f"pawl: imagepolicies.pawl.dev {namespace}/web does not exist\n")


@pytest.mark.parametrize(("typed", "left"), [("web", (404, 404)), ("wep", (200, 200)), ("", (200, 200))])
def test_the_name_must_be_typed(cluster: Cluster, api: Api, shop: str, typed: str, left: tuple[int, int]) -> None:
    asked: list[str] = []

    def answer(text: str) -> str:
        asked.append(text)
        return typed

    work = start_over(str(cluster.kubeconfig), Target(shop, "web"), answer, 0.2)
    if left == (404, 404):
        asyncio.run(work)
    else:
        with pytest.raises(InputError, match="nothing was deleted"):
            asyncio.run(work)
    assert codes(api, shop) == left
    assert asked == ["Type web to forget it"]
    assert left == (404, 404) or api.get(policy_path(shop)).body["spec"]["suspend"] is False


@pytest.fixture
def operator(cluster: Cluster, installed: list[str], namespace: str, tmp_path: Path) -> Iterator[Path]:
    """An operator for the test's namespace, as a process; its log."""
    assert installed
    log = tmp_path / "operator.log"
    command = [sys.executable, "-m", "pawl", "run", "--namespace", namespace, "--watch-namespaces", namespace]
    with log.open("w") as file:
        process = subprocess.Popen([*command, "--kubeconfig", str(cluster.kubeconfig)], stdout=file, stderr=file)
    yield log
    process.terminate()
    assert process.wait(30) == 0, log.read_text()


def spec(cluster: Cluster, repository: str) -> Json:
    image = f"{cluster.registry}/{repository}"
    access = {"plainHTTP": True}
    return {"image": image, "interval": "10s", "access": access, "select": {"semver": {"range": "*"}}}


def selected(api: Api, namespace: str, tag: str) -> Json:
    """Wait until a tag is selected and return the selection."""

    def ask() -> object:
        answer = api.get(policy_path(namespace))
        held = answer.body.get("status", {}).get("selection") or {}
        return answer if held.get("tag") == tag else type(answer)(999, answer.body)

    wait_for(ask)  # type: ignore[arg-type]
    found: Json = api.get(policy_path(namespace)).body["status"]["selection"]
    return found


def test_a_running_operator_does_not_write_the_memory_back(
    cluster: Cluster, api: Api, namespace: str, operator: Path
) -> None:
    if not cluster.registry:
        pytest.skip("this cluster has no registry")
    manifest = {
        "apiVersion": "pawl.dev/v1alpha1",
        "kind": "ImagePolicy",
        "metadata": {"name": "web"},
        "spec": spec(cluster, namespace),
    }
    path = f"{POLICIES}/namespaces/{namespace}/imagepolicies"
    with Pusher(cluster.registry) as pusher:
        pusher.push(Image(namespace, "v1.0.0"))
        pusher.push(Image(namespace, "v2.0.0"))
        assert api.post(path, manifest).ok
        assert selected(api, namespace, "v2.0.0")["sequence"] == 1
        assert api.get(ledger_path(namespace)).ok
        pusher.delete_tag(namespace, "v2.0.0")
    ended = forget(cluster, namespace, wait=30)
    assert (ended.code, ended.err) == (0, ""), operator.read_text()
    assert codes(api, namespace) == (404, 404)
    assert api.post(path, manifest).ok
    again = selected(api, namespace, "v1.0.0")
    assert (again["epoch"], again["sequence"], again["cause"]) == (1, 1, "Bootstrap")

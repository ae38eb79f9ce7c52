"""The right gate by itself, with the rights of the chart: by what the API server can do, and over its upgrades."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.cluster.gate_process import LOOK, SETTLE, QuickOperator
from tests.cluster.gate_scene import LABELS, OWN, SHOP, WANTED, GateScene
from tests.cluster.gate_servers import WITHOUT_POLICIES, server
from tests.unit.cli.run_pawl import pawl as command

from pawl.admission.certificates import new_bundle

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GateScene]:
    """A cluster whose API server has no MutatingAdmissionPolicy, with what the chart installs."""
    with server() as own:
        own.restart(WITHOUT_POLICIES)
        made = GateScene(own, tmp_path_factory.mktemp("gate"))
        yield made
        made.close()


@pytest.fixture
def pawl(scene: GateScene, tmp_path: Path) -> Iterator[QuickOperator]:
    running = QuickOperator(scene.kubeconfig, tmp_path / "pawl.log", OWN)
    try:
        running.wait_log("this replica leads")
        yield running
    finally:
        running.close()


def gate(scene: GateScene) -> str:
    """What `pawl status` says."""
    ended = command("status", "-n", SHOP, "--kubeconfig", str(scene.server.sandbox.kubeconfig))
    assert ended.code == 0, ended.err
    return ended.out.splitlines()[0]


def filled(scene: GateScene) -> bool:
    return [each["name"] for each in scene.webhooks()] == ["pods.pawl.dev", "templates.pawl.dev"]


def owned_by_pawl(scene: GateScene) -> list[str]:
    managed = scene.configuration()["metadata"]["managedFields"]
    return sorted(key for each in managed if each["manager"] == "pawl" for key in each["fieldsV1"])


def test_the_gate_follows_the_api_server_through_an_upgrade_and_no_pod_is_missed(
    scene: GateScene, pawl: QuickOperator
) -> None:
    # an API server without the API: the webhook, and only the webhooks of Helm's object are Pawl's
    scene.wait(lambda: scene.image() == WANTED, "the webhook rewrites")
    assert filled(scene)
    assert scene.configuration()["metadata"]["labels"] == LABELS
    assert owned_by_pawl(scene) == ["f:webhooks"]
    assert gate(scene).startswith("gate: Webhook (https://127.0.0.1:")
    assert pawl.get("readyz").status_code == 200
    with scene.stream() as pods:
        # the API server is upgraded under a running Pawl, the chart is not: the webhook goes on
        scene.server.restart()
        began = time.monotonic()
        scene.wait(lambda: pods.count(began) > 100, "Pods are made after the upgrade")
        assert filled(scene)
        # the chart is upgraded as well: both gates for a while, then the policies alone
        scene.policies(there=True)
        scene.wait(lambda: not scene.webhooks(), "the webhook is asked no more")
        assert time.monotonic() - began > SETTLE
        pawl.wait_log("the webhook is not needed any more")
        emptied = time.monotonic()
        scene.wait(lambda: pods.count(emptied) > 100, "Pods are made by the policies alone")
    assert len(pods.images) > 200
    assert pods.missed() == []
    assert scene.configuration()["metadata"]["labels"] == LABELS
    assert gate(scene) == "gate: MutatingAdmissionPolicy"
    assert pawl.metric("pawl_webhook_reviews_total", result="Rewritten") > 100
    assert pawl.metric("pawl_webhook_review_duration_seconds_count") > 100
    scene.wait(lambda: pawl.metric("pawl_gate_info", gate="MutatingAdmissionPolicy") == 1, "the metric to say so")
    # the policies go without a word: the webhook comes back by itself
    scene.policies(there=False)
    scene.wait(lambda: filled(scene) and scene.image() == WANTED, "the webhook is back")
    scene.wait(lambda: pawl.metric("pawl_gate_info", gate="Webhook") == 1, "the metric to say so")
    told = pawl.lines("another gate")
    assert ("Webhook", "MutatingAdmissionPolicy") in [(line["before"], line["gate"]) for line in told]
    scene.wait(lambda: pawl.lines("another gate")[-1]["gate"] == "Webhook", "the log to say so")


def test_with_policies_no_webhook_is_ever_served(scene: GateScene, tmp_path: Path) -> None:
    scene.server.restart()
    scene.policies(there=True)
    running = QuickOperator(scene.kubeconfig, tmp_path / "pawl.log", OWN)
    try:
        running.wait_log("this replica leads")
        scene.wait(lambda: not scene.webhooks(), "what an older one filled is emptied")
        running.close()
        scene.api.delete(f"api/v1/namespaces/{OWN}/secrets/pawl-webhook")
        running = QuickOperator(scene.kubeconfig, tmp_path / "second.log", OWN)
        running.wait_log("overrides are worked on")
        scene.wait(lambda: running.metric("pawl_gate_info", gate="MutatingAdmissionPolicy") == 1, "the gate is known")
        time.sleep(4 * LOOK)  # that nothing happens can only be seen in time
        assert running.lines("webhook listening") == []
        assert scene.api.get(f"api/v1/namespaces/{OWN}/secrets/pawl-webhook").code == 404
        assert running.get("readyz").status_code == 200
    finally:
        running.close()
        scene.policies(there=False)


def test_a_configuration_that_is_missing_is_asked_for(scene: GateScene, pawl: QuickOperator) -> None:
    name = "apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
    assert scene.api.delete(f"{name}/pawl").ok
    try:
        path = f"apis/pawl.dev/v1alpha1/namespaces/{SHOP}/imageoverrides/private"
        scene.api.merge(path, {"metadata": {"annotations": {"reconcile.pawl.dev/requestedAt": str(time.time())}}})
        scene.wait(lambda: pawl.metric("pawl_gate_info", gate="none") == 1, "nothing to rewrite")
        assert gate(scene).startswith("gate: none: nothing rewrites Pods; ")
    finally:
        assert scene.api.post(name, {"metadata": {"name": "pawl", "labels": LABELS}}).ok
    scene.wait(lambda: filled(scene) and scene.image() == WANTED, "the webhook rewrites again")


def secret(scene: GateScene, *, replace: bool) -> bytes:
    """Write the Secret as cert-manager does; the authority."""
    made = new_bundle(["127.0.0.1"], datetime.now(UTC))
    values = {"tls.crt": made.certificate, "tls.key": made.key, "ca.crt": made.authorities}
    body = {
        "metadata": {"name": "pawl-webhook", "namespace": OWN},
        "type": "kubernetes.io/tls",
        "stringData": {name: value.decode() for name, value in values.items()},
    }
    path = f"api/v1/namespaces/{OWN}/secrets"
    answer = scene.api.put(f"{path}/pawl-webhook", body) if replace else scene.api.post(path, body)
    assert answer.ok, answer.message
    return made.authorities


def bundle(scene: GateScene) -> str:
    (found,) = {each["clientConfig"]["caBundle"] for each in scene.webhooks()}
    return str(found)


def renewals(scene: GateScene, running: QuickOperator, number: int) -> None:
    scene.wait(lambda: len(running.lines("webhook certificate renewed")) == number, "the new one is served")


@pytest.mark.parametrize("certificates", ["Secret", "Pawl"])
def test_certificates_change_under_load_without_a_failed_handshake(
    scene: GateScene, tmp_path: Path, certificates: str
) -> None:
    path = f"api/v1/namespaces/{OWN}/secrets/pawl-webhook"
    scene.api.delete(path)
    log = scene.server.log
    running = QuickOperator(scene.kubeconfig, tmp_path / "pawl.log", OWN, certificates=certificates)
    try:
        running.wait_log("this replica leads")
        if certificates == "Secret":
            told = running.wait_log("webhook certificate")["error"]
            assert told.startswith(f"Secret {OWN}/pawl-webhook does not exist")
            assert running.get("readyz").status_code == 503
            secret(scene, replace=False)
        running.wait_log("webhook listening")
        scene.wait(lambda: scene.image() == WANTED, "the webhook rewrites")
        before, written = bundle(scene), log.stat().st_size
        with scene.stream() as pods, scene.handshakes() as hands:
            for number in (1, 2):
                if certificates == "Secret":
                    secret(scene, replace=True)
                else:
                    scene.api.delete(path)
                renewals(scene, running, number)
            after = time.monotonic()
            scene.wait(lambda: pods.count(after) > 50, "Pods are made with the last one")
        assert pods.missed() == []
        assert len(hands) > 10
        assert [each for each in hands if each] == []
        assert bundle(scene) != before
        said = log.read_bytes()[written:].decode(errors="replace")
        assert "ailed calling webhook" not in said
        assert "tls:" not in said
        assert json.dumps(running.lines()).count("BEGIN") == 0
    finally:
        running.close()

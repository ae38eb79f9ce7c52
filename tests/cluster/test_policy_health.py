"""What operators of the operator see: metrics, health, missing CRD, missing rights, and no secret anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from tests.cluster.api import Api
from tests.cluster.coherence import says
from tests.cluster.operators import Operator, Shop, eventually, good, operator_of, spec
from tests.support.registry import Auth, FakeRegistry

from pawl.api.crd import crds
from pawl.sandbox import Cluster, SandboxOptions, cluster_for_tests

pytestmark = pytest.mark.cluster

PASSWORDS = ("correct-h0rse", "battery-st4ple")
METRICS = {
    "pawl_scans_total",
    "pawl_registry_requests_total",
    "pawl_registry_request_duration_seconds_count",
    "pawl_registry_tags",
    "pawl_held",
    "pawl_selections_total",
    "pawl_selection_lag_seconds_count",
    "pawl_last_scan_age_seconds",
    "pawl_workqueue_depth",
    "pawl_workqueue_queue_duration_seconds_count",
    "pawl_workqueue_work_duration_seconds_count",
    "pawl_reconcile_total",
    "pawl_reconcile_time_seconds_count",
    "pawl_leader",
    "pawl_lease_term",
    "pawl_event_loop_lag_seconds",
    "pawl_api_requests_total",
    "pawl_events_dropped",
    "pawl_build_info",
    "process_resident_memory_bytes",
}


@pytest.fixture(scope="module")
def operator(cluster: Cluster, installed: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    assert installed
    with operator_of(cluster.kubeconfig, tmp_path_factory.mktemp("health")) as running:
        yield running


@pytest.fixture
def shop(api: Api, namespace: str, operator: Operator) -> Shop:
    return Shop(api, namespace, operator)


async def test_metrics_name_what_happened(shop: Shop) -> None:
    operator = shop.operator
    async with FakeRegistry() as registry:
        host = registry.host
        registry.push("shop/web", "v1.0.0")
        shop.create(spec(host))
        await shop.tag("v1.0.0")
        registry.push("shop/web", "v1.1.0")
        await shop.ask()
        registry.behave(fail=503, only="tags/list", times=1)
        await shop.ask()
        shop.edit(blocked=["v1.1.0"])
        await shop.ask()
        missing = METRICS - {name for name, _ in operator.metrics()}
        assert not missing
        assert operator.metric("pawl_selections_total", cause="Bootstrap") >= 1
        assert operator.metric("pawl_selections_total", cause="Newer") >= 1
        assert operator.metric("pawl_scans_total", result="failed") >= 1
        assert operator.metric("pawl_registry_requests_total", host=host, code="503") == 1
        assert operator.metric("pawl_registry_requests_total", host=host, code="200") >= 4
        assert operator.metric("pawl_registry_tags", host=host) == 2
        assert operator.metric("pawl_held", reason="Blocked") == 1
        assert (operator.metric("pawl_leader"), operator.metric("pawl_lease_term")) == (1, 1)
        labels = {label for _, labels in operator.metrics() for _, label in labels}
        assert not {"v1.0.0", "v1.1.0", "shop/web", "web", shop.namespace} & labels
        shop.delete()
        await eventually(lambda: operator.metric("pawl_held", reason="Blocked") == 0)
        await eventually(lambda: operator.metric("pawl_registry_tags", host=host) == 0)


def test_health_and_readiness(operator: Operator) -> None:
    operator.wait_log("ready")
    assert (operator.get("healthz").status_code, operator.get("readyz").status_code) == (200, 200)
    assert "[+]watch ok" in operator.get("healthz").text
    assert "[+]event-loop ok" in operator.get("healthz").text
    assert "[+]policies ok" in operator.get("readyz").text


async def test_no_secret_comes_out(shop: Shop) -> None:
    """Right and wrong passwords, broken Secrets, Basic and tokens: nothing of them in log, metrics, Events, status."""
    right, wrong = PASSWORDS
    auth = Auth("bearer", {"robot": right})
    async with FakeRegistry(auth=auth) as registry:
        registry.push("shop/web", "v1.0.0")
        shop.pull_secret("right", registry.host, "robot", right)
        shop.pull_secret("wrong", registry.host, "robot", wrong)
        shop.secret("broken", {".dockerconfigjson": f'{{"auths": {{"{registry.host}": {{"auth": "{wrong}"}}'})
        shop.secret("keyed", {"user": wrong, "password": right})
        for name in ("right", "wrong", "broken", "keyed"):
            shop.create(spec(registry.host, access={"pullSecretRef": {"name": name}}), name)
        await shop.tag("v1.0.0", "right")
        for name in ("wrong", "broken", "keyed"):
            await shop.until(lambda seen: says(seen, "Stalled"), name)
        tokens = set(registry.tokens)
        assert tokens
        everything = shop.operator.text + shop.operator.get("metrics").text
        everything += json.dumps(good(shop.api.get(shop.core("events"))).body)
        everything += "".join(json.dumps(shop.read(name)) for name in ("right", "wrong", "broken"))
        everything += json.dumps(shop.ledger("right"))
        for secret in (*PASSWORDS, *tokens):
            assert secret not in everything


async def test_a_missing_crd_is_waited_for(tmp_path: Path) -> None:
    """A cluster of its own: the operator says what is missing, is not ready, and works once it is applied."""
    with cluster_for_tests(SandboxOptions(name=f"bare-{uuid4().hex[:6]}", nodes=0, registry=False)) as bare:
        if bare.source == "PAWL_KUBECONFIG":
            pytest.skip("the cluster given is not ours to take the CRD from")
        api, log = Api(bare.kubeconfig), tmp_path / "operator.log"
        operator = Operator(bare.kubeconfig, log, "pawl-system")
        try:
            told = operator.wait_log("CRD missing")
            assert told["fix"] == "pawl crds | kubectl apply -f -"
            assert operator.get("healthz").status_code == 200
            assert operator.get("readyz").status_code == 503
            assert "are the CRDs installed and readable?" in operator.get("readyz").text
            await _installed_and_working(api, operator)
        finally:
            operator.close()
            api.close()


async def _installed_and_working(api: Api, operator: Operator) -> None:
    for document in crds():
        good(
            api.apply(
                f"apis/apiextensions.k8s.io/v1/customresourcedefinitions/{document['metadata']['name']}", document
            )
        )
    async with FakeRegistry() as registry:
        registry.push("shop/web", "v1.0.0")
        shop = Shop(api, "default", operator)
        await eventually(lambda: api.get("apis/pawl.dev/v1alpha1/imagepolicies").ok)
        shop.create(spec(registry.host))
        await shop.tag("v1.0.0", seconds=25)
        await eventually(lambda: operator.get("readyz").status_code == 200)

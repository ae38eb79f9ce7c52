"""An operator that may not do everything: what is missing is named, in status where it can be, else in the log.

Each test has an operator of its own, as a ServiceAccount with few rights, and no other one runs beside it.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cluster.api import Api, Json
from tests.cluster.coherence import says
from tests.cluster.identities import kubeconfig_of
from tests.cluster.operators import Operator, Shop, eventually, operator_of, spec
from tests.support.registry import FakeRegistry

from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("installed")]


def rules(*verbs: str, resources: tuple[str, ...] = ("imagepolicies",)) -> Json:
    return {"apiGroups": ["pawl.dev", "", "coordination.k8s.io"], "resources": list(resources), "verbs": list(verbs)}


ALL = ("get", "list", "watch", "create", "update", "patch")
PARTIAL = {
    "no secrets": (
        [("imagepolicies", "imagepolicies/status", "configmaps", "pods", "leases", "events")],
        "secrets",
        "get",
    ),
    "no ledgers": (
        [("imagepolicies", "imagepolicies/status", "secrets", "pods", "leases", "events")],
        "configmaps",
        "get",
    ),
    "no pods": (
        [("imagepolicies", "imagepolicies/status", "secrets", "configmaps", "leases", "events")],
        "pods",
        "list",
    ),
}


@pytest.mark.parametrize(("resources", "lacking", "verb"), PARTIAL.values(), ids=PARTIAL.keys())
async def test_a_missing_right_is_named_in_status(
    cluster: Cluster,
    api: Api,
    namespace: str,
    tmp_path: Path,
    resources: list[tuple[str, ...]],
    lacking: str,
    verb: str,
) -> None:
    granted = [rules(*ALL, resources=names) for names in resources]
    path = await kubeconfig_of(cluster, namespace, "poor", tmp_path, granted)
    async with FakeRegistry() as registry:
        registry.push("shop/web", "v1.0.0")
        with operator_of(path, tmp_path, "--watch-namespaces", namespace, namespace=namespace) as operator:
            shop = Shop(api, namespace, operator)
            shop.pull_secret("regcred", registry.host, "robot", "pass")
            shop.create(spec(registry.host, access={"pullSecretRef": {"name": "regcred"}}))
            found = await shop.until(lambda seen: says(seen, "Stalled") == ("True", "MissingRight"))
            said = next(one["message"] for one in found["status"]["conditions"] if one["type"] == "Stalled")
            assert f"the verb '{verb}' on '{lacking}'" in said
            assert f"system:serviceaccount:{namespace}:poor" in said


async def test_a_missing_right_to_write_status_is_named_in_the_log(
    cluster: Cluster, api: Api, namespace: str, tmp_path: Path
) -> None:
    """The status cannot say it: the log does, and the selection in the ledger is not lost."""
    granted = [rules(*ALL, resources=("configmaps", "pods", "leases", "events")), rules("get", "list", "watch")]
    path = await kubeconfig_of(cluster, namespace, "poor", tmp_path, granted)
    async with FakeRegistry() as registry:
        registry.push("shop/web", "v1.0.0")
        with operator_of(path, tmp_path, "--watch-namespaces", namespace, namespace=namespace) as operator:
            shop = Shop(api, namespace, operator)
            shop.create(spec(registry.host))
            await eventually(lambda: "the verb 'patch' on 'imagepolicies/status'" in operator.text)
            assert "selection" not in shop.read()["status"]
            assert shop.ledger_content()["selection"]["tag"] == "v1.0.0"


async def test_a_missing_right_to_list_policies_keeps_it_unready(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    path = await kubeconfig_of(cluster, namespace, "poor", tmp_path, [rules(*ALL, resources=("leases",))])
    operator = Operator(path, tmp_path / "poor.log", namespace, "--watch-namespaces", namespace)
    try:
        told = operator.wait_log("right missing")
        assert "the verb 'list' on 'imagepolicies'" in told["error"]
        assert operator.get("readyz").status_code == 503
    finally:
        operator.close()


async def test_policies_go_on_where_overrides_may_not_be_read_and_their_tables_stay(
    cluster: Cluster, api: Api, namespace: str, tmp_path: Path
) -> None:
    granted = [rules(*ALL, resources=("imagepolicies", "imagepolicies/status", "imagerules", "configmaps", "pods"))]
    granted.append(rules(*ALL, resources=("leases", "events")))
    path = await kubeconfig_of(cluster, namespace, "poor", tmp_path, granted)
    entry = {"to": "registry.example.com/hub", "override": f"{namespace}/mirror", "rule": 0}
    table = f"apis/pawl.dev/v1alpha1/namespaces/{namespace}/imagerules"
    body = {"apiVersion": "pawl.dev/v1alpha1", "kind": "ImageRules", "metadata": {"name": "pawl"}}
    assert api.post(table, body | {"spec": {"rules": {"docker.io/x": [entry]}}}).ok
    async with FakeRegistry() as registry:
        registry.push("shop/web", "v1.0.0")
        with operator_of(path, tmp_path, "--watch-namespaces", namespace, namespace=namespace) as operator:
            shop = Shop(api, namespace, operator)
            shop.create(spec(registry.host))
            assert (await shop.tag("v1.0.0"))["digest"]
            assert "the verb 'list' on 'imageoverrides'" in operator.wait_log("left out")["error"]
    assert list(api.get(f"{table}/pawl").body["spec"]["rules"]) == ["docker.io/x"]

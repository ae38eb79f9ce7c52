"""Prepull Jobs in namespaces that are strict: restricted Pod Security, and quotas that are full."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from tests.cluster.api import Api, Json
from tests.cluster.operators import good

from pawl.api.errors import Forbidden
from pawl.cluster.client import Cluster
from pawl.cluster.rows_workloads import decoders
from pawl.cluster.world import World
from pawl.controllers.prepulls import Prepulls, job_of, state_of
from pawl.decide.objects import WorkloadRow
from pawl.decide.rollout import PullState
from pawl.decide.rollout_actions import Prepull
from pawl.sandbox import Cluster as Sandbox

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]
ENFORCE = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/enforce-version": "latest"}


def eventually(wanted: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + 40
    while not (found := wanted()):
        assert time.monotonic() < end, what
        time.sleep(0.1)
    return found


def pods(api: Api, namespace: str) -> list[Json]:
    items: list[Json] = good(api.get(f"api/v1/namespaces/{namespace}/pods")).body["items"]
    return items


@pytest.fixture
def strict(api: Api) -> Any:
    """A namespace that takes restricted Pods only, and whose quota counts requests and limits of everything."""
    name = f"strict-{uuid4().hex[:6]}"
    good(api.post("api/v1/namespaces", {"metadata": {"name": name, "labels": ENFORCE}}))
    hard = {f"{kind}.{what}": "1" for kind in ("requests", "limits") for what in ("cpu", "memory")}
    hard |= {"requests.memory": "1Gi", "limits.memory": "1Gi"}
    good(api.post(f"api/v1/namespaces/{name}/resourcequotas", {"metadata": {"name": "all"}, "spec": {"hard": hard}}))
    eventually(lambda: api.get(f"api/v1/namespaces/{name}/serviceaccounts/default").ok, "no ServiceAccount")
    yield name
    api.delete(f"api/v1/namespaces/{name}")


def test_a_pull_runs_where_pods_are_restricted_and_every_resource_is_counted(api: Api, strict: str) -> None:
    refused = api.post(
        f"api/v1/namespaces/{strict}/pods",
        {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "x"}]}},
    )
    assert refused.code == 403  # the namespace is strict indeed
    job: Any = job_of(Prepull("n1", "r.invalid/x:1", strict, ("regcred",)), ("of-pawl",))
    good(api.post(f"apis/batch/v1/namespaces/{strict}/jobs", job))
    (pod,) = eventually(lambda: pods(api, strict), "the Job controller made no Pod")
    assert pod["spec"]["imagePullSecrets"] == [{"name": "regcred"}, {"name": "of-pawl"}]


async def test_a_quota_that_refuses_the_job_is_named(api: Api, cluster: Sandbox, strict: str) -> None:
    quota = {"metadata": {"name": "jobs"}, "spec": {"hard": {"count/jobs.batch": "0"}}}
    good(api.post(f"api/v1/namespaces/{strict}/resourcequotas", quota))
    eventually(
        lambda: good(api.get(f"api/v1/namespaces/{strict}/resourcequotas/jobs")).body.get("status", {}).get("hard"),
        "the quota is not counted",
    )
    async with await Cluster.connect(str(cluster.kubeconfig)) as client:
        with pytest.raises(Forbidden, match="exceeded quota: jobs") as refused:
            await Prepulls(client, World(client, ())).start(Prepull("n1", "r.invalid/x:1", strict))
    assert strict in str(refused.value)


def test_a_quota_that_refuses_the_pod_leaves_a_job_without_one(api: Api, strict: str) -> None:
    quota = {"metadata": {"name": "pods"}, "spec": {"hard": {"pods": "0"}}}
    good(api.post(f"api/v1/namespaces/{strict}/resourcequotas", quota))
    eventually(
        lambda: good(api.get(f"api/v1/namespaces/{strict}/resourcequotas/pods")).body.get("status", {}).get("hard"),
        "the quota is not counted",
    )
    job: Any = job_of(Prepull("n1", "r.invalid/x:1", strict))
    path = f"apis/batch/v1/namespaces/{strict}/jobs"
    good(api.post(path, job))
    eventually(
        lambda: any("exceeded quota" in each["message"] for each in events(api, strict)), "the refusal is not told"
    )
    stored = good(api.get(f"{path}/{job['metadata']['name']}")).body
    row = decoders()["Job"](json.dumps(stored).encode())
    assert isinstance(row, WorkloadRow)
    assert state_of(row, ()) is PullState.PODLESS


def events(api: Api, namespace: str) -> list[Json]:
    items: list[Json] = good(api.get(f"api/v1/namespaces/{namespace}/events")).body["items"]
    return items

"""Jobs and Pods on a real API server: deleted, evicted, made again, and never twice."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from tests.cluster.api import Api, Json
from tests.cluster.workloads import create, live, manifest, path_of, pod_row_of, pod_spec, row_of, undisturbed

from pawl.api.errors import ApiUnavailable, Conflict, Invalid, NotFound
from pawl.cluster.client import Cluster
from pawl.cluster.eviction import evict
from pawl.cluster.jobs import SavedJob, delete_job, forget_saved, read_saved, recreate_job, save_job
from pawl.sandbox import Cluster as Sandbox

pytestmark = pytest.mark.cluster

STUCK = "registry.invalid:5000/rook/ceph:v1"
UIDS = {"controller-uid", "batch.kubernetes.io/controller-uid"}


@pytest_asyncio.fixture
async def client(cluster: Sandbox) -> AsyncIterator[Cluster]:
    async with await Cluster.connect(str(cluster.kubeconfig)) as found:
        yield found


def job(name: str = "once", **spec: Any) -> Json:
    body = manifest("Job", name, pod_spec(main=STUCK))
    body["metadata"]["labels"] = {"mine": "yes"}
    body["spec"] |= spec
    return body


async def save(client: Cluster, api: Api, namespace: str, name: str = "once") -> SavedJob:
    return await undisturbed(lambda: save_job(client, row_of(api, "Job", namespace, name)))


async def recreate(client: Cluster, saved: SavedJob) -> str:
    async with asyncio.timeout(30):
        while (outcome := await recreate_job(client, saved)) == "waiting":  # noqa: ASYNC110 - only the API server knows
            await asyncio.sleep(0.05)
    return outcome


def saved_secrets(api: Api, namespace: str) -> list[str]:
    items = api.get(f"api/v1/namespaces/{namespace}/secrets").body["items"]
    return [each["metadata"]["name"] for each in items if "pawl.dev/saved-jobs" in each["metadata"].get("labels", {})]


async def pods_gone(api: Api, namespace: str) -> None:
    async with asyncio.timeout(30):
        while api.get(path_of("Pod", namespace)).body["items"]:  # noqa: ASYNC110 - only the API server knows
            await asyncio.sleep(0.05)


async def test_a_standalone_job_is_made_again_under_its_name(client: Cluster, api: Api, namespace: str) -> None:
    spec = {"completions": 3, "parallelism": 2, "ttlSecondsAfterFinished": 77, "backoffLimit": 4}
    before = create(api, namespace, job(**spec))
    saved = await save(client, api, namespace)
    assert [each.uid for each in await read_saved(client, namespace)] == [before["metadata"]["uid"]]
    assert await recreate(client, saved) == "made"
    after = live(api, "Job", namespace, "once")
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert after["metadata"]["annotations"]["pawl.dev/recreated-from"] == before["metadata"]["uid"]
    assert after["metadata"]["annotations"]["mine"] == "stays"
    assert after["metadata"]["labels"]["mine"] == "yes"
    assert {key: after["spec"][key] for key in spec} == spec
    labels = after["spec"]["template"]["metadata"]["labels"]
    assert {labels[key] for key in UIDS} == {after["metadata"]["uid"]}
    assert saved_secrets(api, namespace) == []
    row = row_of(api, "Job", namespace, "once")
    assert row.job is not None
    assert row.job.recreated_from == before["metadata"]["uid"]


async def test_a_selector_chosen_by_hand_stays(client: Cluster, api: Api, namespace: str) -> None:
    body = job(manualSelector=True, selector={"matchLabels": {"app": "mine"}})
    body["spec"]["template"]["metadata"] = {"labels": {"app": "mine"}}
    create(api, namespace, body)
    assert await recreate(client, await save(client, api, namespace)) == "made"
    after = live(api, "Job", namespace, "once")
    assert after["spec"]["selector"] == {"matchLabels": {"app": "mine"}}
    assert after["spec"]["template"]["metadata"]["labels"]["app"] == "mine"


async def test_a_suspended_job_stays_suspended(client: Cluster, api: Api, namespace: str) -> None:
    create(api, namespace, job(suspend=True))
    assert await recreate(client, await save(client, api, namespace)) == "made"
    assert live(api, "Job", namespace, "once")["spec"]["suspend"] is True
    row = row_of(api, "Job", namespace, "once")
    assert row.job is not None
    assert row.job.suspended


async def test_a_crash_after_the_delete_is_made_good_from_the_secret(client: Cluster, api: Api, namespace: str) -> None:
    create(api, namespace, job())
    await save(client, api, namespace)
    (found,) = await read_saved(client, namespace)
    assert await recreate(client, found) == "made"
    assert await recreate(client, found) == "made"  # died before it was forgotten
    assert await read_saved(client, namespace) == []


async def test_a_crash_before_the_delete_leaves_the_job_as_it_is(client: Cluster, api: Api, namespace: str) -> None:
    uid = create(api, namespace, job())["metadata"]["uid"]
    saved = await save(client, api, namespace)
    assert await recreate(client, saved) == "made"
    new = live(api, "Job", namespace, "once")["metadata"]["uid"]
    again = SavedJob(namespace, "once", new, saved.manifest)
    assert await recreate_job(client, again) == "kept"
    assert uid != live(api, "Job", namespace, "once")["metadata"]["uid"] == new


async def test_a_job_of_somebody_else_under_that_name_is_left(client: Cluster, api: Api, namespace: str) -> None:
    create(api, namespace, job())
    saved = await save(client, api, namespace)
    async with asyncio.timeout(30):
        while not (answer := api.post(path_of("Job", namespace), job())).ok:
            assert answer.code == 409
            await asyncio.sleep(0.05)
    assert await recreate_job(client, saved) == "taken"
    assert live(api, "Job", namespace, "once")["metadata"]["uid"] == answer.body["metadata"]["uid"]


async def test_a_job_that_changed_since_is_neither_saved_nor_deleted(client: Cluster, api: Api, namespace: str) -> None:
    create(api, namespace, job(suspend=True))
    row = row_of(api, "Job", namespace, "once")
    assert api.merge(path_of("Job", namespace, "once"), {"metadata": {"labels": {"new": "yes"}}}).ok
    with pytest.raises(Conflict):
        await save_job(client, row)
    with pytest.raises(Conflict):
        await delete_job(client, row)
    assert saved_secrets(api, namespace) == []
    assert live(api, "Job", namespace, "once")["metadata"]["uid"] == row.uid


async def test_a_refused_manifest_stays_saved_for_a_person(client: Cluster, api: Api, namespace: str) -> None:
    create(api, namespace, job())
    saved = await save(client, api, namespace)
    broken = SavedJob(saved.namespace, saved.name, saved.uid, {**saved.manifest, "spec": {}})
    with pytest.raises(Invalid):
        await recreate_job(client, broken)
    assert saved_secrets(api, namespace) == ["pawl-saved-jobs"]
    await forget_saved(client, saved)
    await forget_saved(client, saved)
    assert saved_secrets(api, namespace) == []


async def test_a_deleted_job_takes_its_pods_along(client: Cluster, api: Api, namespace: str) -> None:
    create(api, namespace, job())
    async with asyncio.timeout(30):
        while not api.get(path_of("Pod", namespace)).body["items"]:  # noqa: ASYNC110 - only the API server knows
            await asyncio.sleep(0.05)
    await undisturbed(lambda: delete_job(client, row_of(api, "Job", namespace, "once")))
    await pods_gone(api, namespace)
    assert api.get(path_of("Job", namespace, "once")).code == 404


async def test_an_evicted_pod_goes(client: Cluster, api: Api, namespace: str) -> None:
    create(api, namespace, manifest("Pod", "bare", pod_spec(web="quay.io/web:1")))
    row = pod_row_of(api, namespace, "bare")
    await evict(client, row)
    await pods_gone(api, namespace)
    with pytest.raises(NotFound):
        await evict(client, row)


async def test_another_pod_of_that_name_is_not_evicted(client: Cluster, api: Api, namespace: str) -> None:
    create(api, namespace, manifest("Pod", "bare", pod_spec(web="quay.io/web:1")))
    row = pod_row_of(api, namespace, "bare")
    await evict(client, row)
    await pods_gone(api, namespace)
    uid = create(api, namespace, manifest("Pod", "bare", pod_spec(web="quay.io/web:1")))["metadata"]["uid"]
    with pytest.raises(Conflict):
        await evict(client, row)
    assert live(api, "Pod", namespace, "bare")["metadata"]["uid"] == uid


async def test_a_budget_that_says_no_is_named(client: Cluster, api: Api, namespace: str) -> None:
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "keep-one"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
    }
    assert api.post(f"apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets", budget).ok
    body = manifest("Deployment", "web", pod_spec(web="quay.io/web:1"))
    body["spec"]["replicas"] = 1
    create(api, namespace, body)
    async with asyncio.timeout(30):
        while not (items := ready(api, namespace)):  # noqa: ASYNC110 - only the API server knows
            await asyncio.sleep(0.05)
    with pytest.raises(ApiUnavailable, match=r"may not be evicted now: .*keep-one") as raised:
        await evict(client, pod_row_of(api, namespace, items[0]))
    assert raised.value.status == 429
    assert live(api, "Pod", namespace, items[0])["metadata"].get("deletionTimestamp") is None


def ready(api: Api, namespace: str) -> list[str]:
    items = api.get(path_of("Pod", namespace)).body["items"]
    budget = api.get(f"apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/keep-one").body["status"]
    return [each["metadata"]["name"] for each in items if budget.get("currentHealthy", 0) > 0]


@pytest.mark.parametrize("data", [{}, {"uid-1": "bm9uc2Vuc2U="}, {"uid-1": "e30="}])
async def test_a_damaged_secret_is_passed_over(data: dict[str, str], client: Cluster, api: Api, namespace: str) -> None:
    metadata = {"name": "pawl-saved-jobs", "labels": {"pawl.dev/saved-jobs": "true"}}
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}
    assert api.post(f"api/v1/namespaces/{namespace}/secrets", body).ok
    create(api, namespace, job(suspend=True))
    saved = await save(client, api, namespace)
    assert await read_saved(client, namespace) == [saved]


async def test_two_saved_jobs_share_a_secret_that_goes_with_the_last(client: Cluster, api: Api, namespace: str) -> None:
    for name in ("one", "two"):
        create(api, namespace, job(name, suspend=True))
    one, two = await asyncio.gather(*(save(client, api, namespace, name) for name in ("one", "two")))
    assert {each.name for each in await read_saved(client, namespace)} == {"one", "two"}
    assert saved_secrets(api, namespace) == ["pawl-saved-jobs"]
    assert await recreate(client, one) == "made"
    assert await read_saved(client, namespace) == [two]
    assert await recreate(client, two) == "made"
    assert saved_secrets(api, namespace) == []


async def test_a_secret_of_that_name_that_is_not_ours_is_not_read(client: Cluster, api: Api, namespace: str) -> None:
    entry = base64.b64encode(b'{"name": "theirs", "manifest": {}}').decode()
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pawl-saved-jobs"}, "data": {"uid": entry}}
    assert api.post(f"api/v1/namespaces/{namespace}/secrets", body).ok
    assert await read_saved(client, namespace) == []


async def test_a_job_that_is_gone_is_told_as_gone(client: Cluster, api: Api, namespace: str) -> None:
    create(api, namespace, job(suspend=True))
    row = row_of(api, "Job", namespace, "once")
    await undisturbed(lambda: delete_job(client, row_of(api, "Job", namespace, "once")))
    with pytest.raises(NotFound):
        await save_job(client, row)
    with pytest.raises(NotFound):
        await delete_job(client, row)
    assert saved_secrets(api, namespace) == []

"""The client's verbs: what is sent, what is tried again, what is counted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest
from tests.unit.cluster.memory_api import MemoryApi, status

from pawl.api.errors import ApiUnavailable, Conflict, Invalid, NotFound
from pawl.cluster.calls import Answer, Request
from pawl.cluster.client import Cluster, Options
from pawl.cluster.resources import CONFIG_MAPS, IMAGE_POLICIES, LEASES

QUICK = Options(backoff=0.001)
BODY = {"metadata": {"name": "a"}}


def scripted(*answers: Answer | Exception) -> tuple[MemoryApi, Callable[[Request], object]]:
    """A server that gives these answers in turn, then its own; and the list of what it was asked."""
    api, left = MemoryApi(), list(answers)

    async def hook(request: Request) -> Answer | None:
        if not left:
            return None
        api.requests.append(request)
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    api.hook = hook
    return api, hook


def ok(body: object = "") -> Answer:
    return Answer(200, json.dumps(body).encode())


async def test_the_life_of_an_object() -> None:
    api = MemoryApi()
    cluster = api.cluster()
    made = json.loads(await cluster.create(CONFIG_MAPS, "default", {**BODY, "data": {"k": "1"}}))
    with pytest.raises(Conflict):
        await cluster.create(CONFIG_MAPS, "default", BODY)
    made["data"] = {"k": "2"}
    newer = json.loads(await cluster.replace(CONFIG_MAPS, "default", "a", made))
    with pytest.raises(Conflict):
        await cluster.replace(CONFIG_MAPS, "default", "a", made)
    assert json.loads(await cluster.get(CONFIG_MAPS, "default", "a")) == newer
    with pytest.raises(Conflict):
        await cluster.delete(CONFIG_MAPS, "default", "a", resource_version="0")
    await cluster.delete(CONFIG_MAPS, "default", "a", uid=newer["metadata"]["uid"])
    with pytest.raises(NotFound, match="configmaps default/a does not exist"):
        await cluster.get(CONFIG_MAPS, "default", "a")


async def test_patches_carry_their_type_subresource_and_manager() -> None:
    api, _ = scripted(ok(), ok(), ok())
    cluster = api.cluster()
    await cluster.merge_patch(IMAGE_POLICIES, "shop", "web", {"status": None}, "status")
    await cluster.json_patch(IMAGE_POLICIES, "shop", "web", [{"op": "test", "path": "/a", "value": 1}])
    await cluster.apply(IMAGE_POLICIES, "shop", "web", {"a": 1}, force=False, subresource="status")
    merge, operations, apply = api.requests
    assert (merge.method, merge.content_type, merge.body) == (
        "PATCH",
        "application/merge-patch+json",
        b'{"status":null}',
    )
    assert merge.path.endswith("/imagepolicies/web/status")
    assert operations.content_type == "application/json-patch+json"
    assert apply.content_type == "application/apply-patch+yaml"
    assert apply.query == {"fieldManager": "pawl", "force": "false"}


async def test_delete_says_only_what_was_asked() -> None:
    api, _ = scripted(ok(), ok())
    cluster = api.cluster()
    await cluster.delete(CONFIG_MAPS, "shop", "a")
    await cluster.delete(CONFIG_MAPS, "shop", "a", uid="u", resource_version="3", propagation="Foreground")
    assert api.requests[0].body == b"{}"
    assert json.loads(api.requests[1].body or b"") == {
        "preconditions": {"uid": "u", "resourceVersion": "3"},
        "propagationPolicy": "Foreground",
    }


async def test_lists_come_in_pages() -> None:
    api = MemoryApi()
    for number in range(7):
        api.put(f"/api/v1/namespaces/default/configmaps/{number}", {"metadata": {"name": str(number)}})
    pages = [
        [item["metadata"]["name"] for item in json.loads(page)["items"]]
        async for page in api.cluster().list_pages(CONFIG_MAPS, "default", "a=b", "c=d", limit=3)
    ]
    assert pages == [["0", "1", "2"], ["3", "4", "5"], ["6"]]
    query = dict(api.requests[1].query or {})
    assert query == {"limit": "3", "labelSelector": "a=b", "fieldSelector": "c=d", "continue": "3"}
    assert api.requests[0].accept == "application/json"


async def test_a_list_of_metadata_leaves_the_rest_on_the_server() -> None:
    api = MemoryApi()
    async for _ in api.cluster().list_pages(CONFIG_MAPS, None, metadata_only=True):
        pass
    assert "PartialObjectMetadataList" in api.requests[0].accept


@pytest.mark.parametrize(
    "failure", [ApiUnavailable("cut"), status(429, "", "slow"), status(500, "", "etcd"), status(503, "", "starting")]
)
async def test_reads_are_tried_three_times(failure: Answer | Exception) -> None:
    api, _ = scripted(failure, failure)
    api.put("/api/v1/namespaces/default/configmaps/a", {})
    await api.cluster(options=QUICK).get(CONFIG_MAPS, "default", "a")
    api, _ = scripted(failure, failure, failure)
    with pytest.raises(ApiUnavailable):
        await api.cluster(options=QUICK).get(CONFIG_MAPS, "default", "a")
    assert len(api.requests) == 3


@pytest.mark.parametrize("code", [400, 403, 404, 409, 410])
async def test_reads_that_were_refused_are_not_tried_again(code: int) -> None:
    api, _ = scripted(status(code, "", "no"))
    with pytest.raises((Invalid, NotFound, Conflict, Exception)):
        await api.cluster(options=QUICK).get(CONFIG_MAPS, "default", "a")
    assert len(api.requests) == 1


async def test_writes_are_sent_once() -> None:
    for write in (
        lambda cluster: cluster.create(CONFIG_MAPS, "default", BODY),
        lambda cluster: cluster.replace(CONFIG_MAPS, "default", "a", BODY),
        lambda cluster: cluster.merge_patch(CONFIG_MAPS, "default", "a", BODY),
        lambda cluster: cluster.delete(CONFIG_MAPS, "default", "a"),
    ):
        api, _ = scripted(status(503, "", "starting"))
        with pytest.raises(ApiUnavailable):
            await write(api.cluster(options=QUICK))
        assert len(api.requests) == 1


async def test_retry_after_is_waited_for_when_short_and_handed_on_when_long() -> None:
    loop = asyncio.get_running_loop()
    api, _ = scripted(status(429, "", "slow", retryAfterSeconds=1))
    api.put("/api/v1/namespaces/default/configmaps/a", {})
    begin = loop.time()
    await api.cluster(options=QUICK).get(CONFIG_MAPS, "default", "a")
    assert loop.time() - begin >= 1
    api, _ = scripted(status(429, "", "slow", retryAfterSeconds=60))
    with pytest.raises(ApiUnavailable) as caught:
        await api.cluster(options=QUICK).get(CONFIG_MAPS, "default", "a")
    assert caught.value.retry_after == 60
    assert len(api.requests) == 1


async def test_a_read_never_outlives_its_timeout() -> None:
    api, _ = scripted(*[status(503, "", "starting")] * 9)
    options = Options(timeout=0.2, tries=9, backoff=0.1, jitter=lambda: 1.0)
    begin = asyncio.get_running_loop().time()
    with pytest.raises(ApiUnavailable):
        await api.cluster(options=options).get(CONFIG_MAPS, "default", "a")
    assert asyncio.get_running_loop().time() - begin < 0.25
    assert api.requests[-1].timeout < api.requests[0].timeout <= 0.2


async def test_requests_are_observed_with_their_end() -> None:
    seen: list[tuple[str, str, int]] = []
    options = Options(tries=1, observe=lambda verb, resource, code, _: seen.append((verb, resource, code)))
    api, _ = scripted(ok(), status(404, "", "no"), ApiUnavailable("cut"))
    cluster = api.cluster(options=options)
    await cluster.merge_patch(IMAGE_POLICIES, "shop", "web", {}, "status")
    for _ in range(2):
        with pytest.raises((NotFound, ApiUnavailable)):
            await cluster.get(CONFIG_MAPS, "default", "a")
    assert seen == [("patch", "imagepolicies/status", 200), ("get", "configmaps", 404), ("get", "configmaps", 0)]


async def test_few_requests_are_in_flight_at_once_and_the_lease_does_not_wait_for_them() -> None:
    api, flying, most = MemoryApi(), 0, 0
    gate = asyncio.Event()

    async def hook(request: Request) -> Answer | None:
        nonlocal flying, most
        if request.resource is LEASES:
            return ok()
        flying += 1
        most = max(most, flying)
        await gate.wait()
        flying -= 1
        return ok()

    api.hook = hook
    cluster = api.cluster(options=Options(concurrency=3))
    waiting = [asyncio.create_task(cluster.get(CONFIG_MAPS, "default", str(number))) for number in range(9)]
    await asyncio.sleep(0.01)
    await asyncio.wait_for(cluster.get(LEASES, "default", "pawl"), 1)
    gate.set()
    await asyncio.gather(*waiting)
    assert most == 3


async def test_a_client_is_closed_with_its_block() -> None:
    async with Cluster(MemoryApi().view()) as cluster:
        assert (await cluster.connection_info()).server == "https://memory"

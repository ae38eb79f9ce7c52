"""Secrets: read once for many, kept for seconds, never shown."""

from __future__ import annotations

import asyncio
from base64 import b64encode

import pytest
from tests.unit.cluster.memory_api import MemoryApi, status

from pawl.api.errors import ApiUnavailable, Forbidden, Invalid, NotFound
from pawl.cluster.calls import Answer, Request
from pawl.cluster.client import Options
from pawl.cluster.secrets import SecretData, SecretReader, ServiceAccount

PATH = "/api/v1/namespaces/default/secrets/regcred"


def stored(value: str = "hunter2") -> dict[str, object]:
    return {"metadata": {"name": "regcred"}, "type": "Opaque", "data": {"password": b64encode(value.encode()).decode()}}


@pytest.fixture
def api() -> MemoryApi:
    api = MemoryApi()
    api.put(PATH, stored())
    return api


async def test_values_come_decoded(api: MemoryApi) -> None:
    secret = await SecretReader(api.cluster()).secret("default", "regcred")
    assert dict(secret) == {"password": b"hunter2"}
    assert secret.type == "Opaque"
    assert secret.resource_version == api.objects[PATH]["metadata"]["resourceVersion"]
    assert len(secret) == 1


def test_no_repr_shows_a_value() -> None:
    secret = SecretData("Opaque", {"password": b"hunter2"})
    for text in (repr(secret), str(secret), f"{secret}", repr([secret])):
        assert "hunter2" not in text
    assert repr(secret) == "SecretData(type='Opaque', keys=['password'])"


async def test_a_secret_without_data_is_empty(api: MemoryApi) -> None:
    api.put(PATH, {"metadata": {}, "data": None})
    assert dict(await SecretReader(api.cluster()).secret("default", "regcred")) == {}


async def test_a_thousand_askers_cost_one_request(api: MemoryApi) -> None:
    reader = SecretReader(api.cluster())
    await asyncio.gather(*(reader.secret("default", "regcred") for _ in range(1000)))
    await reader.secret("default", "regcred")
    assert len(api.requests) == 1


async def test_an_answer_is_read_again_after_its_time(api: MemoryApi) -> None:
    reader = SecretReader(api.cluster(), ttl=0.02)
    await reader.secret("default", "regcred")
    api.put(PATH, stored("changed"))
    await asyncio.sleep(0.03)
    assert (await reader.secret("default", "regcred"))["password"] == b"changed"


async def test_a_missing_secret_is_an_answer_too(api: MemoryApi) -> None:
    reader = SecretReader(api.cluster())
    for _ in range(5):
        with pytest.raises(NotFound, match="secrets default/nope does not exist"):
            await reader.secret("default", "nope")
    assert len(api.requests) == 1


async def test_a_denied_secret_says_which_right_is_missing(api: MemoryApi) -> None:
    async def deny(_: Request) -> Answer:
        return status(403, "Forbidden", 'secrets "x" is forbidden: User "bob" cannot get resource "secrets"')

    api.hook = deny
    with pytest.raises(Forbidden, match="grant bob the verb 'get' on 'secrets'"):
        await SecretReader(api.cluster()).secret("default", "x")


async def test_an_outage_is_not_kept(api: MemoryApi) -> None:
    reader = SecretReader(api.cluster(options=Options(tries=1)))

    async def down(_: Request) -> Answer:
        return status(503, "", "starting")

    api.hook = down
    with pytest.raises(ApiUnavailable):
        await reader.secret("default", "regcred")
    api.hook = None
    assert (await reader.secret("default", "regcred"))["password"] == b"hunter2"


async def test_an_asker_that_goes_away_leaves_the_answer_to_the_others(api: MemoryApi) -> None:
    gate = asyncio.Event()

    async def wait(_: Request) -> None:
        await gate.wait()

    api.hook = wait  # type: ignore[assignment]
    reader = SecretReader(api.cluster())
    first, second = (asyncio.create_task(reader.secret("default", "regcred")) for _ in range(2))
    await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.wait({first})
    gate.set()
    assert (await second)["password"] == b"hunter2"
    assert len(api.requests) == 1


async def test_a_failure_that_nobody_waits_for_is_not_reported_as_lost(api: MemoryApi) -> None:
    reader = SecretReader(api.cluster())
    task = asyncio.create_task(reader.secret("default", "nope"))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    await asyncio.sleep(0.01)


async def test_the_memory_is_bounded(api: MemoryApi) -> None:
    reader = SecretReader(api.cluster(), capacity=4)
    for number in range(9):
        api.put(f"{PATH}-{number}", stored())
        await reader.secret("default", f"regcred-{number}")
    assert len(reader._secrets._entries) == 4
    await reader.secret("default", "regcred-8")
    assert len(api.requests) == 9
    await reader.secret("default", "regcred-0")
    assert len(api.requests) == 10


@pytest.mark.parametrize("broken", [{"data": {"password": "%%%"}}, {"data": {"password": 3}}, {"data": ["hunter2"]}])
async def test_a_broken_secret_is_a_sentence_without_its_content(api: MemoryApi, broken: dict[str, object]) -> None:
    api.put(PATH, {"metadata": {}, **broken})
    with pytest.raises(Invalid, match="secrets default/regcred") as caught:
        await SecretReader(api.cluster()).secret("default", "regcred")
    assert "hunter2" not in str(caught.value)
    assert "%%%" not in str(caught.value)


async def test_a_service_account_gives_its_pull_secrets_in_order(api: MemoryApi) -> None:
    path = "/api/v1/namespaces/default/serviceaccounts/builder"
    api.put(path, {"metadata": {}, "imagePullSecrets": [{"name": "b"}, {}, {"name": "a"}]})
    reader = SecretReader(api.cluster())
    assert await reader.service_account("default", "builder") == ServiceAccount(("b", "a"))
    api.put(f"{path}-2", {"metadata": {}})
    assert await reader.service_account("default", "builder-2") == ServiceAccount(())

"""The pull Secrets of a registry on a real API server: where they were chosen, nowhere else, never a dead password."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import bcrypt
import pytest
from tests.cluster.registrystage import NOW, Stage, stage

from pawl.api.registrystorage import RegistryStorage
from pawl.cluster.calls import Answer, ConnectionValues, Request
from pawl.cluster.client import Cluster
from pawl.cluster.connect import HttpTransport
from pawl.cluster.credentials import Place
from pawl.controllers.registryaccess import AccessKeeper
from pawl.decide.accessusers import parsed
from pawl.sandbox import Cluster as Sandbox

__all__ = ["stage"]

pytestmark = pytest.mark.cluster


def copies(stage: Stage, *namespaces: str) -> list[bool]:
    return [stage.secret("main-pull", name) is not None for name in namespaces]


async def test_pull_secrets_follow_the_choice_of_namespaces(stage: Stage) -> None:
    mark = uuid4().hex[:8]
    one, two = stage.another(team=mark), stage.another(team=mark)
    taken, other = stage.another(team=mark), stage.another(team="other")
    stage.put("main-pull", {"x": "theirs"}, taken)
    chosen = {"pullSecrets": {"namespaceSelector": {"matchLabels": {"team": mark}}}}
    storage, keeper = stage.storage(access=chosen), stage.keeper()
    facts = await keeper.keep(storage, NOW)
    assert copies(stage, one, two, other) == [True, True, False]
    assert stage.secret("main-pull", taken) == {"x": "theirs"}
    (condition,) = facts.conditions
    assert (condition.type, condition.status, condition.reason) == ("CredentialsSpread", "False", "OwnedByOther")
    assert taken in condition.message
    stage.api.delete(f"api/v1/namespaces/{taken}/secrets/main-pull")
    facts = await keeper.keep(storage, NOW)
    assert [(each.status, each.reason) for each in facts.conditions] == [("True", "Spread")]
    stage.writes.clear()
    await keeper.keep(storage, NOW)
    assert stage.writes == []

    assert stage.api.merge(f"api/v1/namespaces/{two}", {"metadata": {"labels": {"team": "other"}}}).ok
    # Another process: what it must know it reads.
    keeper = stage.keeper()
    await keeper.keep(storage, NOW)
    assert copies(stage, one, two, taken) == [True, False, True]
    await keeper.keep(stage.storage(access={"pullSecrets": {**chosen["pullSecrets"], "name": "fresh"}}), NOW)
    assert copies(stage, stage.namespace, one, taken) == [False, False, False]
    assert stage.secret("fresh", one) is not None
    assert await stage.keeper().release(storage) == ()
    assert stage.secret("fresh", one) is None


async def test_copies_go_although_the_note_went_first(stage: Stage) -> None:
    mark = uuid4().hex[:8]
    one = stage.another(team=mark)
    storage = stage.storage(access={"pullSecrets": {"namespaceSelector": {"matchLabels": {"team": mark}}}})
    await stage.keeper().keep(storage, NOW)
    assert stage.api.delete(f"api/v1/namespaces/{stage.namespace}/secrets/main-registry-users").ok
    assert await stage.keeper().release(storage) == ()
    assert copies(stage, one) == [False]


class Death(Exception):
    """The end of a process."""


class Mortal:
    """A transport that ends its process at write number `at`; `sent`: whether that write still happened."""

    def __init__(self, inner: HttpTransport, at: int, *, sent: bool) -> None:
        self._inner, self._at, self._sent = inner, at, sent

    async def send(self, request: Request) -> Answer:
        if request.method == "GET":
            return await self._inner.send(request)
        self._at -= 1
        if self._at >= 0:
            return await self._inner.send(request)
        if self._sent:
            await self._inner.send(request)
        raise Death

    def stream(self, request: Request) -> Any:
        return self._inner.stream(request)

    async def connection_info(self) -> ConnectionValues:
        return await self._inner.connection_info()

    async def close(self) -> None:
        await self._inner.close()


@pytest.mark.parametrize("sent", [True, False])
async def test_a_death_at_any_write_loses_no_password_that_somebody_may_use(
    stage: Stage, cluster: Sandbox, *, sent: bool
) -> None:
    """Every password in the pull Secret is in the file of hashes, whatever was written last."""
    mark = uuid4().hex[:8]
    one = stage.another(team=mark)
    chosen = {"namespaceSelector": {"matchLabels": {"team": mark}}}
    storage = stage.storage(access={"pullSecrets": chosen, "users": {"rotateEvery": "48h"}})
    tries = 0
    for hours in (0, 48, 48.2, 72.3, 97, 97.2, 122):
        while True:
            transport = await HttpTransport.open(Place(kubeconfig=str(cluster.kubeconfig)))
            lived = await lived_through(Mortal(transport, tries % 4, sent=sent), storage, NOW + timedelta(hours=hours))
            tries += 1
            assert tries < 100
            pull = stage.secret("main-pull", one) or {}
            if pull:
                hashes = parsed((stage.secret("main-registry-htpasswd") or {})["htpasswd"])
                entry = next(iter(json.loads(pull[".dockerconfigjson"])["auths"].values()))
                assert bcrypt.checkpw(entry["password"].encode(), hashes[entry["username"]].encode())
            if lived:
                break
    facts = await stage.keeper().keep(storage, NOW + timedelta(hours=122))
    assert facts.password in (stage.secret("main-pull", one) or {})[".dockerconfigjson"]
    assert facts.blocked == ""


async def lived_through(transport: Mortal, storage: RegistryStorage, now: datetime) -> bool:
    """Look once as a process that may die; tell whether it did not."""
    async with Cluster(transport) as mortal:
        try:
            await AccessKeeper(mortal).keep(storage, now)
        except Death:
            return False
    return True


async def test_a_password_that_no_server_knows_yet_is_not_handed_out_however_late_it_is(
    stage: Stage, cluster: Sandbox
) -> None:
    storage = stage.storage(access={"users": {"rotateEvery": "48h"}})
    first = await stage.keeper().keep(storage, NOW)
    transport = await HttpTransport.open(Place(kubeconfig=str(cluster.kubeconfig)))
    # Death between the note of the successor and its hash, and an hour until the next look.
    assert not await lived_through(Mortal(transport, 1, sent=False), storage, NOW + timedelta(hours=48))
    assert (stage.secret("main-registry-users") or {})["nextUsername"] == "pawl-b"
    late = await stage.keeper().keep(storage, NOW + timedelta(hours=49))
    assert late.password == first.password
    assert "pawl-b" in (stage.secret("main-registry-htpasswd") or {})["htpasswd"]
    assert (await stage.keeper().keep(storage, NOW + timedelta(hours=49.2))).username == "pawl-b"

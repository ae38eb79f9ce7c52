"""Copies of pull Secrets in a real API server: who may have one, what is written, and what goes when."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from tests.cluster.api import Api
from tests.cluster.identities import kubeconfig_of

from pawl.cluster.client import Cluster, Options
from pawl.cluster.resources import SECRETS
from pawl.controllers.secretcopies import CopyResult, SecretCopies
from pawl.controllers.secretcopies_marks import CopyWish, Meta
from pawl.sandbox import Cluster as Sandbox

pytestmark = pytest.mark.cluster

PULL = "kubernetes.io/dockerconfigjson"
ONE, TWO = "ImageOverride/shop/one", "ClusterImageOverride//two"
PASSWORD = "hunter-two"


def config(password: str = PASSWORD) -> dict[str, str]:
    auth = base64.b64encode(f"robot:{password}".encode()).decode()
    raw = json.dumps({"auths": {"registry.corp": {"auth": auth}}})
    return {".dockerconfigjson": base64.b64encode(raw.encode()).decode()}


@pytest.fixture
def registry(api: Api) -> Iterator[str]:
    """A second namespace, where the source is."""
    name = f"r-{uuid4().hex[:10]}"
    assert api.post("api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}).ok
    yield name
    api.delete(f"api/v1/namespaces/{name}")


class Stage:
    """The source's and the copy's namespace, and counted writes."""

    def __init__(self, api: Api, client: Cluster, writes: list[str], places: tuple[str, str]) -> None:
        self.api, self.client, self.writes = api, client, writes
        self.source, self.target = places
        self.now = 1000.0
        self.copies = SecretCopies(client, clock=lambda: self.now)

    def put(self, namespace: str, name: str, allow: str | None = None, **fields: Any) -> None:
        notes = {} if allow is None else {"pawl.dev/allow-copy-to": allow}
        body = {"apiVersion": "v1", "kind": "Secret", "type": PULL, "data": config()} | fields
        body["metadata"] = {"name": name, "namespace": namespace, "annotations": notes}
        answer = self.api.post(f"api/v1/namespaces/{namespace}/secrets", body)
        assert answer.ok, answer.message

    def change(self, namespace: str, name: str, **body: Any) -> None:
        answer = self.api.merge(f"api/v1/namespaces/{namespace}/secrets/{name}", body)
        assert answer.ok, answer.message
        self.now += 10

    def allow(self, text: str | None) -> None:
        self.change(self.source, "regcred", metadata={"annotations": {"pawl.dev/allow-copy-to": text}})

    def stored(self, name: str = "regcred") -> dict[str, Any] | None:
        answer = self.api.get(f"api/v1/namespaces/{self.target}/secrets/{name}")
        return answer.body if answer.ok else None

    def marks(self, name: str = "regcred") -> str:
        found = self.stored(name)
        assert found is not None
        return str(found["metadata"]["annotations"]["pawl.dev/copied-for"])

    async def ensure(self, override: str = ONE, source: str = "regcred", name: str = "regcred") -> CopyResult:
        return await self.copies.ensure(CopyWish(self.source, source, self.target, name, override))


@pytest.fixture
async def stage(cluster: Sandbox, api: Api, namespace: str, registry: str) -> AsyncIterator[Stage]:
    writes: list[str] = []

    def observe(verb: str, resource: str, code: int, seconds: float) -> None:
        del resource, code, seconds
        if verb not in ("get", "list"):
            writes.append(verb)

    async with await Cluster.connect(str(cluster.kubeconfig), Options(observe=observe)) as client:
        yield Stage(api, client, writes, (registry, namespace))


async def test_a_copy_is_made_once_and_says_whose_it_is(stage: Stage) -> None:
    stage.put(stage.source, "regcred", stage.target)
    first, second = await stage.ensure(), await stage.ensure()
    assert (first.ok, first.written, second.ok, second.written) == (True, True, True, False)
    assert stage.writes == ["create"]
    found = stage.stored()
    assert found is not None
    assert (found["type"], found["data"]) == (PULL, config())
    assert found["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "pawl"}
    assert found["metadata"]["annotations"] == {
        "pawl.dev/copied-from": f"{stage.source}/regcred",
        "pawl.dev/copied-for": ONE,
    }


async def test_a_copy_follows_its_source_and_sheds_what_others_put_in(stage: Stage) -> None:
    stage.put(stage.source, "regcred", "t-*")
    await stage.ensure()
    stage.change(stage.source, "regcred", data=config("changed"))
    assert (await stage.ensure()).written
    stage.change(stage.target, "regcred", data={"extra": "eA=="})
    assert (await stage.ensure()).written
    found = stage.stored()
    assert found is not None
    assert found["data"] == config("changed")
    assert not (await stage.ensure()).written


@pytest.mark.parametrize("allow", [None, "", "other", "t-?", "[t]*", "T-*"])
async def test_without_a_grant_there_is_no_copy(stage: Stage, allow: str | None) -> None:
    stage.put(stage.source, "regcred", allow)
    result = await stage.ensure()
    assert (result.ok, result.reason) == (False, "CopyNotAllowed")
    assert f"pawl.dev/allow-copy-to: {stage.target}" in result.message
    assert stage.stored() is None
    assert stage.writes == []


async def test_a_withdrawn_grant_stops_the_refreshing_and_deletes_nothing(stage: Stage) -> None:
    stage.put(stage.source, "regcred", "*")
    await stage.ensure()
    stage.allow("elsewhere")
    stage.change(stage.source, "regcred", data=config("changed"))
    result = await stage.ensure()
    assert result.reason == "CopyNotAllowed"
    assert "is not refreshed" in result.message
    found = stage.stored()
    assert found is not None
    assert found["data"] == config()
    stage.allow("elsewhere, t-*")
    assert (await stage.ensure()).written


async def test_a_source_that_goes_leaves_the_copy(stage: Stage) -> None:
    stage.put(stage.source, "regcred", "*")
    await stage.ensure()
    await stage.client.delete(SECRETS, stage.source, "regcred")
    stage.now += 10
    result = await stage.ensure()
    assert (result.reason, result.ok) == ("SecretNotFound", False)
    assert stage.stored() is not None


async def test_a_secret_of_somebody_else_is_never_written(stage: Stage) -> None:
    stage.put(stage.source, "regcred", "*")
    stage.put(stage.target, "regcred", data=config("theirs"))
    before = stage.stored()
    result = await stage.ensure()
    assert result.reason == "OwnedByOther"
    assert stage.stored() == before
    assert (await stage.copies.release(ONE, [(stage.target, "regcred")])).deleted == ()
    assert stage.stored() == before


async def test_two_sources_do_not_fight_for_one_name(stage: Stage) -> None:
    for name in ("regcred", "other"):
        stage.put(stage.source, name, "*")
    await stage.ensure(ONE)
    refused = await stage.ensure(TWO, source="other")
    assert refused.reason == "OwnedByOther"
    assert ONE in refused.message
    assert (await stage.ensure(ONE, source="other")).written  # the only one that wants it may change its mind
    found = stage.stored()
    assert found is not None
    assert found["metadata"]["annotations"]["pawl.dev/copied-from"] == f"{stage.source}/other"


@pytest.mark.parametrize("kind", ["Opaque", "kubernetes.io/dockercfg"])
async def test_only_pull_secrets_are_copied(stage: Stage, kind: str) -> None:
    stage.put(stage.source, "regcred", "*", type=kind, data={".dockercfg": "e30="})
    result = await stage.ensure()
    assert result.reason == "SecretTypeWrong"
    assert stage.stored() is None


async def test_a_copy_is_no_source(stage: Stage) -> None:
    stage.put(stage.source, "regcred", "*")
    await stage.ensure()
    wish = CopyWish(stage.target, "regcred", stage.source, "again", ONE)
    assert (await stage.copies.ensure(wish)).reason == "CopyNotAllowed"
    same = CopyWish(stage.target, "regcred", stage.target, "regcred", ONE)
    assert await stage.copies.ensure(same) == CopyResult(ok=True)


async def test_the_last_override_takes_the_copy_with_it(stage: Stage) -> None:
    stage.put(stage.source, "regcred", "*")
    await stage.ensure(ONE)
    await stage.ensure(TWO)
    assert stage.marks() == f"{TWO},{ONE}"
    place = (stage.target, "regcred")
    assert (await stage.copies.release(ONE, [place])).left == (place,)
    assert stage.marks() == TWO
    assert (await stage.copies.release(ONE, [place])) == await stage.copies.release("x", [])
    assert (await stage.copies.release(TWO, [(stage.source, "regcred"), place])).deleted == (place,)
    assert stage.stored() is None


async def test_an_override_that_joins_while_the_copy_goes_keeps_it(stage: Stage) -> None:
    """Between the look at a copy and its deletion another override may come to want it."""
    stage.put(stage.source, "regcred", "*")
    await stage.ensure(ONE)
    place = (stage.target, "regcred")
    overtaken = await stage.copies._meta(place)
    await stage.ensure(TWO)
    looks = [overtaken]
    late = SecretCopies(stage.client)
    truth = late._meta

    async def behind(place: tuple[str, str]) -> Meta | None:
        return looks.pop() if looks else await truth(place)

    late._meta = behind  # type: ignore[method-assign]
    assert (await late.release(ONE, [place])).left == (place,)
    assert stage.marks() == TWO


async def test_a_missing_right_is_named_and_nothing_is_shown(stage: Stage, cluster: Sandbox, tmp_path: Path) -> None:
    stage.put(stage.source, "regcred", "*")
    path = await kubeconfig_of(cluster, stage.target, "poor", tmp_path)
    async with await Cluster.connect(path) as poor:
        copies = SecretCopies(poor)
        result = await copies.ensure(CopyWish(stage.source, "regcred", stage.target, "regcred", ONE))
        released = await copies.release(ONE, [(stage.target, "regcred")])
    assert result.reason == "MissingRight"
    assert "'get' on 'secrets'" in result.message
    assert len(released.failures) == 1
    assert "'get' on 'secrets'" in released.failures[0]


async def test_a_namespace_that_is_not_there(stage: Stage) -> None:
    stage.put(stage.source, "regcred", "*")
    result = await stage.copies.ensure(CopyWish(stage.source, "regcred", "nowhere-at-all", "regcred", ONE))
    assert result.reason == "NamespaceNotFound"


async def test_an_immutable_copy_is_refused_by_the_server_without_a_value(stage: Stage) -> None:
    stage.put(stage.source, "regcred", "*")
    await stage.ensure()
    stage.change(stage.target, "regcred", immutable=True)
    stage.change(stage.source, "regcred", data=config("changed"))
    result = await stage.ensure()
    assert result.reason == "Refused"
    assert "immutable" in result.message
    for value in (PASSWORD, config()[".dockerconfigjson"], config("changed")[".dockerconfigjson"]):
        assert value not in result.message

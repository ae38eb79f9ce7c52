"""Copies with an API server in memory: how much is asked, and what comes of races and failures."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.support.registry_client import Clock
from tests.unit.cluster.memory_api import MemoryApi, status

from pawl.cluster.calls import Answer, Request
from pawl.cluster.client import Options
from pawl.controllers.secretcopies import TRIES, SecretCopies
from pawl.controllers.secretcopies_marks import CopyWish

VALUE = "aHVudGVyLXR3bw=="
ONE, TWO = "ImageOverride/shop/one", "ImageOverride/shop/two"
SOURCE = "/api/v1/namespaces/registry/secrets/regcred"
COPY = "/api/v1/namespaces/shop/secrets/regcred"
WISH = CopyWish("registry", "regcred", "shop", "regcred", ONE)


class Stage:
    """An API server that can be told what happens before a request of a verb."""

    def __init__(self) -> None:
        self.api = MemoryApi(("registry", "shop", *(f"ns-{n}" for n in range(50))))
        self.clock = Clock()
        self.copies = SecretCopies(self.api.cluster(self.hook, Options(tries=1)), self.clock)
        self.before: dict[str, Any] = {}
        self.put(SOURCE, notes={"pawl.dev/allow-copy-to": "*"})

    def put(self, path: str, notes: dict[str, str], **metadata: Any) -> None:
        name = path.rpartition("/")[2]
        meta = {"name": name, "namespace": path.split("/")[4], "annotations": notes, **metadata}
        body = {"metadata": meta, "type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": VALUE}}
        self.api.put(path, body)

    async def hook(self, request: Request) -> Answer | None:
        happening = self.before.get(request.verb)
        return happening(request) if happening else None

    def mark(self, text: str) -> None:
        self.api.objects[COPY]["metadata"]["annotations"]["pawl.dev/copied-for"] = text
        self.api.bump(self.api.objects[COPY])

    @property
    def marks(self) -> str:
        return str(self.api.objects[COPY]["metadata"]["annotations"]["pawl.dev/copied-for"])


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_fifty_namespaces_read_the_source_once(stage: Stage) -> None:
    wishes = [CopyWish("registry", "regcred", f"ns-{n}", "regcred", ONE) for n in range(50)]
    assert all(result.written for result in await asyncio.gather(*map(stage.copies.ensure, wishes)))
    assert stage.api.verbs == {"get": 51, "create": 50}
    again = await asyncio.gather(*map(stage.copies.ensure, wishes))
    assert {(result.ok, result.written) for result in again} == {(True, False)}
    assert stage.api.verbs["create"] == 50
    assert "list" not in stage.api.verbs
    assert "patch" not in stage.api.verbs


async def test_a_source_is_read_anew_after_a_second(stage: Stage) -> None:
    await stage.copies.ensure(WISH)
    stage.put(SOURCE, notes={})
    assert (await stage.copies.ensure(WISH)).ok
    stage.clock.now += 1.1
    assert (await stage.copies.ensure(WISH)).reason == "CopyNotAllowed"


async def test_who_makes_the_copy_first_is_joined(stage: Stage) -> None:
    def overtake(_request: Request) -> None:
        del stage.before["create"]
        notes = {"pawl.dev/copied-from": "registry/regcred", "pawl.dev/copied-for": TWO}
        stage.put(COPY, notes, labels={"app.kubernetes.io/managed-by": "pawl"})

    stage.before["create"] = overtake
    assert (await stage.copies.ensure(WISH)).written
    assert stage.marks == f"{ONE},{TWO}"


async def test_a_stranger_who_takes_the_name_meanwhile_keeps_it(stage: Stage) -> None:
    def overtake(_request: Request) -> None:
        stage.put(COPY, {})

    stage.before["create"] = overtake
    assert (await stage.copies.ensure(WISH)).reason == "OwnedByOther"
    assert "patch" not in stage.api.verbs


async def test_a_write_that_is_always_overtaken_gives_up(stage: Stage) -> None:
    await stage.copies.ensure(WISH)
    stage.mark(TWO)
    stage.before["patch"] = lambda _request: stage.api.bump(stage.api.objects[COPY])
    result = await stage.copies.ensure(WISH)
    assert (result.ok, result.reason) == (False, "Contended")
    assert stage.api.verbs["patch"] == TRIES


async def test_a_copy_that_is_deleted_meanwhile_is_made_anew(stage: Stage) -> None:
    await stage.copies.ensure(WISH)
    stage.mark(TWO)

    def remove(_request: Request) -> None:
        del stage.before["patch"]
        del stage.api.objects[COPY]

    stage.before["patch"] = remove
    assert (await stage.copies.ensure(WISH)).written
    assert stage.marks == ONE


REFUSALS = [(403, "Forbidden", "MissingRight"), (422, "Invalid", "Refused"), (503, "Busy", "Unreachable")]


@pytest.mark.parametrize("verb", ["get", "create"])
@pytest.mark.parametrize(("code", "word", "reason"), REFUSALS)
async def test_refusals_are_results(stage: Stage, verb: str, code: int, word: str, reason: str) -> None:
    stage.before[verb] = lambda _request: status(code, word, "no")
    result = await stage.copies.ensure(WISH)
    assert (result.ok, result.reason) == (False, reason)
    assert "regcred" in result.message
    assert "\n" not in result.message


async def test_a_source_that_is_no_secret(stage: Stage) -> None:
    stage.api.objects[SOURCE] = {"metadata": {}, "data": {".dockerconfigjson": [VALUE]}}
    result = await stage.copies.ensure(WISH)
    assert result.reason == "Refused"
    assert VALUE not in result.message


async def test_the_secret_itself_is_no_copy_and_costs_nothing(stage: Stage) -> None:
    result = await stage.copies.ensure(CopyWish("shop", "regcred", "shop", "regcred", ONE))
    assert (result.ok, result.written, stage.api.requests) == (True, False, [])


async def test_a_copy_that_changes_while_it_is_let_go_is_looked_at_again(stage: Stage) -> None:
    await stage.copies.ensure(WISH)

    def join(_request: Request) -> None:
        del stage.before["delete"]
        stage.mark(f"{ONE},{TWO}")

    stage.before["delete"] = join
    released = await stage.copies.release(ONE, [("shop", "regcred")])
    assert (released.deleted, released.left, released.failures) == ((), (("shop", "regcred"),), ())
    assert stage.marks == TWO


async def test_who_joins_while_another_lets_go_is_not_forgotten(stage: Stage) -> None:
    await stage.copies.ensure(WISH)
    stage.mark(f"{ONE},{TWO}")

    def join(_request: Request) -> None:
        del stage.before["patch"]
        stage.mark(f"{ONE},{TWO},late")

    stage.before["patch"] = join
    assert (await stage.copies.release(ONE, [("shop", "regcred")])).left == (("shop", "regcred"),)
    assert stage.marks == f"{TWO},late"


async def test_what_is_not_named_is_kept(stage: Stage) -> None:
    await stage.copies.ensure(WISH)
    await stage.copies.ensure(CopyWish("registry", "regcred", "ns-1", "regcred", ONE))
    released = await stage.copies.release(ONE, [("ns-1", "regcred")])
    assert released.deleted == (("ns-1", "regcred"),)
    assert stage.marks == ONE


@pytest.mark.parametrize(("others", "reason"), [("", ""), (f",{TWO}", "OwnedByOther")])
async def test_only_the_last_one_may_change_where_a_copy_comes_from(stage: Stage, others: str, reason: str) -> None:
    await stage.copies.ensure(WISH)
    stage.mark(f"{ONE}{others}")
    stage.put(SOURCE.replace("regcred", "second"), notes={"pawl.dev/allow-copy-to": "shop"})
    result = await stage.copies.ensure(CopyWish("registry", "second", "shop", "regcred", ONE))
    assert result.reason == reason
    assert result.ok or f"a copy of registry/regcred already, for {TWO}" in result.message


async def test_a_copy_that_a_person_took_over_is_left(stage: Stage) -> None:
    await stage.copies.ensure(WISH)

    def take_over(_request: Request) -> None:
        stage.put(COPY, {}, labels={})

    stage.before["delete"] = take_over
    released = await stage.copies.release(ONE, [("shop", "regcred")])
    assert (released.deleted, released.failures) == ((), ())
    assert COPY in stage.api.objects


@pytest.mark.parametrize("left", [True, False])
async def test_a_copy_that_is_gone_already_is_no_failure(stage: Stage, left: bool) -> None:  # noqa: FBT001
    await stage.copies.ensure(WISH)
    stage.mark(f"{ONE},{TWO}" if left else ONE)

    def remove(_request: Request) -> None:
        stage.api.objects.pop(COPY, None)

    stage.before |= {"delete": remove, "patch": remove}
    assert await stage.copies.release(ONE, [("shop", "regcred")]) == await stage.copies.release(ONE, [])


async def test_one_namespace_that_fails_does_not_stop_the_others(stage: Stage) -> None:
    for namespace in ("shop", "ns-1"):
        await stage.copies.ensure(CopyWish("registry", "regcred", namespace, "regcred", ONE))
    refused = status(403, "Forbidden", "no")
    stage.before["get"] = lambda request: refused if request.namespace == "shop" else None
    released = await stage.copies.release(ONE, [("shop", "regcred"), ("ns-1", "regcred")])
    assert released.deleted == (("ns-1", "regcred"),)
    assert len(released.failures) == 1
    stage.before = {"delete": lambda _request: refused}
    assert "copy shop/regcred" in (await stage.copies.release(ONE, [("shop", "regcred")])).failures[0]


async def test_letting_go_reads_no_values(stage: Stage) -> None:
    await stage.copies.ensure(WISH)
    stage.api.requests.clear()
    await stage.copies.release(ONE, [("shop", "regcred")])
    assert [(request.verb, "PartialObjectMetadata;" in request.accept) for request in stage.api.requests] == [
        ("get", True),
        ("delete", False),
    ]
    body = stage.api.requests[-1].body or b""
    assert b"uid" in body
    assert b"resourceVersion" in body

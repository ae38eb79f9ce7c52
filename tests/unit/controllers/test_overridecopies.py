"""Copies of pull Secrets: where they are needed and nowhere else, made once, let go at the end."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.controllers.override_doubles import FORBIDDEN, Stage, body

from pawl.api.reasons import Reason
from pawl.controllers.overridecopies import BELIEVED, SHOWN
from pawl.decide.targets import Needed

FROM = [{"name": "regcred", "copyFrom": {"namespace": "vault", "name": "source"}}]


def needed(namespace: str = "shop", override: str = "wide") -> Needed:
    return Needed(namespace, "r.corp/x:1", (), (), "default", frozenset(), override, 0)


def stage(*namespaces: str, allow: str = "*") -> Stage:
    found = Stage(*(namespaces or ("shop",)), "vault")
    meta = {"name": "source", "namespace": "vault", "annotations": {"pawl.dev/allow-copy-to": allow}}
    raw = {"metadata": meta, "type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "e30="}}
    found.api.put("/api/v1/namespaces/vault/secrets/source", raw)
    return found


def copies(it: Stage) -> list[str]:
    return sorted(path.split("/")[4] for path in it.api.objects if path.endswith("/secrets/regcred"))


async def test_a_secret_goes_where_a_rule_decides_an_image_and_nowhere_else() -> None:
    it = stage("a", "b", "c")
    override = it.put(body("wide", "", pullSecrets=FROM))
    other = it.put(body("one", "c"))
    assert await it.copies.ensure([override, other], [needed("a"), needed("b"), needed("c", "c/one")]) == {}
    assert copies(it) == ["a", "b"]


async def test_a_copy_that_was_right_is_neither_written_nor_read_for_a_while() -> None:
    it = stage()
    override = it.put(body("wide", "", pullSecrets=FROM))
    await it.copies.ensure([override], [needed()])
    asked = len(it.api.requests)
    for _ in range(5):
        it.time += BELIEVED / 6
        await it.copies.ensure([override], [needed()])
    assert len(it.api.requests) == asked
    del it.api.objects["/api/v1/namespaces/shop/secrets/regcred"]
    it.time += BELIEVED
    await it.copies.ensure([override], [needed()])
    assert copies(it) == ["shop"]


async def test_what_failed_is_told_by_override_and_asked_again_at_once() -> None:
    it = stage("a", "b", allow="a")
    override = it.put(body("wide", "", pullSecrets=FROM))
    for _ in range(2):
        failed = await it.copies.ensure([override], [needed("a"), needed("b")])
        assert [(one.reason, "e30=" in one.message) for one in failed["wide"]] == [(Reason.COPY_NOT_ALLOWED, False)]
    assert copies(it) == ["a"]
    it.api.objects["/api/v1/namespaces/vault/secrets/source"]["metadata"]["annotations"]["pawl.dev/allow-copy-to"] = "*"
    it.time += 2
    assert await it.copies.ensure([override], [needed("a"), needed("b")]) == {}
    assert copies(it) == ["a", "b"]


async def test_a_refusal_in_one_namespace_leaves_the_others_going() -> None:
    names = [f"n{at:02}" for at in range(SHOWN + 10)]
    it = stage(*names)
    override = it.put(body("wide", "", pullSecrets=FROM))
    for name in names[1:]:
        it.faults[("create", f"/api/v1/namespaces/{name}/secrets")] = FORBIDDEN
    failed = await it.copies.ensure([override], [needed(name) for name in names])
    assert (copies(it), len(failed["wide"])) == (["n00"], SHOWN)


@pytest.mark.parametrize("more", [{"meta": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}, {"pullSecrets": []}])
async def test_who_ends_or_copies_nothing_wants_nothing(more: dict[str, Any]) -> None:
    it = stage()
    override = it.put(body("wide", "", **{"pullSecrets": FROM, **more}))
    await it.copies.ensure([override], [needed()])
    assert copies(it) == []


async def test_a_copy_goes_with_the_last_override_and_may_be_made_again_at_once() -> None:
    it = stage()
    one, two = (it.put(body(name, "", pullSecrets=FROM)) for name in ("wide", "also"))
    wanted = [needed(), needed(override="also")]
    await it.copies.ensure([one, two], wanted)
    assert (await it.copies.release(one, ["shop"])).left == (("shop", "regcred"),)
    assert (await it.copies.release(two, ["shop"])).deleted == (("shop", "regcred"),)
    assert copies(it) == []
    await it.copies.ensure([one], wanted)
    assert copies(it) == ["shop"]


async def test_a_wish_reads_also_what_was_right_just_now() -> None:
    """The source was rotated a moment ago: whoever asks for a run does not wait until the copy is doubted."""
    it = stage()
    override = it.put(body("wide", "", pullSecrets=FROM))
    await it.copies.ensure([override], [needed()])
    it.time += 2
    it.api.objects["/api/v1/namespaces/vault/secrets/source"]["data"][".dockerconfigjson"] = "e30K"
    await it.copies.ensure([override], [needed()])
    assert it.api.objects["/api/v1/namespaces/shop/secrets/regcred"]["data"][".dockerconfigjson"] == "e30="
    await it.copies.ensure([override], [needed()], anew=True)
    assert it.api.objects["/api/v1/namespaces/shop/secrets/regcred"]["data"][".dockerconfigjson"] == "e30K"
    asked = len(it.api.requests)
    await it.copies.ensure([override], [needed()])
    assert len(it.api.requests) == asked

"""Objects of a registry are made so, put back, taken away, and left alone where they are somebody else's."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.controllers.registry_doubles import IDENTITY, Hands, owned

from pawl.api.errors import ApiUnavailable
from pawl.cluster.calls import Answer, Request
from pawl.controllers.registryapply import PARTS, marked

Json = dict[str, Any]
PATH = "/api/v1/namespaces/shop/configmaps/main-registry"


def config(**data: str) -> Json:
    return owned("ConfigMap", "main-registry", data=data)


async def apply(hands: Hands, *wanted: Json) -> None:
    hands.api.requests.clear()
    live = (await hands.gathered()).live
    await hands.applier.apply(IDENTITY, wanted, live, hands.done)
    await hands.applier.drop(IDENTITY, wanted, live, hands.done, PARTS)


async def test_what_is_missing_is_made_and_what_is_so_is_not_written() -> None:
    hands = Hands()
    await apply(hands, config(a="1"))
    assert hands.api.objects[PATH]["data"] == {"a": "1"}
    await apply(hands, config(a="1"))
    assert hands.api.writes() == []


async def test_what_was_edited_is_put_back() -> None:
    hands = Hands()
    await apply(hands, config(a="1"))
    hands.api.objects[PATH]["data"]["a"] = "edited"
    await apply(hands, config(a="1"))
    assert hands.api.objects[PATH]["data"]["a"] == "1"


async def test_a_field_that_is_wanted_no_longer_is_noticed_although_nothing_else_differs() -> None:
    hands = Hands()
    await apply(hands, config(a="1", b="2"))
    await apply(hands, config(a="1"))
    assert hands.api.writes() == [("patch", "main-registry")]


async def test_what_others_add_is_no_difference() -> None:
    hands = Hands()
    await apply(hands, config(a="1"))
    hands.api.objects[PATH]["metadata"]["annotations"]["example.com/note"] = "hi"
    await apply(hands, config(a="1"))
    assert hands.api.writes() == []


async def test_an_object_of_that_name_without_our_mark_is_left_alone_and_named() -> None:
    hands = Hands()
    hands.api.put(PATH, {"metadata": {"name": "main-registry", "namespace": "shop"}, "data": {"mine": "yes"}})
    await apply(hands, config(a="1"))
    assert hands.api.writes() == []
    (refused,) = hands.done.refused
    assert "ConfigMap main-registry is there and not Pawl's" in refused.message


async def test_an_object_of_ours_whose_label_and_owner_were_taken_off_comes_back() -> None:
    hands = Hands()
    await apply(hands, config(a="1"))
    meta = hands.api.objects[PATH]["metadata"]
    del meta["labels"], meta["ownerReferences"]
    await apply(hands, config(a="1"))
    assert hands.done.refused == []
    assert hands.api.objects[PATH]["metadata"]["labels"]["pawl.dev/registry"] == "main"


@pytest.mark.parametrize("change", [{"uid": "uid-before"}, {"ending": True}])
async def test_an_object_of_an_earlier_registry_of_this_name_must_go_first(change: Json) -> None:
    hands = Hands()
    former = marked(owned("ConfigMap", "main-registry", uid=change.get("uid", "uid-main"), data={"a": "0"}))
    if change.get("ending"):
        former["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    hands.api.put(PATH, former)
    await apply(hands, config(a="1"))
    assert hands.api.writes() == []
    assert hands.done.refused == []
    assert "must go first" in hands.done.waiting


async def test_what_is_wanted_no_longer_goes_and_nothing_that_is_not_ours() -> None:
    hands = Hands()
    root = "/api/v1/namespaces/shop/configmaps"
    hands.api.put(f"{root}/old", owned("ConfigMap", "old"))
    hands.api.put(f"{root}/of-another", owned("ConfigMap", "of-another", uid="uid-other"))
    hands.api.put(f"{root}/main-registry-ledger", owned("ConfigMap", "main-registry-ledger", part="ledger"))
    hands.api.put(f"{root}/main-registry-ca", owned("ConfigMap", "main-registry-ca", part="access"))
    await apply(hands)
    assert hands.api.writes() == [("delete", "old")]


async def test_a_claim_is_never_among_what_goes() -> None:
    hands = Hands()
    hands.api.put(
        "/api/v1/namespaces/shop/persistentvolumeclaims/main-registry-s1",
        owned("PersistentVolumeClaim", "main-registry-s1"),
    )
    await apply(hands)
    assert hands.api.writes() == []


@pytest.mark.parametrize(("code", "reason"), [(403, "MissingRight"), (422, "Refused")])
async def test_what_the_api_server_refuses_is_told_and_the_rest_is_applied(code: int, reason: str) -> None:
    hands = Hands()

    async def refuse(request: Request) -> Answer | None:
        return Answer(code, b'{"message":"no"}') if (request.verb, request.name) == ("patch", "main-registry") else None

    hands.api.hook = refuse
    await apply(hands, config(a="1"), owned("ConfigMap", "other", data={}))
    assert [(each.reason.value, "main-registry" in each.message) for each in hands.done.refused] == [(reason, True)]
    assert "/api/v1/namespaces/shop/configmaps/other" in hands.api.objects


async def test_an_api_server_that_is_away_refuses_nothing() -> None:
    hands = Hands()

    async def away(request: Request) -> Answer | None:
        return Answer(503, b"{}") if request.verb == "patch" else None

    hands.api.hook = away
    with pytest.raises(ApiUnavailable):
        await apply(hands, config(a="1"))
    assert hands.done.refused == []


async def test_nothing_is_written_without_asking_whether_this_replica_leads() -> None:
    hands = Hands()
    await apply(hands, config(a="1"))
    assert hands.guarded == len(hands.api.writes()) == 1

"""Claims of a registry: made once, grown when told, and deleted only if told to and Pawl's own."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.controllers.registry_doubles import Hands

from pawl.api.registrystorage_status import StoreRef
from pawl.controllers.registryclaims import Claims
from pawl.decide.registrynames import STORAGE, labels
from pawl.decide.storagefacts import Claim, Want

Json = dict[str, Any]
ROOT = "/api/v1/namespaces/shop/persistentvolumeclaims"
NEW = StoreRef(id="s2", kind="Filesystem", claim="main-registry-s2", own_claim=True)
OLD = StoreRef(id="s1", kind="Filesystem", claim="main-registry-s1", own_claim=True)
THEIRS = StoreRef(id="s0", kind="Filesystem", claim="mine", own_claim=False)


def manifest(name: str, **given: Any) -> Json:
    meta = {"name": name, "namespace": "shop", "labels": labels("main", STORAGE)} | given
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": {}}


def claim(name: str, *, own: bool = True, requested: int = 10) -> Claim:
    return Claim(name, bound=True, requested=requested, capacity=requested, grows=True, resizing=False, own=own)


async def keep(hands: Hands, *wanted: Json, claims: tuple[Claim, ...] = (), **want: Any) -> None:
    hands.api.requests.clear()
    made = Want(store=NEW, read_only=False, scale=1, **want)
    gathered = await hands.gathered(claims={one.name: one for one in claims})
    await Claims(hands.cluster, hands.applier, hands.guard).keep(gathered, wanted, made, hands.done)


async def test_a_claim_is_made_once_and_never_applied_again() -> None:
    hands = Hands()
    await keep(hands, manifest("main-registry-s2"))
    assert hands.api.writes() == [("create", "main-registry-s2")]
    hands.api.objects[f"{ROOT}/main-registry-s2"]["spec"] = {"resources": "whatever the user did"}
    await keep(hands, manifest("main-registry-s2"))
    assert hands.api.writes() == []


async def test_a_claim_whose_labels_were_taken_off_gets_them_back() -> None:
    hands = Hands()
    hands.api.put(f"{ROOT}/main-registry-s2", {"metadata": {"name": "main-registry-s2", "namespace": "shop"}})
    await keep(hands, manifest("main-registry-s2"), claims=(claim("main-registry-s2"),))
    assert hands.api.objects[f"{ROOT}/main-registry-s2"]["metadata"]["labels"] == labels("main", STORAGE)


async def test_a_claim_grows_and_never_shrinks_and_one_of_a_user_stays() -> None:
    hands = Hands()
    hands.api.put(f"{ROOT}/main-registry-s2", manifest("main-registry-s2"))
    claims = (claim("main-registry-s2"), claim("mine", own=False))
    await keep(hands, claims=claims, grow={"main-registry-s2": 20, "mine": 20, "gone": 20})
    assert hands.api.writes() == [("patch", "main-registry-s2")]
    spec = hands.api.objects[f"{ROOT}/main-registry-s2"]["spec"]
    assert spec["resources"]["requests"]["storage"] == "20"
    await keep(hands, claims=(claim("main-registry-s2", requested=30),), grow={"main-registry-s2": 20})
    assert hands.api.writes() == []


async def test_an_old_claim_goes_when_told_to() -> None:
    hands = Hands()
    hands.api.put(f"{ROOT}/main-registry-s1", manifest("main-registry-s1"))
    await keep(hands, drop=(OLD,))
    assert hands.api.writes() == [("delete", "main-registry-s1")]


@pytest.mark.parametrize(
    ("stored", "dropped"),
    [
        (manifest("main-registry-s2"), NEW),
        (manifest("mine"), THEIRS),
        (manifest("main-registry-s1", labels={"pawl.dev/registry": "main"}), OLD),
        (manifest("main-registry-s1", labels=labels("other", STORAGE)), OLD),
        (manifest("main-registry-s1", deletionTimestamp="2026-01-01T00:00:00Z"), OLD),
    ],
    ids=["served", "of a user", "not Pawl's", "of another registry", "going already"],
)
async def test_no_other_claim_is_ever_deleted(stored: Json, dropped: StoreRef) -> None:
    hands = Hands()
    hands.api.put(f"{ROOT}/{stored['metadata']['name']}", stored)
    await keep(hands, drop=(dropped,))
    assert hands.api.writes() == []


async def test_a_claim_that_is_being_deleted_is_waited_for() -> None:
    hands = Hands()
    hands.api.put(f"{ROOT}/main-registry-s2", manifest("main-registry-s2", deletionTimestamp="2026-01-01T00:00:00Z"))
    await keep(hands, manifest("main-registry-s2"))
    assert "being deleted" in hands.done.waiting

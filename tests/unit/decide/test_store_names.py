"""Which store a spec names: what makes it another one, and what does not."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.decide.registryworld import BUCKET, CLAIM, EPOCH, EXISTING, POD, World, spec

from pawl.api.registrystorage_status import StoreRef
from pawl.decide.stores import alone, renewed, wanted_store


def named(storage: Any) -> StoreRef:
    return wanted_store(spec(storage=storage), World().identity)


@pytest.mark.parametrize(
    ("change", "other"),
    [
        ({"size": "9Ti"}, False),
        ({"storageClassName": "ssd"}, True),
        ({"accessMode": "ReadWriteMany"}, True),
        ({"series": 1}, True),
        ({"existingClaim": "mine"}, True),
    ],
)
def test_what_makes_another_claim(change: Any, other: bool) -> None:  # noqa: FBT001
    before, after = named(CLAIM), named({"filesystem": CLAIM["filesystem"] | change})
    assert (before.id != after.id) is other
    assert (before.claim != after.claim) is other


@pytest.mark.parametrize(
    ("change", "other"),
    [
        ({"credentialsSecretRef": {"name": "new"}}, False),
        ({"caSecretRef": {"name": "ca"}}, False),
        ({"chunkSize": 5, "copyConcurrency": 1, "quota": "1Ti", "region": "eu", "forcePathStyle": False}, False),
        ({"endpoint": "http://MinIO:9000/"}, False),
        ({"endpoint": "http://minio:9001"}, True),
        ({"bucket": "other"}, True),
        ({"rootDirectory": "/"}, False),
        ({"rootDirectory": "shop"}, True),
    ],
)
def test_what_makes_another_bucket(change: Any, other: bool) -> None:  # noqa: FBT001
    assert (named(BUCKET).id != named({"s3": BUCKET["s3"] | change}).id) is other


def test_a_claim_of_the_users_is_not_pawls_own() -> None:
    found = named(EXISTING)
    assert (found.claim, found.own_claim, found.size) == ("mine", False, "")
    assert found.id == named({"filesystem": {"existingClaim": "mine", "storageClassName": "x", "series": 4}}).id


def test_the_default_is_a_claim_of_pawls_own() -> None:
    found = named({})
    assert (found.claim, found.own_claim, found.size) == (f"main-registry-{found.id}", True, "100Gi")
    assert (alone(found), alone(named(POD)), alone(named(BUCKET))) == (False, True, False)


def test_renewing_keeps_what_became_of_it() -> None:
    known = named(CLAIM).model_copy(update={"since": EPOCH, "grown_at": EPOCH, "size": "300Gi"})
    found = renewed(known, named({"filesystem": CLAIM["filesystem"] | {"size": "200Gi"}}))
    assert (found.since, found.grown_at, found.size) == (EPOCH, EPOCH, "300Gi")
    assert renewed(known, named({"filesystem": CLAIM["filesystem"] | {"size": "1Ti"}})).size == "1Ti"
    assert renewed(known, named(BUCKET)) is known

"""Who may have a copy and what it looks like: a table of grants, and properties of marks and patches."""

from __future__ import annotations

import string
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.cluster.memory_api import merged

from pawl.controllers.secretcopies_marks import (
    CopyWish,
    Meta,
    StoredSecret,
    body_of,
    granted,
    marks,
    patch_of,
    unmark_of,
)

WISH = CopyWish("registry", "source", "shop", "regcred", "ImageOverride/shop/web")
VALUE = "aHVudGVyLXR3bw=="
CONFIG = ".dockerconfigjson"


def secret(data: dict[str, str] | None = None, **notes: str) -> StoredSecret:
    annotations = {f"pawl.dev/{key.replace('_', '-')}": value for key, value in notes.items()}
    meta = Meta("source", "registry", "uid", "7", annotations=annotations or None)
    return StoredSecret(meta, "kubernetes.io/dockerconfigjson", {CONFIG: VALUE} if data is None else data)


def stored(body: dict[str, Any]) -> StoredSecret:
    """What the API server would give back."""
    metadata = body["metadata"] | {"uid": "uid", "resourceVersion": "8"}
    return msgspec.convert({**body, "metadata": metadata}, StoredSecret)


GRANTS = [
    ("shop", True),
    ("sh*", True),
    ("*", True),
    ("sho?", True),
    ("team-a, shop", True),
    ("team-a,,shop,", True),
    (" shop ", True),
    ("", False),
    (",", False),
    ("shopping", False),
    ("sho", False),
    ("SHOP", False),
    ("sho[p]", False),
    ("[!x]*", False),
    ("shop*x", False),
    ("team-a shop", False),
    (".*", False),
]


@pytest.mark.parametrize(("text", "allowed"), GRANTS)
def test_grants(text: str, allowed: bool) -> None:  # noqa: FBT001
    assert granted(secret(allow_copy_to=text), "shop") is allowed


def test_silence_is_no_grant() -> None:
    assert not granted(secret(), "shop")


names = st.text(string.ascii_lowercase + string.digits + "-", min_size=1, max_size=12)


@given(names, st.lists(names))
def test_a_list_of_names_grants_exactly_these(namespace: str, listed: list[str]) -> None:
    assert granted(secret(allow_copy_to=",".join(listed)), namespace) is (namespace in listed)


def test_a_new_copy_carries_one_value_and_no_grant() -> None:
    body = body_of(WISH, secret({CONFIG: VALUE, "other": "eA=="}, allow_copy_to="*"))
    copy = stored(body)
    assert copy.data == {CONFIG: VALUE}
    assert copy.metadata.ours
    assert copy.metadata.wanted_for == {WISH.override}
    assert not granted(copy, "registry")
    assert patch_of(WISH, secret(), copy) is None


overrides = st.frozensets(names.map(lambda name: f"ImageOverride/{name}/x"), max_size=5)
data = st.dictionaries(st.sampled_from([CONFIG, "one", "two"]), st.sampled_from([VALUE, "eA==", "eQ=="]))


@given(overrides, data, st.sampled_from(["registry/source", "registry/other"]))
def test_one_patch_makes_any_copy_right(wanted: frozenset[str], values: dict[str, str], origin: str) -> None:
    body: dict[str, Any] = body_of(WISH, secret())
    body["data"] = values
    body["metadata"]["annotations"] |= {"pawl.dev/copied-for": marks(wanted), "pawl.dev/copied-from": origin}
    patch = patch_of(WISH, secret(), stored(body))
    right = values == {CONFIG: VALUE} and WISH.override in wanted and origin == WISH.source
    assert (patch is None) is right
    if patch is not None:
        assert patch["metadata"]["resourceVersion"] == "8"  # type: ignore[index]
        after = stored(merged(body, patch))
        assert after.data == {CONFIG: VALUE}
        assert after.metadata.wanted_for == wanted | {WISH.override}
        assert patch_of(WISH, secret(), after) is None


@given(overrides)
def test_letting_go_takes_one_mark(wanted: frozenset[str]) -> None:
    body: dict[str, Any] = body_of(WISH, secret())
    body["metadata"]["annotations"]["pawl.dev/copied-for"] = marks(wanted | {WISH.override})
    copy = stored(body)
    after = stored(merged(body, unmark_of(copy.metadata, copy.metadata.wanted_for - {WISH.override})))
    assert after.metadata.wanted_for == wanted - {WISH.override}
    assert after.data == copy.data


@pytest.mark.parametrize("label", [None, "Helm"])
def test_a_secret_without_our_label_is_not_ours(label: str | None) -> None:
    labels = {"app.kubernetes.io/managed-by": label} if label else None
    assert not Meta("n", "ns", "u", "1", labels, {"pawl.dev/copied-from": "a/b"}).ours


def test_a_secret_of_ours_that_is_no_copy_is_left_alone() -> None:
    assert not Meta("n", "ns", "u", "1", {"app.kubernetes.io/managed-by": "pawl"}).ours


def test_no_repr_shows_a_value() -> None:
    copy = stored(body_of(WISH, secret()))
    for text in (repr(copy), str(copy), f"{copy!r}", repr([copy])):
        assert VALUE not in text
    assert repr(copy) == "StoredSecret(shop/regcred, keys=['.dockerconfigjson'])"

"""The overrides as they are known now: two kinds as one, parsed once, named the same everywhere."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.controllers.override_doubles import Stage, body

from pawl.api.errors import Stalled
from pawl.api.imageoverride import ClusterImageOverride, ImageOverride
from pawl.cluster.resources import CLUSTER_IMAGE_OVERRIDES, IMAGE_OVERRIDES
from pawl.controllers.overridescope import namespaces_of
from pawl.controllers.overridestore import OverrideStore, key_of, label_of, resource_of
from pawl.controllers.queue import Key
from pawl.decide.objects import NamespaceRow
from pawl.decide.rulebook import override_key

LOCAL, WIDE = Key("ImageOverride", "shop", "one"), Key("ClusterImageOverride", "", "wide")


def raw(version: int, found: dict[str, Any] | None = None) -> bytes:
    made = found or body()
    made["metadata"]["resourceVersion"] = str(version)
    return json.dumps(made).encode()


def test_an_override_is_parsed_once_a_version() -> None:
    store = OverrideStore()
    store.offer(LOCAL, raw(1))
    first = store.get(LOCAL)
    assert first is not None
    assert store.get(LOCAL) is first
    store.offer(LOCAL, raw(2))
    assert store.get(LOCAL) is not first
    assert (len(store.readable()), bool(store), list(store)) == (1, True, [LOCAL])
    store.drop(LOCAL)
    assert store.get(LOCAL) is None
    assert (store.readable(), bool(store), store._parsed) == ((), False, {})


def test_one_that_cannot_be_read_is_named_and_stops_nobody() -> None:
    store = OverrideStore()
    store.offer(LOCAL, raw(1, body(rules=[])))
    store.offer(WIDE, raw(1, body("wide", "")))
    for _ in range(2):
        with pytest.raises(Stalled, match=r"cannot read spec\.rules"):
            store.get(LOCAL)
    assert [label_of(one) for one in store.readable()] == ["wide"]
    assert store.unreadable() == {"shop/one"}


def test_changes_are_told_also_those_of_our_own() -> None:
    store, told = OverrideStore(), list[Key]()
    store.listen(told.append)
    store.offer(LOCAL, raw(1))
    store.keep(LOCAL, raw(2))
    store.drop(LOCAL)
    assert told == [LOCAL] * 3


def test_a_namespaced_install_sees_no_cluster_s_overrides() -> None:
    store = OverrideStore(clustered=False)
    assert (store.clustered, OverrideStore().clustered) == (False, True)
    assert store.get(WIDE) is None


@pytest.mark.parametrize(
    ("namespace", "label", "key", "resource"),
    [("shop", "shop/one", LOCAL, IMAGE_OVERRIDES), ("", "one", Key("ClusterImageOverride", "", "one"), None)],
)
def test_names(namespace: str, label: str, key: Key, resource: object) -> None:
    model = ImageOverride if namespace else ClusterImageOverride
    override = model.model_validate(body("one", namespace))
    assert (label_of(override), key_of(override)) == (label, key)
    assert label_of(override) == override_key(override)
    assert resource_of(key) == (resource or CLUSTER_IMAGE_OVERRIDES)


def row(name: str, *, terminating: bool = False, ignored: bool = False, **labels: str) -> NamespaceRow:
    return NamespaceRow(name, tuple(sorted(labels.items())), terminating, ignored)


ROWS = (row("b", team="x"), row("a", team="x"), row("own"), row("t", terminating=True), row("i", ignored=True))
TEAM = {"namespaces": {"selector": {"matchLabels": {"team": "x"}}}}


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (body("one", "a"), ("a",)),
        (body("one", "none"), ()),
        (body("one", "t"), ()),
        (body("one", "i"), ()),
        (body("one", "own"), ()),
        (body("wide", ""), ("a", "b")),
        (body("wide", "", **TEAM), ("a", "b")),
        (body("wide", "", namespaces={"selector": {"matchLabels": {"team": "y"}}}), ()),
    ],
)
def test_where_an_override_holds(found: dict[str, Any], wanted: tuple[str, ...]) -> None:
    model = ImageOverride if found["kind"] == "ImageOverride" else ClusterImageOverride
    assert namespaces_of(model.model_validate(found), ROWS, frozenset({"own"})) == wanted


def test_a_stage_begins_anew_with_what_is_stored() -> None:
    stage = Stage()
    stage.put(body())
    assert list(stage.again().overrides) == [LOCAL]

"""The warm cache of policies: what it keeps, what is news, and lists of metadata as the API server writes them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawl.api.errors import Stalled
from pawl.controllers.queue import Key
from pawl.controllers.store import PolicyStore, read_policy, requested_at

KEY = Key("ImagePolicy", "shop", "web")


def body(version: int = 5, image: str = "r.example.com/web", **meta: object) -> dict[str, object]:
    metadata = {"name": "web", "namespace": "shop", "uid": "u", "resourceVersion": str(version)} | meta
    spec = {"image": image, "select": {"semver": {"range": "*"}}}
    return {"apiVersion": "pawl.dev/v1alpha1", "kind": "ImagePolicy", "metadata": metadata, "spec": spec}


def store() -> PolicyStore:
    return PolicyStore(lambda image: image.partition("/")[0])


def test_the_newest_version_wins_whichever_way_it_came() -> None:
    it = store()
    assert it.offer(body(5), asked_at=1.0) == KEY
    assert it.offer(body(4), asked_at=2.0) is None
    assert it.offer(body(5), asked_at=2.0) is None
    assert it.offer(msgspec.json.encode(body(6)), asked_at=3.0) == KEY
    row = it.row(KEY)
    assert row is not None
    assert (row.version, row.asked_at, it.lane(KEY)) == (6, 3.0, "r.example.com")


def test_an_answer_to_a_write_of_ours_is_no_news_also_where_its_event_came_first() -> None:
    it = store()
    it.offer(body(5), asked_at=1.0)
    assert it.offer(body(6), asked_at=9.0) == KEY
    it.keep(msgspec.json.encode(body(6)), asked_at=1.0)
    row = it.row(KEY)
    assert row is not None
    assert row.asked_at == 1.0
    assert it.offer(body(6), asked_at=9.0) is None


def test_an_answer_that_is_older_than_what_is_known_is_not_kept() -> None:
    it = store()
    it.offer(body(7), asked_at=1.0)
    it.keep(msgspec.json.encode(body(6)), asked_at=1.0)
    assert it.version(KEY) == 7


def test_only_what_is_read_is_kept_of_the_metadata() -> None:
    notes = {"reconcile.pawl.dev/requestedAt": "now", "kubectl.kubernetes.io/last-applied-configuration": "x" * 999}
    it = store()
    it.offer(body(5, annotations=notes, managedFields=[{"manager": "kubectl"}], generation=3), asked_at=1.0)
    row = it.row(KEY)
    assert row is not None
    assert b"x" * 9 not in row.raw
    assert b"manager" not in row.raw
    policy = read_policy(row.raw)
    assert (requested_at(policy), policy.metadata.generation, policy.metadata.uid) == ("now", 3, "u")


def test_a_deleted_policy_is_forgotten() -> None:
    it = store()
    it.offer(body(5), asked_at=1.0)
    it.drop(KEY)
    it.drop(KEY)
    assert (it.row(KEY), it.version(KEY), it.lane(KEY), len(it)) == (None, 0, "", 0)


def test_lists_of_metadata_are_read_also_where_they_are_empty() -> None:
    page = msgspec.json.encode({"items": [{"metadata": body(5)["metadata"]}]})
    assert store().versions(page) == {KEY: 5}
    assert store().versions(b'{"kind":"PartialObjectMetadataList","items":null}') == {}


def test_an_answer_that_comes_after_the_deletion_brings_nothing_back() -> None:
    it = store()
    it.offer(body(5), asked_at=1.0)
    it.drop(KEY)
    it.keep(msgspec.json.encode(body(6)), asked_at=1.0)
    assert it.row(KEY) is None
    assert it.offer(body(7), asked_at=2.0) == KEY


def test_versions_compare_as_numbers_and_what_is_none_counts_as_news() -> None:
    it = store()
    it.offer(body(9), asked_at=0)
    assert it.offer(body(10), asked_at=0) == KEY
    assert it.offer(body("abc"), asked_at=0) == KEY  # type: ignore[arg-type]


def test_iterating_survives_changes() -> None:
    it = store()
    for name in ("a", "b", "c"):
        it.offer(body(1, name=name), asked_at=0)
    for key in it:
        it.drop(key)
    assert len(it) == 0


@given(st.lists(st.integers(1, 30), min_size=1), st.randoms())
def test_doubled_and_reordered_events_end_at_the_newest_that_came(versions: list[int], random: Any) -> None:
    it = store()
    events = versions + random.sample(versions, len(versions) // 2)
    random.shuffle(events)
    told = [it.offer(body(v, image=f"h{v}/web"), asked_at=float(v)) is not None for v in events]
    row = it.row(KEY)
    assert row is not None
    assert (row.version, row.lane, row.asked_at) == (max(events), f"h{max(events)}", float(max(events)))
    news = [v for i, v in enumerate(events) if all(v > earlier for earlier in events[:i])]
    assert sum(told) == len(news), "each is told once, and only if it was newer than all before"


def test_our_annotation_goes_before_flux() -> None:
    notes = {"reconcile.fluxcd.io/requestedAt": "flux", "reconcile.pawl.dev/requestedAt": "ours"}
    assert requested_at(read_policy(msgspec.json.encode(body(1, annotations=notes)))) == "ours"
    del notes["reconcile.pawl.dev/requestedAt"]
    assert requested_at(read_policy(msgspec.json.encode(body(1, annotations=notes)))) == "flux"
    assert requested_at(read_policy(msgspec.json.encode(body(1)))) is None


def test_a_spec_of_a_later_version_is_stalled_with_the_field() -> None:
    later = body(1)
    later["spec"] = {"image": "r.example.com/web", "select": {"calendar": {}}}
    with pytest.raises(Stalled, match=r"cannot read spec\.select\.calendar: .*; upgrade Pawl or change") as caught:
        read_policy(msgspec.json.encode(later))
    assert caught.value.reason == "InvalidSpec"


def test_a_late_deletion_spares_the_successor_of_the_same_name() -> None:
    it = store()
    it.offer(body(9, uid="second"), asked_at=1.0)
    it.drop(KEY, "8")
    assert it.version(KEY) == 9
    it.drop(KEY, "10")
    assert it.row(KEY) is None

"""The warm cache of policies: what it keeps, what is news, and lists of metadata as the API server writes them."""

from __future__ import annotations

import msgspec

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
    assert PolicyStore.versions(page) == {KEY: 5}
    assert PolicyStore.versions(b'{"kind":"PartialObjectMetadataList","items":null}') == {}

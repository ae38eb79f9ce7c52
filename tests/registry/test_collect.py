"""Collections by cases: what refuses them, what is damaged, and what is excused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.support.collecting import WEB, order, quiet, whole
from tests.support.storelayout import NOW, OLD, Layout, digest_of

from pawl.api.errors import InputError
from pawl.api.registrystorage_spec import Collection
from pawl.api.registrywork import Task
from pawl.jobs.collect import account, prepare

pytestmark = pytest.mark.registry


@pytest.fixture
def store(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "store")


async def test_caps_of_tags_and_of_bytes_refuse_and_name_the_numbers(store: Layout) -> None:
    for number in range(3):
        store.tag(WEB, f"v{number}", store.image(WEB, [b"kept %d" % number], config=b"{%d}" % number))
    store.tag(WEB, "old", store.image(WEB, [b"x" * 10_000]))
    before = store.files()

    tags = await prepare(order(store, collection=Collection(max_delete_percent=24)), quiet)
    assert (tags.ok, tags.reason) == (False, "CapExceeded")
    assert "1 of 4 tags would go, more than 24 %: raise spec.collection.maxDeletePercent" in tags.message
    size = await prepare(order(store, collection=Collection(max_delete_percent=25)), quiet)
    assert (size.ok, size.reason) == (False, "CapExceeded")
    assert "bytes would go, more than 25 %" in size.message
    assert store.files() == before
    assert size.plan is not None
    assert [(one.tag, one.reason) for one in size.plan.verdicts] == [("old", "Expired")]


async def test_a_dry_run_deletes_nothing_and_stops_the_collector(store: Layout) -> None:
    store.tag(WEB, "old", store.image(WEB, [b"a"]))
    before = store.files()
    done = await prepare(order(store, collection=Collection(max_delete_percent=100, dry_run=True)), quiet)
    assert (done.ok, done.reason) == (False, "DryRun")
    assert "1 tags, 1 manifests" in done.message
    assert store.files() == before


def _zero(path: Path) -> None:
    """As a power cut leaves a file."""
    os.truncate(path, 0) if path.exists() else path.touch()
    os.utime(path, ((NOW - OLD).timestamp(),) * 2)


@pytest.mark.parametrize("what", ["manifest", "lost", "revision", "layer", "current", "index", "schema1", "strange"])
async def test_what_a_kept_tag_needs_and_is_broken_refuses_the_collection(store: Layout, what: str) -> None:
    kept = store.image(WEB, [b"layer"])
    if what == "schema1":
        kept = store.manifest(WEB, {"schemaVersion": 1, "fsLayers": [{"blobSum": digest_of(b"layer")}]})
    store.tag(WEB, "v1", kept)
    store.tag(WEB, "old", store.image(WEB, [b"other"], config=b"{1}"))
    match what:
        case "manifest":
            store.blob_path(kept).write_bytes(b"{" + store.bodies[kept][1:][::-1])
        case "lost":
            store.blob_path(kept).unlink()
        case "revision":
            _zero(store.revision_path(WEB, kept))
        case "layer":
            _zero(store.layer_path(WEB, digest_of(b"layer")))
        case "current":
            _zero(store.tag_path(WEB, "v1"))
        case "index":
            _zero(store.index_path(WEB, "v1", kept))
        case "strange":
            (store.base / "blobs/sha256/zz/notahash").mkdir(parents=True)
            (store.base / "blobs/sha256/zz/notahash/data").write_bytes(b"?")
    before = store.files()

    done = await prepare(order(store), quiet)

    assert (done.ok, done.reason) == (False, "CollectionFailed")
    named = {"manifest": "shop/web:v1", "lost": "shop/web:v1", "schema1": "schema 1", "strange": "zz/notahash"}
    assert named.get(what, "/shop/web/") in done.message
    assert "collect again" in done.message
    assert done.plan is not None
    assert done.plan.unsafe
    assert store.files() == before


@pytest.mark.parametrize("version", ["3", "2"])
async def test_damage_that_nothing_kept_needs_is_removed_and_told_and_the_collector_passes(
    store: Layout, tmp_path: Path, version: str
) -> None:
    kept, old = store.image(WEB, [b"layer"]), store.image(WEB, [b"other"], config=b"{1}")
    store.tag(WEB, "v1", kept)
    store.tag(WEB, "old", old)
    untagged = store.image(WEB, [b"more"], config=b"{2}")
    broken = store.revision(WEB, b"this is no manifest")
    for path in (store.layer_path(WEB, digest_of(b"other")), store.revision_path(WEB, untagged)):
        _zero(path)
    _zero(store.tag_path(WEB, "old"))
    (store.repository(WEB) / "_layers/sha256/nohash").mkdir()
    _zero(store.repository(WEB) / "_layers/sha256/nohash/link")

    told = await prepare(order(store, id="told"), quiet)
    assert len(told.quarantine) == 4
    done = await whole(store, tmp_path, version)

    assert done.ok, done.message
    assert store.tags() == {(WEB, "v1")}
    assert store.revisions() == {(WEB, kept)}
    assert broken not in store.blobs()
    assert set(store.blobs()) == {kept, digest_of(b"{}"), digest_of(b"layer")}


async def test_what_was_broken_before_is_excused_and_what_breaks_meanwhile_is_not(
    store: Layout, tmp_path: Path
) -> None:
    store.tag(WEB, "v1", store.image(WEB, [b"lost before"]))
    store.blob_path(digest_of(b"lost before")).unlink()
    store.tag(WEB, "v2", store.image(WEB, [b"lost later"], config=b"{1}"))
    done = await whole(store, tmp_path)
    assert done.ok, done.message
    assert "1 faults were there before" in done.message
    assert digest_of(b"lost before")[7:] in done.quarantine[0]

    store.blob_path(digest_of(b"lost later")).unlink()
    later = await account(order(store, Task.ACCOUNT), quiet)
    assert (later.ok, later.reason) == (False, "GraphBroken")
    assert digest_of(b"lost later")[7:] in later.message
    assert len(later.quarantine) == 1


async def test_an_order_without_a_store_is_no_order(store: Layout) -> None:
    with pytest.raises(InputError, match="needs `source`"):
        await prepare(order(store, source=None), quiet)

"""Collections by cases: refusals, caps, damage, empty stores, deaths by SIGKILL, and real pushes before and after."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.minio import minio
from tests.support.registries import collect_garbage, config, filesystem, registry_on, s3
from tests.support.storelayout import MANIFEST, NOW, OLD, Layout, descriptor, digest_of

from pawl.api.errors import InputError
from pawl.api.registrystorage_spec import Collection, RetentionRule
from pawl.api.registrywork import Order, Place, Report, Task, Use
from pawl.jobs.collect import account, prepare
from pawl.jobs.inventory import read_inventory
from pawl.jobs.open import open_store
from pawl.sandbox.images import Image, Pusher, build
from pawl.sandbox.minio import Minio

pytestmark = pytest.mark.registry

WEB = "shop/web"
KEEP_V = RetentionRule(repositories=["**"], keep_tags=["^v"])


@pytest.fixture
def store(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "store")


def order(store: Layout, task: Task = Task.PREPARE, **more: Any) -> Order:
    place = Place(kind="Filesystem", path=str(store.root))
    return Order.model_validate(
        {
            "task": task,
            "id": "c1",
            "source": place,
            "retention": [KEEP_V],
            "collection": Collection(max_delete_percent=100),
            "now": NOW,
            **more,
        }
    )


def quiet(report: Report) -> None:
    del report


def collect(storage: dict[str, Any], tmp_path: Path, version: str = "3") -> subprocess.CompletedProcess[str]:
    path = tmp_path / "config.yml"
    path.write_text(yaml.safe_dump(config(storage, "127.0.0.1:1", read_only=True)))
    return collect_garbage(path, version)


async def whole(store: Layout, tmp_path: Path, version: str = "3", **more: Any) -> Report:
    """A collection from end to end; the report of its last half."""
    done = await prepare(order(store, **more), quiet)
    assert done.ok, done.message
    run = collect(filesystem(store.root), tmp_path, version)
    assert run.returncode == 0, run.stdout[-300:] + run.stderr[-300:]
    return await account(order(store, Task.ACCOUNT, **more), quiet)


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


@pytest.mark.parametrize("version", ["3", "2"])
async def test_an_empty_store_is_collected_without_complaint(store: Layout, tmp_path: Path, version: str) -> None:
    store.root.mkdir()
    assert collect(filesystem(store.root), tmp_path, version).returncode != 0  # as the server leaves it
    done = await whole(store, tmp_path, version)
    assert (done.ok, done.freed_bytes) == (True, 0)
    assert (await prepare(order(store), quiet)).reason == "NothingToCollect"


async def test_a_repository_that_loses_all_its_layers_does_not_stop_the_collector(
    store: Layout, tmp_path: Path
) -> None:
    """Distribution 3.1 fails where a repository has manifests and no directory of layers."""
    store.tag("lone/index", "v1", store.index("lone/index", []))
    run = collect(filesystem(store.root), tmp_path)
    assert run.returncode != 0
    assert "lone/index/_layers" in run.stdout + run.stderr
    assert (await whole(store, tmp_path)).ok
    assert store.tags() == {("lone/index", "v1")}


async def test_stale_uploads_and_what_is_left_of_repositories_go(store: Layout, tmp_path: Path) -> None:
    store.tag("gone/away", "old", store.image("gone/away", [b"a"]))
    store.tag(WEB, "v1", store.image(WEB, [b"layer"]))
    store.upload(WEB, "stale", b"x" * 10, timedelta(hours=25))
    fresh = store.upload(WEB, "fresh", b"y" * 10, timedelta(hours=23))
    assert (await whole(store, tmp_path)).ok
    assert [path.name for path in fresh.parent.iterdir()] == ["fresh"]
    assert not (store.base / "repositories/gone").exists()
    assert [path.name for path in (store.base / "repositories").iterdir()] == ["shop"]


WORKER = """
import asyncio, signal, sys
from pawl.api.registrywork import Order
from pawl.jobs.collect import prepare
order, batches = Order.model_validate_json(sys.stdin.read()), iter(range(4))
def tell(report):
    if report.phase == "Removing" and next(batches, None) is None:
        print("here", flush=True)
        signal.pause()
asyncio.run(prepare(order, tell))
"""


async def test_killed_while_it_deletes_and_run_again(store: Layout, tmp_path: Path) -> None:
    for number in range(300):
        digest = store.image(WEB, [b"%d" % number], config=b"{%d}" % number)
        store.tag(WEB, f"{'v' if number % 3 == 0 else 'x'}{number}", digest)
    kept = {(WEB, f"v{number}") for number in range(0, 300, 3)}
    killed = await asyncio.to_thread(_killed_after_some_batches, order(store).model_dump_json(by_alias=True).encode())
    assert killed == -signal.SIGKILL
    assert kept < store.tags()
    assert len(store.tags()) == 300 - 100  # two batches of tags, each first its current links and then its others

    done = await whole(store, tmp_path)

    assert done.ok, done.message
    assert store.tags() == kept
    assert len(store.revisions()) == 100
    assert len(store.blobs()) == 300


def _killed_after_some_batches(raw: bytes) -> int:
    with subprocess.Popen([sys.executable, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(raw)
        worker.stdin.close()
        assert worker.stdout.readline() == b"here\n"
        worker.kill()
    return worker.returncode


class Cut(Exception):
    """The death of a worker."""


async def test_after_a_death_manifests_of_tags_that_went_are_not_taken_for_untagged_ones(
    store: Layout, tmp_path: Path
) -> None:
    old, loose = store.image(WEB, [b"old"]), store.image(WEB, [b"loose"], config=b"{1}")
    store.tag(WEB, "old", old)
    rule = RetentionRule(repositories=["**"], keep_tags=["^v"], keep_untagged=True)
    said = list[str]()

    def tell(report: Report) -> None:
        said.append(report.phase)
        if said.count("Removing") == 3:
            raise Cut

    with pytest.raises(Cut):
        await prepare(order(store, retention=[rule]), tell)
    assert (store.tags(), store.revisions()) == (set(), {(WEB, old), (WEB, loose)})
    done = await whole(store, tmp_path, retention=[rule])
    assert done.ok, done.message
    assert store.revisions() == {(WEB, loose)}


async def test_images_that_were_pushed_are_pulled_after_it(tmp_path: Path) -> None:
    root = tmp_path / "store"
    root.mkdir()
    both = Image(WEB, "v1", platforms=("linux/amd64", "linux/arm64"))
    pinned, old = Image(WEB, "pinned"), Image(WEB, "old", text="x" * 100_000)
    with registry_on(filesystem(root)) as server, Pusher(server.host) as pusher:
        digests = [pusher.push(image) for image in (both, pinned, old)]
    made = order(
        Layout(root),
        uses=[Use(repository=WEB, digest=digests[1], by="Pod shop/web-0")],
        collection=Collection(max_delete_percent=100, minimum_age="0s"),
        now=datetime.now(UTC) + timedelta(seconds=1),
    )
    assert (await prepare(made, quiet)).ok
    assert collect(filesystem(root), tmp_path).returncode == 0
    done = await account(made, quiet)
    assert done.ok, done.message
    assert done.freed_bytes > 100_000
    with registry_on(filesystem(root)) as server, Pusher(server.host) as pusher:
        assert pusher.tags(WEB) == ["pinned", "v1"]
        for blob in (*build(both).blobs, *build(pinned).blobs):
            assert pusher._ask("GET", f"/v2/{WEB}/blobs/{blob.digest}", wanted=(200,)).body == blob.body
        for manifest in build(both).manifests:
            pusher._ask("GET", f"/v2/{WEB}/manifests/{manifest.digest}", wanted=(200,))
        pusher._ask("GET", f"/v2/{WEB}/manifests/{digests[2]}", wanted=(404,))
        assert pusher.push(old) == digests[2]  # and it can come back
        assert pusher.tags(WEB) == ["old", "pinned", "v1"]


@pytest.fixture(scope="module")
def bucket_server() -> Iterator[Minio]:
    with minio() as server:
        yield server


async def test_in_a_bucket_and_in_an_empty_one(
    bucket_server: Minio, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    keys = tmp_path_factory.mktemp("keys")
    (keys / "accessKey").write_text(bucket_server.access_key)
    (keys / "secretKey").write_text(bucket_server.secret_key)
    bucket_server.bucket("images")
    place = Place(kind="S3", endpoint=bucket_server.endpoint, bucket="images", credentials=str(keys))
    later = datetime.now(UTC) + timedelta(days=2)
    made = order(Layout(tmp_path), source=place, now=later)
    storage = s3(bucket_server, "images")

    assert (await prepare(made, quiet)).reason == "NothingToCollect"
    assert collect(storage, tmp_path).returncode == 0
    assert (await account(made, quiet)).ok

    with registry_on(storage) as server, Pusher(server.host) as pusher:
        pusher.push(Image(WEB, "v1", platforms=("linux/amd64", "linux/arm64")))
        pusher.push(Image(WEB, "old"))
        pusher.push(Image("gone/away", "old"))
    made = order(Layout(tmp_path), source=place, now=later, id="c2")
    assert (await prepare(made, quiet)).ok
    assert collect(storage, tmp_path).returncode == 0
    done = await account(made, quiet)
    assert done.ok, done.message
    store = open_store(place)
    left = await read_inventory(store)
    await store.close()
    assert list(left.repositories) == [WEB]
    assert list(left.repositories[WEB].tags) == ["v1"]
    assert (len(left.repositories[WEB].revisions), len(left.blobs), left.faults) == (3, 6, [])
    assert done.freed_bytes > 0


async def test_a_collection_beside_another_order_forgets_the_older_record(store: Layout) -> None:
    store.tag(WEB, "v1", store.manifest(WEB, {"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(b"{}")}))
    store.layer(WEB, b"{}")
    for name in ("c1", "c2"):
        assert (await prepare(order(store, id=name), quiet)).ok
    await asyncio.sleep(0)
    assert [path.name for path in (store.root / ".pawl").glob("collection-*")] == ["collection-c2.json"]

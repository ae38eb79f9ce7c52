"""Collections from end to end: empty stores, leftovers, buckets, deaths by SIGKILL, real pushes before and after."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.support.collecting import WEB, collect, order, quiet, whole
from tests.support.minio import minio
from tests.support.registries import filesystem, registry_on, s3
from tests.support.storelayout import MANIFEST, Layout, descriptor

from pawl.api.registrystorage_spec import Collection, RetentionRule
from pawl.api.registrywork import Place, Report, Use
from pawl.jobs.collect import account, prepare
from pawl.jobs.inventory import read_inventory
from pawl.jobs.open import open_store
from pawl.sandbox.images import Image, Pusher, build
from pawl.sandbox.minio import Minio

pytestmark = pytest.mark.registry


@pytest.fixture
def store(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "store")


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

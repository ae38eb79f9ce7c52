"""The walk over a registry: whole ones pass, each kind of damage is found and named, deep or not."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.minio import minio
from tests.support.registries import filesystem, registry_on, s3
from tests.support.storelayout import MANIFEST, Layout, descriptor, digest_of

from pawl.api.errors import InputError
from pawl.api.registrystorage_spec import Verify
from pawl.api.registrywork import Order, Place, Progress, Report, Task
from pawl.jobs.open import open_store
from pawl.jobs.verify import Findings, verify, walk
from pawl.sandbox.images import Image, Pusher
from pawl.sandbox.minio import Minio

pytestmark = pytest.mark.registry

WEB = "shop/web"
BIG = os.urandom(3 << 20)


@pytest.fixture
def store(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "store")
    children = [made.image(WEB, [b"base", b"%d" % number], config=b'{"n":%d}' % number) for number in range(2)]
    made.tag(WEB, "v1", made.index(WEB, children))
    made.tag("lib/base", "v1", made.image("lib/base", [b"base", BIG]))
    return made


async def walked(store: Layout, *, deep: bool = False) -> Findings:
    opened = open_store(Place(kind="Filesystem", path=str(store.root)))
    try:
        return await walk(opened, deep)
    finally:
        await opened.close()


async def test_a_whole_registry(store: Layout) -> None:
    store.blob(b"nobody needs this")
    store.layer(WEB, b"stale")
    store.blob_path(digest_of(b"stale")).unlink()  # as distribution 2.8 leaves links when it collects
    found = await walked(store, deep=True)
    assert (found.ok, found.broken, found.corrupt) == (True, [], [])
    assert (found.repositories, found.tags, found.manifests, found.unreferenced) == (2, 2, 4, 17)
    assert (found.blobs, found.bytes) == (len(store.blobs()), sum(map(len, store.blobs().values())))


def _flip(path: Path, at: int = 0) -> None:
    body = bytearray(path.read_bytes())
    body[at] ^= 1
    path.write_bytes(body)


def _top(store: Layout) -> str:
    return store.tag_path(WEB, "v1").read_text()


def _child(store: Layout) -> str:
    return next(digest for name, digest in sorted(store.revisions()) if name == WEB and digest != _top(store))


BASE = digest_of(b"base")
DAMAGE: dict[str, tuple[Callable[[Layout], object], str]] = {
    "layer": (lambda s: s.blob_path(BASE).unlink(), "refers to it"),
    "child": (lambda s: s.blob_path(_child(s)).unlink(), "are not there"),
    "child link": (lambda s: s.revision_path(WEB, _child(s)).unlink(), "is no manifest of this repository"),
    "size": (lambda s: s.blob_path(BASE).write_bytes(b"bas"), "has 3 bytes"),
    "manifest": (lambda s: s.blob_path(_child(s)).write_bytes(bytes(len(s.bodies[_child(s)]))), "it is no manifest"),
    "current": (lambda s: s.tag_path(WEB, "v1").write_bytes(b""), "it holds no digest"),
    "elsewhere": (lambda s: s.tag_path(WEB, "v1").write_text(_child(s)), "is not in the index of this tag"),
    "layer link": (lambda s: s.layer_path(WEB, BASE).write_text(digest_of(b"0")), "it holds 'sha256:"),
    "revision link": (lambda s: s.revision_path(WEB, _child(s)).write_text(_top(s)), "it holds sha256:"),
    "index link": (lambda s: s.index_path(WEB, "v1", _top(s)).write_text(_child(s)), "it holds 'sha256:"),
    "short link": (lambda s: s.layer_path(WEB, BASE).write_bytes(b""), "it has 0 bytes"),
}


@pytest.mark.parametrize("what", DAMAGE)
async def test_each_kind_of_damage_is_named(store: Layout, what: str) -> None:
    damage, named = DAMAGE[what]
    damage(store)
    found = await walked(store)
    assert not found.ok
    assert any(named in sentence for sentence in found.broken), found.broken
    assert all("\n" not in sentence for sentence in found.broken)


async def test_a_flipped_bit_is_found_only_by_reading(store: Layout) -> None:
    _flip(store.blob_path(digest_of(b"base")))
    _flip(store.blob_path(digest_of(BIG)), len(BIG) - 1)
    assert (await walked(store)).ok
    deep = await walked(store, deep=True)
    assert deep.corrupt == sorted([digest_of(b"base"), digest_of(BIG)])
    assert len(deep.broken) == 2


async def test_the_job_reports_how_far_it_is_and_what_it_found(store: Layout) -> None:
    place, told = Place(kind="Filesystem", path=str(store.root)), list[Report]()
    order = Order(task=Task.VERIFY, id="m1", target=place, verify=Verify.DEEP)
    good = await verify(order, told.append)
    assert (good.ok, good.done, good.quarantine) == (True, True, [])
    assert "2 tags, 4 manifests" in good.message
    assert told[-1].progress.objects_done == told[-1].progress.objects == len(store.blobs())
    assert told[-1].progress.bytes_done == good.progress.bytes
    _flip(store.blob_path(digest_of(BIG)))
    bad = await verify(order.model_copy(update={"target": None, "source": place}), told.append)
    assert (bad.ok, bad.reason) == (False, "GraphBroken")
    assert digest_of(BIG) in bad.quarantine[0]
    with pytest.raises(InputError, match="needs `target` or `source`"):
        await verify(Order(task=Task.VERIFY, id="m1"), told.append)


async def test_schema_1_is_named_and_foreign_layers_may_be_elsewhere(store: Layout) -> None:
    old = store.manifest(WEB, {"schemaVersion": 1, "fsLayers": [{"blobSum": digest_of(b"base")}]})
    away = descriptor(b"windows", urls=["https://elsewhere.example/layer"])
    store.manifest(WEB, {"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(b'{"n":0}'), "layers": [away]})
    found = await walked(store)
    assert len(found.broken) == 1
    assert "schema 1" in found.broken[0]
    assert found.schema1 == [old]


async def test_what_real_servers_write_is_whole(tmp_path: Path) -> None:
    for version in ("3", "2"):
        root = tmp_path / version
        root.mkdir()
        with registry_on(filesystem(root), version) as server, Pusher(server.host) as pusher:
            pusher.push(Image(WEB, "v1", platforms=("linux/amd64", "linux/arm64")))
            pusher.push(Image(WEB, "v1", text="again"))
        found = await walked(Layout(root), deep=True)
        assert found.ok, found.broken
        assert (found.tags, found.manifests) == (1, 4)


@pytest.fixture(scope="module")
def bucket_server() -> Iterator[Minio]:
    with minio() as server:
        yield server


async def test_a_bucket(bucket_server: Minio, tmp_path: Path) -> None:
    (tmp_path / "accessKey").write_text(bucket_server.access_key)
    (tmp_path / "secretKey").write_text(bucket_server.secret_key)
    bucket_server.bucket("images")
    with registry_on(s3(bucket_server, "images", "below")) as server, Pusher(server.host) as pusher:
        pusher.push(Image(WEB, "v1", text="x" * (2 << 20), platforms=("linux/amd64", "linux/arm64")))
    place = Place(
        kind="S3", endpoint=bucket_server.endpoint, bucket="images", root_directory="below", credentials=str(tmp_path)
    )
    store, told = open_store(place), list[Progress]()
    found = await walk(store, True, told.append)
    await store.close()
    assert found.ok, found.broken
    assert (found.tags, found.manifests, found.blobs) == (1, 3, 6)
    assert told[-1].bytes_done == found.bytes

"""What every store does alike: a filesystem, MinIO, and an S3 server that is not MinIO."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.support.minio import minio
from tests.support.rclone import rclone_s3

from pawl.api.registrywork import Place
from pawl.jobs.bucket import Bucket, part_size
from pawl.jobs.bucketclient import connect
from pawl.jobs.bucketerrors import told as told_by_bucket
from pawl.jobs.copystore import MIB, PIECE, Body, CopyStore, Damaged, Patience
from pawl.jobs.filecalls import told as told_by_system
from pawl.jobs.open import open_store
from pawl.jobs.store import ObjectMissing, StoreError, StoreFull, StoreRefused
from pawl.sandbox.minio import Minio

pytestmark = pytest.mark.registry
SOON = Patience(first=0.05, longest=0.05, total=1.0)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Minio]]:
    with minio() as one, rclone_s3(tmp_path_factory.mktemp("rclone")) as other:
        yield {"minio": one, "rclone": other}


def bucket_at(server: Minio, name: str, keys: Path, root: str = "") -> Place:
    keys.mkdir(exist_ok=True)
    (keys / "accessKey").write_text(server.access_key)
    (keys / "secretKey").write_text(server.secret_key + "\n")
    return Place(
        kind="S3", endpoint=server.endpoint, bucket=name, root_directory=root, credentials=str(keys), path_style=True
    )


@pytest.fixture(params=["filesystem", "minio", "rclone"])
async def store(request: pytest.FixtureRequest, servers: dict[str, Minio], tmp_path: Path) -> AsyncIterator[CopyStore]:
    if request.param == "filesystem":
        place = Place(kind="Filesystem", path=str(tmp_path / "store"))
    else:
        servers[request.param].bucket("stores")
        place = bucket_at(servers[request.param], "stores", tmp_path / "keys", f"/root/{tmp_path.name}/")
    opened = open_store(place)
    yield opened
    await opened.close()


async def keys_of(store: CopyStore, prefix: str = "") -> set[str]:
    return {each.key async for page in store.list(prefix) for each in page}


async def streamed(parts: list[bytes]) -> AsyncIterator[Body]:
    for part in parts:
        yield part


async def cut_short(parts: list[bytes]) -> AsyncIterator[Body]:
    for part in parts:
        yield part
    raise Damaged("other bytes than its name says")


async def test_objects_are_written_listed_read_and_taken_away(store: CopyStore) -> None:
    await store.prove()
    bodies = {f"a/b{n % 3}/{n}": bytes([n]) * n for n in range(40)}
    await store.write_many(list(bodies.items()))
    await store.write("a/c", b"again")
    await store.write("a/c", b"one more")
    assert await keys_of(store) == {*bodies, "a/c"}
    assert await keys_of(store, "a/b1/") == {key for key in bodies if key.startswith("a/b1/")}
    read = await store.read_many([(key, len(body)) for key, body in bodies.items()])
    assert [bytes(body) for body in read if not isinstance(body, StoreError)] == list(bodies.values())
    found = await store.stat("a/b1/4")
    assert found is not None
    assert (found.key, found.size) == ("a/b1/4", 4)
    await store.delete_many([*bodies, "never/there"])
    assert await keys_of(store) == {"a/c"}
    assert await store.read("a/c", 100) == b"one more"


async def test_what_is_not_there_is_told_apart(store: CopyStore) -> None:
    await store.write("big", b"x" * 300)
    assert await store.stat("no/such") is None
    with pytest.raises(ObjectMissing):
        await store.read("no/such", 10)
    with pytest.raises(StoreError, match="more than 256 bytes"):
        await store.read("big", 256)
    (missing,) = await store.read_many([("no/such", 10)])
    assert isinstance(missing, ObjectMissing)
    assert not await keys_of(store, "nothing/")


async def test_a_large_object_streams_in_and_out_from_anywhere(store: CopyStore) -> None:
    parts = [os.urandom(5 * MIB) for _ in range(4)]
    whole = b"".join(parts)
    await store.put("large", len(whole), 0, streamed(parts))
    for start in (0, PIECE, len(whole) - 7):
        read = b"".join([bytes(piece) async for piece in store.pieces("large", start, len(whole), cold=True)])
        assert read == whole[start:]
    with pytest.raises(ObjectMissing):
        _ = [piece async for piece in store.pieces("none", 0, 20 * MIB)]


@pytest.mark.parametrize("parts", [1, 5])
async def test_a_stream_that_fails_leaves_no_object(store: CopyStore, parts: int) -> None:
    with pytest.raises(Damaged):
        await store.put("large", parts * 5 * MIB, 0, cut_short([b"x" * 5 * MIB] * parts))
    assert "large" not in await keys_of(store)
    await store.forget("large", parts * 5 * MIB)
    assert not await keys_of(store)


async def test_a_filesystem_goes_on_with_what_a_stream_left(tmp_path: Path) -> None:
    store = open_store(Place(kind="Filesystem", path=str(tmp_path)))
    with pytest.raises(Damaged):
        await store.put("large", 10, 0, cut_short([b"12345", b"67"]))
    taken = hashlib.sha256()
    assert await store.resume("large", 10, taken) == 7
    assert taken.hexdigest() == hashlib.sha256(b"1234567").hexdigest()
    await store.put("large", 10, 7, streamed([b"890"]))
    assert await store.read("large", 10) == b"1234567890"
    await store.close()


async def test_a_directory_that_is_empty_after_a_deletion_goes_too(tmp_path: Path) -> None:
    # The server lists directories as tags: an empty one would be a tag that stands for nothing.
    store = open_store(Place(kind="Filesystem", path=str(tmp_path)))
    await store.write("r/_manifests/tags/v1/current/link", b"x")
    await store.write("r/_manifests/tags/v2/current/link", b"x")
    await store.delete("r/_manifests/tags/v1/current/link")
    assert [path.name for path in (tmp_path / "r/_manifests/tags").iterdir()] == ["v2"]
    await store.close()


@pytest.mark.parametrize("key", ["../x", "a/../../x", "/etc/passwd", "a//b", ""])
async def test_no_key_leads_out_of_the_directory(tmp_path: Path, key: str) -> None:
    store = open_store(Place(kind="Filesystem", path=str(tmp_path)))
    with pytest.raises(StoreError, match="is no key"):
        await store.write(key, b"x")


async def test_credentials_that_are_changed_meanwhile_are_read_again(servers: dict[str, Minio], tmp_path: Path) -> None:
    place = bucket_at(servers["minio"], "stores", tmp_path / "keys", tmp_path.name)
    servers["minio"].bucket("stores")
    (tmp_path / "keys/secretKey").write_text("expired")
    tried: list[Place] = []

    def rotating(place: Place) -> object:
        tried.append(place)
        if len(tried) == 3:
            (tmp_path / "keys/secretKey").write_text(servers["minio"].secret_key)
        return connect(place)

    store = Bucket(place, SOON, rotating)  # type: ignore[arg-type]
    await store.write("a", b"x")
    assert len(tried) == 3
    (tmp_path / "keys/secretKey").write_text("expired again")
    lasting = Bucket(place, Patience(first=0.05, longest=0.05, total=0.2))
    with pytest.raises(StoreRefused, match="accessKey") as refused:
        _ = [page async for page in lasting.list()]
    assert "expired again" not in str(refused.value)


async def test_a_bucket_that_is_not_there_is_named(servers: dict[str, Minio], tmp_path: Path) -> None:
    store = open_store(bucket_at(servers["minio"], "nobody-made-it", tmp_path / "keys"))
    with pytest.raises(StoreRefused, match="no such bucket"):
        await store.write("a", b"x")
    with pytest.raises(StoreRefused, match="no such bucket"):
        _ = [page async for page in store.list()]
    gone = open_store(Place(kind="S3", endpoint="http://127.0.0.1:9", bucket="bkt", credentials=str(tmp_path / "no")))
    with pytest.raises(StoreRefused, match="mount the Secret"):
        await gone.write("a", b"x")


def test_an_object_has_no_more_parts_than_s3_allows() -> None:
    sizes = [1, 8 * MIB, 70 << 30, 71 << 30, 1 << 40, 5 << 40]
    assert part_size(10 << 30) == 8 * MIB
    assert all(-(-size // part_size(size)) <= 9000 for size in sizes)


def test_a_full_disk_and_a_full_bucket_are_the_same_error() -> None:
    full = RuntimeError("Server returned non-2xx status code: 507 : <Code>XMinioStorageFull</Code>")
    assert isinstance(told_by_bucket(full, "b", "k"), StoreFull)
    assert isinstance(told_by_system(OSError(28, "No space left on device"), "d", "k"), StoreFull)
    assert isinstance(told_by_system(OSError(30, "Read-only file system"), "d", "k"), StoreRefused)
    assert isinstance(told_by_system(OSError(5, "I/O error"), "d", "k"), Damaged)
    assert not isinstance(told_by_system(OSError(5, "I/O error"), "d", "k", writing=True), Damaged)

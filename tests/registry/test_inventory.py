"""What an ETag tells of a link is not read, and plans stay the same: tags that moved, links that are damaged."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from tests.support.collecting import WEB
from tests.support.minio import minio
from tests.support.storelayout import Layout

from pawl.api.registrywork import Place
from pawl.jobs.copystore import Body, CopyStore
from pawl.jobs.inventory import Inventory, read_inventory
from pawl.jobs.open import open_store
from pawl.jobs.store import Object, StoreError
from pawl.sandbox.minio import Minio

pytestmark = pytest.mark.registry


@pytest.fixture(scope="module")
def server() -> Iterator[Minio]:
    with minio() as running:
        yield running


class Counted:
    """A store that counts the links that are read; `etag` stands in for those of an encrypted bucket."""

    def __init__(self, inner: CopyStore, etag: str = "") -> None:
        self._inner = inner
        self._etag = etag
        self.links: list[str] = []

    async def list(self, prefix: str = "") -> AsyncIterator[list[Object]]:
        async for page in self._inner.list(prefix):
            yield [replace(each, etag=self._etag) if self._etag else each for each in page]

    async def read(self, key: str, limit: int) -> bytes:
        return await self._inner.read(key, limit)

    async def read_many(self, wanted: Sequence[tuple[str, int]], *, cold: bool = False) -> Sequence[Body | StoreError]:
        self.links += [key for key, _ in wanted if key.endswith("/link")]
        return await self._inner.read_many(wanted, cold=cold)


@pytest.fixture
def place(server: Minio, tmp_path: Path) -> Place:
    """A bucket of its own."""
    (tmp_path / "accessKey").write_text(server.access_key)
    (tmp_path / "secretKey").write_text(server.secret_key)
    name = tmp_path.name.replace("_", "-").lower()[-40:].strip("-")
    server.bucket(name)
    return Place(kind="S3", endpoint=server.endpoint, bucket=name, credentials=str(tmp_path))


async def filled(place: Place, layout: Layout) -> CopyStore:
    store = open_store(place)
    for key, body in layout.files().items():
        await store.write(key, body)
    return store


async def read(store: CopyStore, *, by_etag: bool, etag: str = "") -> tuple[Inventory, list[str]]:
    counted = Counted(store, etag)
    inventory = await read_inventory(cast("CopyStore", counted), by_etag=by_etag)
    for held in inventory.repositories.values():
        held.etags.clear()
        held.told.clear()
    inventory.faults.sort(key=lambda fault: fault.key)
    return inventory, sorted(counted.links)


def registry(layout: Layout) -> tuple[str, str]:
    """Two tags; `moved` stood for the first image once."""
    first, second = layout.image(WEB, [b"a"]), layout.image(WEB, [b"b"], config=b"{1}")
    layout.tag(WEB, "moved", first)
    layout.tag(WEB, "moved", second)
    layout.tag(WEB, "v1", first)
    return first, second


async def test_no_link_is_read_whose_etag_tells_what_it_holds(place: Place, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "store")
    first, second = registry(layout)
    store = await filled(place, layout)
    whole, every = await read(store, by_etag=False)
    quick, links = await read(store, by_etag=True)
    await store.close()
    assert (len(every), links) == (4, [])
    assert quick == whole
    assert {tag: one.digest.hex() for tag, one in quick.repositories[WEB].tags.items()} == {
        "moved": second.partition(":")[2],
        "v1": first.partition(":")[2],
    }


async def test_links_whose_etag_tells_nothing_are_read_and_their_faults_found(place: Place, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "store")
    first, second = registry(layout)
    layout.tag(WEB, "void", first)
    layout.tag_path(WEB, "void").write_bytes(b"")
    layout.tag(WEB, "stranger", first)
    layout.tag_path(WEB, "stranger").write_text(second)
    layout.revision_path(WEB, first).write_text(second)
    store = await filled(place, layout)
    whole, _ = await read(store, by_etag=False)
    quick, links = await read(store, by_etag=True)
    await store.close()
    wrong = [layout.tag_path(WEB, "void"), layout.tag_path(WEB, "stranger"), layout.revision_path(WEB, first)]
    assert links == sorted(str(path.relative_to(layout.root)) for path in wrong)
    assert quick == whole
    assert len(quick.faults) >= 2


async def test_an_encrypted_bucket_is_read_link_by_link(place: Place, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "store")
    registry(layout)
    store = await filled(place, layout)
    whole, every = await read(store, by_etag=False)
    quick, links = await read(store, by_etag=True, etag="0" * 32)
    await store.close()
    assert links == every
    assert quick == whole

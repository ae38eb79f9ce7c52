"""Buckets that refuse in the middle, cut bodies or lie about them, and hold keys that no server wrote."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from tests.registry.migrations import QUICK, Tree, at, contents, order, silent
from tests.support.s3fake import Fake, refusal, s3_fake

from pawl.api.registrywork import Place, Task
from pawl.decide import layout
from pawl.jobs.bucket import Bucket
from pawl.jobs.copystore import MIB, Body, Patience
from pawl.jobs.migrate import bulk, final
from pawl.jobs.store import StoreError, StoreRefused

pytestmark = pytest.mark.registry
SOON = Patience(first=0.01, longest=0.02, total=5.0)


@pytest.fixture
async def fake() -> AsyncIterator[Fake]:
    async with s3_fake(Fake()) as served:
        yield served


def place_of(fake: Fake, tmp_path: Path) -> Place:
    (tmp_path / "accessKey").write_text("a")
    (tmp_path / "secretKey").write_text("b")
    return Place(kind="S3", endpoint=fake.endpoint, bucket="odd", credentials=str(tmp_path))


class Cut(web.StreamResponse):
    """Half of what it promises, and then no more."""

    async def prepare(self, request: web.BaseRequest) -> None:
        self.content_length = 100
        self.headers.update({"ETag": '"x"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"})
        await super().prepare(request)
        await self.write(b"0123456789")
        assert request.transport is not None
        request.transport.close()


async def test_a_listing_that_is_refused_in_the_middle_goes_on_where_it_was(fake: Fake, tmp_path: Path) -> None:
    fake.objects, fake.page = {f"k/{number:05}": b"" for number in range(3500)}, 1000
    refused: list[str] = []

    def fault(_fake: Fake, request: web.Request) -> web.StreamResponse | None:
        if len(refused) < 3 and "02999" in request.path_qs:
            refused.append(request.path_qs)
            return refusal(403, "ExpiredToken")
        return None

    fake.fault = fault
    listed = [each.key async for page in Bucket(place_of(fake, tmp_path), SOON).list("k/") for each in page]
    assert len(refused) == 3
    assert listed == sorted(fake.objects)


@pytest.mark.parametrize("odd", ["k/a//b", "k/../b", "k/./b"])
async def test_a_key_that_is_no_path_is_named_at_once(fake: Fake, tmp_path: Path, odd: str) -> None:
    fake.objects = {"k/1": b"", odd: b"", "k/2": b""}
    with pytest.raises(StoreRefused, match="delete it") as told:
        _ = [page async for page in Bucket(place_of(fake, tmp_path), SOON).list("k/")]
    assert odd in str(told.value)
    assert len(fake.seen) == 1


async def test_an_upload_that_is_refused_in_the_middle_is_aborted_and_may_be_sent_again(
    fake: Fake, tmp_path: Path
) -> None:
    answers = [None, refusal(403, "ExpiredToken")]

    def fault(_fake: Fake, request: web.Request) -> web.StreamResponse | None:
        return answers.pop(0) if answers and "partNumber" in request.query else None

    async def parts() -> AsyncIterator[Body]:
        for number in range(4):
            yield bytes([number]) * 8 * MIB

    fake.fault = fault
    store = Bucket(place_of(fake, tmp_path), SOON)
    with pytest.raises(StoreRefused):
        await store.put("big", 32 * MIB, 0, parts())
    assert (fake.aborted, fake.objects) == (["big"], {})
    await store.put("big", 32 * MIB, 0, parts())
    assert len(fake.objects["big"]) == 32 * MIB


async def test_a_body_that_is_cut_each_time_is_an_error(fake: Fake, tmp_path: Path) -> None:
    fake.objects, fake.fault = {"x": b"0" * 100}, lambda _fake, request: Cut() if request.path.endswith("/x") else None
    store = Bucket(place_of(fake, tmp_path), Patience(first=0.01, longest=0.01, total=0.1))
    (body,) = await store.read_many([("x", 100)])
    assert isinstance(body, StoreError)


async def test_a_registry_moves_out_of_a_bucket_that_fails_each_third_time(fake: Fake, tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").fill(2)
    tree.tag("big", "v1", tree.image("big", 9 * MIB))
    files = [path for path in (tree.root / "docker").rglob("*") if path.is_file()]
    fake.objects, fake.page = {str(path.relative_to(tree.root)): path.read_bytes() for path in files}, 1000

    def fault(served: Fake, request: web.Request) -> web.StreamResponse | None:
        asked = len(served.seen)
        if asked % 3:
            return None
        if asked % 9 == 0 and "list-type" not in request.query:
            return Cut()
        return refusal(503, "SlowDown") if asked % 2 else refusal(403, "ExpiredToken")

    fake.fault = fault
    source, target, edges = place_of(fake, tmp_path), at(tmp_path / "target"), replace(QUICK, patience=SOON)
    first = await bulk(order(Task.BULK, source, target), silent, edges)
    last = await final(order(Task.FINAL, source, target), silent, edges)
    assert [(report.ok, report.message) for report in (first, last) if not report.ok] == []
    assert contents(tmp_path / "target") == contents(tree.root)


async def test_bytes_that_are_fewer_than_the_listing_says_are_no_copy(fake: Fake, tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").fill(1)
    files = [path for path in (tree.root / "docker").rglob("*") if path.is_file()]
    fake.objects = {str(path.relative_to(tree.root)): path.read_bytes() for path in files}
    short = max((key for key in fake.objects if key.startswith(layout.BLOBS)), key=lambda key: len(fake.objects[key]))

    def fault(served: Fake, request: web.Request) -> web.StreamResponse | None:
        if request.path.endswith(short) and request.method == "GET":
            headers = {"ETag": '"x"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
            return web.Response(body=served.objects[short][:-1], headers=headers)
        return None

    fake.fault = fault
    work = order(Task.BULK, place_of(fake, tmp_path), at(tmp_path / "target"))
    report = await bulk(work, silent, replace(QUICK, patience=SOON))
    assert (report.ok, report.reason, len(report.quarantine)) == (False, "SourceCorrupt", 1)
    assert short not in contents(tmp_path / "target")

"""Moves of a registry between real stores: what arrives, what is refused, what is followed, what is told."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from tests.registry.migrations import OCI, QUICK, Tree, at, contents, dangling, order, silent
from tests.registry.mortalstore import Counted, Reads, Wrapped
from tests.registry.test_stores import bucket_at
from tests.support.minio import minio
from tests.support.rclone import rclone_s3
from tests.support.registries import filesystem, registry_on

from pawl.api.registrystorage_spec import Verify
from pawl.api.registrywork import Place, Report, Task
from pawl.decide import layout
from pawl.jobs.copystore import Patience
from pawl.jobs.migrate import Edges, bulk, final
from pawl.jobs.open import open_store
from pawl.jobs.preflight import preflight
from pawl.jobs.remove import delete
from pawl.sandbox.minio import Minio
from pawl.sandbox.rest import Api

pytestmark = pytest.mark.registry
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Minio]]:
    with minio() as one, rclone_s3(tmp_path_factory.mktemp("rclone")) as other:
        yield {"minio": one, "rclone": other}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "source").fill()


async def moved(source: Place, target: Place, name: str = "m1", edges: Edges = QUICK) -> Report:
    report = await bulk(order(Task.BULK, source, target, name), silent, edges)
    return await final(order(Task.FINAL, source, target, name), silent, edges) if report.ok else report


@pytest.mark.parametrize("server", ["minio", "rclone"])
async def test_a_registry_moves_into_a_bucket_and_out_of_it(
    servers: dict[str, Minio], tree: Tree, tmp_path: Path, server: str
) -> None:
    servers[server].bucket("moves")
    bucket = bucket_at(servers[server], "moves", tmp_path / "keys", tmp_path.name)
    tree.tag("big", "v1", tree.image("big", 12 << 20))
    report = await moved(at(tree.root), bucket)
    assert (report.ok, report.reason) == (True, "")
    back = tmp_path / "back"
    report = await moved(bucket, at(back))
    assert (report.ok, report.progress.bytes_done) == (True, report.progress.bytes)
    assert contents(back) == contents(tree.root)
    left = await delete(order(Task.DELETE, bucket, bucket), silent, QUICK)
    assert (left.ok, left.freed_bytes > 12 << 20) == (True, True)
    assert [page async for page in open_store(bucket).list()] == []


async def test_a_real_server_serves_what_was_moved(tree: Tree, tmp_path: Path) -> None:
    assert (await moved(at(tree.root), at(tmp_path / "target"))).ok
    expected = (tree.root / layout.tag_current_key("multi", "latest")).read_text()
    with registry_on(filesystem(tmp_path / "target")) as server:
        url = f"http://{server.host}/v2/multi/manifests/latest"
        async with (
            aiohttp.ClientSession() as client,
            client.get(url, headers={"Accept": f"{OCI}.index.v1+json"}) as got,
        ):
            assert (got.status, got.headers["Docker-Content-Digest"]) == (200, expected)
            assert f"sha256:{hashlib.sha256(await got.read()).hexdigest()}" == expected
        assert Api(f"http://{server.host}").get("/v2/multi/tags/list").body["tags"] == ["latest"]


async def test_what_changes_at_the_source_meanwhile_is_followed(tree: Tree, tmp_path: Path) -> None:
    target = tmp_path / "target"
    assert (await bulk(order(Task.BULK, at(tree.root), at(target)), silent, QUICK)).ok
    tree.tag("team/app1", "v1", tree.image("team/app1", 999))
    tree.tag("team/new", "v1", tree.image("team/new", 2 << 20))
    shutil.rmtree(tree.root / layout.REPOSITORIES / "team/app2/_manifests/tags/v2")
    report = await final(order(Task.FINAL, at(tree.root), at(target)), silent, QUICK)
    assert report.ok, report.message
    assert "2 links deleted" in report.message
    assert contents(target) == contents(tree.root)
    assert not (target / layout.REPOSITORIES / "team/app2/_manifests/tags/v2").exists()


async def test_pushes_in_the_middle_of_a_round_leave_no_tag_without_its_image(tree: Tree, tmp_path: Path) -> None:
    target = tmp_path / "target"

    class Busy(Wrapped):
        async def read_many(self, wanted: list[tuple[str, int]], *, cold: bool = False) -> object:
            if wanted and wanted[0][0].endswith("current/link"):
                tree.tag("team/app0", "v0", tree.image("team/app0", 50))
                tree.tag("team/app0", "late", tree.image("team/app0", 60))
            return await self.inner.read_many(wanted, cold=cold)

    def opened(place: Place, patience: Patience) -> object:
        store = open_store(place, patience)
        return store if place.path == str(target) else Busy(store)

    report = await bulk(order(Task.BULK, at(tree.root), at(target)), silent, replace(QUICK, open=opened))  # type: ignore[arg-type]
    assert report.ok
    assert dangling(target) == []
    assert (await final(order(Task.FINAL, at(tree.root), at(target)), silent, QUICK)).ok
    assert contents(target) == contents(tree.root)


async def test_a_blob_that_rotted_is_named_and_all_others_are_copied(tree: Tree, tmp_path: Path) -> None:
    victims = [tree.layer(3 << 20), tree.layer(3000)]
    for victim in victims:
        path = tree.root / layout.blob_key(str(victim["digest"]))
        path.write_bytes(b"\0" + path.read_bytes()[1:])
    short = tree.root / layout.blob_key(str(tree.layer(2 << 20)["digest"]))
    short.write_bytes(short.read_bytes()[:-1])
    report = await moved(at(tree.root), at(tmp_path / "target"))
    assert (report.ok, report.reason) == (False, "SourceCorrupt")
    assert {str(victim["digest"]) for victim in victims} < set(report.quarantine)
    assert len(report.quarantine) == 3
    missing = contents(tree.root).keys() - contents(tmp_path / "target").keys()
    assert missing == {layout.blob_key(digest) for digest in report.quarantine}
    assert not list((tmp_path / "target").glob(".pawl/tmp/*"))
    short.unlink()
    for victim in victims:
        (tree.root / layout.blob_key(str(victim["digest"]))).unlink()
    assert (await moved(at(tree.root), at(tmp_path / "target"))).ok


@pytest.mark.parametrize("body", [b"", b"\0" * 71, b"sha256:short"], ids=["empty", "zeros", "short"])
async def test_links_that_hold_no_digest_stay_behind_and_are_told(tree: Tree, tmp_path: Path, body: bytes) -> None:
    stale = layout.layer_link_key("team/app0", f"sha256:{'a' * 64}")
    broken = layout.tag_current_key("team/app0", "broken")
    tree.put(stale, body)
    tree.put(broken, body)
    (tmp_path / "target").mkdir()
    found = await preflight(open_store(at(tree.root)), open_store(at(tmp_path / "target")))
    assert (found.reason, found.links_at_fault.count > 0) == (None, len(body) != 71)
    report = await moved(at(tree.root), at(tmp_path / "target"))
    assert report.ok, report.message
    assert "2 broken links" in report.message
    assert broken in report.message
    assert contents(tree.root).keys() - contents(tmp_path / "target").keys() == {stale, broken}


async def test_what_led_nowhere_at_the_source_is_no_fault_of_the_copy(tree: Tree, tmp_path: Path) -> None:
    document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": tree.layer(10), "layers": [tree.layer(20)]}
    (tree.root / layout.blob_key(str(document["layers"][0]["digest"]))).unlink()  # type: ignore[index]
    tree.tag("torn", "v1", tree.manifest("torn", document))
    report = await moved(at(tree.root), at(tmp_path / "target"))
    assert report.ok, report.message
    assert "1 references led nowhere at the source already" in report.message


async def test_manifests_of_schema_1_are_refused_by_name(tree: Tree, tmp_path: Path) -> None:
    old = {"schemaVersion": 1, "mediaType": "x", "fsLayers": [{"blobSum": tree.layer(10)["digest"]}], "name": "old"}
    described = tree.manifest("ancient/app", old)
    report = await moved(at(tree.root), at(tmp_path / "target"))
    assert (report.ok, report.reason) == (False, "Schema1Found")
    assert f"ancient/app@{described['digest']}" in report.message
    assert contents(tmp_path / "target") == {}


async def test_another_registry_is_never_overwritten(tree: Tree, tmp_path: Path) -> None:
    other = Tree(tmp_path / "other", seed=9).fill(1)
    before = contents(other.root)
    report = await moved(at(tree.root), at(other.root))
    assert (report.ok, report.reason) == (False, "TargetNotEmpty")
    assert contents(other.root) == before
    found = await preflight(open_store(at(tree.root)), open_store(at(other.root)))
    assert found.reason == "TargetNotEmpty"
    assert not (other.root / ".pawl").exists()


async def test_the_way_back_takes_the_old_store_and_reads_no_blob_that_is_there(tree: Tree, tmp_path: Path) -> None:
    new = Tree(tmp_path / "new", seed=7)
    tree.tag("big", "v1", tree.image("big", 3 << 20))
    assert (await moved(at(tree.root), at(new.root))).ok
    pushed = new.image("team/app0", 1234)
    new.tag("team/app0", "after", pushed)
    shutil.rmtree(new.root / layout.REPOSITORIES / "multi/_manifests/tags/latest")
    was_there, reads = contents(tree.root).keys(), Reads()

    def opened(place: Place, patience: Patience) -> object:
        store = open_store(place, patience)
        return Counted(store, reads) if place.path == str(new.root) else store

    # A collection on the new store frees what the old one still holds: its ledger knows it all the same.
    freed = new.root / layout.blob_key(str(tree.layer(10)["digest"]))
    assert not freed.exists()
    (tree.root / layout.blob_key(f"sha256:{freed.parent.name}")).unlink()
    manifests = {path.read_text() for path in new.root.glob("**/_manifests/revisions/*/*/link")}
    report = await moved(at(new.root), at(tree.root), "m2", replace(QUICK, open=opened))  # type: ignore[arg-type]
    assert report.ok, report.message
    again = {key for key in reads.bytes if key in was_there and layout.parse(key).digest not in manifests}
    assert not again
    links = {key for key in contents(new.root) if key.endswith("/link")}
    assert {key for key in contents(tree.root) if key.endswith("/link")} == links


async def test_what_a_killed_worker_left_of_another_move_does_not_hinder(tree: Tree, tmp_path: Path) -> None:
    assert (await bulk(order(Task.BULK, at(tree.root), at(tmp_path / "target"), "given-up"), silent, QUICK)).ok
    assert (await moved(at(tree.root), at(tmp_path / "target"), "m2")).ok


async def test_credentials_that_are_refused_in_the_middle_are_waited_for(
    servers: dict[str, Minio], tree: Tree, tmp_path: Path
) -> None:
    servers["minio"].bucket("moves")
    bucket = bucket_at(servers["minio"], "moves", tmp_path / "keys", tmp_path.name)
    secret = tmp_path / "keys/secretKey"
    good, seen = secret.read_text(), list[str]()

    class Expiring(Wrapped):
        async def write_many(self, bodies: list[tuple[str, bytes]]) -> None:
            if not seen:
                seen.append("expired")
                secret.write_text("expired")
                self.inner._held = None
                asyncio.get_running_loop().call_later(0.4, lambda: secret.write_text(good))
            await self.inner.write_many(bodies)

    def opened(place: Place, patience: Patience) -> object:
        store = open_store(place, patience)
        return Expiring(store) if place.kind == "S3" else store

    report = await moved(at(tree.root), bucket, edges=replace(QUICK, open=opened))  # type: ignore[arg-type]
    assert (report.ok, seen) == (True, ["expired"])
    secret.write_text("gone for good")
    report = await moved(at(tree.root), bucket, "m2")
    assert (report.ok, report.reason) == (False, "CopyFailed")
    assert "secretKey" in report.message
    assert "gone for good" not in report.message


async def test_progress_is_told_while_it_moves(tree: Tree, tmp_path: Path) -> None:
    told: list[Report] = []
    work = order(Task.BULK, at(tree.root), at(tmp_path / "target"))
    last = await bulk(work, told.append, QUICK)
    assert told[0].phase == "Preflight"
    assert {report.phase for report in told} == {"Preflight", "Bulk", "ReadyToFreeze"}
    assert told[-1].progress == last.progress
    size = sum(path.stat().st_size for path in tree.root.glob(f"{layout.BLOBS}**/data"))
    assert last.progress.bytes == last.progress.bytes_done == size
    assert last.progress.objects == last.progress.objects_done == len(contents(tree.root))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda root: next(root.glob("**/tags/*/current/link")).unlink(),
        lambda root: next(root.glob("**/_layers/*/*/link")).write_text(f"sha256:{'b' * 64}"),
        lambda root: next(root.glob("**/blobs/*/*/*/data")).unlink(),
        lambda root: (root / layout.tag_current_key("ghost", "v1")).mkdir(parents=True),
    ],
    ids=["tag", "link", "blob", "directory"],
)
async def test_a_copy_that_is_not_whole_is_not_called_whole(
    tree: Tree, tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    target = tmp_path / "target"
    assert (await moved(at(tree.root), at(target))).ok

    def tell(report: Report) -> None:
        if report.phase == "Verify" and not (tmp_path / "spoilt").exists():
            (tmp_path / "spoilt").touch()
            spoil(target)

    report = await final(order(Task.FINAL, at(tree.root), at(target), verify=Verify.GRAPH), tell, QUICK)
    whole = contents(target) == contents(tree.root)
    assert report.ok == whole
    assert report.reason == ("" if whole else "GraphBroken")


async def test_deleting_a_store_leaves_what_is_not_of_a_registry(tree: Tree) -> None:
    report = await delete(order(Task.DELETE, at(tree.root), at(tree.root)), silent, QUICK)
    assert report.ok
    assert report.freed_bytes > 0
    left = [str(path.relative_to(tree.root)) for path in tree.root.rglob("*") if path.is_file()]
    assert sorted(left) == ["docker/registry/v2/scheduler-state.json", "lost+found/x"]
    assert "1 objects are not of a registry" in report.message


async def test_a_source_that_is_not_there_is_no_empty_registry(tree: Tree, tmp_path: Path) -> None:
    report = await moved(at(tmp_path / "not-mounted"), at(tmp_path / "target"))
    assert (report.ok, report.reason) == (False, "CopyFailed")
    assert "mounted" in report.message
    assert (await bulk(order(Task.BULK, at(tree.root), at(tmp_path / "target")), silent, QUICK)).ok
    before = contents(tmp_path / "target")
    shutil.rmtree(tree.root / "docker")
    report = await final(order(Task.FINAL, at(tree.root), at(tmp_path / "target")), silent, QUICK)
    assert (report.ok, report.reason) == (False, "CopyFailed")
    assert contents(tmp_path / "target") == before

"""What a copy must not lose or call whole: names that no client sends, links out of a store, stores that change."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.registry.migrations import QUICK, Tree, at, dangling, order, silent
from tests.registry.mortalstore import Wrapped

from pawl.api.registrystorage_spec import Verify
from pawl.api.registrywork import Place, Report, Task
from pawl.decide import layout
from pawl.jobs.copystore import CopyStore, Patience
from pawl.jobs.inventory import read_inventory
from pawl.jobs.migrate import Edges, bulk, final
from pawl.jobs.open import open_store
from pawl.jobs.store import Object, StoreRefused

pytestmark = pytest.mark.registry
GRAPH = Verify.GRAPH


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "source").fill(2)


def links(root: Path) -> dict[str, str]:
    """Every link, whatever its path is taken for."""
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("link")}


async def moved(source: Path, target: Path, edges: Edges = QUICK) -> Report:
    report = await bulk(order(Task.BULK, at(source), at(target)), silent, edges)
    assert report.ok, report.message
    return await final(order(Task.FINAL, at(source), at(target), verify=GRAPH), silent, edges)


def wrapping(root: Path, wrap: Callable[[CopyStore], object]) -> Edges:
    """Edges where the store at `root` is another one."""

    def opened(place: Place, patience: Patience) -> object:
        store = open_store(place, patience)
        return wrap(store) if place.path == str(root) else store

    return replace(QUICK, open=opened)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["Team/app", "TEAM.io/a/b", f"a/{'b' * 250}/c"])
async def test_every_repository_that_a_server_takes_is_moved(tree: Tree, tmp_path: Path, name: str) -> None:
    tree.tag(name, "v1", tree.image(name, 10))
    assert (await moved(tree.root, tmp_path / "target")).ok
    assert links(tmp_path / "target") == links(tree.root)
    held = (await read_inventory(open_store(at(tmp_path / "target")))).repositories[name]
    assert (list(held.tags), len(held.revisions)) == (["v1"], 1)


async def test_a_link_where_no_server_writes_is_told(tree: Tree, tmp_path: Path) -> None:
    tree.put(f"{layout.REPOSITORIES}team/App/_layers/sha256/{'a' * 64}/link", b"x")
    report = await moved(tree.root, tmp_path / "target")
    assert report.ok
    assert "team/App" in report.message


@pytest.mark.parametrize("which", ["repositories/team", "blobs/sha256"])
async def test_a_symbolic_link_is_refused_and_not_passed_over(tree: Tree, tmp_path: Path, which: str) -> None:
    place, elsewhere = tree.root / layout.ROOT / which, tmp_path / "elsewhere"
    place.rename(elsewhere)
    place.symlink_to(elsewhere)
    report = await bulk(order(Task.BULK, at(tree.root), at(tmp_path / "target")), silent, QUICK)
    assert (report.ok, report.reason) == (False, "CopyFailed")
    assert which in report.message
    assert "symbolic link" in report.message
    with pytest.raises(StoreRefused, match="symbolic link"):
        await read_inventory(open_store(at(tree.root)))


async def test_a_tag_without_its_history_is_moved_as_it_is(tree: Tree, tmp_path: Path) -> None:
    described = tree.image("team/app0", 77)
    tree.link(layout.tag_current_key("team/app0", "bare"), str(described["digest"]))
    lost = layout.tag_current_key("team/app0", "lost")
    tree.link(lost, f"sha256:{'c' * 64}")
    report = await moved(tree.root, tmp_path / "target")
    assert report.ok, report.message
    assert "1 broken links" in report.message
    assert {key: body for key, body in links(tree.root).items() if key != lost} == links(tmp_path / "target")


class Vanishing(Wrapped):
    """A store that is there for the first listings, and then is an empty directory."""

    def __init__(self, inner: CopyStore, listings: int) -> None:
        super().__init__(inner)
        self.left = listings

    async def list(self, prefix: str = "") -> AsyncIterator[list[Object]]:
        self.left -= prefix == layout.BLOBS
        if self.left >= 0:
            async for page in self.inner.list(prefix):
                yield page

    async def stat(self, key: str) -> Object | None:
        return await self.inner.stat(key) if self.left >= 0 else None


async def test_a_source_that_vanishes_in_the_middle_is_not_proved(tree: Tree, tmp_path: Path) -> None:
    target = tmp_path / "target"
    assert (await bulk(order(Task.BULK, at(tree.root), at(target)), silent, QUICK)).ok
    vanishing = wrapping(tree.root, lambda store: Vanishing(store, 1))
    report = await final(order(Task.FINAL, at(tree.root), at(target), verify=GRAPH), silent, vanishing)
    assert (report.ok, report.reason) == (False, "GraphBroken")
    assert "0 blobs with 0 bytes" in report.message


async def test_a_push_into_a_frozen_source_is_noticed_even_if_no_key_is_new(tree: Tree, tmp_path: Path) -> None:
    first, second = tree.image("web", 30), tree.image("web", 40)
    tree.tag("web", "v1", first)
    tree.tag("web", "v1", second)
    target = tmp_path / "target"
    assert (await bulk(order(Task.BULK, at(tree.root), at(target)), silent, QUICK)).ok

    def push_again(report: Report) -> None:
        if report.phase == "Verify":
            tree.tag("web", "v1", first)

    report = await final(order(Task.FINAL, at(tree.root), at(target), verify=GRAPH), push_again, QUICK)
    assert (report.ok, report.reason) == (False, "GraphBroken")
    assert f"{layout.tag_current_key('web', 'v1')} has moved" in report.message
    assert (await final(order(Task.FINAL, at(tree.root), at(target), verify=GRAPH), silent, QUICK)).ok
    assert links(target) == links(tree.root)


async def test_a_worker_that_was_overtaken_ends(tree: Tree, tmp_path: Path) -> None:
    """It sleeps before its tags are written; another worker ends the move, and the new store is pushed to."""
    target, new = tmp_path / "target", Tree(tmp_path / "target", seed=8)
    after: list[dict[str, str]] = []

    class Sleepy(Wrapped):
        async def read_many(self, wanted: list[tuple[str, int]], *, cold: bool = False) -> object:
            bodies = await self.inner.read_many(wanted, cold=cold)
            if not after and wanted[0][0].endswith("current/link"):
                after.append({})
                assert (await moved(tree.root, target)).ok
                new.tag("team/app0", "v0", new.image("team/app0", 99))
                after[0] = links(target)
            return bodies

    late = await bulk(order(Task.BULK, at(tree.root), at(target)), silent, wrapping(tree.root, Sleepy))
    assert (late.ok, late.reason) == (False, "CopyFailed")
    assert "another worker" in late.message
    assert links(target) == after[0]


async def test_a_registry_of_its_own_is_not_taken_though_all_its_blobs_are_known(tree: Tree, tmp_path: Path) -> None:
    """Images that were promoted to it from the source, under tags of its own: these would be deleted as surplus."""
    other = tmp_path / "other"
    shutil.copytree(tree.root / layout.ROOT, other / layout.ROOT)
    work = order(Task.BULK, at(tree.root), at(other))
    tags = other / layout.REPOSITORIES / "multi/_manifests/tags"
    shutil.copytree(tags / "latest", tags / "released")
    before = links(other)
    report = await bulk(work, silent, QUICK)
    assert (report.ok, report.reason) == (False, "TargetNotEmpty")
    assert "multi/_manifests/tags/released" in report.message
    assert links(other) == before
    shutil.rmtree(tags / "released")
    assert (await moved(tree.root, other)).ok


async def test_two_workers_at_once_leave_a_valid_registry_and_a_third_ends_the_work(tree: Tree, tmp_path: Path) -> None:
    target = tmp_path / "target"
    work = order(Task.BULK, at(tree.root), at(target))
    both = await asyncio.gather(bulk(work, silent, QUICK), bulk(work, silent, QUICK))
    assert {report.reason for report in both} <= {"", "CopyFailed"}
    assert dangling(target) == []
    assert (await moved(tree.root, target)).ok
    assert links(target) == links(tree.root)

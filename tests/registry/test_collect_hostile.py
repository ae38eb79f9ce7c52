"""Collections of what no client of today sends: names with capitals, and hostile rules."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.collecting import collect, order, quiet, whole
from tests.support.registries import filesystem
from tests.support.storelayout import Layout

from pawl.api.registrywork import Task, Use
from pawl.jobs.collect import account, prepare

pytestmark = pytest.mark.registry


@pytest.mark.parametrize("version", ["3", "2"])
async def test_a_repository_with_capitals_is_collected_like_any_other(tmp_path: Path, version: str) -> None:
    """The server takes `Team/app`; its links must not be taken for rubbish."""
    store = Layout(tmp_path / "store")
    kept = store.image("Team/app", [b"kept"], config=b"1")
    store.tag("Team/app", "v1", kept)
    gone = store.image("Team/app", [b"gone"], config=b"2")
    store.tag("Team/app", "old", gone)
    store.tag("shop/web", "v1", store.image("shop/web", [b"web"], config=b"3"))
    report = await whole(store, tmp_path, version)
    assert report.ok, report.message
    assert store.tags() == {("Team/app", "v1"), ("shop/web", "v1")}
    assert kept in store.blobs()
    assert gone not in store.blobs()


async def test_a_child_that_runs_by_digest_alone_keeps_index_and_layers(tmp_path: Path) -> None:
    store = Layout(tmp_path / "store")
    store.tag("shop/web", "v1", store.image("shop/web", [b"now"], config=b"1"))
    child = store.image("shop/web", [b"amd"], config=b"2")
    other = store.image("shop/web", [b"arm"], config=b"3")
    index = store.index("shop/web", [child, other])
    store.tag("shop/web", "old", index)
    use = Use(repository="shop/web", digest=child, by="Pod a/b")
    before = store.blobs()
    assert (await whole(store, tmp_path, uses=[use])).ok
    assert store.blobs() == before
    assert store.tags() == {("shop/web", "v1"), ("shop/web", "old")}


async def test_a_clock_that_went_back_keeps_all_that_is_from_the_future(tmp_path: Path) -> None:
    store = Layout(tmp_path / "store")
    store.tag("shop/web", "v1", store.image("shop/web", [b"1"], config=b"1"))
    late = store.image("shop/web", [b"2"], config=b"2", age=-timedelta(days=2))
    store.tag("shop/web", "x", late, age=-timedelta(days=2))
    done = await prepare(order(store), quiet)
    assert done.ok
    assert done.plan is not None
    assert (done.plan.delete_tags, done.plan.delete_manifests) == (0, 0)
    assert collect(filesystem(store.root), tmp_path).returncode == 0
    assert (await account(order(store, Task.ACCOUNT), quiet)).ok
    assert late in store.blobs()


async def test_tags_of_one_moment_are_counted_in_the_same_order_each_time(tmp_path: Path) -> None:
    store = Layout(tmp_path / "store")
    for name in ("a", "b", "c", "d"):
        store.tag("shop/web", name, store.image("shop/web", [name.encode()], config=name.encode()))
    rule = [{"repositories": ["**"], "keepLast": 2}]
    plans = [(await prepare(order(store, retention=rule), quiet)).plan for _ in range(2)]
    assert store.tags() == {("shop/web", "c"), ("shop/web", "d")}
    assert [plan.delete_tags for plan in plans if plan is not None] == [2, 0]

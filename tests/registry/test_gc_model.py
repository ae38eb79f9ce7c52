"""Random registries, collected by Pawl and the server's own collector, against a model that shares no code with them.

What a kept tag, a use or a referrer reaches is there byte for byte; everything else is gone. The same after deaths.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from tests.support.gcmodel import Maker, World, left_of
from tests.support.registries import binary, collect_garbage, config, filesystem
from tests.support.storelayout import NOW, Layout

from pawl.api.registrystorage_spec import Collection, RetentionRule
from pawl.api.registrywork import Order, Place, Report, Task, Use
from pawl.jobs.collect import account, prepare
from pawl.sandbox.registry import ENVIRON

pytestmark = pytest.mark.registry

MINIMUM = timedelta(days=1)


class Cut(Exception):
    """The death of a worker."""


def order_of(world: World, root: Path, task: Task = Task.PREPARE) -> Order:
    rules = [
        RetentionRule(
            repositories=[rule.glob],
            keep_tags=[rule.tags] if rule.tags else [],
            keep_last=rule.last or None,
            keep_younger_than=f"{int(rule.younger.total_seconds())}s" if rule.younger else None,
            keep_in_use=rule.in_use,
            keep_untagged=rule.untagged,
        )
        for rule in world.rules
    ]
    uses = [Use(repository=name, tag=tag, digest=digest, by="Pod shop/web-0") for name, tag, digest in world.uses]
    collection = Collection(max_delete_percent=100, minimum_age="24h")
    place = Place(kind="Filesystem", path=str(root))
    return Order(task=task, id="c1", source=place, retention=rules, collection=collection, uses=uses, now=NOW)


def quiet(report: Report) -> None:
    del report


async def collected(world: World, store: Layout, version: str, tmp_path: Path) -> Report:
    """The three containers of the Job, in turn."""
    done = await prepare(order_of(world, store.root), quiet)
    assert done.ok, done.message
    run = collect_garbage(server_config(store.root, tmp_path), version)
    assert run.returncode == 0, run.stdout[-500:] + run.stderr[-500:]
    return await account(order_of(world, store.root, Task.ACCOUNT), quiet)


def server_config(root: Path, tmp_path: Path) -> Path:
    path = tmp_path / "config.yml"
    path.write_text(yaml.safe_dump(config(filesystem(root), "127.0.0.1:1", read_only=True)))
    return path


def check(world: World, store: Layout, before: dict[str, bytes]) -> None:
    left = left_of(world, MINIMUM)
    assert store.tags() == left.tags
    assert store.revisions() == left.revisions
    assert store.blobs() == {digest: body for digest, body in before.items() if digest in left.blobs}
    for link in store.base.glob("repositories/**/_layers/*/*/link"):
        assert store.blob_path(link.read_text()).exists()


@pytest.mark.parametrize("seed", range(20))
async def test_what_is_reachable_survives_and_nothing_else(seed: int, tmp_path: Path) -> None:
    store = Layout(tmp_path / "store")
    world = Maker(store, seed).make()
    before = store.blobs()

    done = await collected(world, store, "2" if seed % 5 == 4 else "3", tmp_path)

    assert done.ok, done.message
    check(world, store, before)
    assert done.freed_bytes == sum(map(len, before.values())) - sum(map(len, store.blobs().values()))


@pytest.mark.parametrize("seed", range(100, 106))
async def test_a_worker_that_dies_leaves_a_registry_and_the_next_go_comes_to_the_same_end(
    seed: int, tmp_path: Path
) -> None:
    store = Layout(tmp_path / "store")
    world = Maker(store, seed).make()
    before, dice = store.blobs(), random.Random(seed)

    for _ in range(3):
        with contextlib.suppress(Cut):
            await prepare(order_of(world, store.root), dies_after(dice.randint(0, 4)))
        assert_kept_is_whole(world, store)
    if seed % 2:  # between the halves, too
        assert (await prepare(order_of(world, store.root), quiet)).ok
    done = await collected(world, store, "3", tmp_path)

    assert done.ok, done.message
    check(world, store, before)
    assert done.freed_bytes == sum(map(len, before.values())) - sum(map(len, store.blobs().values()))


def dies_after(batches: int) -> Callable[[Report], None]:
    left = batches

    def tell(report: Report) -> None:
        nonlocal left
        left -= report.phase == "Removing"
        if left < 0:
            raise Cut

    return tell


def assert_kept_is_whole(world: World, store: Layout) -> None:
    left = left_of(world, MINIMUM)
    assert left.tags <= store.tags()
    assert left.revisions <= store.revisions()
    assert all(store.tag_path(*tag).read_text() for tag in left.tags)


async def test_the_collector_killed_in_the_middle(tmp_path: Path) -> None:
    store = Layout(tmp_path / "store")
    world = Maker(store, 1).make()
    for number in range(200):
        store.blob(b"%d" % number)
    before = store.blobs()
    assert (await prepare(order_of(world, store.root), quiet)).ok
    await asyncio.to_thread(collector_killed, server_config(store.root, tmp_path))
    assert left_of(world, MINIMUM).blobs & before.keys() < store.blobs().keys() < before.keys()

    done = await collected(world, store, "3", tmp_path)

    assert done.ok, done.message
    check(world, store, before)
    assert done.freed_bytes == sum(map(len, before.values())) - sum(map(len, store.blobs().values()))


def collector_killed(path: Path) -> None:
    """Start the server's collector and end it by SIGKILL once it deletes; its small pipe holds it up before the end."""
    argv = [str(binary()), "garbage-collect", str(path)]
    with subprocess.Popen(argv, env={**os.environ, **ENVIRON}, stdout=subprocess.PIPE, pipesize=4096) as collector:
        assert collector.stdout is not None
        while not collector.stdout.readline().startswith(b"blob eligible for deletion"):
            assert collector.poll() is None
        collector.stdout.readline()
        collector.kill()


async def test_the_collector_run_again_and_again_changes_nothing(tmp_path: Path) -> None:
    store = Layout(tmp_path / "store")
    world = Maker(store, 7).make()
    before = store.blobs()
    await collected(world, store, "3", tmp_path)
    files = store.files()
    shutil.rmtree(store.root / ".pawl")

    again = await collected(world, store, "3", tmp_path)

    assert (again.ok, again.freed_bytes) == (True, 0)
    assert store.files() == files
    check(world, store, before)

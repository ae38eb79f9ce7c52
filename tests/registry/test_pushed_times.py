"""Rules by time of push hold after a move: a copy's times are those of the copying."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.support.storelayout import NOW, Layout

from pawl.api.registrystorage_spec import Collection, RetentionRule
from pawl.api.registrywork import Order, Place, Report, Task
from pawl.jobs.collectplan import plan_of
from pawl.jobs.inventory import read_inventory
from pawl.jobs.migrate import bulk, final
from pawl.jobs.open import open_store

pytestmark = pytest.mark.registry

WEB = "shop/web"


def place(root: Path) -> Place:
    return Place(kind="Filesystem", path=str(root))


async def moved(source: Path, target: Path) -> None:
    for task, work in ((Task.BULK, bulk), (Task.FINAL, final)):
        done = await work(Order(task=task, id=target.name, source=place(source), target=place(target)), _quiet)
        assert done.ok, done.message


def _quiet(report: Report) -> None:
    del report


async def kept(root: Path, now: datetime) -> set[str]:
    order = Order(
        task=Task.PREPARE,
        id="c",
        retention=[RetentionRule(repositories=["**"], keep_last=2)],
        collection=Collection(max_delete_percent=100, minimum_age="1h"),
        now=now,
    )
    store = open_store(place(root))
    plan = plan_of(await read_inventory(store), order)
    await store.close()
    return {verdict.tag for verdict in plan.verdicts if verdict.keep}


async def test_the_last_tags_stay_the_last_after_one_move_and_after_two(tmp_path: Path) -> None:
    for name in "bc":
        (tmp_path / name).mkdir()
    store = Layout(tmp_path / "a")
    ages = {"v1": 40, "v2": 30, "v3": 2, "v4": 50, "v5": 4}
    for tag, days in ages.items():
        digest = store.image(WEB, [tag.encode()], config=tag.encode())
        store.tag(WEB, tag, digest, timedelta(days=days))
    assert await kept(tmp_path / "a", NOW) == {"v3", "v5"}

    later = datetime.now(UTC) + timedelta(days=2)
    await moved(tmp_path / "a", tmp_path / "b")
    assert await kept(tmp_path / "b", later) == {"v3", "v5"}
    await moved(tmp_path / "b", tmp_path / "c")
    assert await kept(tmp_path / "c", later) == {"v3", "v5"}

    # what is pushed after the move has its own time
    pushed = (datetime.now(UTC) + timedelta(minutes=1)).timestamp()
    os.utime(Layout(tmp_path / "c").tag_path(WEB, "v4"), (pushed, pushed))
    assert await kept(tmp_path / "c", later) == {"v3", "v4"}

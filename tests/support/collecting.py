"""Collections of registries that were written as files: the order, and the three containers of a Job in turn.

Neighbours: `storelayout` writes registries, `gcmodel` says what must be left of random ones.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml
from tests.support.registries import collect_garbage, config, filesystem
from tests.support.storelayout import NOW, Layout

from pawl.api.registrystorage_spec import Collection, RetentionRule
from pawl.api.registrywork import Order, Place, Report, Task
from pawl.jobs.collect import account, prepare

WEB = "shop/web"
KEEP_V = RetentionRule(repositories=["**"], keep_tags=["^v"])


def order(store: Layout, task: Task = Task.PREPARE, **more: Any) -> Order:
    place = Place(kind="Filesystem", path=str(store.root))
    return Order.model_validate(
        {
            "task": task,
            "id": "c1",
            "source": place,
            "retention": [KEEP_V],
            "collection": Collection(max_delete_percent=100),
            "now": NOW,
            **more,
        }
    )


def quiet(report: Report) -> None:
    del report


def collect(storage: dict[str, Any], tmp_path: Path, version: str = "3") -> subprocess.CompletedProcess[str]:
    path = tmp_path / "config.yml"
    path.write_text(yaml.safe_dump(config(storage, "127.0.0.1:1", read_only=True)))
    return collect_garbage(path, version)


async def whole(store: Layout, tmp_path: Path, version: str = "3", **more: Any) -> Report:
    """A collection from end to end; the report of its last half."""
    done = await prepare(order(store, **more), quiet)
    assert done.ok, done.message
    run = collect(filesystem(store.root), tmp_path, version)
    assert run.returncode == 0, run.stdout[-300:] + run.stderr[-300:]
    return await account(order(store, Task.ACCOUNT, **more), quiet)

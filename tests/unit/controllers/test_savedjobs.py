"""Saved Jobs are made again: after a crash, after an outage, never without the lease, and no others are stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.unit.cluster.waiting import until
from tests.unit.controllers.override_doubles import DOWN, FORBIDDEN, Stage, workload

from pawl.api.errors import LeaseLost
from pawl.cluster.calls import Answer
from pawl.cluster.jobs import save_job
from pawl.controllers.savedjobs import SavedJobs

JOBS = "/apis/batch/v1/namespaces/{}/jobs"


async def saved(stage: Stage, namespace: str = "shop", name: str = "load") -> None:
    """A Job that a crash left between delete and create."""
    path = f"{JOBS.format(namespace)}/{name}"
    metadata = {"name": name, "namespace": namespace, "uid": f"uid-{name}"}
    template: dict[str, Any] = {"metadata": {}, "spec": {"containers": []}}
    stage.api.put(path, {"kind": "Job", "metadata": metadata, "spec": {"template": template}})
    version = stage.api.objects[path]["metadata"]["resourceVersion"]
    await save_job(stage.cluster, workload(name, "x:1", namespace, version, kind="Job"))
    assert path not in stage.api.objects


def made(stage: Stage) -> list[str]:
    return sorted(path.split("/")[5] for path in stage.api.objects if "/jobs/" in path)


@asynccontextmanager
async def working(stage: Stage, grace: float = 0.0) -> AsyncIterator[tuple[SavedJobs, asyncio.Task[None]]]:
    jobs = SavedJobs(stage.cluster, stage.guard, again=0.01, grace=grace)
    task = asyncio.create_task(jobs.run())
    yield jobs, task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_a_crash_left_is_made_again_and_forgotten() -> None:
    stage = Stage("shop", "other")
    await saved(stage)
    await saved(stage, "other")
    async with working(stage) as (jobs, _):
        jobs.look(["shop", "other"])
        await until(lambda: made(stage) == ["other", "shop"])
        await until(lambda: not any("/secrets/" in path for path in stage.api.objects))


@pytest.mark.parametrize("fault", [FORBIDDEN, DOWN])
async def test_one_namespace_that_fails_leaves_the_others_going(fault: Answer) -> None:
    stage = Stage("a", "b")
    await saved(stage, "a")
    await saved(stage, "b")
    stage.faults[("get", "/api/v1/namespaces/a/secrets/pawl-saved-jobs")] = fault
    async with working(stage) as (jobs, _):
        jobs.look(["a", "b"])
        await until(lambda: made(stage) == ["b"])


@pytest.mark.parametrize(
    "at", [("create", JOBS.format("shop")), ("get", "/api/v1/namespaces/shop/secrets/pawl-saved-jobs")]
)
async def test_an_outage_does_not_lose_a_job(at: tuple[str, str]) -> None:
    stage = Stage()
    await saved(stage)
    stage.faults[at] = DOWN
    async with working(stage) as (jobs, _):
        jobs.look(["shop"])
        await until(lambda: sum(f"{r.verb} {r.path}" == " ".join(at) for r in stage.api.requests) >= 3)
        stage.faults.clear()
        await until(lambda: made(stage) == ["shop"])


async def test_what_was_refused_waits_for_a_person_with_its_secret() -> None:
    stage = Stage()
    await saved(stage)
    stage.faults[("create", JOBS.format("shop"))] = FORBIDDEN
    jobs = SavedJobs(stage.cluster, stage.guard)
    assert not await jobs._round("shop")
    assert any("/secrets/" in path for path in stage.api.objects)
    assert jobs._due == set()


async def test_an_old_job_that_is_still_going_is_waited_for() -> None:
    stage = Stage()
    await saved(stage)
    path = f"{JOBS.format('shop')}/load"
    metadata = {"name": "load", "uid": "uid-load", "deletionTimestamp": "2026-01-01T00:00:00Z"}
    stage.api.put(path, {"metadata": metadata})
    jobs = SavedJobs(stage.cluster, stage.guard)
    assert await jobs._round("shop")
    del stage.api.objects[path]
    assert not await jobs._round("shop")
    assert made(stage) == ["shop"]


async def test_without_the_lease_nothing_is_made_and_the_work_ends() -> None:
    stage = Stage()
    await saved(stage)
    stage.leading = False
    async with working(stage) as (jobs, task):
        jobs.look(["shop"])
        with pytest.raises(LeaseLost):
            await asyncio.wait_for(asyncio.shield(task), 5)
    assert made(stage) == []


async def test_a_job_that_cannot_be_made_is_told_until_it_is_there() -> None:
    stage = Stage("shop", "other")
    await saved(stage)
    stage.faults[("create", JOBS.format("shop"))] = FORBIDDEN
    async with working(stage) as (jobs, _):
        assert jobs.unmade(["shop"]) == ()
        jobs.look(["shop"])
        await until(lambda: "cannot be made again" in "".join(jobs.unmade(["shop"])))
        assert jobs.unmade(["other"]) == ()
        stage.faults.clear()
        jobs.look(["shop"])
        await until(lambda: made(stage) == ["shop"])
        await until(lambda: jobs.unmade(["shop"]) == ())

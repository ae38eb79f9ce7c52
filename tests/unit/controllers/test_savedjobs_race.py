"""A Job that is being saved and one that is being made again never cross: between save and delete it is no leftover."""

from __future__ import annotations

import asyncio

import pytest
from tests.unit.cluster.waiting import until
from tests.unit.controllers.override_doubles import FORBIDDEN, Stage, workload
from tests.unit.controllers.test_savedjobs import JOBS, made, saved, working

from pawl.api.errors import ClusterError, Conflict, LeaseLost
from pawl.cluster.calls import Answer, Request
from pawl.cluster.client import Cluster, Options
from pawl.controllers.savedjobs import SavedJobs
from pawl.decide.objects import WorkloadRow

SECRET = "/api/v1/namespaces/shop/secrets/pawl-saved-jobs"


def job(stage: Stage, name: str) -> WorkloadRow:
    """A Job as stored, and its row."""
    path = f"{JOBS.format('shop')}/{name}"
    metadata = {"name": name, "namespace": "shop", "uid": f"uid-{name}"}
    stage.api.put(path, {"kind": "Job", "metadata": metadata, "spec": {"template": {"metadata": {}, "spec": {}}}})
    version = stage.api.objects[path]["metadata"]["resourceVersion"]
    return workload(name, "x:1", "shop", version, kind="Job")


class Held:
    """Deletions of Jobs that wait until they are let through."""

    def __init__(self) -> None:
        self.reached, self.free = asyncio.Event(), asyncio.Event()

    async def hook(self, request: Request) -> Answer | None:
        if request.verb == "delete" and request.resource.plural == "jobs":
            self.reached.set()
            await self.free.wait()
        return None


async def test_a_job_between_save_and_delete_is_not_taken_for_one_that_was_kept() -> None:
    """Another Job of the namespace has the Secret read just then; what is saved must outlive the deletion."""
    stage, held = Stage(), Held()
    row = job(stage, "load")
    slow = Cluster(stage.api.view(held.hook), Options(tries=1))
    jobs = SavedJobs(slow, stage.guard, again=0.01)
    saving = asyncio.create_task(jobs.save(row))
    await asyncio.wait_for(held.reached.wait(), 5)
    assert await jobs._round("shop")
    held.free.set()
    await asyncio.wait_for(saving, 5)
    assert SECRET in stage.api.objects
    assert not await jobs._round("shop")
    assert made(stage) == ["shop"]
    assert SECRET not in stage.api.objects


async def test_what_is_being_made_again_is_not_saved_at_the_same_time() -> None:
    stage = Stage()
    row, reached, free = job(stage, "load"), asyncio.Event(), asyncio.Event()
    await saved(stage, name="other")

    async def slow(request: Request) -> Answer | None:
        if request.verb == "create" and request.resource.plural == "jobs":
            reached.set()
            await free.wait()
        return None

    jobs = SavedJobs(Cluster(stage.api.view(slow), Options(tries=1)), stage.guard)
    making = asyncio.create_task(jobs._round("shop"))
    await asyncio.wait_for(reached.wait(), 5)
    with pytest.raises(Conflict, match="made again"):
        await jobs.save(workload("other", "x:1", "shop", "9", kind="Job"))
    free.set()
    assert not await asyncio.wait_for(making, 5)
    await jobs.save(row)
    assert f"{JOBS.format('shop')}/load" not in stage.api.objects


async def test_a_leader_that_lost_its_term_after_saving_deletes_nothing() -> None:
    stage = Stage()
    row = job(stage, "load")

    async def loses(request: Request) -> Answer | None:
        stage.leading = not (request.verb == "create" and request.resource.plural == "secrets")
        return None

    jobs = SavedJobs(Cluster(stage.api.view(loses), Options(tries=1)), stage.guard)
    with pytest.raises(LeaseLost):
        await jobs.save(row)
    assert f"{JOBS.format('shop')}/load" in stage.api.objects
    stage.leading = True
    async with working(stage) as (later, _):
        later.look(["shop"])
        await until(lambda: SECRET not in stage.api.objects)
    assert f"{JOBS.format('shop')}/load" in stage.api.objects


async def test_a_life_that_ends_after_the_save_is_gone_on_from_with_one_write() -> None:
    """The next one takes the note for its own: with a note taken away and written again each time, nobody got on."""
    stage = Stage()
    row = job(stage, "load")
    stage.faults[("delete", f"{JOBS.format('shop')}/load")] = FORBIDDEN
    with pytest.raises(ClusterError):
        await SavedJobs(stage.cluster, stage.guard).save(row)
    stage.faults.clear()
    before = stage.api.objects[SECRET]["metadata"]["resourceVersion"]
    later = SavedJobs(stage.cluster, stage.guard, grace=60)
    assert await later._round("shop")
    await later.save(row)
    assert stage.api.objects[SECRET]["metadata"]["resourceVersion"] == before
    assert not await later._round("shop")
    assert made(stage) == ["shop"]


async def test_what_was_refused_is_made_once_that_is_mended_without_anybody_asking() -> None:
    """A quota, or a right: nobody tells when it is there."""
    stage = Stage()
    await saved(stage)
    stage.faults[("create", JOBS.format("shop"))] = FORBIDDEN
    jobs = SavedJobs(stage.cluster, stage.guard, refused=0.01)
    task = asyncio.create_task(jobs.run())
    jobs.look(["shop"])
    await until(lambda: "cannot be made again" in "".join(jobs.unmade(["shop"])))
    stage.faults.clear()
    await until(lambda: made(stage) == ["shop"] and not jobs.unmade(["shop"]))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_note_that_a_person_took_away_is_told_no_more() -> None:
    stage = Stage()
    await saved(stage)
    stage.faults[("create", JOBS.format("shop"))] = FORBIDDEN
    jobs = SavedJobs(stage.cluster, stage.guard)
    await jobs._round("shop")
    assert jobs.unmade(["shop"])
    del stage.api.objects[SECRET]
    await jobs._round("shop")
    assert jobs.unmade(["shop"]) == ()

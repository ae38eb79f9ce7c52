"""The net under the watch, with an API server in memory: what a list finds, heals and concludes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.cluster.memory_api import MemoryApi, status

from pawl.api.errors import Forbidden
from pawl.cluster.calls import Answer, Request
from pawl.cluster.client import Options
from pawl.controllers.queue import Key
from pawl.controllers.resync import Resync
from pawl.controllers.store import PolicyStore

FOLDER = "/apis/pawl.dev/v1alpha1/namespaces/shop/imagepolicies"
NAMES = ("a", "b", "c")


class Stage:
    def __init__(self) -> None:
        self.api = MemoryApi()
        self.store = PolicyStore(lambda image: image)
        self.woken: list[str] = []
        self.refuse = 0
        self.refuse_only = ""
        cluster = self.api.cluster(self.hook, Options(tries=1))
        self.resync = Resync(cluster, self.store, lambda key: self.woken.append(key.name), ("shop",))

    async def hook(self, request: Request) -> Answer | None:
        mine = self.refuse_only in ("", request.verb)
        return status(self.refuse, "Forbidden", "no") if self.refuse and mine else None

    def write(self, name: str, image: str = "x") -> None:
        self.api.put(f"{FOLDER}/{name}", {"metadata": {"name": name, "namespace": "shop"}, "spec": {"image": image}})

    def delete(self, name: str) -> None:
        self.api.objects.pop(f"{FOLDER}/{name}", None)

    def bring(self, name: str) -> None:
        """What the watch does."""
        key, found = Key("ImagePolicy", "shop", name), self.api.objects.get(f"{FOLDER}/{name}")
        if found is None:
            self.store.drop(key)
        else:
            self.store.offer(json.dumps(found).encode(), asked_at=0.0)

    def known(self) -> dict[str, int]:
        return {key.name: self.store.version(key) for key in self.store}

    def true(self) -> dict[str, int]:
        mine = {path: body for path, body in self.api.objects.items() if path.startswith(FOLDER)}
        return {path.rpartition("/")[2]: int(body["metadata"]["resourceVersion"]) for path, body in mine.items()}


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_missed_changes_are_healed_and_woken(stage: Stage) -> None:
    for name in NAMES:
        stage.write(name)
    stage.bring("a")
    stage.bring("b")
    stage.write("a")
    stage.delete("b")
    assert await stage.resync.compare(0) == 3
    assert (sorted(stage.woken), stage.known()) == (["a", "b", "c"], stage.true())
    assert await stage.resync.compare(0) == 0


async def test_what_the_watch_does_within_its_grace_is_not_missed(stage: Stage) -> None:
    stage.write("a")
    stage.write("b")
    stage.bring("b")
    stage.delete("b")
    comparing = asyncio.create_task(stage.resync.compare(0.05))
    await asyncio.sleep(0.02)
    stage.bring("a")
    stage.bring("b")
    assert (await comparing, stage.woken) == (0, [])


async def test_what_comes_while_it_compares_is_not_taken_for_gone(stage: Stage) -> None:
    """The list is older than the store: what it does not name may be new."""
    comparing = asyncio.create_task(stage.resync.compare(0.03))
    await asyncio.sleep(0.01)
    stage.write("new")
    stage.bring("new")
    assert (await comparing, list(stage.known())) == (0, ["new"])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(["write", "delete", "bring", "none"]), st.sampled_from(NAMES)), max_size=30))
async def test_whatever_the_watch_lost_one_list_makes_it_good(steps: list[tuple[str, str]]) -> None:
    stage = Stage()
    for what, name in steps:
        getattr(stage, what, lambda _: None)(name)
    missed = await stage.resync.compare(0)
    assert stage.known() == stage.true()
    assert len(stage.woken) == missed
    assert await stage.resync.compare(0) == 0


async def test_ready_needs_every_listed_policy(stage: Stage) -> None:
    stage.write("a")
    stage.write("b")
    waiting = asyncio.create_task(stage.resync.until_complete(poll=0.001))
    stage.bring("a")
    await asyncio.sleep(0.02)
    assert not waiting.done()
    stage.delete("b")  # one that is gone is not waited for
    await asyncio.wait_for(waiting, 2)


async def test_an_empty_cluster_is_ready(stage: Stage) -> None:
    await asyncio.wait_for(stage.resync.until_complete(), 1)


async def test_the_watch_is_dead_after_two_bad_rounds_running(stage: Stage) -> None:
    rounds: list[Any] = []

    async def compare(_grace: float) -> int:
        rounds.append(stage.resync.watch_is_dead)
        return misses[len(rounds) - 1] if len(rounds) <= len(misses) else await asyncio.Event().wait()

    misses = [1, 0, 1, 2, 1, 0, 1]
    stage.resync.compare = compare  # type: ignore[method-assign]
    task = asyncio.create_task(stage.resync.run(period=0, grace=0))
    async with asyncio.timeout(2):
        while len(rounds) <= len(misses):  # noqa: ASYNC110 - the rounds have no event
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert rounds == [False, False, False, False, True, True, False, False]


async def test_a_list_that_fails_says_nothing_about_the_watch(stage: Stage) -> None:
    stage.write("a")
    stage.refuse = 403
    task = asyncio.create_task(stage.resync.run(period=0.001, grace=0))
    await asyncio.sleep(0.02)
    assert (stage.resync.watch_is_dead, task.done()) == (False, False)
    stage.refuse = 0
    async with asyncio.timeout(2):
        while not stage.woken:  # noqa: ASYNC110 - it has no event of its own
            await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_probe_names_the_right_that_is_missing(stage: Stage) -> None:
    stage.write("a")
    await stage.resync.probe()
    stage.refuse = 403
    with pytest.raises(Forbidden):
        await stage.resync.probe()


async def test_a_probe_names_the_right_to_watch_as_well(stage: Stage) -> None:
    stage.refuse_only = "watch"
    stage.refuse = 403
    with pytest.raises(Forbidden, match="watch"):
        await stage.resync.probe()

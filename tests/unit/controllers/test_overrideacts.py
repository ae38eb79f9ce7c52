"""Carrying actions out: what each one writes, what is stale, refused or under way, and what is not done twice."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.unit.controllers.override_doubles import CONFLICT, DOWN, FORBIDDEN, Stage, pod, workload

from pawl.api.errors import ApiUnavailable, LeaseLost
from pawl.cluster.calls import Answer, Request
from pawl.controllers.overrideacts import SHOWN, Actor, key_of, row_of
from pawl.controllers.prepulls import Prepulls
from pawl.controllers.savedjobs import SavedJobs
from pawl.decide.objects import ImageAt, JobState
from pawl.decide.rollout_actions import (
    Action,
    DeleteJob,
    DropZombies,
    Evict,
    Prepull,
    RecreateJob,
    Restart,
    RewriteField,
    RewriteTemplate,
    Roll,
)

IMAGE, TARGET = "docker.io/rook/ceph:1", "r.corp/rook/ceph:1"
BUSY = Answer(429, b"{}")


class Hands:
    """An actor on a stage, and objects of rows in its API server."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.saved = SavedJobs(self.stage.cluster, self.stage.guard)
        hands = (Prepulls(self.stage.cluster, self.stage.world), self.saved)
        self.actor = Actor(self.stage.cluster, self.stage.world, hands, self.stage.guard, lambda: self.stage.time)

    def row(self, name: str, kind: str = "Deployment", **more: Any) -> Any:
        group = "batch" if kind == "Job" else "apps"
        path = f"/apis/{group}/v1/namespaces/shop/{kind.lower()}s/{name}"
        self.stage.api.put(
            path, {"kind": kind, "metadata": {"name": name, "uid": f"uid-{name}"}, "spec": {"template": {}}}
        )
        version = self.stage.api.objects[path]["metadata"]["resourceVersion"]
        row = workload(name, IMAGE, kind=kind, version=version, **more)
        self.stage.world.put(row)
        return row

    def template(self, name: str) -> Any:
        return self.stage.api.objects[f"/apis/apps/v1/namespaces/shop/deployments/{name}"]["spec"]["template"]


@pytest.fixture
def hands() -> Hands:
    return Hands()


async def test_each_action_is_one_guarded_write(hands: Hands) -> None:
    rolled, restarted, rewritten = hands.row("a"), hands.row("b"), hands.row("c")
    actions: list[Action] = [
        Roll(rolled, "h1", "r1"),
        Restart(restarted, "h2", "r2"),
        RewriteTemplate(rewritten, (ImageAt("containers", "c0", TARGET),), "h3"),
    ]
    done = await hands.actor.act(actions)
    assert (done.written, done.stale, done.refused) == (3, 0, {})
    assert hands.template("a")["metadata"]["annotations"] == {"pawl.dev/rollout": "h1", "pawl.dev/restart": "r1"}
    assert "pawl.dev/restart" in hands.template("b")["metadata"]["annotations"]
    assert hands.template("c")["spec"]["containers"] == [{"name": "c0", "image": TARGET}]
    for request in hands.stage.api.requests:
        assert {"uid", "resourceVersion"} <= set(json.loads(request.body or b"{}")["metadata"])


async def test_a_job_is_deleted_with_preconditions_and_a_standalone_one_is_saved_first(hands: Hands) -> None:
    owned, alone = (hands.row(name, "Job", job=JobState()) for name in ("owned", "alone"))
    done = await hands.actor.act([DeleteJob(owned), RecreateJob(alone)])
    assert done.written == 2
    deletes = [request for request in hands.stage.api.requests if request.verb == "delete"]
    for request in deletes:
        assert set(json.loads(request.body or b"{}")["preconditions"]) == {"uid", "resourceVersion"}
    verbs = [
        request.verb for request in hands.stage.api.requests if request.name == "alone" or "secret" in request.path
    ]
    assert verbs.index("create") < verbs.index("delete")
    assert hands.saved._due == {"shop"}


@pytest.mark.parametrize(
    ("fault", "stale", "refused"), [(CONFLICT, 1, 0), (Answer(404, b"{}"), 1, 0), (FORBIDDEN, 0, 1)]
)
async def test_a_refusal_of_one_object_leaves_the_others_going(
    hands: Hands, fault: Answer, stale: int, refused: int
) -> None:
    rows = [hands.row(name) for name in ("a", "b", "c")]
    hands.stage.faults[("patch", "/apis/apps/v1/namespaces/shop/deployments/b")] = fault
    done = await hands.actor.act([Roll(row, "h") for row in rows])
    assert (done.written, done.stale, len(done.refused)) == (2, stale, refused)
    assert set(done.refused) <= {"Deployment shop/b"}
    assert hands.actor.under_way(["uid-b"]) == bool(stale)


async def test_a_budget_that_says_no_is_told_and_stops_nothing(hands: Hands) -> None:
    rows = [pod("p", IMAGE), pod("q", IMAGE)]
    hands.stage.faults[("create", "/api/v1/namespaces/shop/pods/p/eviction")] = BUSY
    done = await hands.actor.act([Evict(row, "why") for row in rows])
    assert (done.written, list(done.refused)) == (1, ["Pod shop/p"])


@pytest.mark.parametrize("fault", [DOWN, BUSY])
async def test_an_outage_is_raised_when_all_have_ended(hands: Hands, fault: Answer) -> None:
    rows = [hands.row(name) for name in ("a", "b", "c", "d")]
    hands.stage.faults[("patch", "/apis/apps/v1/namespaces/shop/deployments/a")] = fault
    usual = hands.stage.api.hook
    assert usual is not None

    async def slow(request: Request) -> Answer | None:
        for _ in range(20 if (request.name or "") > "a" else 0):
            await asyncio.sleep(0)
        return await usual(request)

    hands.stage.api.hook = slow
    with pytest.raises(ApiUnavailable):
        await hands.actor.act([Roll(row, "h") for row in rows])
    assert all(hands.actor.under_way([row.uid]) for row in rows[1:])


async def test_without_the_lease_nothing_is_written(hands: Hands) -> None:
    row = hands.row("a")
    hands.stage.leading = False
    with pytest.raises(LeaseLost):
        await hands.actor.act([Roll(row, "h"), Evict(pod("p", IMAGE), "why")])
    assert hands.stage.writes == 0


async def test_a_write_is_under_way_until_the_watch_shows_it(hands: Hands) -> None:
    row = hands.row("a")
    assert not hands.actor.under_way([row.uid])
    await hands.actor.act([Roll(row, "h")])
    assert hands.actor.under_way(["uid-x", row.uid])
    assert not hands.actor.under_way(["uid-x"])
    hands.stage.world.put(workload("a", IMAGE, version=str(int(row.version) + 1)))
    assert not hands.actor.under_way([row.uid])


async def test_an_evicted_pod_is_under_way_until_it_goes(hands: Hands) -> None:
    row = pod("p", IMAGE)
    hands.stage.world.put(row)
    await hands.actor.act([Evict(row, "why")])
    assert hands.actor.under_way([row.uid])
    hands.stage.world.remove(row)
    assert not hands.actor.under_way([row.uid])


async def test_a_write_that_changed_nothing_is_not_waited_for_for_ever(hands: Hands) -> None:
    row = hands.row("a")
    await hands.actor.act([Roll(row, "h")])
    hands.stage.time += SHOWN - 1
    assert hands.actor.under_way([row.uid])
    hands.stage.time += 2
    assert not hands.actor.under_way([row.uid])


async def test_a_stale_row_is_never_acted_on_twice(hands: Hands) -> None:
    row = hands.row("a")
    assert (await hands.actor.act([Roll(row, "h")])).written == 1
    again = await hands.actor.act([Roll(row, "other")])
    assert (again.written, again.stale) == (0, 1)
    assert hands.template("a")["metadata"]["annotations"]["pawl.dev/rollout"] == "h"


ROW, POD = workload("w", IMAGE), pod("p", IMAGE)


@pytest.mark.parametrize(
    ("action", "key", "uid"),
    [
        (Roll(ROW, "h"), "Deployment shop/w", "uid-w"),
        (Restart(ROW, "h", "v"), "Deployment shop/w", "uid-w"),
        (RewriteTemplate(ROW, (), "h"), "Deployment shop/w", "uid-w"),
        (DropZombies(ROW, ("x",)), "Deployment shop/w", "uid-w"),
        (DeleteJob(workload("j", IMAGE, kind="Job")), "Job shop/j", "uid-j"),
        (RecreateJob(workload("j", IMAGE, kind="Job")), "Job shop/j", "uid-j"),
        (Evict(POD, "why"), "Pod shop/p", "uid-p"),
        (RewriteField("a/v1", "C", "shop", "x", "spec.image", ()), "C shop/x", None),
        (Prepull("n1", TARGET, "shop"), "Node n1", None),
    ],
)
def test_how_actions_are_named(action: Action, key: str, uid: str | None) -> None:
    row = row_of(action)
    assert (key_of(action), row.uid if row is not None else None) == (key, uid)

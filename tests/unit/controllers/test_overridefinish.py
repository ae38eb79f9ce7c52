"""The end of an override: when it may begin, what is restored, what is left, and that it always ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.unit.cluster.memory_api import status
from tests.unit.controllers.override_doubles import (
    DOWN,
    FORBIDDEN,
    PAWL,
    Gate,
    Stage,
    body,
    pod_spec,
    rule,
    workload,
)
from tests.unit.controllers.override_whole import Whole
from tests.unit.decide.rulebook_samples import entry, table

from pawl.api.errors import LeaseLost
from pawl.api.imageoverride import Override
from pawl.cluster.calls import Answer, Request
from pawl.controllers.overridefinish import AGAIN
from pawl.controllers.overridemarks import decided, touched
from pawl.controllers.overridestore import key_of
from pawl.decide.objects import COPIES, FINALIZER

SOURCE, TARGET = "docker.io/rook/ceph:1", "r.corp/rook/ceph:1"
SINCE = "1970-01-12T13:46:40Z"
"""The time at which a stage begins."""
NOTE = '{"containers/c0":{"from":"docker.io/rook/ceph:1","to":"r.corp/rook/ceph:1"}}'


EVERY = {"key": "kubernetes.io/metadata.name", "operator": "Exists"}


class Ending:
    """An override that was in force and is being deleted, and one workload a namespace that Pawl rolled."""

    def __init__(self, *namespaces: str, gate: Gate | None = None, cluster: bool = False, **spec: Any) -> None:
        self.stage = Stage(*(namespaces or ("shop",)))
        self.whole = Whole(self.stage, gate)
        self.name, self.spec = "" if cluster else (namespaces or ("shop",))[0], spec
        for name in namespaces or ("shop",):
            self.workload(f"web-{name}", name)

    def workload(self, name: str, namespace: str = "shop", **more: Any) -> None:
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
        notes = {"annotations": {"pawl.dev/rollout": "h"}}
        self.stage.api.put(
            path, {"metadata": {"name": name, "uid": f"uid-{name}"}, "spec": {"template": {"metadata": notes}}}
        )
        version = self.stage.api.objects[path]["metadata"]["resourceVersion"]
        self.stage.world.put(workload(name, SOURCE, namespace, version, **{"rollout": "h", **more}))

    async def begun(self) -> Override:
        self.stage.put(body("one", self.name, **self.spec))
        await self.stage.look()
        ending = body("one", self.name, meta={"deletionTimestamp": SINCE, "finalizers": [FINALIZER]}, **self.spec)
        return self.stage.put(ending)

    async def finish(self, override: Override) -> float | None:
        return await self.whole.finisher.finish(override, self.stage.board.standing)

    @property
    def restored(self) -> list[str]:
        requests = self.stage.api.requests
        return sorted(r.name or "" for r in requests if "json-patch" in r.content_type)

    @property
    def finalizers(self) -> list[str]:
        path = f"{PAWL}/namespaces/{self.name}/imageoverrides/one" if self.name else f"{PAWL}/clusterimageoverrides/one"
        return list(self.stage.api.objects[path]["metadata"]["finalizers"])


async def test_the_finalizer_is_set_once() -> None:
    ending = Ending()
    override = ending.stage.put(body(enforcement={"templates": "Reconcile"}, meta={"finalizers": ["other/one"]}))
    assert await ending.whole.finisher.mark(override)
    assert ending.finalizers == ["other/one", FINALIZER]
    again = ending.stage.overrides.get(key_of(override))
    assert again is not None
    assert not await ending.whole.finisher.mark(again)


async def test_tables_go_first_then_the_originals_come_back_then_it_is_released() -> None:
    ending = Ending()
    override = await ending.begun()
    assert await ending.finish(override) == AGAIN / 5
    assert (ending.restored, ending.finalizers) == ([], [FINALIZER])
    await ending.stage.look()
    assert ending.stage.stored() == {}
    assert await ending.finish(override) is None
    assert (ending.restored, ending.finalizers) == (["web-shop"], [])


async def test_other_finalizers_stay_and_a_released_override_is_left_alone() -> None:
    ending = Ending()
    await ending.begun()
    override = ending.stage.put(body(meta={"deletionTimestamp": SINCE, "finalizers": ["other/one", FINALIZER]}))
    await ending.stage.look()
    assert await ending.finish(override) is None
    assert ending.finalizers == ["other/one"]
    again = ending.stage.overrides.get(key_of(override))
    assert again is not None
    writes = ending.stage.writes
    assert await ending.finish(again) is None
    assert ending.stage.writes == writes


async def test_nothing_is_restored_where_another_override_decides() -> None:
    ending = Ending()
    ending.workload("free", spec=pod_spec("docker.io/else/x:1"))
    ending.stage.put(body("two", "shop"))
    override = await ending.begun()
    await ending.stage.look()
    assert await ending.finish(override) is None
    assert (ending.restored, ending.finalizers) == (["free"], [])


async def test_leave_takes_back_tables_and_copies_only() -> None:
    ending = Ending(deletionPolicy="Leave")
    override = await ending.begun()
    await ending.stage.look()
    assert await ending.finish(override) is None
    assert (ending.restored, ending.finalizers) == ([], [])


async def test_a_gate_that_has_not_let_go_is_waited_for() -> None:
    gate = Gate(tick=0.0)
    ending = Ending(gate=gate)
    ending.stage.put(body("two", "shop", rules=[rule("docker.io/db", "r.corp/db")]))
    override = await ending.begun()
    await ending.stage.look()
    gate.answers, gate.tick = ["became r.corp/rook"], 0.0
    ending.whole.keeper._failed["shop"] = _proof(ending)
    assert await ending.finish(override) == AGAIN
    assert (ending.restored, ending.finalizers) == ([], [FINALIZER])
    gate.answers = [None]
    assert await ending.finish(override) is None
    assert ending.restored == ["web-shop"]


def _proof(ending: Ending) -> str:
    stored = ending.stage.tables.tables["shop"]
    return f"{stored.uid}/{stored.version}"


async def test_a_table_that_could_not_be_written_is_waited_for_in_its_namespace_only() -> None:
    ending = Ending("a", "b", cluster=True, namespaces={"selector": {"matchExpressions": [EVERY]}})
    override = await ending.begun()
    ending.stage.faults[("delete", f"{PAWL}/namespaces/b/imagerules/pawl")] = FORBIDDEN
    await ending.stage.look()
    assert await ending.finish(override) == AGAIN
    assert (ending.restored, ending.finalizers) == (["web-a"], [FINALIZER])
    ending.stage.time += 121
    assert await ending.finish(override) is None
    assert ending.finalizers == []
    assert [reason for _, reason, _ in ending.whole.told.events] == ["RestoreTimedOut"]


@pytest.mark.parametrize("fault", [FORBIDDEN, DOWN, status(409, "Conflict", "wrote")])
@pytest.mark.parametrize(
    "path", ["/apis/apps/v1/namespaces/b/deployments/web-b", "/api/v1/namespaces/b/secrets/regcred"]
)
async def test_one_namespace_that_fails_delays_the_end_to_the_timeout_and_no_longer(fault: Answer, path: str) -> None:
    copied = {"name": "regcred", "copyFrom": {"namespace": "a", "name": "regcred"}}
    ending = Ending("a", "b", cluster=True, restoreTimeout="30s", pullSecrets=[copied])
    override = await ending.begun()
    await ending.stage.look()
    for verb in ("get", "list", "patch"):
        ending.stage.faults[(verb, path)] = fault
    assert await ending.finish(override) == AGAIN
    assert "web-a" in ending.restored
    assert ending.finalizers == [FINALIZER]
    ending.stage.time += 31
    assert await ending.finish(override) is None
    assert ending.finalizers == []
    (event,) = ending.whole.told.events
    assert event[:2] == ("Warning", "RestoreTimedOut")
    assert "web-b" in event[2] or "b/regcred" in event[2]


async def test_the_names_of_copies_are_noted_and_stay_noted_when_the_spec_drops_them() -> None:
    ending = Ending(cluster=True)
    first = {"name": "regcred", "copyFrom": {"namespace": "vault", "name": "regcred"}}
    assert await ending.whole.finisher.mark(ending.stage.put(body("one", "", pullSecrets=[first])))
    path = f"{PAWL}/clusterimageoverrides/one"
    assert ending.stage.api.objects[path]["metadata"]["annotations"] == {COPIES: "regcred"}
    known = {"annotations": {COPIES: "regcred"}, "finalizers": [FINALIZER]}
    later = ending.stage.put(body("one", "", meta=known, pullSecrets=[{**first, "name": "other"}]))
    assert await ending.whole.finisher.mark(later)
    assert ending.stage.api.objects[path]["metadata"]["annotations"] == {COPIES: "other,regcred"}
    marked = ending.stage.overrides.get(key_of(later))
    assert marked is not None
    assert not await ending.whole.finisher.mark(marked)


async def test_a_job_with_the_notes_of_its_cronjob_is_not_written_to() -> None:
    ending = Ending()
    ending.workload("nightly-1", kind="Job")
    override = await ending.begun()
    await ending.stage.look()
    assert await ending.finish(override) is None
    assert ending.restored == ["web-shop"]


async def test_it_ends_also_where_tables_could_never_be_made() -> None:
    ending = Ending()
    override = await ending.begun()
    ending.stage.board.standing = None
    assert await ending.finish(override) == AGAIN / 5
    ending.stage.time += 121
    assert await ending.finish(override) is None
    assert ending.finalizers == []


async def test_an_api_server_that_never_answers_does_not_hold_it() -> None:
    ending = Ending(restoreTimeout="1s")
    override = await ending.begun()
    await ending.stage.look()
    usual = ending.stage.api.hook

    async def stuck(request: Request) -> Answer | None:
        if "deployments" in request.path:
            await asyncio.Event().wait()
        return await usual(request) if usual is not None else None

    ending.stage.api.hook = stuck
    ending.stage.time += 2
    assert await ending.finish(override) is None
    assert ending.finalizers == []
    assert "took too long" in ending.whole.told.events[0][2]


async def test_what_somebody_changed_stays_and_is_told() -> None:
    ending = Ending()
    ending.workload("odd", original=NOTE)
    path = "/apis/apps/v1/namespaces/shop/deployments/odd"
    live = ending.stage.api.objects[path]
    live["metadata"]["annotations"] = {"pawl.dev/original": NOTE}
    live["spec"]["template"]["spec"] = {"containers": [{"name": "c0", "image": "theirs:1"}]}
    override = await ending.begun()
    await ending.stage.look()
    assert await ending.finish(override) is None
    (event,) = ending.whole.told.events
    assert event[:2] == ("Normal", "Restoring")
    assert "somebody changed it" in event[2]


async def test_without_the_lease_nothing_is_written() -> None:
    ending = Ending()
    override = await ending.begun()
    await ending.stage.look()
    writes, ending.stage.leading = ending.stage.writes, False
    with pytest.raises(LeaseLost):
        await ending.finish(override)
    assert ending.stage.writes == writes


async def test_an_override_that_went_meanwhile_is_dropped() -> None:
    ending = Ending()
    override = await ending.begun()
    await ending.stage.look()
    del ending.stage.api.objects[f"{PAWL}/namespaces/shop/imageoverrides/one"]
    assert await ending.finish(override) is None
    assert ending.stage.overrides.get(key_of(override)) is None


@pytest.mark.parametrize(
    ("more", "wanted"), [({}, False), ({"rollout": "h"}, True), ({"restart": "h"}, True), ({"original": "{}"}, True)]
)
def test_what_pawl_touched(*, more: dict[str, str], wanted: bool) -> None:
    assert touched(workload("web", SOURCE, **more)) is wanted


def test_a_table_decides_about_an_image_as_it_was_before_pawl_wrote() -> None:
    made = table({"docker.io/rook": [entry("r.corp/rook")]})
    assert decided(made, workload("web", TARGET, original=NOTE))
    assert not decided(made, workload("web", TARGET))

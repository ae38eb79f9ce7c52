"""Fights as the watch shows them: what counts, who is named, how long Pawl stays away."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.unit.controllers.override_doubles import Stage, body, current, pod, pod_spec, workload

from pawl.api.imageoverride import Override
from pawl.cluster.world import Change
from pawl.controllers.fightfeed import Fights
from pawl.controllers.imagerules import RULES
from pawl.controllers.overridestore import key_of
from pawl.decide.objects import ImageAt, Owner, PodRow, WorkloadRow

SOURCE, TARGET = "docker.io/rook/ceph:1", "r.corp/rook/ceph:1"
OURS = (ImageAt("containers", "c0", TARGET),)
CLUSTER = Owner("cnpg.io/v1", "Cluster", "db", "uid-db", controller=True)


def told(stage: Stage, row: WorkloadRow | PodRow, *, deleted: bool = False, fights: Fights | None = None) -> None:
    change = (stage.world.remove if deleted else stage.world.put)(row)
    assert change is not None
    (fights or stage.fights).changed(change)


def after(row: WorkloadRow, image: str, reverter: str = "") -> WorkloadRow:
    return msgspec.structs.replace(row, version=str(int(row.version) + 1), spec=pod_spec(image), reverter=reverter)


def fought(stage: Stage, override: Override, times: int, manager: str = "argocd") -> WorkloadRow:
    """Pawl writes, the watch shows it, somebody takes it back; so many times."""
    row = workload("web", SOURCE)
    label = f"shop/{override.metadata.name}"
    for _ in range(times):
        stage.fights.wrote(label, row, OURS)
        told(stage, row := after(row, TARGET))
        told(stage, row := after(row, SOURCE, manager))
        stage.time += 10
    return row


def test_the_third_revert_is_a_contest_that_names_the_manager() -> None:
    stage = Stage()
    override = stage.put(body())
    row = fought(stage, override, 2)
    assert stage.fights.contests(override) == []
    stage.fights.wrote("shop/one", row, OURS)
    told(stage, row := after(row, TARGET))
    told(stage, after(row, SOURCE, "argocd"))
    (contest,) = stage.fights.contests(override)
    assert (contest.object, contest.uid, contest.reason) == ("Deployment shop/web", "uid-web", "FieldReverted")
    assert (contest.manager, contest.generation) == ("argocd", 1)
    assert stage.woken == [key_of(override)]


def test_rows_from_before_a_write_and_writes_that_failed_are_no_reverts() -> None:
    stage = Stage()
    override = stage.put(body())
    row = workload("web", SOURCE)
    for _ in range(10):
        stage.fights.wrote("shop/one", row, OURS)
        told(stage, row := after(row, SOURCE, "kubectl"))
        told(stage, row := after(row, SOURCE))
    assert stage.fights.contests(override) == []


@pytest.mark.parametrize("manager", ["pawl"])
def test_pawl_does_not_fight_itself(manager: str) -> None:
    stage = Stage()
    override = stage.put(body())
    fought(stage, override, 5, manager)
    assert stage.fights.contests(override) == []


def test_slow_reverts_are_none() -> None:
    stage = Stage()
    override = stage.put(body())
    for _ in range(5):
        fought(stage, override, 1)
        stage.time += 400
    assert stage.fights.contests(override) == []


def test_a_deleted_workload_is_forgotten() -> None:
    stage = Stage()
    override = stage.put(body())
    row = workload("web", SOURCE)
    stage.world.put(row)
    for _ in range(3):
        stage.fights.wrote("shop/one", row, OURS)
        stage.world.put(row)
        told(stage, row, deleted=True)
    assert stage.fights.contests(override) == []
    assert stage.fights._written == {}


def churn(stage: Stage, times: int, **more: Any) -> None:
    for at in range(times):
        row = pod(f"db-{at}", TARGET, created=stage.time - 5, **{"owners": (CLUSTER,), **more})
        stage.world.put(row)
        told(stage, row, deleted=True)


async def churning() -> tuple[Stage, Override]:
    stage = Stage()
    override = stage.put(body())
    stage.world.put(workload("web", SOURCE))
    await stage.look()
    stage.woken.clear()
    return stage, override


async def test_pods_made_again_and_again_exempt_their_owner_and_nobody_else() -> None:
    stage, override = await churning()
    churn(stage, 3)
    (contest,) = stage.fights.contests(override)
    assert (contest.object, contest.uid, contest.reason) == ("Cluster shop/db", "uid-db", "PodChurn")
    assert stage.fights.exempt([override]) == {"shop": {"uid-db": "shop/one@1"}}
    assert stage.woken == [key_of(override), RULES]
    await stage.look()
    assert stage.stored()["shop"]["spec"]["exempt"] == {"uid-db": "shop/one@1"}


REPLICAS = Owner("apps/v1", "ReplicaSet", "web-1", "uid-web-1", controller=True)


@pytest.mark.parametrize(
    "more",
    [
        {"phase": "Succeeded"},
        {"owners": ()},
        {"created": 0.0},
    ],
)
async def test_what_is_no_churn(more: dict[str, Any]) -> None:
    stage, override = await churning()
    for at in range(4):
        row = pod(f"db-{at}", TARGET, **{"owners": (CLUSTER,), "created": stage.time - 5, **more})
        stage.world.put(row)
        told(stage, row, deleted=True)
    assert stage.fights.contests(override) == []


async def test_pods_of_kubernetes_own_controllers_are_rolled_for_a_reason() -> None:
    stage, override = await churning()
    stage.world.put(workload("web-1", TARGET, kind="ReplicaSet"))
    churn(stage, 5, owners=(REPLICAS,))
    assert stage.fights.contests(override) == []


async def test_pods_that_pawl_ended_or_that_were_not_rewritten_do_not_count() -> None:
    stage, override = await churning()
    for at in range(5):
        stage.fights.ended(f"uid-db-{at}")
    churn(stage, 5)
    assert stage.fights.contests(override) == []
    for at in range(5):
        row = pod(f"x-{at}", "docker.io/other:1", created=stage.time - 5, owners=(CLUSTER,))
        stage.world.put(row)
        told(stage, row, deleted=True)
    assert stage.fights.contests(override) == []


def kept(stage: Stage, override: Override) -> dict[str, Any]:
    """The override as stored after its contests were written into its status."""
    contests = [each.model_dump(mode="json", by_alias=True) for each in stage.fights.contests(override)]
    return body(status={"contests": contests})


async def test_a_contest_survives_a_restart_through_the_status_and_ends_with_a_new_generation() -> None:
    stage, override = await churning()
    churn(stage, 3)
    fought(stage, override, 3)
    stage.put(kept(stage, override))
    after_restart = stage.again()
    again = current(after_restart, override)
    assert {each.uid for each in after_restart.fights.contests(again)} == {"uid-db", "uid-web"}
    await after_restart.look()
    assert after_restart.stored()["shop"]["spec"]["exempt"] == {"uid-db": "shop/one@1"}
    newer = after_restart.put(kept(stage, override) | {"metadata": body(meta={"generation": 2})["metadata"]})
    assert after_restart.fights.contests(newer) == []
    await after_restart.look()
    assert not after_restart.stored()["shop"]["spec"]["exempt"]


def test_an_override_made_anew_under_the_name_starts_without_contests() -> None:
    stage = Stage()
    override = stage.put(body())
    fought(stage, override, 3)
    stage.overrides.drop(key_of(override))
    anew = stage.put(body(meta={"uid": "uid-anew"}))
    assert stage.fights.contests(anew) == []
    fought(stage, anew, 3)
    assert set(stage.fights._contests) == {"uid-anew"}


def test_a_contest_keeps_the_time_of_its_beginning() -> None:
    stage = Stage()
    override = stage.put(body())
    fought(stage, override, 3)
    first = stage.fights.contests(override)
    stage.time += 100
    fought(stage, override, 3)
    assert stage.fights.contests(override) == first


def test_nothing_is_noted_for_an_override_that_is_gone() -> None:
    stage = Stage()
    override = stage.put(body())
    stage.overrides.drop(key_of(override))
    fought(stage, override, 3)
    assert stage.fights.contests(override) == []
    assert stage.woken == []


def test_a_change_of_something_else_is_quick_and_silent() -> None:
    stage = Stage()
    stage.fights.changed(Change("Namespace", "shop", "shop", "shop", deleted=False, row=stage.world.namespaces()[0]))
    assert stage.woken == []

"""A volume that one node only may attach: nothing of Pawl keeps it away from the server, and one meter is believed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.support.registryobjects import ACCESS, BUCKET, DISK, IMAGE, SHARED, identity, spec, want
from tests.unit.controllers.registry_doubles import Hands, owned, registry

from pawl.api.errors import Forbidden
from pawl.api.registrystorage_status import StoreRef
from pawl.api.registrywork import Task, Use
from pawl.cluster.registryobjects import Live
from pawl.controllers.registryacts import meter_apart
from pawl.controllers.registryfacts import Gathered, _meter
from pawl.controllers.registryjobs import Jobs, stranded
from pawl.decide.serverobjects import ServerAbout, server_objects
from pawl.decide.storagefacts import Memory, WorkWant

Json = dict[str, Any]
STORE = StoreRef(id="s1", kind="Filesystem", claim="main-registry-s1", own_claim=True)
JOBS = "/apis/batch/v1/namespaces/shop/jobs"


def pod(name: str, part: str, node: str = "", **more: Any) -> Json:
    found = owned("Pod", name, part=part, spec={"nodeName": node} if node else {}, status=more.pop("status", {}))
    found["metadata"] |= more
    return found


def live(*pods: Json, jobs: tuple[Json, ...] = ()) -> Live:
    return Live({"Pod": pods, "Job": jobs})


@pytest.mark.parametrize(
    ("server", "meter", "apart"),
    [("n1", "n1", False), ("n2", "n1", True), ("", "n1", False), ("n2", "", False)],
)
def test_a_meter_is_apart_where_the_server_came_up_on_another_node(server: str, meter: str, *, apart: bool) -> None:
    assert meter_apart(live(pod("s", "server", server), pod("m", "meter", meter))) is apart


def test_a_server_that_moves_is_beside_its_meter_while_its_last_pod_ends() -> None:
    assert not meter_apart(live(pod("a", "server", "n1"), pod("b", "server", "n2"), pod("m", "meter", "n1")))


@pytest.mark.parametrize(("store", "replicas"), [(DISK, 0), (SHARED, 1), (BUCKET, 1)])
def test_a_meter_that_is_apart_goes_where_its_claim_is_for_one_node(store: StoreRef, replicas: int) -> None:
    about = ServerAbout(IMAGE, meter_apart=True)
    found = server_objects(spec(), identity(), want(store), ACCESS, about)
    meter = next(each for each in found if each["kind"] == "Deployment" and each["metadata"]["name"].endswith("meter"))
    assert meter["spec"]["replicas"] == replicas


def work_job(claim: str) -> Json:
    volumes = [{"name": "source", "persistentVolumeClaim": {"claimName": claim}}, {"name": "tmp", "emptyDir": {}}]
    found = owned("Job", "main-registry-bulk-1", part="work", spec={"template": {"spec": {"volumes": volumes}}})
    found["metadata"]["uid"] = "uid-job"
    return found


async def at(job: Json, server: str, worker: str, store: StoreRef = STORE) -> Gathered:
    owner = [{"uid": "uid-job"}]
    pods = (pod("s", "server", server), pod("w", "work", worker, ownerReferences=owner))
    found = await Hands().gathered(registry(), memory=Memory(1, store))
    return replace(found, live=live(*pods, jobs=(job,)))


@pytest.mark.parametrize(
    ("claim", "server", "worker", "found"),
    [
        ("main-registry-s1", "n2", "n1", True),
        ("main-registry-s1", "n1", "n1", False),
        ("main-registry-s1", "", "n1", False),
        ("main-registry-s1", "n2", "", False),
        ("main-registry-other", "n2", "n1", False),
    ],
)
async def test_a_job_never_keeps_the_servers_volume_on_another_node(
    claim: str, server: str, worker: str, *, found: bool
) -> None:
    job = work_job(claim)
    assert stranded(job, await at(job, server, worker)) is found


async def test_a_volume_of_several_nodes_keeps_nobody_away() -> None:
    job, shared = work_job("main-registry-s1"), STORE.model_copy(update={"access_mode": "ReadWriteMany"})
    assert not stranded(job, await at(job, "n2", "n1", shared))


async def test_a_job_without_an_owner_goes_too() -> None:
    """As where the resource was deleted and its children kept: a store must have one writer."""
    hands = Hands()
    left = owned("Job", "main-registry-final-1", part="work", spec={"parallelism": 1})
    del left["metadata"]["ownerReferences"]
    hands.api.put(f"{JOBS}/main-registry-final-1", left)
    await keep(hands)
    assert hands.api.writes() == [("delete", "main-registry-final-1")]


async def test_a_job_that_keeps_the_volume_away_goes_and_is_made_again_beside_the_server() -> None:
    hands = Hands()
    bulk = WorkWant(Task.BULK, "m1/bulk/1", STORE, BUCKET)
    await keep(hands, bulk)
    (path,) = (path for path in hands.api.objects if path.startswith(JOBS))
    owner = [{"uid": hands.api.objects[path]["metadata"]["uid"]}]
    root = "/api/v1/namespaces/shop/pods"
    hands.api.put(f"{root}/s", pod("s", "server", "n1"))
    hands.api.put(f"{root}/w", pod("w", "work", "n1", ownerReferences=owner))
    await keep(hands, bulk)
    assert path in hands.api.objects
    hands.api.put(f"{root}/s", pod("s", "server", "n2"))
    await keep(hands, bulk)
    assert path not in hands.api.objects


async def keep(hands: Hands, *works: WorkWant, fault: Exception | None = None) -> None:
    async def uses() -> tuple[Use, ...]:
        if fault is not None:
            raise fault
        return ()

    jobs = Jobs(hands.cluster, hands.applier, hands.guard, "pawl:1")
    gathered = await hands.gathered(registry(), memory=Memory(1, STORE))
    await jobs.keep(gathered, works, uses, hands.done)


async def test_uses_that_cannot_be_seen_any_more_are_refused_and_stop_nothing_else() -> None:
    hands = Hands()
    await keep(hands, WorkWant(Task.PREPARE, "c1/collect/1", STORE), fault=Forbidden("may not list pods"))
    assert hands.api.writes() == []
    assert "may not list pods" in hands.done.refused[0].message


def meter(name: str, store: str) -> Json:
    ready = {"podIP": "10.0.0.9", "conditions": [{"type": "Ready", "status": "True"}]}
    found = pod(name, "meter", "n1", status=ready)
    found["metadata"]["annotations"] = {"pawl.dev/store": store}
    return found


@pytest.mark.parametrize(("stores", "found"), [(("s1",), True), (("old",), False), ((), False), (("old", "s1"), True)])
def test_only_the_meter_of_the_store_that_is_served_is_asked(stores: tuple[str, ...], *, found: bool) -> None:
    pods = live(*(meter(store, store) for store in stores))
    assert (_meter(pods, ACCESS, Memory(1, STORE)) is not None) is found
    assert _meter(pods, ACCESS, Memory()) is None

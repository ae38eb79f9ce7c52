"""Jobs of a registry: the wanted ones exist, others go first, and never two at once on a store."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.controllers.registry_doubles import Hands, owned, registry

from pawl.api.registrystorage_status import StoreRef
from pawl.api.registrywork import Task, Use
from pawl.controllers.registryjobs import Jobs
from pawl.decide.storagefacts import WorkWant
from pawl.decide.workobjects import MAX_ORDERS

Json = dict[str, Any]
STORE = StoreRef(id="s1", kind="Filesystem", claim="main-registry-s1", own_claim=True)
OTHER = StoreRef(id="s2", kind="S3", bucket="images", endpoint="http://minio:9000", credentials_secret="keys")
BULK = WorkWant(Task.BULK, "m1/bulk/1", STORE, OTHER)
JOBS = "/apis/batch/v1/namespaces/shop/jobs"
CONFIGS = "/api/v1/namespaces/shop/configmaps"


async def keep(hands: Hands, *works: WorkWant, image: str = "pawl:1", uses: tuple[Use, ...] = (), **facts: Any) -> None:
    async def read() -> tuple[Use, ...]:
        return uses

    jobs = Jobs(hands.cluster, hands.applier, hands.guard, image)
    hands.api.requests.clear()
    hands.done.waiting = ""
    await jobs.keep(await hands.gathered(registry(), **facts), works, read, hands.done)


def names(hands: Hands, root: str = JOBS) -> list[str]:
    return [path.removeprefix(f"{root}/") for path in hands.api.objects if path.startswith(f"{root}/")]


async def test_a_job_is_made_once_with_its_order_beside_it() -> None:
    hands = Hands()
    await keep(hands, BULK)
    (name,) = names(hands)
    assert name.startswith("main-registry-bulk-")
    order = json.loads(hands.api.objects[f"{CONFIGS}/{name}"]["data"]["order.json"])
    assert (order["task"], order["id"]) == ("bulk", "m1")
    assert order["source"]["path"] == "/pawl/source"
    assert order["target"]["credentials"] == "/pawl/target-credentials"
    await keep(hands, BULK)
    assert hands.api.writes() == []


async def test_the_order_holds_no_secret_and_what_a_collection_must_keep() -> None:
    hands = Hands()
    uses = (Use(repository="web", tag="v1", by="Pod shop/web"),)
    await keep(hands, WorkWant(Task.PREPARE, "c1/collect/1", STORE), uses=uses)
    (name,) = names(hands)
    order = json.loads(hands.api.objects[f"{CONFIGS}/{name}"]["data"]["order.json"])
    assert order["uses"] == [{"repository": "web", "tag": "v1", "digest": "", "by": "Pod shop/web"}]
    assert "password" not in json.dumps(order)


async def test_another_order_waits_until_the_last_job_is_gone() -> None:
    hands = Hands()
    await keep(hands, BULK)
    (first,) = names(hands)
    for path in list(hands.api.objects):  # a foreground deletion takes its time
        if path.startswith(JOBS):
            hands.api.objects[path]["metadata"]["finalizers"] = ["foregroundDeletion"]
    again = WorkWant(Task.BULK, "m1/bulk/2", STORE, OTHER)
    await keep(hands, again)
    assert ("delete", first) in hands.api.writes()
    assert "must go first" in hands.done.waiting
    assert all(verb != "create" for verb, _ in hands.api.writes())
    await keep(hands, again)
    assert len(names(hands)) == 1
    assert names(hands) != [first]


@pytest.mark.parametrize("left", [{"stray": ("main-registry-bulk-x",)}])
async def test_no_job_is_made_while_a_pod_of_an_earlier_one_may_still_write(left: Json) -> None:
    hands = Hands()
    await keep(hands, BULK, **left)
    assert names(hands) == []
    assert "main-registry-bulk-x" in hands.done.waiting


@pytest.mark.parametrize("edit", [{"suspend": True}, {"parallelism": 2}, {"completions": 3}])
async def test_an_edited_job_goes_and_is_made_again(edit: Json) -> None:
    hands = Hands()
    await keep(hands, BULK)
    (name,) = names(hands)
    hands.api.objects[f"{JOBS}/{name}"]["spec"].update(edit)
    await keep(hands, BULK)
    assert hands.api.writes() == [("delete", name)]
    await keep(hands, BULK)
    assert names(hands) == [name]


async def test_a_job_whose_order_was_edited_goes_too() -> None:
    hands = Hands()
    await keep(hands, BULK)
    (name,) = names(hands)
    hands.api.objects[f"{CONFIGS}/{name}"]["data"]["order.json"] = "{}"
    await keep(hands, BULK)
    assert ("delete", name) in hands.api.writes()


async def test_jobs_of_others_and_proofs_are_not_touched() -> None:
    hands = Hands()
    spec = {"parallelism": 1}
    probe = owned("Job", "main-registry-probe-1", part="work", spec=spec)
    probe["metadata"]["annotations"] = {"pawl.dev/order": "probe/aa/1/0"}
    hands.api.put(f"{JOBS}/main-registry-probe-1", probe)
    hands.api.put(f"{JOBS}/theirs", owned("Job", "theirs", part="work", uid="uid-other", spec=spec))
    await keep(hands)
    assert hands.api.writes() == []


async def test_without_pawls_image_a_job_is_refused_with_the_flag() -> None:
    hands = Hands()
    await keep(hands, BULK, image="")
    assert names(hands) == []
    assert "--image" in hands.done.refused[0].message


async def test_an_order_that_no_configmap_holds_is_refused_not_cut() -> None:
    hands = Hands()
    uses = tuple(Use(repository=f"r{number}", tag="t" * 100, by="x" * 100) for number in range(MAX_ORDERS // 200))
    await keep(hands, WorkWant(Task.PREPARE, "c1/collect/1", STORE), uses=uses)
    assert names(hands) == []
    assert f"may be told {MAX_ORDERS}" in hands.done.refused[0].message


@pytest.mark.parametrize(("served", "beside"), [(STORE.id, True), (OTHER.id, False)])
async def test_a_job_is_bound_to_the_servers_node_only_by_a_volume_of_the_servers(served: str, *, beside: bool) -> None:
    """A server over a bucket may be on a node from which the Job's volume cannot be reached."""
    hands = Hands()
    pod = owned("Pod", "main-registry-0", spec={"nodeName": "n1"}, status={"phase": "Running"})
    pod["metadata"]["annotations"] = {"pawl.dev/store": served}
    hands.api.put("/api/v1/namespaces/shop/pods/main-registry-0", pod)
    await keep(hands, BULK)
    (name,) = names(hands)
    assert ("affinity" in hands.api.objects[f"{JOBS}/{name}"]["spec"]["template"]["spec"]) is beside

"""A registry fills: it grows or refuses pushes while pulls live on, and takes pushes again once there is room.

Claims have their true size here, for which root is needed. Neighbours: `tests/unit/decide/test_pressure` is the
judgement. Not here: what is collected.
"""

from __future__ import annotations

import os
import random
import time

import pytest
from tests.storage.registry_world import Home, filesystem, made, soon, still, stocked
from tests.storage.registry_world_clients import REFUSED, Away, persist
from tests.storage.registry_world_tales import Tales, tale
from tests.support.storageworld import World, is_true

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

SILENT = 20.0
SIZED = pytest.mark.skipif(os.geteuid() != 0, reason="claims of a true size are mounted, which needs root")


@SIZED
@tale
def test_a_full_store_refuses_pushes_serves_pulls_and_thaws_once_there_is_room(world: World) -> None:
    rules = [{"repositories": ["**"], "keepTags": ["^v"]}]
    home = made(world, "full", filesystem("24Mi"), retention=rules, collection={"minimumAge": "0s"})
    home.spec["pressure"] = {"expandAt": 60, "collectAt": 70, "readOnlyAt": 80}
    home.spec["collection"]["dryRun"] = True
    home.serve()
    shelf = stocked(home, "full/web", large=1 << 20)
    with home.client() as client:
        for number in range(5):
            layer = random.Random(number).randbytes(4 << 20)
            shelf.add(persist(lambda at=number, body=layer: client.push("full/web", f"big{at}", (body,))))
    home.retry()  # a look now
    found = home.until(lambda it: it["status"]["phase"] == "ReadOnly")["status"]
    assert found["freeze"]["reason"] == "Pressure"
    assert found["usage"]["percent"] >= 80
    assert home.condition("Pressure")["status"] == "True"
    soon(lambda: refused(home), "a push is refused")
    home.whole(shelf)  # pulls live
    # A collection makes room although the server refuses pushes.
    home.change(collection={"minimumAge": "0s", "maxDeletePercent": 100})
    assert home.collect()["phase"] == "Done"
    for number in range(5):
        shelf.drop(("full/web", f"big{number}"))
    shelf.drop(("full/web", "large"))
    shelf.drop(("full/web", "both"))
    home.until(lambda it: not it["status"].get("freeze"))
    home.settled()
    with home.client() as client:
        shelf.add(persist(lambda: client.push("full/web", "v-after")))
    home.whole(shelf)


def refused(home: Home) -> bool:
    with home.client() as client:
        try:
            client.push("full/web", "big5")
        except Away as away:
            return away.status == REFUSED
    return False


@SIZED
@tale
def test_a_claim_grows_up_to_its_bound(world: World) -> None:
    home = made(world, "grows", filesystem("16Mi"))
    home.spec["expansion"] = {"step": 50, "maxSize": "24Mi"}
    home.spec["pressure"] = {"expandAt": 50, "collectAt": 97, "readOnlyAt": 98}
    home.serve()
    claim = home.now()["status"]["store"]["claim"]
    shelf = stocked(home, "grows/web", large=10 << 20)
    home.retry()
    soon(lambda: asked(home, claim) == "24Mi", "the claim is larger", 60)
    home.until(lambda it: is_true(it, "Ready") and it["status"]["usage"]["capacity"] == 24 << 20)
    home.settled()
    home.whole(shelf)


def asked(home: Home, claim: str) -> str:
    path = f"api/v1/namespaces/{home.world.namespace}/persistentvolumeclaims/{claim}"
    found = home.api.get(path).body["status"].get("capacity", {}).get("storage", "")
    return {"24Mi": "24Mi", str(24 << 20): "24Mi"}.get(found, found)


def test_nothing_is_written_once_every_registry_is_settled(tales: Tales) -> None:
    """The last one: it watches what the tales before it left behind."""
    listed = tales.world.api.get(tales.world.path("").rstrip("/")).body["items"]
    homes = [Home(tales.world, each["metadata"]["name"], each["spec"]) for each in listed]
    if not homes:
        homes = [made(tales.world, "still", filesystem())]
        homes[0].serve()
    for home in homes:
        home.until(lambda found: not is_true(found, "Reconciling"))
    soon(
        lambda: not any(job.get("status", {}).get("active") for job in tales.world.items("batch/v1", "jobs")), "proofs"
    )
    time.sleep(3)  # for what their end has to tell
    assert still(homes, SILENT) == []

"""A registry moves house under its clients: real controllers, Jobs, servers, MinIO and bytes.

Neighbours: `tests/registry/test_migrate*` try the engine, `tests/unit/decide/test_storagemachine*` the judgement,
`test_registry_collection` cleans. Not here: deaths (`tests/faults/test_registry_deaths`).
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from tests.storage.registry_world import Home, filesystem, made, soon, stocked
from tests.storage.registry_world_clients import REFUSED, Away, Busy, Shelf, busy, persist
from tests.storage.registry_world_tales import tale
from tests.support.storageworld import World, is_true

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

LONGEST_BREAK = 45.0
"""Seconds for which pulls may fail while the one server is made anew, on a busy machine."""
RESTING = ("Freeze", "Final", "Verify", "Switch", "Smoke")


def files(directory: Path) -> dict[str, str]:
    """Every file of a store with its hash, but those of Pawl's own notes."""
    found = [path for path in (directory / "docker").rglob("*") if path.is_file()]
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def moved_under_clients(home: Home, shelf: Shelf, repository: str, storage: dict[str, object]) -> Busy:
    """Move while one client pulls, and another pushes and deletes."""
    last = (home.now()["status"].get("migration") or {}).get("id")

    def moved(found: dict[str, Any]) -> bool:
        migration = found["status"].get("migration") or {}
        return migration.get("phase") == "Hold" and migration["id"] != last

    with home.client() as pusher, home.client() as puller, busy(pusher, puller, shelf, repository) as met:
        soon(lambda: met.pushes > 1 and met.pulls, "the clients are at work")
        home.change(storage=storage)
        home.until(moved)
        pushes = met.pushes
        soon(lambda: met.pushes > pushes + 1, "pushes go on after the move")
    assert met.refused, "nobody met the freeze: it was not tried"
    assert met.longest < LONGEST_BREAK, met
    return met


@tale
def test_it_moves_to_a_bucket_and_on_to_another_claim_under_its_clients(world: World) -> None:
    home = made(world, "moves", filesystem())
    first = home.serve()["status"]["store"]["claim"]
    shelf = stocked(home, "moves/web")
    moved_under_clients(home, shelf, "moves/app", world.bucket("moves"))
    found = home.settled()["status"]
    assert found["held"]["claim"] == first
    assert found["migration"]["objects"] == found["migration"]["objectsDone"] > 0
    home.whole(shelf)
    held = files(home.directory(first))
    moved_under_clients(home, shelf, "moves/other", filesystem(series=1))
    assert home.now()["status"]["store"]["claim"] not in ("", first)
    home.settled()
    home.whole(shelf)
    assert files(home.directory(first)) == held, "a store that is no longer served was written"


@tale
def test_going_back_before_and_after_the_new_store_is_open_loses_nothing(world: World) -> None:
    before = filesystem()
    home = made(world, "back", before)
    first = home.serve()["status"]["store"]["claim"]
    shelf = stocked(home, "back/web")
    home.change(storage=world.bucket("going-back"))
    home.reach(*RESTING)
    home.change(storage=before)
    found = home.until(lambda it: it["status"]["migration"]["phase"] == "Cancelled")["status"]
    assert (found["store"]["claim"], found.get("held")) == (first, None)
    with home.client() as client:
        shelf.add(persist(lambda: client.push("back/web", "after-cancel")))
        home.whole(shelf)
        home.change(storage=world.bucket("going-back"))
        home.migrated(to="going-back")
        # The old store is held; what is pushed and deleted from now on must follow the way back.
        shelf.add(persist(lambda: client.push("back/web", "in-the-bucket")))
        client.delete("back/web", "v1")
        shelf.drop(("back/web", "v1"))
    home.change(storage=before)
    home.migrated(to=first)
    home.settled()
    home.whole(shelf)


@tale
def test_one_corrupt_blob_in_the_source_ends_the_move_and_not_the_service(world: World) -> None:
    home = made(world, "corrupt", filesystem())
    first = home.serve()["status"]["store"]["claim"]
    shelf = stocked(home, "corrupt/web")
    blob = max((home.directory() / "docker").rglob("data"), key=lambda path: path.stat().st_size)
    good = blob.read_bytes()
    blob.write_bytes(good[:1000] + bytes([good[1000] ^ 1]) + good[1001:])
    home.change(storage=filesystem(series=1))
    found = home.until(lambda it: is_true(it, "Stalled"))["status"]
    said = home.condition("Stalled")
    assert said["reason"] == "SourceCorrupt"
    assert blob.parent.name[:12] in said["message"] + " ".join(found["migration"]["quarantine"])
    assert (found["migration"]["phase"], found["store"]["claim"]) == ("Failed", first)
    with home.client() as client:
        shelf.add(persist(lambda: client.push("corrupt/web", "still-writable")))
    blob.write_bytes(good)
    home.retry()
    home.until(lambda it: it["status"]["migration"]["phase"] == "Hold")
    home.settled()
    home.whole(shelf)
    assert home.now()["status"]["store"]["claim"] != first


@tale
def test_deletion_leaves_the_bytes_and_the_same_name_finds_them_again(world: World) -> None:
    home = made(world, "again", filesystem())
    first = home.serve()["status"]["store"]["claim"]
    shelf = stocked(home, "again/web")
    gone(home)
    bytes_left = files(home.directory(first))
    assert bytes_left
    home.serve()
    home.whole(shelf)
    assert home.now()["status"]["store"]["claim"] == first
    gone(home)
    # Made again with another storage: the ledger knows where the images are, so they move.
    home.spec = home.spec | {"storage": filesystem(series=1)}
    home.serve()
    found = home.until(lambda it: (it["status"].get("migration") or {}).get("phase") == "Hold")["status"]
    assert (found["store"]["claim"] != first, found["held"]["claim"]) == (True, first)
    home.settled()
    home.whole(shelf)


def gone(home: Home) -> None:
    """Delete the RegistryStorage, and wait until it and its Pods are no more."""
    assert home.api.delete(home.world.path(home.name)).ok
    labels = {"pawl.dev/registry": home.name}
    soon(lambda: home.now().get("code") == 404, "the RegistryStorage is gone")
    soon(lambda: not home.world.items("v1", "pods", labels), "its Pods are gone")


@tale
def test_a_push_during_the_freeze_is_refused_and_later_taken(world: World) -> None:
    home = made(world, "freeze", filesystem())
    home.serve()
    shelf = stocked(home, "freeze/web")
    met: set[int] = set()
    with home.client() as client:

        def tried() -> bool:
            try:
                shelf.add(client.push("freeze/web", "late"))
            except Away as away:
                met.add(away.status)
                return False
            return True

        home.change(readOnly=True)
        soon(lambda: not tried() and REFUSED in met, "a refusal")
        assert home.until(lambda it: it["status"]["phase"] == "ReadOnly")["status"]["freeze"]["reason"] == "Spec"
        assert client.pull("freeze/web", "v1") == shelf.held["freeze/web", "v1"]
        home.change(readOnly=False)
        soon(tried, "the push is taken")
    home.settled()
    assert met <= {0, REFUSED, 502, 503}
    home.whole(shelf)

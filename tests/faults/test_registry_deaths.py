"""Whoever works on a registry is killed at every phase: it ends the same, nothing is lost, and it takes pushes again.

Neighbours: `registry_mortal` is the operator that dies, `test_migrate_deaths` kills between any two objects,
`tests/cluster/test_registry_migration` is the way without deaths. Not here: nodes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest
from tests.cluster.api import Api
from tests.cluster.registry_world import DEADLINE, Home, filesystem, made, stocked
from tests.cluster.registry_world_clients import Shelf, persist
from tests.support.storageworld import IMAGE, World, lone_cluster, storage_world

from pawl.api.meta import COLLECT_AT

pytestmark = [pytest.mark.cluster, pytest.mark.faults, pytest.mark.timeout(600)]

OUT = (
    "ledger:Preflight:0",
    "status:Preflight:0",
    "status:Bulk:0",
    "ledger:Freeze:0",
    "status:Freeze:0",
    "status:Freeze:1",
    "ledger:Final:0",
    "status:Final:0",
    "status:Final:1",
    "ledger:Switch:0",
    "status:Switch:0",
    "status:Switch:1",
    "status:Smoke:0",
    "ledger:Open:0",
    "status:Open:0",
    "ledger:Hold:0",
)
"""At most one death each: a phase that was left when the next operator came up does not come again."""
CLEAN = (
    "ledger:collection/Plan:0",
    "status:collection/Plan:0",
    "ledger:collection/Freeze:0",
    "status:collection/Freeze:1",
    "ledger:collection/Collect:0",
    "status:collection/Collect:0",
    "status:collection/Collect:1",
    "ledger:collection/Thaw:0",
    "status:collection/Thaw:1",
    "ledger:collection/Done:0",
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("deaths")
    with (
        lone_cluster("deaths") as cluster,
        closing(Api(cluster.kubeconfig)) as api,
        storage_world(api, cluster, directory, minio=True) as found,
    ):
        yield found


def life(world: World, doom: str) -> tuple[subprocess.Popen[bytes], Path]:
    """Start an operator that dies at its doom; the Lease of the one before is taken away: nobody waits."""
    world.api.delete(f"apis/coordination.k8s.io/v1/namespaces/{world.operator.namespace}/leases/pawl")
    log = world.directory / f"life-{uuid4().hex[:6]}.log"
    argv = [sys.executable, "-m", "tests.faults.registry_mortal", "--namespace", world.operator.namespace]
    argv += ["--image", IMAGE, "--dies", doom]
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PAWL_")}
    with log.open("wb") as stream:
        given = environ | {"KUBECONFIG": str(world.cluster.kubeconfig)}
        return subprocess.Popen(argv, env=given, stderr=stream, stdout=stream), log


def lived_through(world: World, home: Home, dooms: Sequence[str], machine: str, ends: Sequence[str]) -> list[str]:
    """Let operators die at their dooms, one after another; those that came true. The last one lives."""
    done, old = [], (home.now()["status"].get(machine) or {}).get("id")
    for doom in dooms:
        process, log = life(world, doom)
        try:
            if not died(process, home, machine, ends, old):
                break
            assert process.returncode == -signal.SIGKILL, log.read_text()[-2000:]
            done.append(doom)
        finally:
            process.kill()
            process.wait(20)
    return done


def died(process: subprocess.Popen[bytes], home: Home, machine: str, ends: Sequence[str], old: str | None) -> bool:
    end = time.monotonic() + DEADLINE
    while process.poll() is None:
        found = home.now()["status"].get(machine) or {}
        if found.get("phase") in ends and found["id"] != old:
            return False
        assert time.monotonic() < end, found
        time.sleep(0.05)
    return True


def served(home: Home, shelf: Shelf, tag: str) -> None:
    """Nothing is lost, and pushes are taken again."""
    home.settled()
    with home.client() as client:
        shelf.add(persist(lambda: client.push("deaths/web", f"v-{tag}")))
    home.whole(shelf)


def test_operators_that_die_at_every_phase(world: World) -> None:
    home = made(world, "dies", filesystem())
    home.spec |= {"collection": {"minimumAge": "0s", "maxDeletePercent": 100}}
    home.spec |= {"retention": [{"repositories": ["**"], "keepTags": ["^v"]}]}
    home.serve()
    shelf = stocked(home, "deaths/web")
    world.operator.kill()
    home.change(storage=world.bucket("deaths"))
    done = lived_through(world, home, OUT, "migration", ("Hold",))
    world.restart()
    found = home.until(lambda it: it["status"]["migration"]["phase"] == "Hold")["status"]
    assert found["store"]["bucket"] == "deaths"
    assert len(done) >= len(OUT) * 2 // 3, done
    served(home, shelf, "after-the-move")

    world.operator.kill()
    home.annotate(COLLECT_AT)
    done = lived_through(world, home, CLEAN, "collection", ("Done", "Failed"))
    world.restart()
    home.until(lambda it: (it["status"].get("collection") or {}).get("finishedAt"))
    assert len(done) >= len(CLEAN) // 2, done
    home.settled()
    assert home.collect()["phase"] == "Done"
    for tag in ("large", "both"):
        shelf.drop(("deaths/web", tag))
    served(home, shelf, "in-the-end")


def test_jobs_that_are_killed_at_every_phase(world: World) -> None:
    home = made(world, "jobs", filesystem())
    home.serve()
    shelf = stocked(home, "deaths/jobs")
    home.change(storage=world.bucket("job-deaths"))
    for container in ("bulk", "final", "smoke"):
        home.kill("work", container, DEADLINE)
    home.migrated(to="job-deaths")
    served(home, shelf, "after")

"""Whoever works on a registry is killed at every phase: it ends the same, nothing is lost, and it takes pushes again.

Neighbours: `registry_mortal` is the operator that dies, `test_migrate_deaths` kills between any two objects,
`tests/storage/test_registry_migration` is the way without deaths. Not here: nodes.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from tests.cluster.api import Api
from tests.storage.registry_world import DEADLINE, Home, filesystem, made, stocked
from tests.storage.registry_world_clients import Shelf, persist
from tests.support.storageworld import IMAGE, World, lone_cluster, storage_world

from pawl.api.meta import COLLECT_AT

pytestmark = [pytest.mark.cluster, pytest.mark.faults, pytest.mark.timeout(600)]

OUT = (
    "ledger:Preflight:0",
    "status:Preflight:1",
    "status:Bulk:0",
    "ledger:Freeze:0",
    "status:Freeze:0",
    "status:Freeze:1",
    "ledger:Final:0",
    "status:Final:0",
    "status:Final:2",
    "ledger:Switch:0",
    "status:Switch:0",
    "status:Switch:1",
    "ledger:Smoke:0",
    "status:Smoke:0",
    "ledger:Open:0",
    "status:Open:0",
    "ledger:Hold:0",
)
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
"""In the order in which they come. One that does not come is passed over: a short copy shows no Bulk."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("deaths")
    with (
        lone_cluster("deaths") as cluster,
        closing(Api(cluster.kubeconfig)) as api,
        storage_world(api, cluster, directory, minio=True) as found,
    ):
        yield found


@dataclass
class Lives:
    """Operators that follow each other; the Lease of a dead one is taken away, so that nobody waits for it."""

    world: World
    registry: str
    log: Path

    def __post_init__(self) -> None:
        argv = [sys.executable, "-m", "tests.faults.registry_mortal", "--namespace", self.world.operator.namespace]
        environ = {key: value for key, value in os.environ.items() if not key.startswith("PAWL_")}
        with self.log.open("wb") as stream:
            self._program = subprocess.Popen(
                [*argv, "--image", IMAGE, "--registry", self.registry],
                env=environ | {"KUBECONFIG": str(self.world.cluster.kubeconfig)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
                start_new_session=True,
            )

    def live(self, dooms: Sequence[str]) -> None:
        """Begin a life."""
        lease = f"apis/coordination.k8s.io/v1/namespaces/{self.world.operator.namespace}/leases/pawl"
        self.world.api.delete(lease)
        assert self._program.stdin
        self._program.stdin.write(f"{' '.join(dooms)}\n".encode())
        self._program.stdin.flush()

    def over(self) -> bool:
        """Whether the life ended: by its doom, or, on a busy machine, as it lost its Lease."""
        assert self._program.stdout
        if not select.select([self._program.stdout], [], [], 0)[0]:
            return False
        self._program.stdout.readline()
        return True

    def dooms(self) -> list[str]:
        """By what they died, in order."""
        said = [line for line in self.log.read_text().splitlines() if '"doomed"' in line]
        return [str(json.loads(line)["doom"]) for line in said]

    def close(self) -> None:
        """End whoever lives."""
        with suppress(ProcessLookupError):
            os.killpg(self._program.pid, signal.SIGKILL)
        self._program.wait(20)
        for pipe in (self._program.stdin, self._program.stdout):
            if pipe:
                pipe.close()


def lived_through(home: Home, dooms: Sequence[str], over: Callable[[], object]) -> list[str]:
    """Let operators die at these dooms, one after another, until it is over; those that came true."""
    end = time.monotonic() + DEADLINE * 2
    world = home.world
    with closing(Lives(world, home.name, world.directory / f"lives-{uuid4().hex[:6]}.log")) as lives:
        while True:
            done = lives.dooms()
            lives.live(dooms[dooms.index(done[-1]) + 1 :] if done else dooms)
            while not lives.over():
                if over():
                    return done
                assert time.monotonic() < end, f"after {done}: {lives.log.read_text()[-2000:]}"
                time.sleep(0.05)


def at(dooms: Sequence[str]) -> set[str]:
    """Phases in which somebody died."""
    return {doom.split(":")[1] for doom in dooms}


def served(home: Home, shelf: Shelf, tag: str) -> None:
    """Nothing is lost, and pushes are taken again."""
    home.settled()
    with home.client() as client:
        shelf.add(persist(lambda: client.push("deaths/web", f"v-{tag}")))
    home.whole(shelf)


@pytest.fixture(scope="module")
def jobs(world: World) -> Iterator[Future[None]]:
    """The Jobs die beside the operators: most of it is waiting."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(jobs_that_die, world)


@pytest.mark.usefixtures("jobs")
def test_operators_that_die_at_every_phase(world: World) -> None:
    home = made(world, "dies", filesystem())
    home.spec |= {"collection": {"minimumAge": "0s", "maxDeletePercent": 100}}
    home.spec |= {"retention": [{"repositories": ["**"], "keepTags": ["^v"]}]}
    home.serve()
    shelf = stocked(home, "deaths/web")
    world.operator.kill()
    home.change(storage=world.bucket("deaths"))
    done = lived_through(home, OUT, lambda: home.phase() == "Hold")
    world.restart()
    found = home.until(lambda it: it["status"]["migration"]["phase"] == "Hold")["status"]
    assert found["store"]["bucket"] == "deaths"
    assert at(done) >= {"Preflight", "Freeze", "Final", "Switch", "Smoke", "Open"}, done
    served(home, shelf, "after-the-move")

    world.operator.kill()
    home.annotate(COLLECT_AT)
    done = lived_through(home, CLEAN, lambda: (home.now()["status"].get("collection") or {}).get("finishedAt"))
    world.restart()
    home.until(lambda it: (it["status"].get("collection") or {}).get("finishedAt"))
    assert at(done) >= {f"collection/{each}" for each in ("Plan", "Freeze", "Collect", "Thaw")}, done
    home.settled()
    assert home.collect()["phase"] == "Done"
    for tag in ("large", "both"):
        shelf.drop(("deaths/web", tag))
    served(home, shelf, "in-the-end")


def test_jobs_that_are_killed_at_every_phase(jobs: Future[None]) -> None:
    jobs.result()


def jobs_that_die(world: World) -> None:
    """Kill each Job of a migration once: after a pause it is begun again, and goes on where it was."""
    home = made(world, "jobs", filesystem())
    home.serve()
    shelf = stocked(home, "deaths/jobs")
    home.change(storage=world.bucket("job-deaths"))
    for container in ("bulk", "final", "smoke"):
        assert home.kill("work", container)
    home.migrated(to="job-deaths")
    served(home, shelf, "after")

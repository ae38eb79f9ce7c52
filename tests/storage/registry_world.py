"""One registry of a world that others share: what is asked of it, what it says, what clients see, what must be left.

    home = made(world, "moves", filesystem())
    home.serve()                       # declared, and Ready with every proof
    with home.client() as client: shelf.add(client.push("shop/web", "v1"))
    home.whole(shelf)                  # every tag has its digest, and every byte is what its name says

Neighbours: `registry_world_clients` pushes and pulls, `tests.support.storageworld` is the world. Not here: scenarios.
"""

from __future__ import annotations

import base64
import json
import os
import random
import signal
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from tests.cluster.api import Api, Json
from tests.storage.registry_world_clients import Client, Shelf, persist
from tests.support.storageworld import World, is_true

from pawl.api.meta import COLLECT_AT, REQUESTED_AT

POLL = 0.05
DEADLINE = 240.0
"""Seconds; only a failure waits for so long: a busy machine needs most of a minute for one move."""
PROOFS = ("PushProved", "PullProved")
KINDS = (
    ("v1", "configmaps"),
    ("v1", "secrets"),
    ("v1", "services"),
    ("v1", "persistentvolumeclaims"),
    ("apps/v1", "deployments"),
    ("batch/v1", "jobs"),
)


@dataclass
class Home:
    """One RegistryStorage. `world` may be used by many threads, each with a Home of its own."""

    world: World
    name: str
    spec: Json
    api: Api = field(init=False)

    def __post_init__(self) -> None:
        self.api = self.world.api

    @property
    def host(self) -> str:
        return str(self.spec["access"]["host"])

    # what users write

    def serve(self) -> Json:
        """Declare it, and wait until it is settled."""
        self.world.declare(self.name, self.spec)
        return self.settled()

    def change(self, **fields: object) -> None:
        """Change fields of the spec."""
        self.spec = self.spec | fields
        self.world.declare(self.name, self.spec)

    def annotate(self, name: str) -> str:
        """Ask for something now, by an annotation; the value that the status will echo."""
        wish = uuid4().hex[:8]
        answer = self.api.merge(self.world.path(self.name), {"metadata": {"annotations": {name: wish}}})
        assert answer.ok, answer.message
        return wish

    def collect(self) -> Json:
        """Ask for a collection, and wait for its end."""
        wish = self.annotate(COLLECT_AT)

        def ended(found: Json) -> bool:
            status = found["status"]
            mine = status.get("lastHandledCollectAt") == wish
            return mine and bool((status.get("collection") or {}).get("finishedAt"))

        return dict(self.until(ended)["status"]["collection"])

    def retry(self) -> None:
        """Ask for another look, which begins what failed again."""
        self.annotate(REQUESTED_AT)

    # what it says

    def now(self) -> Json:
        return self.world.registry(self.name)

    def until(self, holds: Callable[[Json], object], seconds: float = DEADLINE) -> Json:
        return self.world.until(self.name, holds, seconds)

    def settled(self, seconds: float = DEADLINE) -> Json:
        """Wait until nothing is under way and every proof was made."""
        return self.until(is_settled, seconds)

    def migrated(self, *, to: str, phase: str = "Hold", seconds: float = DEADLINE) -> Json:
        """Wait until the last migration is in a phase and what is served is a claim or bucket that `to` is part of."""

        def there(found: Json) -> bool:
            status = found["status"]
            store = status["store"]
            return (status.get("migration") or {}).get("phase") == phase and to in (store["claim"], store["bucket"])

        return self.until(there, seconds)

    def phase(self, machine: str = "migration") -> str:
        """Phase of the migration or the collection."""
        return str((self.now().get("status", {}).get(machine) or {}).get("phase", ""))

    def reach(self, *phases: str, machine: str = "migration", seconds: float = DEADLINE) -> str:
        """Wait until a machine is in one of these phases; which."""
        self.until(lambda it: (it.get("status", {}).get(machine) or {}).get("phase") in phases, seconds)
        return self.phase(machine)

    def condition(self, kind: str) -> Json:
        found = self.now().get("status", {}).get("conditions", [])
        return next((each for each in found if each["type"] == kind), {})

    def versions(self) -> dict[tuple[str, str], str]:
        """The resourceVersion of everything that is this registry's, and what it says itself.

        A meter counts blobs every five minutes, so figures of a collection may come late: they are news, not noise.
        """
        labels = {"pawl.dev/registry": self.name}
        found = {
            (kind, each["metadata"]["name"]): each["metadata"]["resourceVersion"]
            for group, kind in KINDS
            for each in self.world.items(group, kind, labels)
        }
        now = self.now()
        said = {key: value for key, value in now["status"].items() if key != "usage"}
        return found | {("registrystorages", self.name): json.dumps([now["spec"], said], sort_keys=True)}

    # what it is made of

    def directory(self, claim: str = "") -> Path:
        """Where the bytes of a claim are on this machine; of the one that is served by default."""
        claim = claim or self.now()["status"]["store"]["claim"]
        path = f"api/v1/namespaces/{self.world.namespace}/persistentvolumeclaims/{claim}"
        volume = self.api.get(f"api/v1/persistentvolumes/{self.api.get(path).body['spec']['volumeName']}").body
        return Path(volume["spec"]["hostPath"]["path"])

    def kill(self, part: str, container: str, seconds: float = DEADLINE, unless: Callable[[], object] = bool) -> bool:
        """kill -9 of a container's process as soon as it runs; False where something else came before."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not unless():
            pods, again = self.world.pods(self.name, part), time.monotonic() + 0.5
            while pods and time.monotonic() < again:
                for pid in (self.world.pids(pod).get(container) for pod in pods):
                    if pid:
                        os.kill(pid, signal.SIGKILL)
                        return True
                time.sleep(0.001)  # a collector of few blobs lives for some hundredths of a second
            time.sleep(0.01)
        assert time.monotonic() < end, f"no process {container} of part {part} within {seconds:g} s"
        return False

    # what clients see

    def client(self) -> Client:
        """A client with the password of the Secret, that trusts what the ConfigMap for clients says."""
        core = f"api/v1/namespaces/{self.world.namespace}"
        authorities = self.api.get(f"{core}/configmaps/{self.name}-registry-ca").body["data"]["ca.crt"]
        data = self.api.get(f"{core}/secrets/{self.name}-registry-users").body["data"]
        name, password = (base64.b64decode(data[key]).decode() for key in ("username", "password"))
        return Client(self.host, (name, password), ssl.create_default_context(cadata=authorities))

    def whole(self, shelf: Shelf) -> None:
        """Assert that exactly the tags of the shelf are served, with their digests, and that every byte is right."""
        with self.client() as client:
            persist(lambda: shelf.compare(client))


def made(world: World, name: str, storage: Json, **fields: object) -> Home:
    """A registry whose image the node can pull, so that nothing of it is tried again. It is not declared yet."""
    return Home(world, name, {**world.spec(storage=storage, access={"nodeTrust": True}), **fields})


def is_settled(found: Json) -> bool:
    """Whether everything that is asked about a registry has its answer, and nothing is under way."""
    said = {each["type"]: each["status"] for each in found.get("status", {}).get("conditions", [])}
    proved = all(said.get(kind) == "True" for kind in PROOFS)
    return is_true(found, "Ready") and "Reconciling" not in said and proved


def filesystem(size: str = "64Mi", series: int = 0) -> Json:
    """`spec.storage` on a claim; another series is another claim."""
    return {"filesystem": {"size": size, "series": series}}


def stocked(home: Home, repository: str, tags: int = 4, large: int = 4 << 20) -> Shelf:
    """Push some images, an index over two of them, and one with a larger layer."""
    shelf = Shelf()
    with home.client() as client:
        for number in range(tags):
            shelf.add(client.push(repository, f"v{number}"))
        shelf.add(client.push(repository, "large", (random.Random(repository).randbytes(large),)))
        shelf.add(client.index(repository, "both", [shelf.held[repository, "v0"], shelf.held[repository, "v1"]]))
    return shelf


def soon(holds: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(POLL)


def still(homes: Iterator[Home] | list[Home], seconds: float) -> list[str]:
    """What was written of these registries while nobody asked for anything."""
    homes = list(homes)
    before = {home.name: home.versions() for home in homes}
    time.sleep(seconds)
    return [
        f"{home.name}: {kind}"
        for home in homes
        for kind, version in home.versions().items()
        if before[home.name].get(kind) != version
    ]

"""One policy's life without kopf: bootstrap, advance, rollback, advance again, by a controller that may die anywhere.

The controller is the real one, with the real API server and a registry over real sockets; only the watch is replaced
by a read before each look. A controller that dies is thrown away with all that it remembers.
Neighbours: `death` kills. Not here: election, queue.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.cluster.operators import Shop, handled, selected
from tests.faults.death import Dead, Mortal
from tests.support.registry import FakeRegistry

from pawl.api.errors import ClusterError, LeaseLost, Outcome
from pawl.cluster.calls import Transport
from pawl.cluster.client import Cluster, Options
from pawl.cluster.ledgers import LedgerStore
from pawl.cluster.resources import IMAGE_POLICIES
from pawl.cluster.secrets import SecretReader
from pawl.controllers.access import AccessReader
from pawl.controllers.answers import Answers
from pawl.controllers.gather import Gatherer
from pawl.controllers.imagepolicy import ImagePolicyController, Parts
from pawl.controllers.ledgerbook import LedgerBook
from pawl.controllers.live import LiveImages
from pawl.controllers.metrics import Metrics
from pawl.controllers.queue import Key
from pawl.controllers.replica import lane_of
from pawl.controllers.report import Reporter
from pawl.controllers.store import PolicyStore
from pawl.controllers.tally import Tally
from pawl.registry.addresses import NetworkPolicy
from pawl.registry.client import RegistryClient
from pawl.registry.scans import ScanHub

Json = dict[str, Any]
LOOKS = 12


@dataclass
class Silent:
    """A recorder of Events that only remembers them."""

    told: list[str] = field(default_factory=list)

    def event(self, _ref: object, _type: str, reason: str, _message: str) -> None:
        self.told.append(reason)


@dataclass
class Life:
    """One controller from its start to its death."""

    cluster: Cluster
    store: PolicyStore
    controller: ImagePolicyController

    async def look(self, key: Key) -> None:
        """Read the policy as the watch would bring it, and reconcile once. Raises what ends a look."""
        raw = await self.cluster.get(IMAGE_POLICIES, key.namespace, key.name)
        self.store.offer(raw, asked_at=asyncio.get_running_loop().time())
        await self.controller.reconcile(key)


def born(transport: Transport, client: RegistryClient, hub: ScanHub, guard: Callable[[], int] = lambda: 1) -> Life:
    """A controller that remembers nothing."""
    cluster = Cluster(transport, Options(tries=1))
    store, book, clock = PolicyStore(lane_of), LedgerBook(LedgerStore(cluster)), asyncio.get_running_loop().time
    live = LiveImages(cluster, Answers(clock))
    gatherer = Gatherer(client, hub, AccessReader(SecretReader(cluster)), live.read, Answers(clock))
    reporter = Reporter(cluster, book, store, Silent(), guard)  # type: ignore[arg-type]
    parts = Parts(cluster, store, book, gatherer, reporter, Tally(Metrics()), "test#1")
    return Life(cluster, store, ImagePolicyController(parts))


@asynccontextmanager
async def registry_client() -> AsyncIterator[tuple[RegistryClient, ScanHub]]:
    client = RegistryClient(NetworkPolicy(deny_loopback=False), lambda _: None)
    hub = ScanHub(client)
    try:
        yield client, hub
    finally:
        await hub.aclose()
        await client.aclose()


@dataclass
class Play:
    """The scenario for one policy: each act changes the world, then looks are made until the act is done."""

    shop: Shop
    registry: FakeRegistry
    name: str
    transport: Mortal
    ways: tuple[RegistryClient, ScanHub]
    deaths: int = 0
    life: Life | None = None

    async def run(self) -> Json:
        """Play all acts; the final status and ledger without times."""
        for act in (self.bootstrap, self.advance, self.rollback, self.resume):
            await self._until(act())
        return self.end()

    def bootstrap(self) -> str:
        self.registry.push(self.repository, "v1.0.0")
        access, select = {"plainHTTP": True}, {"semver": {"range": "*"}}
        image = f"{self.registry.host}/{self.repository}"
        self.shop.create({"image": image, "select": select, "access": access}, self.name)
        return "v1.0.0"

    def advance(self) -> str:
        self.registry.push(self.repository, "v1.1.0")
        return "v1.1.0"

    def rollback(self) -> str:
        to = {"tag": "v1.0.0", "digest": self.registry.repositories[self.repository].tags["v1.0.0"]}
        wish = {"nonce": "n1", "from": {"tag": "v1.1.0"}, "to": to, "reason": "bad build"}
        self.shop.edit(self.name, rollback=wish)
        return "v1.0.0"

    def resume(self) -> str:
        self.registry.push(self.repository, "v1.2.0")
        return "v1.2.0"

    @property
    def repository(self) -> str:
        return f"shop/{self.name}"

    async def _until(self, tag: str) -> None:
        """Look until the act is done and one more look has found nothing to do; a dead controller is born again."""
        key, wish = Key("ImagePolicy", self.shop.namespace, self.name), self.shop.annotate(self.name)
        for _ in range(LOOKS):
            seen = self.shop.read(self.name)
            done = handled(seen, wish) and selected(seen).get("tag") == tag
            life = self.life = self.life or born(self.transport, *self.ways)
            try:
                await life.look(key)
            except Dead:
                self.life, self.deaths, done = None, self.deaths + 1, False
            except (ClusterError, Outcome, LeaseLost):
                done = False
            if done:
                return
        raise AssertionError(f"{tag} was not reached: {self.shop.read(self.name)['status']}")

    def end(self) -> Json:
        status, ledger = self.shop.read(self.name)["status"], self.shop.ledger_content(self.name)
        return {"status": plain(status), "ledger": plain(ledger)}


TICKING = {
    "lastTransitionTime",
    "selectedAt",
    "time",
    "firstSeen",
    "reference",
    "image",
    "ordering",
    "revision",
    "lastHandledReconcileAt",
}


def plain(value: Any) -> Any:
    """A document without times, and without the name of the repository and what is made of it."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items() if key not in TICKING | {"digest", "message"}}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value.partition("@")[0] if isinstance(value, str) else value

"""The gate of one replica: what the controllers ask, and the webhook that every replica serves where it is needed.

Neighbours: `admission` has the parts, `run_webhook` serves, `controllers.gatekeeping` says what is asked of a gate;
neither room imports the other, so they meet here. Not here: what is rewritten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal

import structlog

from pawl.admission.install import SETTLE, ClusterGate
from pawl.admission.webhookconfig import Endpoint, StoredWebhook
from pawl.api.errors import ClusterError, Forbidden
from pawl.cluster.client import Cluster
from pawl.controllers.gatekeeping import RECHECK, Count
from pawl.controllers.tasks import run_until
from pawl.decide.gatechoice import GateChoice, Listener

SERVICE: Final = "pawl-webhook"
"""Service by which the API server finds the webhook of replicas that run in Pods."""
PATIENCE: Final = 5.0
"""Seconds until an API server that did not answer is asked again."""
DRAIN: Final = 5.0
"""Seconds for which a Pod that ends still answers: until then Services may send it reviews."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class GateTiming:
    """Seconds: between two looks; until policies that came are relied on; a replica that ends still answers."""

    look: float = RECHECK
    settle: float = SETTLE
    drain: float = DRAIN


@dataclass(frozen=True, slots=True)
class GatePlace:
    """Where this replica is: Pawl's namespace, host and port of the webhook (None: not served), whether in a Pod."""

    namespace: str
    webhook: tuple[str, int] | None = None
    in_pod: bool = False
    certificates: Literal["Pawl", "Secret"] = "Pawl"
    """Who writes the Secret of the webhook: Pawl, or something else such as cert-manager."""
    watched: tuple[str, ...] = ()
    """The only namespaces that have tables; empty: all."""
    timing: GateTiming = GateTiming()

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names by which the webhook is called; the first is the one that the API server uses."""
        if self.in_pod:
            return (f"{SERVICE}.{self.namespace}.svc", f"{SERVICE}.{self.namespace}.svc.cluster.local")
        return (self.webhook[0],) if self.webhook is not None else ()

    def endpoint(self, port: int, authorities: bytes) -> Endpoint:
        """Return where the API server finds the webhook."""
        host = self.webhook[0] if self.webhook is not None else ""
        return Endpoint(SERVICE if self.in_pod else f"https://{host}:{port}", authorities)


class ReplicaGate(ClusterGate):
    """A gate with the webhook of this replica."""

    def __init__(self, cluster: Cluster, place: GatePlace) -> None:
        super().__init__(cluster, place.namespace, lambda: self._found, settle=place.timing.settle)
        self._api = cluster
        self._place = place
        self._found: Endpoint | None = None
        self._asked = place.webhook is None
        self._wanted = False
        self._trouble = ""
        self._next_look = RECHECK
        self._look_now = asyncio.Event()

    @property
    def listener(self) -> Listener:
        """How far the webhook of this replica is."""
        if self._place.webhook is None:
            return "off"
        return "starting" if self._found is None else "up"

    def ready(self) -> bool:
        """Whether the webhook answers, if it is needed."""
        return self._asked and (self._found is not None or not self._wanted)

    async def keep(self, *, manage: bool) -> GateChoice:
        """As every gate; and serve at once what the choice needs."""
        choice = await super().keep(manage=manage)
        if choice.serve and not self._wanted:
            self._look_now.set()
        return choice

    async def serve(self, count: Count) -> None:
        """Serve the webhook whenever it is needed, until cancelled; return at once if this replica has none."""
        if self._place.webhook is None:
            return
        while True:
            await self._need()
            if self._wanted:
                await self._serve(count)
            else:
                await self._pause()

    async def _serve(self, count: Count) -> None:
        # A server and a certificate authority take eight MiB, and few replicas need them.
        from pawl.cli.run_webhook import Webhook

        webhook, unneeded = Webhook(self._api, self._place, count, self._offer), asyncio.Event()
        try:
            await run_until(unneeded, webhook.run(), self._watch(webhook.follow, unneeded))
        finally:
            self._found = None

    def _offer(self, endpoint: Endpoint) -> None:
        self._found = endpoint

    async def _watch(self, follow: Callable[[StoredWebhook], Awaitable[None]], unneeded: asyncio.Event) -> None:
        """Look until two looks running found no need: a review may be on its way."""
        misses = 0
        while misses < 2:
            await self._pause()
            stored = await self._need()
            misses = 0 if self._wanted else misses + 1
            if stored is not None:
                await follow(stored)
        log.info("the webhook is not needed any more")
        unneeded.set()

    async def _need(self) -> StoredWebhook | None:
        """Ask whether the webhook is needed; where that cannot be asked, nothing changes."""
        try:
            seen, choice = await self.look()
        except ClusterError as error:
            if str(error) != self._trouble:
                log.warning("it cannot be asked whether the webhook is needed", error=str(error))
            self._trouble, self._asked = str(error), True
            self._next_look = RECHECK if isinstance(error, Forbidden) else PATIENCE
            return None
        self._wanted, self._trouble, self._asked, self._next_look = choice.serve, "", True, RECHECK
        return seen.webhook

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._look_now.wait(), min(self._next_look, self._place.timing.look))
        except TimeoutError:
            return
        finally:
            self._look_now.clear()

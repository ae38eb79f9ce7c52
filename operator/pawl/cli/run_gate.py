"""The gate of one replica: what the controllers ask, and the webhook that every replica serves if it is told to.

Neighbours: `admission` has the parts, `controllers.gatekeeping` says what is asked of a gate; neither imports
the other, so they meet here. Not here: what is rewritten.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog

from pawl.admission.install import ClusterGate
from pawl.admission.webhookconfig import Endpoint
from pawl.api.errors import ClusterError
from pawl.cluster.client import Cluster
from pawl.controllers.tasks import run_until

if TYPE_CHECKING:
    from pawl.admission.certificates import Bundle
    from pawl.admission.webhook import WebhookServer

SERVICE: Final = "pawl-webhook"
"""Service by which the API server finds the webhook of replicas that run in Pods."""
RENEW: Final = 3600.0
"""Seconds between two looks at the certificate."""
PATIENCE: Final = 5.0
"""Seconds until a certificate that could not be had is asked for again."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class GatePlace:
    """Where this replica is: Pawl's namespace, host and port of the webhook (None: not served), whether in a Pod."""

    namespace: str
    webhook: tuple[str, int] | None = None
    in_pod: bool = False

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names by which the webhook is called."""
        if self.in_pod:
            return (f"{SERVICE}.{self.namespace}.svc", f"{SERVICE}.{self.namespace}.svc.cluster.local")
        return (self.webhook[0],) if self.webhook is not None else ()


class ReplicaGate(ClusterGate):
    """A gate with the webhook of this replica."""

    def __init__(self, cluster: Cluster, place: GatePlace) -> None:
        super().__init__(cluster, place.namespace, lambda: self._found)
        self._api = cluster
        self._place = place
        self._found: Endpoint | None = None

    async def serve(self) -> None:
        """Serve the webhook until cancelled; return at once if this replica has none."""
        if self._place.webhook is None:
            return
        # A server and a certificate authority take eight MiB, and few replicas need them.
        from pawl.admission.tablefeed import TableFeed
        from pawl.admission.webhook import WebhookServer

        feed, bundle = TableFeed(self._api), await self._bundle()
        server = WebhookServer(feed.lookup, self._place.namespace, bundle)
        host, wanted = self._place.webhook
        try:
            port = await server.start(host, wanted)
            self._found = Endpoint(SERVICE if self._place.in_pod else f"https://{host}:{port}", bundle.authorities)
            log.info("webhook listening", host=host, port=port)
            await run_until(asyncio.Event(), feed.run(), self._renew(server, bundle))
        finally:
            await server.close()

    async def _renew(self, server: WebhookServer, bundle: Bundle) -> None:
        while True:
            await asyncio.sleep(RENEW)
            fresh = await self._bundle()
            if fresh != bundle and self._found is not None:
                server.reload(fresh)
                bundle, self._found = fresh, Endpoint(self._found.place, fresh.authorities)
                log.info("webhook certificate renewed", ends=fresh.ends.isoformat())

    async def _bundle(self) -> Bundle:
        from pawl.admission.certificates import ensure_bundle

        while True:
            try:
                return await ensure_bundle(self._api, self._place.namespace, self._place.hosts, datetime.now(UTC))
            except ClusterError as error:
                log.warning("no webhook certificate yet", error=str(error))
                await asyncio.sleep(PATIENCE)

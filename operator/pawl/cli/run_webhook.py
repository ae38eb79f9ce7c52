"""The webhook of one replica while it is needed: its certificate, its tables, its server.

A certificate that changed is served once the API server trusts what signed it, so that no handshake fails.
Neighbours: `run_gate` says when it is needed; `admission` has the parts. Not here: what is rewritten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog

from pawl.admission.certificates import SECRET_NAME, Bundle, ensure_bundle, read_bundle
from pawl.admission.tablefeed import TableFeed
from pawl.admission.trust import may_serve, merged
from pawl.admission.webhook import WebhookServer
from pawl.admission.webhookconfig import Endpoint, StoredWebhook
from pawl.api.errors import InputError, PawlError
from pawl.cluster.client import Cluster
from pawl.controllers.gatekeeping import Count
from pawl.controllers.tasks import run_until

if TYPE_CHECKING:
    from pawl.cli.run_gate import GatePlace

PATIENCE: Final = 5.0
"""Seconds until a certificate that could not be had is asked for again."""

log = structlog.get_logger(__name__)


class Webhook:
    """Use one object for one `run`. `offer` is told where the API server may ask, and again when trust changes."""

    def __init__(self, cluster: Cluster, place: GatePlace, count: Count, offer: Callable[[Endpoint], None]) -> None:
        self._cluster = cluster
        self._place = place
        self._count = count
        self._offer = offer
        self._server: WebhookServer | None = None
        self._serving: Bundle | None = None
        self._trusted_once: Bundle | None = None
        self._offered = False
        self._said = ""

    async def run(self) -> None:
        """Serve until cancelled; a Pod that ends answers a little longer. Raises InputError for a taken port."""
        feed = TableFeed(self._cluster, self._place.watched)
        self._serving = await self._first()
        self._server = WebhookServer(feed.lookup, self._place.namespace, self._serving, self._count)
        try:
            await self._start(self._server)
            await run_until(asyncio.Event(), feed.run(), self._offer_when_ready(feed))
        finally:
            if self._place.in_pod:
                await asyncio.sleep(self._place.timing.drain)
            await self._server.close()

    async def follow(self, stored: StoredWebhook) -> None:
        """Look at the certificate, and serve a new one at the second look at which the API server trusts it."""
        if self._server is None or self._serving is None:
            return
        fresh = await self._read()
        if fresh is None or fresh == self._serving:
            return
        if self._offered:
            self._tell(merged(fresh.authorities, self._serving.authorities))
        trusted = may_serve(fresh.authorities, self._serving.authorities, stored.trusted)
        if not trusted and self._serving.ends > datetime.now(UTC):
            self._trusted_once = None
        elif self._trusted_once != fresh:
            self._trusted_once = fresh  # other API servers may see the configuration a moment later
        else:
            self._server.reload(fresh)
            self._serving = fresh
            log.info("webhook certificate renewed", ends=fresh.ends.isoformat())

    async def _start(self, server: WebhookServer) -> None:
        host, wanted = self._place.webhook or ("", 0)
        try:
            port = await server.start(host, wanted)
        except OSError as error:
            raise InputError(
                f"--webhook {host}:{wanted} cannot be listened on: {error.strerror}; use another"
            ) from error
        log.info("webhook listening", host=host, port=port)

    async def _offer_when_ready(self, feed: TableFeed) -> None:
        await feed.until_ready()
        if self._serving is not None:
            self._tell(self._serving.authorities)

    def _tell(self, authorities: bytes) -> None:
        if self._server is not None:
            self._offered = True
            self._offer(self._place.endpoint(self._server.port, authorities))

    async def _first(self) -> Bundle:
        while True:
            found = await self._read()
            if found is not None:
                return found
            await asyncio.sleep(PATIENCE)

    async def _read(self) -> Bundle | None:
        """Return the certificate of the Secret; None where it cannot be had, which the log says."""
        place, now = self._place, datetime.now(UTC)
        try:
            if place.certificates == "Pawl":
                return await ensure_bundle(self._cluster, place.namespace, place.hosts, now)
            found = await read_bundle(self._cluster, place.namespace)
        except PawlError as error:
            self._warn(str(error))
            return None
        self._warn(_doubts(found, place.hosts[:1], now))
        return found

    def _warn(self, text: str) -> None:
        """Say what is wrong with the certificate once, not at every look."""
        if text and text != self._said:
            log.warning("webhook certificate", error=text)
        self._said = text


def _doubts(found: Bundle, hosts: tuple[str, ...], now: datetime) -> str:
    """Say why API servers would not take a certificate that somebody else made; "" where they would."""
    if lacking := found.lacks(hosts):
        return f"Secret {SECRET_NAME}: its certificate does not name {lacking[0]}; add that to its dnsNames"
    return f"Secret {SECRET_NAME}: its certificate ended at {found.ends.isoformat()}; renew it" * (found.ends <= now)

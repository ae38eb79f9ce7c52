"""kopf's part: it watches our own kinds and puts keys into the queue. Its only place in Pawl.

Only `on.event` handlers that return None: every other kind of handler writes annotations or finalizers
(docs/design/decisions.md). What an event says is kept as bytes in the store; what happened is not looked at.
Neighbours: `store` keeps, `queue` runs. Not here: peering (the Lease decides who acts), decisions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from pawl.cluster.calls import ConnectionValues
from pawl.controllers.lean import without
from pawl.controllers.queue import Key
from pawl.controllers.store import ObjectStore

with without("kubernetes", "kubernetes_asyncio", "pykube"):
    import kopf

LOGIN_LIFE: Final = timedelta(minutes=10)
"""kopf reads credentials once unless they expire (nolar/kopf#926): a projected token rotates within an hour."""


class Watch:
    """Feeds the stores of our kinds and tells `wake` about every key that has news."""

    def __init__(
        self,
        stores: Sequence[ObjectStore],
        wake: Callable[[Key], None],
        login: Callable[[], Awaitable[ConnectionValues]],
        namespaces: Sequence[str] = (),
    ) -> None:
        self._stores = tuple(stores)
        self._wake = wake
        self._login = login
        self._namespaces = tuple(namespaces)
        self._started_at = 0.0

    def leave_out(self, kind: str) -> None:
        """Watch all but this kind: it is not served, or may not be read. Before `run`."""
        self._stores = tuple(store for store in self._stores if store.kind != kind)

    async def run(self, ready: asyncio.Event, stop: asyncio.Event) -> None:
        """Watch until `stop` is set; `ready` is set when the streams are being opened."""
        self._started_at = asyncio.get_running_loop().time()
        await kopf.operator(
            registry=self._registry(),
            settings=_settings(),
            standalone=True,
            clusterwide=not self._namespaces,
            namespaces=self._namespaces,
            ready_flag=ready,
            stop_flag=stop,
        )

    def _registry(self) -> kopf.OperatorRegistry:
        """A registry of our own: importing this module has no effect on kopf's global one."""
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(self._connection)
        for store in self._stores:
            resource = store.resource
            on_event = kopf.on.event(resource.group, resource.version, resource.plural, registry=registry)
            on_event(partial(self._event, store))
        return registry

    async def _connection(self, **_: object) -> kopf.ConnectionInfo:
        values = await self._login()
        expiration = datetime.now(UTC) + LOGIN_LIFE
        return kopf.ConnectionInfo(
            server=values.server,
            ca_path=values.ca_path,
            insecure=values.insecure,
            certificate_path=values.certificate_path,
            private_key_path=values.private_key_path,
            scheme=values.scheme,
            token=values.token,
            proxy_url=values.proxy,
            expiration=min(expiration, values.expiration) if values.expiration else expiration,
        )

    async def _event(self, store: ObjectStore, event: kopf.RawEvent, **_: object) -> None:
        """Keep what came; the first listing counts as asked for at the start, so that its policies share scans."""
        body, now = event["object"], asyncio.get_running_loop().time()
        if event["type"] == "DELETED":
            meta = body["metadata"]
            gone = Key(store.kind, meta.get("namespace", ""), meta["name"])
            store.offer(dict(body), asked_at=now)  # its last words: the event before may have been passed over
            store.drop(gone, meta.get("resourceVersion", ""))
            self._wake(gone)
            return
        asked_at = self._started_at if event["type"] is None else now
        key = store.offer(dict(body), asked_at=asked_at)
        if key is not None:
            self._wake(key)


def _settings() -> kopf.OperatorSettings:
    """Settings for a watcher that never writes; times in seconds."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True
    # kopf decodes a chunk in one piece and gives every object a task that lives on: small chunks, short lives.
    settings.watching.chunk_size = 100
    settings.queueing.idle_timeout = 0.2
    settings.watching.server_timeout = 300
    settings.execution.max_workers = 4
    # After the last one kopf gives up and the replica ends: an API server may well be away for minutes.
    settings.networking.error_backoffs = (1, 2, 4, 8, *(10,) * 60)
    settings.process.ultimate_exiting_timeout = 25
    return settings

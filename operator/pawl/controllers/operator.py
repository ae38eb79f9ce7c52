"""One replica of the operator: starts its parts in order and stops them in the reverse order.

Health, metrics and the warm cache run always; the queue's workers run while this replica holds the Lease. On SIGTERM
the workers end first, then the Lease is released, so that another replica goes on within its retry period.
Neighbours: `replica` builds the parts, `term` leads. Not here: decisions.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from pawl.api.errors import ClusterError, Forbidden, NotFound
from pawl.controllers.health import HealthServer, flag_check, lag_check
from pawl.controllers.registrystore import KIND as REGISTRY
from pawl.controllers.replica import Replica
from pawl.controllers.resync import Resync
from pawl.controllers.tasks import run_until
from pawl.controllers.term import Term

PATIENCE: Final = 10.0
"""Seconds between two looks whether the CRD is there."""
AGAIN: Final = 2.0
"""Seconds until an API server that was away is asked again: a new CRD is refused for a moment (429), and a replica that
stands by must not miss ten seconds for it."""

log = structlog.get_logger(__name__)


class Leading(Protocol):
    """One term of leadership."""

    def run(self) -> Awaitable[None]:
        """Work until cancelled."""
        ...


class Operator:
    """One replica. Use one object for one `run`. `term` makes what it does while it leads."""

    def __init__(self, replica: Replica, term: Callable[[Replica, int], Leading] = Term) -> None:
        self._replica = replica
        self._terms = term
        self._resyncs = list(replica.resyncs)

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set. Raises LeaseLost, or what ended a part that must not end."""
        replica = self._replica
        catch_signals(stop)
        async with AsyncExitStack() as stack:
            for close in (replica.cluster.close, replica.registry.aclose, replica.hub.aclose, replica.recorder.close):
                stack.push_async_callback(close)
            await self._serve(stack)
            await run_until(stop, replica.lag.run(), self._gate(), self._work(stop))

    async def _gate(self) -> None:
        """Serve what the gate needs: on every replica, leading or not."""
        await self._replica.gate.serve(self._replica.metrics.webhook_review)

    async def _serve(self, stack: AsyncExitStack) -> None:
        replica = self._replica
        health = HealthServer(replica.metrics.registry)
        stack.push_async_callback(health.close)
        dead = "the watch misses events; restart this replica"
        health.add_live(lag_check(replica.lag), flag_check("watch", self._watch_lives, dead))
        starting = "policies and overrides are not all read yet; are the CRDs installed and readable?"
        health.add_ready(flag_check("policies", self._replica.complete.is_set, starting))
        health.add_ready(flag_check("webhook", replica.gate.ready, "the webhook is needed and does not answer yet"))
        port = await health.start(replica.settings.host, replica.settings.port)
        log.info("listening", host=replica.settings.host, port=port, identity=replica.identity)

    async def _work(self, stop: asyncio.Event) -> None:
        """Watch, and lead when it is our turn. The watch ends last: ending, kopf cancels every task younger than it."""
        await self._crds_are_served()
        watching, unwatch = asyncio.Event(), asyncio.Event()
        watch = asyncio.create_task(self._replica.watch.run(watching, unwatch))
        try:
            await run_until(watching, _must_not_end(watch))
            catch_signals(stop)
            await self._lead(stop, watch)
        finally:
            unwatch.set()
            await asyncio.wait({watch}, timeout=self._replica.settings.lease.stop)

    async def _lead(self, stop: asyncio.Event, watch: asyncio.Task[None]) -> None:
        replica = self._replica
        resyncs = (resync.run(replica.settings.resync) for resync in self._resyncs)
        await run_until(stop, replica.elector.run(self._term), *resyncs, self._sync(), _must_not_end(watch))

    def _watch_lives(self) -> bool:
        return not any(resync.watch_is_dead for resync in self._resyncs)

    async def _term(self, number: int) -> None:
        await self._terms(self._replica, number).run()

    async def _sync(self) -> None:
        """Wait until the stores have every object that exists; then this replica is ready."""
        await asyncio.gather(*(resync.until_complete() for resync in self._resyncs))
        self._replica.complete.set()
        log.info("ready", policies=len(self._replica.store))

    async def _crds_are_served(self) -> None:
        """Wait until policies can be listed, saying every ten seconds what is missing; go on without other kinds."""
        policies, *others = self._resyncs
        while (missing := await _missing(policies)) is not None:
            log.warning(missing.what, error=missing.error, fix="pawl crds | kubectl apply -f -")
            await asyncio.sleep(PATIENCE)
        await asyncio.gather(*(self._or_leave_out(resync) for resync in others))

    async def _or_leave_out(self, resync: Resync) -> None:
        """Leave a kind out that is not served or may not be read; an API server that is away says nothing of it."""
        while (missing := await _missing(resync)) is not None and missing.transient:
            log.warning(missing.what, error=missing.error)
            await asyncio.sleep(AGAIN)
        if missing is not None:
            store = self._replica.registries if resync.kind == REGISTRY else self._replica.overrides
            what = "RegistryStorage" if resync.kind == REGISTRY else "override"
            fix = f"apply CRDs and rights, then restart this replica; no {what} is worked on until then"
            log.warning("left out", kind=resync.kind, reason=missing.what, error=missing.error, fix=fix)
            self._resyncs.remove(resync)
            self._replica.watch.leave_out(resync.kind)
            store.blind = True


@dataclass(frozen=True, slots=True)
class _Missing:
    what: str
    error: str
    transient: bool = False


async def _missing(resync: Resync) -> _Missing | None:
    """Say what keeps a kind from being listed, None if it can be."""
    try:
        await resync.probe()
    except NotFound as error:
        return _Missing("CRD missing", str(error))
    except Forbidden as error:
        return _Missing("right missing", str(error))
    except ClusterError as error:
        return _Missing("API server does not answer", str(error), transient=True)
    return None


async def _must_not_end(watch: asyncio.Task[None]) -> None:
    """Raise as soon as the watch ends: a replica without a watch is blind."""
    await asyncio.wait({watch})
    watch.result()
    raise ClusterError("the watch of policies ended by itself; this replica must be restarted")


def catch_signals(stop: asyncio.Event) -> None:
    """Let SIGTERM and SIGINT set `stop`. Called again once kopf runs, which takes the signals for itself."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

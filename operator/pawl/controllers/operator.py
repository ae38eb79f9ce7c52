"""One replica of the operator: starts its parts in order and stops them in the reverse order.

Health, metrics and the warm cache run always; the queue's workers run while this replica holds the Lease. On SIGTERM
the workers end first, then the Lease is released, so that another replica goes on within its retry period.
Neighbours: `replica` builds the parts, `term` leads. Not here: decisions.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack
from typing import Final

import structlog

from pawl.api.errors import ClusterError, Forbidden, NotFound
from pawl.controllers.health import HealthServer, flag_check, lag_check
from pawl.controllers.replica import Replica
from pawl.controllers.tasks import run_until
from pawl.controllers.term import Term

PATIENCE: Final = 10.0
"""Seconds between two looks whether the CRD is there."""

log = structlog.get_logger(__name__)


class Operator:
    """One replica. Use one object for one `run`."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

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
        await self._replica.gate.serve()

    async def _serve(self, stack: AsyncExitStack) -> None:
        replica = self._replica
        health = HealthServer(replica.metrics.registry)
        stack.push_async_callback(health.close)
        dead = "the watch misses events; restart this replica"
        health.add_live(lag_check(replica.lag), flag_check("watch", self._watch_lives, dead))
        starting = "policies and overrides are not all read yet; are the CRDs installed and readable?"
        health.add_ready(flag_check("policies", self._replica.complete.is_set, starting))
        port = await health.start(replica.settings.host, replica.settings.port)
        log.info("listening", host=replica.settings.host, port=port, identity=replica.identity)

    async def _work(self, stop: asyncio.Event) -> None:
        """Watch, and lead when it is our turn. The watch ends last: ending, kopf cancels every task younger than it."""
        await self._crd_is_served()
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
        resyncs = (resync.run(replica.settings.resync) for resync in replica.resyncs)
        await run_until(stop, replica.elector.run(self._term), *resyncs, self._sync(), _must_not_end(watch))

    def _watch_lives(self) -> bool:
        return not any(resync.watch_is_dead for resync in self._replica.resyncs)

    async def _term(self, number: int) -> None:
        await Term(self._replica, number).run()

    async def _sync(self) -> None:
        """Wait until the stores have every object that exists; then this replica is ready."""
        await asyncio.gather(*(resync.until_complete() for resync in self._replica.resyncs))
        self._replica.complete.set()
        log.info("ready", policies=len(self._replica.store))

    async def _crd_is_served(self) -> None:
        """Wait for the CRD and the right to list it; say every ten seconds what is missing."""
        while True:
            try:
                for resync in self._replica.resyncs:
                    await resync.probe()
            except NotFound as error:
                log.warning("CRD missing", error=str(error), fix="pawl crds | kubectl apply -f -")
            except Forbidden as error:
                log.warning("right missing", error=str(error))
            except ClusterError as error:
                log.warning("API server does not answer", error=str(error))
            else:
                return
            await asyncio.sleep(PATIENCE)


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

"""A last term for overrides alone, in the process of the command: what a leader would do, where none lives.

It stands for election on Pawl's own Lease, so a replica that comes up meanwhile does not work beside it. Where Pawl's
namespace is gone, the Lease is another one: nothing is made in a namespace that somebody deleted.
Neighbours: `uninstall` waits, `controllers.overrideterm` works. Not here: policies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from pawl.api.errors import ClusterError, LeaseLost
from pawl.cli.run_gate import GatePlace, ReplicaGate
from pawl.cluster.lease import Candidate, Elector
from pawl.cluster.resources import LEASES
from pawl.controllers.logs import LogSettings, configure
from pawl.controllers.operator import Operator
from pawl.controllers.overrideterm import OverrideTerm
from pawl.controllers.replica import Replica, build
from pawl.controllers.settings import Settings

ELSEWHERE: Final = ("default", "pawl-uninstall")
"""Namespace and name of the Lease where Pawl's namespace is gone."""


@dataclass(frozen=True, slots=True)
class LastPlace:
    """Where the last term runs. `stands`: Pawl's namespace is there."""

    kubeconfig: str | None
    namespace: str
    stands: bool
    namespaces: tuple[str, ...] = ()


class LastTerm:
    """Works on overrides alone."""

    def __init__(self, replica: Replica, number: int) -> None:
        self._replica = replica
        self._number = number

    async def run(self) -> None:
        """Work until cancelled."""
        await OverrideTerm(self._replica, self._guard).run()

    def _guard(self) -> int:
        if not self._replica.elector.valid():
            raise LeaseLost("the Lease is not surely held; this process writes nothing more")
        return self._number


async def work_until(place: LastPlace, over: Callable[[], Awaitable[None]]) -> None:
    """Work on overrides until `over` returns. Raises what ends an operator, and TimeoutError from outside."""
    configure(LogSettings(level="warning"))
    settings = Settings(namespace=place.namespace, kubeconfig=place.kubeconfig, watch_namespaces=place.namespaces)
    gate = GatePlace(place.namespace, watched=place.namespaces)
    replica = await build(settings, lambda cluster: ReplicaGate(cluster, gate))
    if not place.stands:
        elector = Elector(replica.cluster, Candidate(*ELSEWHERE, replica.identity), settings.lease)
        replica = replace(replica, elector=elector)
    stop = asyncio.Event()
    working = asyncio.create_task(Operator(replica, LastTerm).run(stop))
    waiting = asyncio.ensure_future(over())
    try:
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.set()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await working
    if not place.stands:
        await _tidy(place)


async def _tidy(place: LastPlace) -> None:
    from pawl.cluster.client import Cluster

    async with await Cluster.connect(place.kubeconfig) as cluster:
        with suppress(ClusterError):
            await cluster.delete(LEASES, *ELSEWHERE)

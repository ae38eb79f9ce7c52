"""Whether the gate rewrites what the tables say: asked before anything is rolled, remembered per table version.

A rollout behind a gate that does not rewrite would only restart Pods. Neighbours: `admission` is the gate and is handed
in by the command line, since neither room imports the other. Not here: tables.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from pawl.api.errors import ClusterError, Forbidden
from pawl.api.imagerules import Table
from pawl.api.reasons import Reason
from pawl.cluster.client import Cluster
from pawl.cluster.ruletables import StoredTable

RECHECK: Final = 60.0
"""Seconds for which an answer about the gate as a whole is believed."""
PATIENCE: Final = 5.0
"""Seconds in which the API server's own cache of tables must have caught up with a table that was just written."""
POLL: Final = 0.1

log = structlog.get_logger(__name__)


class Gate(Protocol):
    """What the admission room offers."""

    def kind(self) -> Awaitable[str]:
        """Return what rewrites Pods in this cluster: MutatingAdmissionPolicy, Webhook, or "" for nothing."""
        ...

    def apply(self) -> Awaitable[None]:
        """Make the static objects of the gate what they should be; writes nothing where they are."""
        ...

    def probe(self, namespace: str, table: Table) -> Awaitable[str | None]:
        """Return None if a Pod in a namespace comes back as the table says, else a sentence."""
        ...

    def serve(self) -> Awaitable[None]:
        """Run what the gate needs on every replica, until cancelled; return where it needs nothing."""
        ...


class NoGate:
    """Stands where no gate was handed in: nothing rewrites."""

    async def kind(self) -> str:
        """Return nothing."""
        return ""

    async def apply(self) -> None:
        """Do nothing."""

    async def probe(self, namespace: str, table: Table) -> str | None:  # noqa: ARG002
        """Say that nothing rewrites."""
        return "no gate is at work"

    async def serve(self) -> None:
        """Need nothing."""


def no_gate(_cluster: Cluster) -> Gate:
    """Return the gate of a replica that has none."""
    return NoGate()


@dataclass(frozen=True, slots=True)
class GateFault:
    """Why the gate cannot be relied on."""

    reason: Reason
    message: str


class GateKeeper:
    """Asks the gate, and remembers what it said."""

    def __init__(
        self, gate: Gate, *, manage: bool, clock: Callable[[], float], now: Callable[[], float] = time.time
    ) -> None:
        self._gate = gate
        self._now = now
        self._manage = manage
        self._clock = clock
        self._kind = ""
        self._asking = asyncio.Lock()
        self._asked_at = float("-inf")
        self._proved: dict[str, str] = {}
        self._failed: dict[str, str] = {}
        self._lost: set[str] = set()
        self._back: dict[str, float] = {}

    def back_since(self, namespace: str) -> float:
        """Return when the gate was proved again after a fault, in seconds since the epoch; 0 if it never had one."""
        return self._back.get(namespace, 0.0)

    async def kind(self) -> str:
        """Return what rewrites Pods, "" for nothing. Raises ClusterError."""
        async with self._asking:
            if not self._kind or self._clock() - self._asked_at > RECHECK:
                if self._manage:
                    await self._gate.apply()
                self._kind = await self._gate.kind()
                self._asked_at = self._clock()
            return self._kind

    async def fault(self, namespace: str, stored: StoredTable) -> GateFault | None:
        """Return why Pods of a namespace would not be rewritten by a stored table, None if they are.

        Waits a little for the API server's cache, once a table. Raises ClusterError where it cannot be asked.
        """
        if stored.table is None:
            return None
        proof = f"{stored.uid}/{stored.version}"
        if not await self._still(namespace, proof):
            self._lost |= {namespace, *self._proved}
            self._proved.clear()
            text = "nothing rewrites Pods in this cluster; apply `pawl gate`, or run with --manage-gate"
            return GateFault(Reason.GATE_MISSING, text)
        if self._proved.get(namespace) == proof:
            return None
        fault = await self._probed(namespace, stored.table, 0.0 if self._failed.get(namespace) == proof else PATIENCE)
        if fault is not None:
            self._failed[namespace] = proof
            self._lost.add(namespace)
            return fault
        self._failed.pop(namespace, None)
        if namespace in self._lost:
            self._lost.discard(namespace)
            self._back[namespace] = self._now()
        self._proved[namespace] = proof
        return None

    async def _still(self, namespace: str, proof: str) -> str:
        """Return what rewrites Pods; where that cannot be asked, a table that was proved stays so."""
        try:
            return await self.kind()
        except ClusterError:
            if self._proved.get(namespace) != proof:
                raise
            return self._kind or "unknown"

    async def _probed(self, namespace: str, table: Table, patience: float) -> GateFault | None:
        end = self._clock() + patience
        while True:
            try:
                said = await self._gate.probe(namespace, table)
            except Forbidden as error:
                return GateFault(Reason.MISSING_RIGHT, str(error))
            except ClusterError as error:
                said = str(error)
            if said is None:
                return None
            if self._clock() >= end:
                log.warning("gate does not rewrite", namespace=namespace, answer=said)
                return GateFault(Reason.GATE_NOT_REWRITING, f"namespace {namespace}: {said}")
            await asyncio.sleep(POLL)

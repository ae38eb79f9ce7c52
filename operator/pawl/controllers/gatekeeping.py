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
from pawl.decide.gatechoice import POLICY, UNKNOWN, WEBHOOK, GateChoice

RECHECK: Final = 60.0
"""Seconds for which an answer about the gate as a whole is believed."""
PATIENCE: Final = 5.0
"""Seconds in which the API server's own cache of tables must have caught up with a table that was just written."""
POLL: Final = 0.1
SOON: Final = 5.0
"""Seconds until a gate that is not there is looked for again."""

log = structlog.get_logger(__name__)


Count = Callable[[str, float], None]
"""Called once a review of the webhook, with what came of it and the seconds that it took."""


class Gate(Protocol):
    """What the admission room offers."""

    def keep(self, *, manage: bool) -> Awaitable[GateChoice]:
        """Make the gate what it should be and say what rewrites Pods; writes nothing where it is. Raises ClusterError.

        With `manage` its objects are made and deleted as well.
        """
        ...

    def probe(self, namespace: str, table: Table) -> Awaitable[str | None]:
        """Return None if a Pod in a namespace comes back as the table says, else a sentence."""
        ...

    def serve(self, count: Count) -> Awaitable[None]:
        """Run what the gate needs on every replica, until cancelled; return where it needs nothing."""
        ...

    def ready(self) -> bool:
        """Whether what is to be served is served."""
        ...


class NoGate:
    """Stands where no gate was handed in: nothing rewrites."""

    async def keep(self, *, manage: bool) -> GateChoice:  # noqa: ARG002
        """Say that nothing rewrites."""
        return GateChoice("", way_out="this replica has no gate")

    async def probe(self, namespace: str, table: Table) -> str | None:  # noqa: ARG002
        """Say that nothing rewrites."""
        return "no gate is at work"

    async def serve(self, count: Count) -> None:
        """Need nothing."""

    def ready(self) -> bool:
        """Have nothing to wait for."""
        return True


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
        self,
        gate: Gate,
        *,
        manage: bool,
        clock: Callable[[], float],
        now: Callable[[], float] = time.time,
        recheck: float = RECHECK,
    ) -> None:
        self._gate = gate
        self._now = now
        self._manage = manage
        self._clock = clock
        self._recheck = recheck
        self._choice = GateChoice("")
        self._asking = asyncio.Lock()
        self._asked_at = float("-inf")
        self._proved: dict[str, str] = {}
        self._failed: dict[str, str] = {}
        self._lost: set[str] = set()
        self._back: dict[str, float] = {}

    def back_since(self, namespace: str) -> float:
        """Return when the gate was proved again after a fault, in seconds since the epoch; 0 if it never had one."""
        return self._back.get(namespace, 0.0)

    async def run(self, changed: Callable[[], None]) -> None:
        """Ask again and again until cancelled, and tell when the gate is another one than before."""
        before: str | None = None
        while True:
            try:
                kind = await self.kind()
            except ClusterError as error:
                log.warning("the gate could not be asked about", error=str(error))
            else:
                if before is not None and kind != before:
                    log.info("another gate", before=before or "none", gate=kind or "none")
                    changed()
                before = kind
            await asyncio.sleep(self._recheck if before else min(self._recheck, SOON))

    async def kind(self) -> str:
        """Return what rewrites Pods, "" for nothing. Raises ClusterError."""
        async with self._asking:
            if not self._choice.kind or self._clock() - self._asked_at >= self._recheck:
                choice = await self._gate.keep(manage=self._manage)
                if choice.kind != self._choice.kind:
                    self._prove_anew(choice.kind)
                self._choice, self._asked_at = choice, self._clock()
            return self._choice.kind

    def _prove_anew(self, kind: str) -> None:
        """Believe no proof of another gate. Only the webhook gives way without a gap; else Pods may have passed."""
        if (self._choice.kind, kind) != (WEBHOOK, POLICY):
            self._lost |= set(self._proved)
        self._proved.clear()

    async def fault(self, namespace: str, stored: StoredTable) -> GateFault | None:
        """Return why Pods of a namespace would not be rewritten by a stored table, None if they are.

        Waits a little for the API server's cache, once a table. Raises ClusterError where it cannot be asked.
        """
        if stored.table is None:
            return None
        proof = f"{stored.uid}/{stored.version}"
        if not await self._still(namespace, proof):
            self._lost.add(namespace)
            return GateFault(Reason.GATE_MISSING, f"nothing rewrites Pods in this cluster: {self._choice.way_out}")
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
            return self._choice.kind or UNKNOWN

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

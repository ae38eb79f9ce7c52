"""One term of leadership: the workers, with a memory that begins empty and is thrown away with the Lease.

Neighbours: `operator` starts it when the Lease is won. Not here: election, watching.
"""

from __future__ import annotations

import asyncio

import structlog

from pawl.api.errors import ClusterError, LeaseLost
from pawl.cluster.ledgers import LedgerStore
from pawl.cluster.secrets import SecretReader
from pawl.controllers.access import AccessReader
from pawl.controllers.answers import Answers
from pawl.controllers.gather import Gatherer
from pawl.controllers.imagepolicy import ImagePolicyController, Parts
from pawl.controllers.ledgerbook import LedgerBook
from pawl.controllers.ledgersweep import LedgerSweep
from pawl.controllers.live import LiveImages
from pawl.controllers.loop import Loop
from pawl.controllers.overrideterm import OverrideTerm
from pawl.controllers.registryterm import RegistryTerm
from pawl.controllers.replica import Replica
from pawl.controllers.report import Reporter
from pawl.controllers.tasks import run_until

log = structlog.get_logger(__name__)


class Term:
    """The work of a leader."""

    def __init__(self, replica: Replica, number: int) -> None:
        self._replica = replica
        self._number = number

    async def run(self) -> None:
        """Work on every policy until cancelled."""
        replica, ledgers = self._replica, LedgerStore(self._replica.cluster)
        book = LedgerBook(ledgers)
        await self._fill(book)
        loop = Loop(replica.queue, self._controller(book), replica.metrics)
        sweep = LedgerSweep(ledgers, self._existing, self._guard, replica.settings.watch_namespaces)
        for key in replica.store:
            replica.queue.add(key)
        others = (OverrideTerm(replica, self._guard).run(), RegistryTerm(replica, self._guard).run())
        await run_until(asyncio.Event(), replica.queue.run(loop.work), sweep.run(), *others)

    async def _fill(self, book: LedgerBook) -> None:
        """Read the ledgers in one go; where that fails, each is read when it is needed."""
        try:
            await book.fill(self._replica.settings.watch_namespaces or (None,))
        except ClusterError as error:
            log.warning("ledgers could not be listed", error=str(error))

    def _controller(self, book: LedgerBook) -> ImagePolicyController:
        replica = self._replica
        clock = asyncio.get_running_loop().time
        live = LiveImages(replica.cluster, Answers(clock))
        gatherer = Gatherer(
            replica.registry, replica.hub, AccessReader(SecretReader(replica.cluster)), live.read, Answers(clock)
        )
        reporter = Reporter(replica.cluster, book, replica.store, replica.recorder, self._guard)
        who = f"{replica.identity}#{self._number}"
        return ImagePolicyController(
            Parts(replica.cluster, replica.store, book, gatherer, reporter, replica.tally, who)
        )

    def _guard(self) -> int:
        """Return the term if the Lease is surely ours. Raises LeaseLost otherwise."""
        if not self._replica.elector.valid():
            raise LeaseLost("the Lease is not surely held; this replica writes nothing more")
        return self._number

    def _existing(self) -> set[tuple[str, str]]:
        return {(key.namespace, key.name) for key in self._replica.store}

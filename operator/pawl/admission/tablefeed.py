"""The tables by which the webhook answers: compiled as they change, looked up without waiting.

Neighbours: `cluster.ruletables` follows the stored tables, `admission.review` asks. Not here: writing tables.
"""

from __future__ import annotations

from collections.abc import Sequence

from pawl.api.errors import Stalled
from pawl.api.imagerules import ClusterTable
from pawl.cluster.client import Cluster
from pawl.cluster.ruletables import CLUSTER, RuleTables
from pawl.decide.tables import CompiledTable


class TableFeed:
    """Compiled tables by namespace, kept by watches of its own. `namespaces`: the only ones that have any."""

    def __init__(self, cluster: Cluster, namespaces: Sequence[str] = ()) -> None:
        self._tables = RuleTables(cluster, namespaces, clustered=not namespaces, on_change=self._changed)
        self._compiled: dict[str, CompiledTable] = {}
        self._own: frozenset[str] = frozenset()

    @property
    def ready(self) -> bool:
        """Whether all tables were listed once; before that the webhook changes nothing."""
        return self._tables.synced

    async def until_ready(self) -> None:
        """Return once all tables were listed."""
        await self._tables.until_synced()

    async def run(self) -> None:
        """Follow the tables until cancelled."""
        await self._tables.run()

    def lookup(self, namespace: str) -> CompiledTable | None:
        """Return the table that holds in a namespace: its own, else the cluster's unless that leaves it out."""
        own = self._compiled.get(namespace)
        if own is not None or namespace in self._own:
            return own
        return self._compiled.get(CLUSTER)

    def _changed(self, namespace: str) -> None:
        stored = self._tables.tables.get(namespace)
        table = None if stored is None else stored.table
        if namespace == CLUSTER:
            self._own = frozenset(table.own) if isinstance(table, ClusterTable) else frozenset()
        try:
            compiled = None if table is None else CompiledTable.of(table)
        except Stalled:
            compiled = None  # a pattern of another version of Pawl; nothing is better than a guess
        if compiled is None:
            self._compiled.pop(namespace, None)
        else:
            self._compiled[namespace] = compiled

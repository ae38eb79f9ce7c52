"""Compiled tables, made once: equal tables of many namespaces share one, and one that did not change stays as it was.

Judgements are remembered by the table that they rest on, so a table that is compiled anew costs all of them.
Neighbours: `decide.tables` compiles, `imagerules` asks. Not here: stored tables.
"""

from __future__ import annotations

from collections.abc import Mapping

from pawl.api.imagerules import Table
from pawl.decide.tables import CompiledTable


class Compilations:
    """Compiled tables by namespace: one for all that are equal, and one that did not change stays as it was."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Table, CompiledTable]] = {}

    def of(self, tables: Mapping[str, Table]) -> dict[str, CompiledTable]:
        """Return the compiled form of each table."""
        fresh: dict[int, CompiledTable] = {}
        for namespace, table in tables.items():
            if id(table) not in fresh:
                known = self._known.get(namespace)
                same = known is not None and (known[0] is table or known[0] == table)
                fresh[id(table)] = known[1] if known is not None and same else CompiledTable.of(table)
        self._known = {namespace: (table, fresh[id(table)]) for namespace, table in tables.items()}
        return {namespace: fresh[id(table)] for namespace, table in tables.items()}

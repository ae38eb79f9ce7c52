"""Stored tables that stay as they are while an override in them waits: for approval, or to be mended.

Neighbours: `imagerules` says who waits and who ends. Not here: writing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet

from pawl.api.imagerules import Entry, Table
from pawl.cluster.ruletables import StoredTable


def kept_tables(
    stored: Mapping[str, StoredTable], waiting: AbstractSet[str], alive: AbstractSet[str]
) -> Iterator[tuple[str, Table]]:
    """Yield the tables with entries of overrides that wait, without those of overrides that end."""
    for name, found in stored.items():
        table = found.table
        if table is None or not waiting & (there := overrides_in(table)):
            continue
        yield name, table if there <= alive else without(table, there - alive)


def without(table: Table, gone: AbstractSet[str]) -> Table:
    """Return a table without the entries of some overrides."""
    kept = {
        name: {source: left for source, entries in rules.items() if (left := _left(entries, gone))}
        for name, rules in (("mandatory", table.mandatory), ("rules", table.rules))
    }
    return table.model_copy(update=kept)


def _left(entries: Iterable[Entry], gone: AbstractSet[str]) -> list[Entry]:
    return [entry for entry in entries if entry.override not in gone]


def overrides_in(table: Table) -> frozenset[str]:
    """Return the overrides that a table has entries of."""
    lists = (*table.mandatory.values(), *table.rules.values())
    return frozenset(entry.override for entries in lists for entry in entries)

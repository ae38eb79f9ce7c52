"""One RegistryStorage in full: what is said of it, how full it is, what moves and what was collected. Pure.

Neighbours: `table_registry` shows many in a line each. Not here: the cluster.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pawl.api.meta import Condition
from pawl.api.reasons import ConditionType
from pawl.api.registrystorage import RegistryStorage
from pawl.api.registrystorage_status import CollectionStatus, MigrationStatus
from pawl.cli.status_print import grid, head, rows, section
from pawl.cli.table_policies import NONE, age
from pawl.cli.table_registry import SeenRegistry, UnreadableRegistry, moved, ready_text, registry_table, used
from pawl.cli.units import size

_BAD_WHEN_TRUE = frozenset({ConditionType.STALLED, ConditionType.PRESSURE, ConditionType.SOURCE_CORRUPT})


def registry_detail(seen: SeenRegistry, now: datetime) -> RenderableType:
    """Return the view of one registry at a moment."""
    if isinstance(seen, UnreadableRegistry):
        return registry_table([seen])
    meta = seen.metadata
    title = Text.assemble((f"RegistryStorage {meta.namespace}/{meta.name}", "bold"), "  ready: ", ready_text(seen))
    parts: list[RenderableType] = [title, section(_grid(_facts(seen)))]
    status = seen.status
    if status.migration is not None:
        parts += [head("Migration"), section(_grid(_migration(status.migration, now)))]
    if status.collection is not None:
        parts += [head("Collection"), section(_grid(_collection(status.collection, now)))]
    if status.usage is not None and status.usage.largest:
        parts += [head("Largest repositories"), section(_largest(seen))]
    if status.conditions:
        parts += [head("Conditions"), section(_conditions(status.conditions, now))]
    return Group(*parts)


def _grid(pairs: Iterator[tuple[str, str]]) -> Table:
    made = grid(2)
    for name, value in pairs:
        made.add_row(Text(name, "dim"), Text(value))
    return made


def _facts(seen: RegistryStorage) -> Iterator[tuple[str, str]]:
    status = seen.status
    yield "phase", status.phase or NONE
    yield "address", status.address or NONE
    if status.anonymous_address:
        yield "anonymous pulls", status.anonymous_address
    yield "store", status.store.label if status.store else NONE
    if status.held is not None:
        yield "held", f"{status.held.label}: the store before, kept for going back"
    yield "used", used(seen)
    if status.usage is not None:
        yield "holds", f"{status.usage.repositories} repositories, {status.usage.tags} tags, {status.usage.blobs} blobs"
    if status.freeze is not None:
        until = f", at the latest until {status.freeze.thaw_by:%H:%M:%SZ}" if status.freeze.thaw_by else ""
        yield "read-only", f"for {status.freeze.reason}{until}"


def _migration(found: MigrationStatus, now: datetime) -> Iterator[tuple[str, str]]:
    yield "id", found.id
    yield "from", found.source.label
    yield "to", found.target.label
    yield "progress", moved(found)
    yield "objects", f"{found.objects_done} of {found.objects}"
    yield "started", f"{age(found.started_at, now)} ago"
    if found.hold_until is not None and found.hold_until > now:
        yield "old store", f"kept for {age(now, found.hold_until)} more"
    for number, each in enumerate(found.quarantine):
        yield "" if number else "corrupt", each
    if found.message:
        yield "says", found.message


def _collection(found: CollectionStatus, now: datetime) -> Iterator[tuple[str, str]]:
    yield "phase", f"{found.phase.value}, by {found.cause}, began {age(found.started_at, now)} ago"
    yield "plan", f"{found.delete_tags} of {found.tags} tags go, {size(found.delete_bytes)}"
    if found.reasons:
        yield "reasons", ", ".join(f"{count} {reason}" for reason, count in sorted(found.reasons.items()))
    if found.finished_at is not None:
        yield "freed", f"{size(found.freed_bytes)}, {age(found.finished_at, now)} ago"
    if found.message:
        yield "says", found.message


def _largest(seen: RegistryStorage) -> Table:
    made = rows("REPOSITORY", "BYTES", "TAGS")
    for each in seen.status.usage.largest if seen.status.usage else ():
        made.add_row(Text(each.name), Text(size(each.bytes)), Text(str(each.tags)))
    return made


def _conditions(conditions: list[Condition], now: datetime) -> Table:
    made = rows("CONDITION", "STATUS", "REASON", "SINCE", "MESSAGE")
    made.columns[-1].overflow = "fold"
    for said in conditions:
        bad = said.status == ("True" if said.type in _BAD_WHEN_TRUE else "False")
        cells = (said.type, Text(said.status, "red" if bad else ""), said.reason, age(said.last_transition_time, now))
        made.add_row(*cells, Text(said.message))
    return made

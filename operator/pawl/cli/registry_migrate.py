"""`pawl registry migrate --plan`: what a move to another store would take, and whether it may begin.

Nothing is written. Exit codes: 0 it may begin, 3 it may not, 1 where a store or cluster is away, 2 bad input.
Neighbours: `jobs.preflight` looks, `registry_place` finds the stores. Not here: the move, which a changed
`spec.storage` begins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pawl.api.errors import InputError
from pawl.api.registrystorage import RegistryStorage
from pawl.api.registrywork import Place
from pawl.cli.registry_place import S3Options, Where, live, opened, place_of, s3_options, target
from pawl.cli.status_print import grid, head, note, print_content, print_document, rows, section
from pawl.cli.table_registry import moved, moving
from pawl.cli.units import rate, size, span

if TYPE_CHECKING:
    from pawl.jobs.preflight import Preflight

MIB: Final = 1024 * 1024
RATES: Final = (50 * MIB, 100 * MIB, 200 * MIB, 500 * MIB)
"""Bytes a second: a hard disk or 1 Gbit/s network, an SSD in the cloud, a local one."""


@click.command()
@click.argument("name", required=False)
@click.option("--plan", is_flag=True, help="Look only. A move itself is asked for by spec.storage.")
@click.option("--from", "source", default=None, metavar="DIR|s3://..", help="The store that is served now.")
@click.option("--to", "goal", default=None, metavar="DIR|s3://..", help="The store that is to be.")
@s3_options
@click.option("--to-endpoint", default=None, metavar="URL", help="Of --to, where it is not that of --from.")
@click.option("--to-credentials", default=None, metavar="DIR", help="Of --to, where they are not those of --from.")
@click.option("--rate", "mib", default=None, type=click.IntRange(1), metavar="MIB", help="MiB a second to reckon with.")
@click.option("-n", "--namespace", default=None, metavar="NS", help="Of NAME. Default: that of the context.")
@click.option("--kubeconfig", default=None, envvar="PAWL_KUBECONFIG", metavar="FILE", help="For NAME.")
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True)
def migrate(
    name: str | None,
    plan: bool,  # noqa: FBT001 - an option, named by click
    source: str | None,
    goal: str | None,
    to_endpoint: str | None,
    to_credentials: str | None,
    mib: int | None,
    namespace: str | None,
    kubeconfig: str | None,
    output: str,
    **said: Any,  # noqa: ANN401 - what `s3_options` adds
) -> int:
    """Show what would be moved, how long it takes at which rate, and whether it fits. Nothing is written.

    By NAME what is known of a RegistryStorage is shown: its store, and a move that is under way.
    """
    if not plan:
        raise InputError(
            "a move begins when spec.storage of a RegistryStorage changes; --plan shows what it would take"
        )
    rates = (mib * MIB,) if mib else RATES
    if name:
        if source or goal:
            raise InputError("by NAME the stores are those of the cluster: leave out --from and --to")
        where = Where(None, None, name, namespace, kubeconfig, S3Options())
        return _show_live(asyncio.run(live(where)), rates, output)
    if not source or not goal:
        raise InputError("say from where and to where: --from and --to, or NAME of a RegistryStorage")
    options = S3Options(**said)
    endpoint = options.endpoint if to_endpoint is None else to_endpoint
    credentials = options.credentials if to_credentials is None else to_credentials
    other = replace(options, endpoint=endpoint, credentials=credentials)
    places = place_of(source, options), place_of(goal, other)
    found = asyncio.run(_look(*places))
    if output == "table":
        print_content(_table(found, places, rates))
    else:
        print_document(_document(found, rates), output)
    return 3 if found.reason else 0


async def _look(source: Place, goal: Place) -> Preflight:
    from pawl.cli.registry_progress import reading
    from pawl.jobs.preflight import preflight

    async with opened(source) as one, target(goal) as other:
        with reading(one.label):
            return await preflight(one, other)


def _table(found: Preflight, places: tuple[Place, Place], rates: tuple[int, ...]) -> RenderableType:
    facts = grid(2)
    for name, value in _facts(found):
        facts.add_row(Text(name, "dim"), Text(value))
    source, goal = (place.path or f"s3://{place.bucket}/{place.root_directory}" for place in places)
    verdict = Text(found.verdict, "red" if found.reason else "green")
    times = [head("How long"), section(_times(found.bytes, rates))]
    return Group(Text(f"{source} -> {goal}", "bold"), section(facts), *times, Text(""), verdict)


def _facts(found: Preflight) -> Iterator[tuple[str, str]]:
    blobs = found.objects - found.links
    yield "moves", f"{size(found.bytes)} in {blobs} blobs, the largest {size(found.largest)}, and {found.links} links"
    room = found.room
    yield "room", f"{size(room.free)} free of {size(room.capacity)}" if room.capacity else "without bound"
    if room.inodes:
        yield "inodes", f"{room.inodes_free:,} free of {room.inodes:,}"
    if found.links_at_fault.count:
        yield "broken links", f"{found.links_at_fault.count} stay behind: {found.links_at_fault}"
    if found.schema1.count:
        yield "schema 1", f"{found.schema1.count} manifests: {found.schema1}"


def _times(count: int, rates: tuple[int, ...]) -> Table:
    """How long the bytes take; pulls go on all the while, and pushes until the last of it."""
    table = rows("AT", "TAKES")
    for each in rates:
        table.add_row(Text(rate(each)), Text(span(count / each)))
    return table


def _document(found: Preflight, rates: tuple[int, ...]) -> dict[str, Any]:
    return {
        "objects": found.objects,
        "bytes": found.bytes,
        "largest": found.largest,
        "links": found.links,
        "linksAtFault": found.links_at_fault.count,
        "schema1": found.schema1.count,
        "capacity": found.room.capacity,
        "free": found.room.free,
        "reason": str(found.reason) if found.reason else None,
        "verdict": found.verdict,
        "seconds": {str(each): int(found.bytes / each) for each in rates},
    }


def _show_live(registry: RegistryStorage, rates: tuple[int, ...], output: str) -> int:
    status = registry.status
    if output != "table":
        print_document(status.migration.wire() if status.migration else None, output)
        return 0
    meta, under_way = registry.metadata, moving(registry)
    label = status.store.label if status.store else "no store yet"
    parts: list[RenderableType] = [Text(f"{meta.namespace}/{meta.name}: {label}", "bold")]
    if under_way:
        parts.append(Text(f"  moves to {under_way.target.label}: {moved(under_way)}"))
    elif status.usage:
        parts += [
            Text(f"  holds {size(status.usage.bytes)}"),
            head("How long"),
            section(_times(status.usage.bytes, rates)),
        ]
    print_content(Group(*parts))
    if not under_way:
        note("change spec.storage to move it; room and faults are looked at before the first byte")
    return 0

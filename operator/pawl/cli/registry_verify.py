"""`pawl registry verify`: walk from every tag to every byte, and name what is missing, broken or not what it says.

Exit codes: 0 whole, 3 faults found, 1 where the store or cluster is away, 2 bad input. Neighbours: `jobs.verify`
walks, `registry_place` finds the store. Not here: repair.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from rich.console import Group, RenderableType
from rich.text import Text

from pawl.api.registrystorage import RegistryStorage
from pawl.api.registrywork import Place
from pawl.cli.registry_place import live, opened, where_of, where_options
from pawl.cli.status_print import grid, note, print_content, print_document, rows, section
from pawl.cli.units import size

if TYPE_CHECKING:
    from pawl.jobs.verify import Findings


@click.command()
@where_options
@click.option("--deep", is_flag=True, help="Read and hash every blob as well: as long as the store takes to be read.")
@click.option("--most", default=100, show_default=True, type=click.IntRange(1), help="Faults in the table.")
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True)
def verify(deep: bool, most: int, output: str, **said: Any) -> int:  # noqa: ANN401, FBT001
    """Prove that a registry is whole.

    Every link must hold the digest of its path, every tag stand for a manifest, and all that a manifest refers to be
    there in its size; with --deep also byte for byte. A store that is pushed to meanwhile may show faults that are
    none a moment later. By NAME what the last proofs in the cluster found is shown.
    """
    where = where_of(said)
    place = where.place
    if place is None:
        return _show_live(asyncio.run(live(where)), output)
    found = asyncio.run(_walk(place, deep=deep))
    if output == "table":
        print_content(_table(found, most))
    else:
        print_document({"ok": found.ok, **asdict(found)}, output)
    return 0 if found.ok else 3


async def _walk(place: Place, *, deep: bool) -> Findings:
    from pawl.cli.registry_progress import moving
    from pawl.jobs.verify import walk

    async with opened(place) as store:
        with moving("hashing" if deep else "walking") as advance:
            return await walk(store, deep, advance)


def _table(found: Findings, most: int) -> RenderableType:
    facts = grid(2)
    counts = f"{found.repositories} repositories, {found.tags} tags, {found.manifests} manifests, {found.blobs} blobs"
    facts.add_row(Text("walked", "dim"), Text(f"{counts}, {size(found.bytes)}"))
    facts.add_row(Text("bytes", "dim"), Text("every blob was hashed" if found.deep else "not read; --deep reads them"))
    if found.unreferenced:
        facts.add_row(Text("unused", "dim"), Text(f"{size(found.unreferenced)} that no manifest refers to"))
    if found.uploads:
        facts.add_row(Text("uploads", "dim"), Text(f"{found.uploads} begun and not ended"))
    if found.ok:
        return Group(Text("whole", "bold green"), section(facts))
    table = rows("WHERE", "FAULT")
    table.columns[0].overflow = table.columns[1].overflow = "fold"
    for sentence in found.broken[:most]:
        where, _, fault = sentence.partition(": ")
        table.add_row(Text(where), Text(fault, "red"))
    more = len(found.broken) - most
    rest = [Text(f"  and {more} more; --most {len(found.broken)} shows all", "dim")] if more > 0 else []
    title = Text(f"{len(found.broken)} faults", "bold red")
    advice = Text("Push what is broken again, or delete its tags; a copy of the bytes elsewhere can be put back.")
    return Group(title, section(facts), Text(""), section(table), *rest, Text(""), advice)


def _show_live(registry: RegistryStorage, output: str) -> int:
    """Show what a registry's own proofs say: the operator reads stores through its Jobs only."""
    kinds = ("Migrated", "Collected", "SourceCorrupt", "PushProved", "PullProved")
    said = [each for each in registry.status.conditions if each.type in kinds]
    bad = [each for each in said if each.status == ("True" if each.type == "SourceCorrupt" else "False")]
    if output != "table":
        print_document([each.wire() for each in said], output)
        return 3 if bad else 0
    table = rows("PROOF", "STATUS", "REASON", "MESSAGE")
    table.columns[-1].overflow = "fold"
    for each in said:
        table.add_row(each.type, Text(each.status, "red" if each in bad else ""), each.reason, Text(each.message))
    print_content(table)
    note("these are the proofs of the cluster; to walk the store itself use --path or --s3 where it can be read")
    return 3 if bad else 0

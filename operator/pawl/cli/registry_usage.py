"""`pawl registry usage`: bytes, repositories, tags, uploads that nobody goes on with, and room that is left.

Exit codes: 0, 1 where the store or cluster is away, 2 bad input. Neighbours: `jobs.inventory` reads, `registry_place`
finds the store. Not here: what would be deleted (`registry_plan`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
from rich.console import Group, RenderableType
from rich.text import Text

from pawl.api.registrystorage import RegistryStorage
from pawl.api.registrystorage_status import Usage
from pawl.api.registrywork import Place
from pawl.cli.registry_place import live, opened, where_of, where_options
from pawl.cli.status_print import grid, head, print_content, print_document, rows, section
from pawl.cli.units import percent, size

if TYPE_CHECKING:
    from pawl.jobs.inventory import Inventory


@dataclass(frozen=True, slots=True)
class Repository:
    """One repository. `bytes` are of all its blobs; `alone` of those that no other repository has."""

    name: str
    bytes: int
    alone: int
    tags: int
    manifests: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What a store holds."""

    store: str
    bytes: int
    blobs: int
    tags: int
    uploads: int
    upload_bytes: int
    capacity: int
    free: int
    repositories: tuple[Repository, ...]

    @property
    def document(self) -> dict[str, Any]:
        """What scripts read."""
        return {
            "store": self.store,
            "bytes": self.bytes,
            "blobs": self.blobs,
            "tags": self.tags,
            "uploads": self.uploads,
            "uploadBytes": self.upload_bytes,
            "capacity": self.capacity,
            "free": self.free,
            "repositories": [
                {"name": each.name, "bytes": each.bytes, "alone": each.alone, "tags": each.tags}
                | {"manifests": each.manifests}
                for each in self.repositories
            ],
        }


@click.command()
@where_options
@click.option("--top", default=20, show_default=True, type=click.IntRange(1), help="Repositories in the table.")
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True)
def usage(top: int, output: str, **said: Any) -> int:  # noqa: ANN401 - what `where_options` adds
    """Show how full a registry is and which repositories are large.

    BYTES counts all blobs of a repository, also those it shares; ALONE what would go with it. By NAME the figures of
    the status are shown, which move by whole percents.
    """
    where = where_of(said)
    place = where.place
    if place is None:
        _show_live(asyncio.run(live(where)), output)
        return 0
    seen = asyncio.run(look(place))
    if output == "table":
        print_content(_table(seen, top))
    else:
        print_document(seen.document, output)
    return 0


async def look(place: Place) -> Seen:
    """Count what a store holds. Raises InputError and StoreError."""
    from pawl.cli.registry_progress import reading
    from pawl.jobs.inventory import list_inventory

    async with opened(place) as store:
        with reading(store.label):
            inventory = await list_inventory(store)
        space = await store.space()
        return Seen(
            store=store.label,
            bytes=inventory.bytes,
            blobs=len(inventory.blobs),
            tags=inventory.tags,
            uploads=len(inventory.uploads),
            upload_bytes=sum(upload.size for upload in inventory.uploads.values()),
            capacity=space.capacity,
            free=space.free,
            repositories=tuple(sorted(_repositories(inventory), key=lambda each: (-each.bytes, each.name))),
        )


def _repositories(inventory: Inventory) -> Iterator[Repository]:
    own = {name: held.layers | held.revisions.keys() for name, held in inventory.repositories.items()}
    holders = Counter(digest for digests in own.values() for digest in digests)
    for name, held in inventory.repositories.items():
        sizes = {digest: inventory.blobs.get(digest, 0) for digest in own[name]}
        alone = sum(count for digest, count in sizes.items() if holders[digest] <= 1)
        yield Repository(name, sum(sizes.values()), alone, len(held.tags), len(held.revisions))


def _table(seen: Seen, top: int) -> RenderableType:
    facts = grid(2)
    for name, value in _facts(seen):
        facts.add_row(Text(name, "dim"), Text(value))
    table = rows("REPOSITORY", "BYTES", "ALONE", "TAGS", "MANIFESTS")
    for each in seen.repositories[:top]:
        cells = (each.name, size(each.bytes), size(each.alone), str(each.tags), str(each.manifests))
        table.add_row(*map(Text, cells))
    more = len(seen.repositories) - top
    rest = [Text(f"  and {more} smaller ones; --top {len(seen.repositories)} shows all", "dim")] if more > 0 else []
    return Group(Text(seen.store, "bold"), section(facts), head("Repositories"), section(table), *rest)


def _facts(seen: Seen) -> list[tuple[str, str]]:
    count = len(seen.repositories)
    facts = [("holds", f"{size(seen.bytes)} in {seen.blobs} blobs, {count} repositories, {seen.tags} tags")]
    if seen.uploads:
        facts.append(("uploads", f"{seen.uploads} begun and not ended, {size(seen.upload_bytes)}"))
    if seen.capacity:
        full = percent(seen.capacity - seen.free, seen.capacity)
        facts.append(("room", f"{size(seen.free)} free of {size(seen.capacity)}, {full} % full"))
    return facts


def _show_live(registry: RegistryStorage, output: str) -> None:
    usage_now = registry.status.usage or Usage()
    store = registry.status.store.label if registry.status.store else ""
    if output != "table":
        print_document({"store": store, **usage_now.wire()}, output)
        return
    from pawl.cli.table_registry import used

    table = rows("REPOSITORY", "BYTES", "TAGS")
    for each in usage_now.largest:
        table.add_row(Text(each.name), Text(size(each.bytes)), Text(str(each.tags)))
    holds = f"{used(registry)}, {usage_now.blobs} blobs, {usage_now.repositories} repositories, {usage_now.tags} tags"
    print_content(Group(Text(store or "no store yet", "bold"), Text(f"  {holds}"), head("Largest"), section(table)))

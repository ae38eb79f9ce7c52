"""`pawl registry plan-gc`: what a collection would delete and keep, tag by tag with the reason. Nothing is deleted.

Exit codes: 0, 1 where store or cluster is away, 2 bad input, 3 where the plan is refused: a cap, or a store that is
broken. Neighbours: `jobs.collectplan` judges, `registry_place` finds the store. Not here: deletion.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import click
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pawl.api.errors import InputError, Stalled
from pawl.api.registrystorage import RegistryStorage
from pawl.api.registrystorage_spec import Collection, RegistryStorageSpec, RetentionRule
from pawl.api.registrywork import Order, Place, Plan, TagVerdict, Task, Use
from pawl.cli.inputs import read_bytes, read_objects, validate
from pawl.cli.registry_place import live, opened, where_of, where_options
from pawl.cli.status_print import head, note, print_content, print_document, rows, section
from pawl.cli.units import percent, size

_USES_BYTES: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Rules:
    """By what is judged."""

    retention: list[RetentionRule]
    collection: Collection
    uses: list[Use]


@click.command("plan-gc")
@where_options
@click.option("-f", "--file", default=None, metavar="FILE", help="RegistryStorage whose rules are tried; -: stdin.")
@click.option("--uses", default=None, metavar="FILE", help="Images that stay: a reference a line, as repository:tag.")
@click.option("--keep-last", default=None, type=click.IntRange(0), help="Without -f: keep so many tags of each.")
@click.option("--older-than", default=None, metavar="SPAN", help="Without -f: delete tags pushed before, as in 720h.")
@click.option("--deleted", is_flag=True, help="Show only what would go.")
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True)
def plan_gc(
    file: str | None,
    uses: str | None,
    keep_last: int | None,
    older_than: str | None,
    deleted: bool,  # noqa: FBT001 - an option, named by click
    output: str,
    **said: Any,  # noqa: ANN401 - what `where_options` adds
) -> int:
    """Show each tag with what would become of it and why.

    What runs in a cluster is not known offline: name it with --uses, or its images count as unused. By NAME the plan
    of the last collection is shown.
    """
    where = where_of(said)
    place = where.place
    if place is None:
        if file or uses or keep_last is not None or older_than:
            raise InputError("by NAME the rules of the cluster hold: leave out -f, --uses and rules of your own")
        return _show_live(asyncio.run(live(where)), output)
    rules = _rules(file, uses, keep_last, older_than)
    try:
        found = asyncio.run(_plan(place, rules))
    except Stalled as error:
        raise InputError(f"{file}: {error.message}") from error
    if not uses:
        note("what a cluster runs is not known here: an image in use counts as unused unless --uses names it")
    verdicts = [verdict for verdict in found.verdicts if not (deleted and verdict.keep)]
    if output == "table":
        print_content(_table(found, verdicts))
    else:
        print_document(found.model_copy(update={"verdicts": verdicts}).wire(), output)
    return 3 if found.refused else 0


async def _plan(place: Place, rules: Rules) -> Plan:
    from pawl.cli.registry_progress import reading
    from pawl.jobs.collectplan import plan_of
    from pawl.jobs.inventory import read_inventory

    order = Order(
        task=Task.PREPARE,
        id="plan",
        retention=rules.retention,
        collection=rules.collection,
        uses=rules.uses,
        now=datetime.now(UTC),
    )
    async with opened(place) as store:
        with reading(store.label):
            inventory = await read_inventory(store, by_etag=True)
    return plan_of(inventory, order)


def _rules(file: str | None, uses: str | None, keep_last: int | None, older_than: str | None) -> Rules:
    """Read the rules of a file, or make one for all repositories. Raises InputError."""
    used = _uses(uses) if uses else []
    if file is not None:
        if keep_last is not None or older_than:
            raise InputError("-f brings its own rules: leave out --keep-last and --older-than")
        spec = _spec(file)
        return Rules(spec.retention, spec.collection, used)
    if keep_last is None and not older_than:
        return Rules([], Collection(), used)
    fields: dict[str, object] = {"repositories": ["**"], "keepLast": keep_last, "keepYoungerThan": older_than}
    given = {key: value for key, value in fields.items() if value is not None}
    return Rules([validate(RetentionRule, given, "--keep-last, --older-than")], Collection(), used)


def _spec(file: str) -> RegistryStorageSpec:
    documents = [each for each in read_objects(file) if each.get("kind") == "RegistryStorage"]
    if len(documents) != 1:
        raise InputError(f"{file} holds {len(documents)} RegistryStorages where one is expected")
    return validate(RegistryStorage, {"metadata": {"name": "main"}, **documents[0]}, file).spec


def _uses(file: str) -> list[Use]:
    """Read references, one a line: repository:tag, repository@digest, with a host or without; after a # is a note."""
    try:
        lines = read_bytes(file, _USES_BYTES).decode().splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not UTF-8 text") from error
    texts = ((number, line.split("#")[0].strip()) for number, line in enumerate(lines, 1))
    return [use for number, text in texts if text for use in _use(text, file, number)]


def _use(text: str, file: str, number: int) -> Iterator[Use]:
    """Yield what a reference means: what looks like a host may be the beginning of a repository, so both stay."""
    rest, _, digest = text.partition("@")
    repository, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag:
        repository, tag = rest, ""
    if not repository or (not tag and not digest):
        raise InputError(f"{file}, line {number}: {text[:80]} names no tag and no digest: write repository:tag")
    first, _, below = repository.partition("/")
    for name in (
        (repository, below) if below and ("." in first or ":" in first or first == "localhost") else (repository,)
    ):
        yield Use(repository=name, tag=tag, digest=digest, by=f"{file}, line {number}")


def _table(found: Plan, verdicts: Sequence[TagVerdict]) -> RenderableType:
    table = rows("REPOSITORY", "TAG", "", "REASON", "BY")
    for each in verdicts:
        word = Text("keep", "green") if each.keep else Text("delete", "red")
        table.add_row(Text(each.repository), Text(each.tag), word, Text(each.reason), Text(each.by))
    parts: list[RenderableType] = [table, Text("")] if verdicts else []
    parts.append(Text(_sum(found), "bold"))
    reasons = rows("REASON", "TAGS")
    for reason, count in sorted(found.reasons.items(), key=lambda pair: (-pair[1], pair[0])):
        reasons.add_row(Text(reason), Text(str(count)))
    parts += [head("Reasons"), section(reasons)] if reasons.row_count else []
    refused = [Text(""), Text(f"refused: {found.refused}", "red")] if found.refused else []
    return Group(*parts, *refused)


def _sum(found: Plan) -> str:
    share = percent(found.delete_bytes, found.total_bytes) if found.total_bytes else 0
    return (
        f"{found.delete_tags} of {found.tags} tags and {found.delete_manifests} manifests would go, "
        f"{size(found.delete_bytes)} of {size(found.total_bytes)} ({share} %)"
    )


def _show_live(registry: RegistryStorage, output: str) -> int:
    found = registry.status.collection
    if output != "table":
        print_document(found.wire() if found else None, output)
        return 0
    meta = registry.metadata
    if found is None:
        note(f"{meta.namespace}/{meta.name} was not collected yet: see spec.collection.schedule, or annotate it")
        return 0
    table: Table = rows("REPOSITORY", "TAG", "REASON")
    for each in found.sample:
        table.add_row(Text(each.repository), Text(each.tag), Text(each.reason))
    share = f"{found.delete_tags} of {found.tags} tags, {size(found.delete_bytes)}"
    title = f"{meta.namespace}/{meta.name}: {found.phase.value} since {found.started_at:%Y-%m-%d %H:%M:%SZ}: {share}"
    sample = [head("The first that go"), section(table)] if table.row_count else []
    print_content(Group(Text(title, "bold"), *sample, *([Text(found.message)] if found.message else [])))
    return 0

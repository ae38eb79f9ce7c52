"""`pawl plan`: what overrides would do in the live cluster, whole; also one from a file that is not applied yet.

It reads the cluster once and writes nothing; no registry is asked without --preflight. Exit codes: 0 (also where there
is something to do: read `steps`), 1 the cluster cannot be read, 2 bad input or no such override. Neighbours:
`plan_live` judges, `plan_preflight` looks at registries, `plan_table` shows. Not here: carrying it out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import click
from rich.text import Text

from pawl.api.errors import InputError
from pawl.api.imageoverride import ClusterImageOverride, ImageOverride, Override
from pawl.cli.inputs import read_objects, validate
from pawl.cli.plan_live import Ground, Planned, planned, standing_of
from pawl.cli.plan_preflight import preflight, registries, words
from pawl.cli.plan_table import plan_document, plan_view
from pawl.cli.status_live import Live, readable
from pawl.cli.status_place import current_namespace
from pawl.cli.status_print import note, print_content, print_document
from pawl.cli.table_override import UnreadableOverride, place_of
from pawl.cluster.client import Cluster
from pawl.controllers.overridestore import key_of, label_of
from pawl.decide.objects import SYSTEM_NAMESPACES

_SHORT: Final = {"iov": "ImageOverride", "ciov": "ClusterImageOverride"}


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for. `namespace` is that of NAME; `given` are overrides from files."""

    name: str
    namespace: str
    given: tuple[Override, ...]
    preflight: bool
    plain_http: str
    operator: str

    def concerns(self, override: Override) -> bool:
        """Whether a live override is asked for: by name, or all that hold in the namespace."""
        kind, _, name = self.name.rpartition("/")
        kinds = {kind.lower(), _SHORT.get(kind.lower(), kind).lower()} - {""}
        if self.given or (kinds and override.kind.lower() not in kinds):
            return False
        return override.metadata.namespace in ("", self.namespace) and name in ("", override.metadata.name)


@click.command()
@click.argument("name", required=False, metavar="[[KIND/]NAME]")
@click.option("-f", "--file", "sources", multiple=True, metavar="FILE|-", help="Overrides that are not applied yet.")
@click.option("-n", "--namespace", default=None, metavar="NS", help="Default: that of the kubeconfig's context.")
@click.option("--preflight", "look", is_flag=True, help="Look at targets in their registries, with the Pods' Secrets.")
@click.option("--plain-http-hosts", default="", metavar="H,..", help="For --preflight: host:port without TLS.")
@click.option("--operator-namespace", default="pawl-system", show_default=True, metavar="NS", help="Where Pawl runs.")
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True)
@click.option("--kubeconfig", default=None, envvar="PAWL_KUBECONFIG", metavar="FILE", help="Default: KUBECONFIG.")
def plan(
    name: str | None,
    sources: tuple[str, ...],
    namespace: str | None,
    look: bool,  # noqa: FBT001 - an option, named by click
    plain_http_hosts: str,
    operator_namespace: str,
    output: str,
    kubeconfig: str | None,
) -> int:
    """Show what overrides would do: every step, and what is left alone.

    Without NAME and -f: all overrides of the namespace and of the cluster. KIND is iov or ciov, where both have a name.
    """
    if name and sources:
        raise InputError("give a NAME of a live override or -f, not both")
    where = namespace or current_namespace(kubeconfig)
    given = tuple(override for source in sources for override in read_overrides(source, where))
    wish = Wish(name or "", where, given, look, plain_http_hosts, operator_namespace)
    found, notes = asyncio.run(_look(kubeconfig, wish))
    for line in notes:
        note(line)
    single = len(found) == 1 and bool(name or sources)
    if output != "table":
        documents = [plan_document(each) for each in found]
        print_document(documents[0] if single else documents, output)
        return 0
    for at, each in enumerate(found):
        if at:
            print_content(Text())
        print_content(plan_view(each))
    if not found:
        click.echo(f"no override holds in namespace {where}", err=True)
    return 0


def read_overrides(source: str, namespace: str) -> list[Override]:
    """Read the overrides of a file; an ImageOverride without a namespace gets this one. Raises InputError."""
    found: list[Override] = []
    for document in read_objects(source):
        kind, meta = document.get("kind"), document.get("metadata")
        if kind == "ImageOverride":
            placed = {"namespace": namespace, **meta} if isinstance(meta, dict) else meta
            found.append(validate(ImageOverride, {**document, "metadata": placed}, source))
        elif kind == "ClusterImageOverride":
            found.append(validate(ClusterImageOverride, document, source))
        else:
            raise InputError(f"{source}: {kind or 'an object without kind'} is no override; -f takes overrides only")
    if not found:
        raise InputError(f"{source} holds no ImageOverride and no ClusterImageOverride")
    return found


def merged(live: Iterable[Override], given: Sequence[Override], now: datetime) -> tuple[Override, ...]:
    """Put overrides from files among the live ones: in the place of their namesakes, or as the youngest."""
    known = {key_of(override): override for override in live}
    for override in given:
        before = known.get(key_of(override))
        created = before.metadata.creation_timestamp if before else now.strftime("%Y-%m-%dT%H:%M:%SZ")
        changes: dict[str, object] = {"creation_timestamp": created, "deletion_timestamp": None}
        if before is not None:
            changes |= {"uid": before.metadata.uid, "generation": before.metadata.generation + 1}
        known[key_of(override)] = _with_metadata(override, changes)
    return tuple(known.values())


def _with_metadata(override: Override, changes: dict[str, object]) -> Override:
    return override.model_copy(update={"metadata": override.metadata.model_copy(update=changes)})


async def _look(kubeconfig: str | None, wish: Wish) -> tuple[list[Planned], list[str]]:
    async with await Cluster.connect(kubeconfig) as cluster:
        live = Live(cluster)
        ground = await _ground(live, wish)
        keys = {key_of(override) for override in wish.given}
        asked = [each for each in ground.overrides if key_of(each) in keys or wish.concerns(each)]
        standing, seen = standing_of(ground), None
        if wish.preflight:
            async with registries(cluster, words(wish.plain_http), wish.operator) as asking:
                seen = await preflight(asking, ground, standing, asked)
            standing = standing_of(ground, seen)
        found = [await planned(override, ground, standing, seen) for override in sorted(asked, key=label_of)]
        return found, live.notes


async def _ground(live: Live, wish: Wish) -> Ground:
    """Read the cluster; where only overrides of one namespace are asked for, nothing beyond that namespace."""
    seen = await live.overrides(wish.namespace)
    for each in seen:
        if isinstance(each, UnreadableOverride):
            live.notes.append(f"{each.kind} {'/'.join(filter(None, place_of(each)))} cannot be read: {each.fault}")
    mine = (*wish.given, *(each for each in readable(seen) if wish.concerns(each)))
    if wish.name and not mine:
        place = f"in namespace {wish.namespace}, and no cluster-wide one"
        raise InputError(f"no override {wish.name} {place}; `pawl status -A` lists all")
    spaces = {override.metadata.namespace for override in mine}
    scope = next(iter(spaces)) if len(spaces) == 1 and "" not in spaces else None
    overrides = readable(seen if scope == wish.namespace else await live.overrides(scope))
    now = time.time()
    return Ground(
        live.cluster,
        await live.world((scope,) if scope else ()),
        merged(overrides, wish.given, datetime.fromtimestamp(now, UTC)),
        await live.policies(scope),
        await live.tables(scope),
        SYSTEM_NAMESPACES | {wish.operator},
        now,
    )

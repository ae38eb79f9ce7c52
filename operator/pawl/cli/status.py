"""`pawl status`: the gate, the policies and overrides of a live cluster, what holds each, and what to do next.

Exit codes: 0, or 1 with --check where one is not Ready. Neighbours: `table_policies`, `table_override` and their
details render, `status_live` reads. Not here: decisions; what is shown is what the operator wrote.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import click
import msgspec
from rich.console import RenderableType
from rich.text import Text

from pawl.api.errors import Forbidden, InputError, NotFound
from pawl.cli.status_gate import gate_line
from pawl.cli.status_live import Live
from pawl.cli.status_place import current_namespace
from pawl.cli.status_print import note, print_content, print_document
from pawl.cli.table_detail import detail
from pawl.cli.table_override import (
    SeenOverride,
    override_document,
    override_table,
    read_override,
    ready_override,
)
from pawl.cli.table_override_detail import override_detail
from pawl.cli.table_policies import Seen, Unreadable, document, read, ready, table
from pawl.cluster.client import Cluster
from pawl.cluster.resources import CLUSTER_IMAGE_OVERRIDES, IMAGE_OVERRIDES, IMAGE_POLICIES, Resource

_KINDS: Final = {
    "imagepolicy": IMAGE_POLICIES,
    "ipol": IMAGE_POLICIES,
    "imageoverride": IMAGE_OVERRIDES,
    "iov": IMAGE_OVERRIDES,
    "clusterimageoverride": CLUSTER_IMAGE_OVERRIDES,
    "ciov": CLUSTER_IMAGE_OVERRIDES,
}


@dataclass(slots=True)
class Found:
    """What is shown: the gate, policies, then overrides. `notes`: what could not be seen, in sentences."""

    gate: str = ""
    policies: list[Seen] = field(default_factory=list)
    overrides: list[SeenOverride] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def documents(self) -> list[dict[str, Any]]:
        """What scripts read of each, policies first."""
        return [*map(document, self.policies), *map(override_document, self.overrides)]

    @property
    def all_ready(self) -> bool:
        """Whether each is Ready."""
        return {"True"} >= {*map(ready, self.policies), *map(ready_override, self.overrides)}


@click.command()
@click.argument("name", required=False, metavar="[[KIND/]NAME]")
@click.option("-n", "--namespace", default=None, metavar="NS", help="Default: that of the kubeconfig's context.")
@click.option("-A", "--all-namespaces", "everywhere", is_flag=True, help="Policies and overrides of all namespaces.")
@click.option(
    "-o", "--output", type=click.Choice(["table", "wide", "json", "yaml"]), default="table", show_default=True
)
@click.option("--check", is_flag=True, help="Exit 1 where a policy or an override is not Ready.")
@click.option("--kubeconfig", default=None, envvar="PAWL_KUBECONFIG", metavar="FILE", help="Default: KUBECONFIG.")
def status(
    name: str | None,
    namespace: str | None,
    everywhere: bool,  # noqa: FBT001 - an option, named by click
    output: str,
    check: bool,  # noqa: FBT001
    kubeconfig: str | None,
) -> int:
    """Show policies and overrides and what holds them; with NAME, all about one.

    Overrides of the whole cluster are shown for every namespace. KIND is ipol, iov or ciov, where one name has many.
    """
    if everywhere and (name or namespace):
        raise InputError("-A shows all namespaces: leave out the name and -n")
    where = None if everywhere else namespace or current_namespace(kubeconfig)
    found = asyncio.run(_read(kubeconfig, where, name))
    for line in found.notes:
        note(line)
    if output in {"json", "yaml"}:
        documents = found.documents
        print_document(documents[0] if name and len(documents) == 1 else documents, output)
        return int(check and not found.all_ready)
    print_content(Text(f"gate: {found.gate}"))
    if not found.documents:
        place = "the cluster" if where is None else f"namespace {where}; -A looks in all"
        click.echo(f"no ImagePolicy and no override in {place}", err=True)
    else:
        for content in _rendered(found, single=name is not None, wide=output == "wide"):
            click.echo()
            print_content(content)
    return int(check and not found.all_ready)


async def _read(kubeconfig: str | None, namespace: str | None, name: str | None) -> Found:
    async with await Cluster.connect(kubeconfig) as cluster:
        found = await (_all(cluster, namespace) if name is None else _named(cluster, namespace, name))
        found.gate = await gate_line(cluster, found.overrides)
        return found


async def _all(cluster: Cluster, namespace: str | None) -> Found:
    pages = [page async for page in cluster.list_pages(IMAGE_POLICIES, namespace)]
    found = Found(policies=[read(item) for page in pages for item in msgspec.json.decode(page)["items"] or ()])
    live = Live(cluster)
    try:
        found.overrides = await live.overrides(namespace)
    except Forbidden as error:
        live.notes.append(f"overrides are not shown: {error}")
    found.notes = live.notes
    return found


async def _named(cluster: Cluster, namespace: str | None, name: str) -> Found:
    """Read all objects of a name, or the one of a kind. Raises NotFound where there is none, InputError."""
    kind, slash, bare = name.rpartition("/")
    if slash and kind.lower() not in _KINDS:
        raise InputError(f"{name}: {kind} is no kind of Pawl; write ipol/{bare}, iov/{bare} or ciov/{bare}")
    kinds = (_KINDS[kind.lower()],) if slash else tuple(dict.fromkeys(_KINDS.values()))
    found, missing = Found(), list[NotFound | Forbidden]()
    async for resource, body in _each(cluster, kinds, (namespace, bare), missing):
        if resource is IMAGE_POLICIES:
            found.policies.append(read(body))
        else:
            found.overrides.append(
                read_override(body, "ImageOverride" if resource.namespaced else "ClusterImageOverride")
            )
    if not found.documents:
        raise missing[0]
    return found


async def _each(
    cluster: Cluster,
    kinds: Sequence[Resource],
    place: tuple[str | None, str],
    missing: list[NotFound | Forbidden],
) -> AsyncIterator[tuple[Resource, dict[str, Any]]]:
    namespace, name = place
    for resource in kinds:
        try:
            raw = await cluster.get(resource, namespace if resource.namespaced else None, name)
        except (NotFound, Forbidden) as error:
            missing.append(error)
            continue
        yield resource, msgspec.json.decode(raw)


def _rendered(found: Found, *, single: bool, wide: bool) -> list[RenderableType]:
    now = datetime.now(UTC)
    if single:
        policies = [
            table([each], now, wide=wide) if isinstance(each, Unreadable) else detail(each, now)
            for each in found.policies
        ]
        return [*policies, *(override_detail(each, now) for each in found.overrides)]
    parts: list[RenderableType] = [table(found.policies, now, wide=wide)] if found.policies else []
    return [*parts, override_table(found.overrides, wide=wide)] if found.overrides else parts

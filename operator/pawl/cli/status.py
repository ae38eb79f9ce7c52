"""`pawl status`: gate, policies, overrides and registries of a live cluster, what holds each, and what to do next.

Exit codes: 0, or 1 with --check where one is not Ready. Neighbours: `table_policies`, `table_override`,
`table_registry` and their details render, `status_live` reads, `status_watch` draws anew. Not here: decisions; what is
shown is what the operator wrote.
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
from pawl.cli.table_registry import (
    SeenRegistry,
    read_registry,
    ready_registry,
    registry_document,
    registry_table,
)
from pawl.cli.table_registry_detail import registry_detail
from pawl.cluster.client import Cluster
from pawl.cluster.resources import (
    CLUSTER_IMAGE_OVERRIDES,
    IMAGE_OVERRIDES,
    IMAGE_POLICIES,
    REGISTRY_STORAGES,
    Resource,
)

_KINDS: Final = {
    "imagepolicy": IMAGE_POLICIES,
    "ipol": IMAGE_POLICIES,
    "imageoverride": IMAGE_OVERRIDES,
    "iov": IMAGE_OVERRIDES,
    "clusterimageoverride": CLUSTER_IMAGE_OVERRIDES,
    "ciov": CLUSTER_IMAGE_OVERRIDES,
    "registrystorage": REGISTRY_STORAGES,
    "rgs": REGISTRY_STORAGES,
}


@dataclass(slots=True)
class Found:
    """What is shown: the gate, policies, overrides, registries. `notes`: what could not be seen, in sentences."""

    gate: str = ""
    policies: list[Seen] = field(default_factory=list)
    overrides: list[SeenOverride] = field(default_factory=list)
    registries: list[SeenRegistry] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def documents(self) -> list[dict[str, Any]]:
        """What scripts read of each, policies first."""
        seen = [*map(document, self.policies), *map(override_document, self.overrides)]
        return [*seen, *map(registry_document, self.registries)]

    @property
    def all_ready(self) -> bool:
        """Whether each is Ready."""
        others = {*map(ready_override, self.overrides), *map(ready_registry, self.registries)}
        return {"True"} >= {*map(ready, self.policies), *others}


@click.command()
@click.argument("name", required=False, metavar="[[KIND/]NAME]")
@click.option("-n", "--namespace", default=None, metavar="NS", help="Default: that of the kubeconfig's context.")
@click.option("-A", "--all-namespaces", "everywhere", is_flag=True, help="What is in all namespaces.")
@click.option(
    "-o", "--output", type=click.Choice(["table", "wide", "json", "yaml"]), default="table", show_default=True
)
@click.option("--check", is_flag=True, help="Exit 1 where one is not Ready.")
@click.option("-w", "--watch", "watching", is_flag=True, help="Draw anew every 2 s, moves of registries as bars.")
@click.option("--kubeconfig", default=None, envvar="PAWL_KUBECONFIG", metavar="FILE", help="Default: KUBECONFIG.")
def status(
    name: str | None,
    namespace: str | None,
    everywhere: bool,  # noqa: FBT001 - an option, named by click
    output: str,
    check: bool,  # noqa: FBT001
    watching: bool,  # noqa: FBT001
    kubeconfig: str | None,
) -> int:
    """Show policies, overrides and registries and what holds them; with NAME, all about one.

    Overrides of the whole cluster are shown for every namespace. KIND is ipol, iov, ciov or rgs, where one name has
    many.
    """
    if everywhere and (name or namespace):
        raise InputError("-A shows all namespaces: leave out the name and -n")
    where = None if everywhere else namespace or current_namespace(kubeconfig)
    if watching:
        return _watched(kubeconfig, where, name, plain=output in {"table", "wide"} and not check)
    found = asyncio.run(_read(kubeconfig, where, name))
    for line in found.notes:
        note(line)
    if output in {"json", "yaml"}:
        documents = found.documents
        print_document(documents[0] if name and len(documents) == 1 else documents, output)
        return int(check and not found.all_ready)
    if not found.documents:
        print_content(Text(f"gate: {found.gate}"))
        place = "the cluster" if where is None else f"namespace {where}; -A looks in all"
        click.echo(f"no ImagePolicy, no override and no RegistryStorage in {place}", err=True)
    else:
        _print(found, single=name is not None, wide=output == "wide")
    return int(check and not found.all_ready)


def _print(found: Found, *, single: bool, wide: bool) -> None:
    print_content(Text(f"gate: {found.gate}"))
    for content in _rendered(found, single=single, wide=wide):
        click.echo()
        print_content(content)


def _watched(kubeconfig: str | None, where: str | None, name: str | None, *, plain: bool) -> int:
    from pawl.cli.status_watch import watch

    if not plain:
        raise InputError("--watch draws tables: leave out --check, and -o json or yaml")

    def render(found: Found) -> list[RenderableType]:
        parts = _rendered(found, single=name is not None, wide=False)
        return [Text(f"gate: {found.gate}"), *(piece for part in parts for piece in (Text(""), part))]

    async def run() -> None:
        async with await Cluster.connect(kubeconfig) as cluster:
            await watch(lambda: _looked(cluster, where, name), render)

    asyncio.run(run())
    return 0


async def _read(kubeconfig: str | None, namespace: str | None, name: str | None) -> Found:
    async with await Cluster.connect(kubeconfig) as cluster:
        return await _looked(cluster, namespace, name)


async def _looked(cluster: Cluster, namespace: str | None, name: str | None) -> Found:
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
    try:
        found.registries = await live.registries(namespace)
    except Forbidden as error:
        live.notes.append(f"registries are not shown: {error}")
    found.notes = live.notes
    return found


async def _named(cluster: Cluster, namespace: str | None, name: str) -> Found:
    """Read all objects of a name, or the one of a kind. Raises NotFound where there is none, InputError."""
    kind, slash, bare = name.rpartition("/")
    if slash and kind.lower() not in _KINDS:
        raise InputError(f"{name}: {kind} is no kind of Pawl; write ipol/{bare}, iov/{bare}, ciov/{bare} or rgs/{bare}")
    kinds = (_KINDS[kind.lower()],) if slash else tuple(dict.fromkeys(_KINDS.values()))
    found, missing = Found(), list[NotFound | Forbidden]()
    async for resource, body in _each(cluster, kinds, (namespace, bare), missing):
        if resource is IMAGE_POLICIES:
            found.policies.append(read(body))
        elif resource is REGISTRY_STORAGES:
            found.registries.append(read_registry(body))
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
        overrides = [override_detail(each, now) for each in found.overrides]
        return [*policies, *overrides, *(registry_detail(each, now) for each in found.registries)]
    parts: list[RenderableType] = [table(found.policies, now, wide=wide)] if found.policies else []
    parts += [override_table(found.overrides, wide=wide)] if found.overrides else []
    return [*parts, registry_table(found.registries)] if found.registries else parts

"""`pawl status`: the policies of a live cluster, what holds each, and what to do next.

Exit codes: 0, or 1 with --check where a policy is not Ready. Neighbours: `table_policies` and `table_detail` render,
`cluster.client` reads. Not here: decisions; what is shown is what the operator wrote.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import click
import msgspec
from rich.console import Console, RenderableType

from pawl.api.errors import InputError
from pawl.cli.status_place import current_namespace
from pawl.cli.table_detail import detail
from pawl.cli.table_policies import Seen, Unreadable, document, read, ready, table
from pawl.cluster.client import Cluster
from pawl.cluster.resources import IMAGE_POLICIES

PIPE_WIDTH = 240
"""Columns where there is no terminal: a line a policy, for grep."""


@click.command()
@click.argument("name", required=False)
@click.option("-n", "--namespace", default=None, metavar="NS", help="Default: that of the kubeconfig's context.")
@click.option("-A", "--all-namespaces", "everywhere", is_flag=True, help="Policies of all namespaces.")
@click.option(
    "-o", "--output", type=click.Choice(["table", "wide", "json", "yaml"]), default="table", show_default=True
)
@click.option("--check", is_flag=True, help="Exit 1 where a policy is not Ready.")
@click.option("--kubeconfig", default=None, envvar="PAWL_KUBECONFIG", metavar="FILE", help="Default: KUBECONFIG.")
def status(
    name: str | None,
    namespace: str | None,
    everywhere: bool,  # noqa: FBT001 - an option, named by click
    output: str,
    check: bool,  # noqa: FBT001
    kubeconfig: str | None,
) -> int:
    """Show policies and what holds them; with NAME, all about one."""
    if everywhere and (name or namespace):
        raise InputError("-A shows all namespaces: leave out the name and -n")
    where = None if everywhere else namespace or current_namespace(kubeconfig)
    policies = asyncio.run(_read(kubeconfig, where, name))
    if output in {"json", "yaml"}:
        _print_documents(policies, output, single=name is not None)
    elif not policies:
        place = "the cluster" if where is None else f"namespace {where}; -A looks in all"
        click.echo(f"no ImagePolicy in {place}", err=True)
    else:
        _print(_rendered(policies, name, wide=output == "wide"))
    return int(check and any(ready(policy) != "True" for policy in policies))


async def _read(kubeconfig: str | None, namespace: str | None, name: str | None) -> list[Seen]:
    async with await Cluster.connect(kubeconfig) as cluster:
        if name is not None:
            return [read(msgspec.json.decode(await cluster.get(IMAGE_POLICIES, namespace, name)))]
        pages = [page async for page in cluster.list_pages(IMAGE_POLICIES, namespace)]
    return [read(item) for page in pages for item in msgspec.json.decode(page)["items"]]


def _print_documents(policies: Sequence[Seen], output: str, *, single: bool) -> None:
    import yaml

    documents = [document(policy) for policy in policies]
    answer = documents[0] if single else documents
    click.echo(json.dumps(answer, indent=2) if output == "json" else yaml.safe_dump(answer, sort_keys=False).rstrip())


def _rendered(policies: Sequence[Seen], name: str | None, *, wide: bool) -> RenderableType:
    only = policies[0]
    if name is None or isinstance(only, Unreadable):
        return table(policies, datetime.now(UTC), wide=wide)
    return detail(only, datetime.now(UTC))


def _print(content: RenderableType) -> None:
    """Print with colours on a terminal, unless NO_COLOR is set; plain and unwrapped into a pipe."""
    if sys.stdout.isatty():
        Console(highlight=False).print(content)
        return
    console = Console(width=PIPE_WIDTH, highlight=False, color_system=None)
    with console.capture() as captured:
        console.print(content)
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))

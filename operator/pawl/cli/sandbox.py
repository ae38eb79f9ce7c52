"""`pawl sandbox`: a real control plane on this machine. What it does stands in `pawl.sandbox`, exit codes in `main`."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pawl.sandbox import Runtime, Status


name_option = click.option(
    "--name", default="default", show_default=True, help="Which sandbox; several run side by side."
)


@click.group
def sandbox() -> None:
    """A real Kubernetes control plane on this machine, without Docker."""


@sandbox.command()
@name_option
@click.option("--nodes", default=0, show_default=True, type=click.IntRange(0), help="Simulated nodes (KWOK).")
@click.option("--real-nodes", default=0, show_default=True, type=click.IntRange(0, 50), help="Real ones; needs root.")
@click.option("--registry/--no-registry", default=True, show_default=True, help="A registry on loopback beside it.")
@click.option("--minio", is_flag=True, help="A MinIO on loopback beside it; built the first time, two minutes.")
@click.option("--provider", type=click.Choice(["embedded", "kind"]), default="embedded", show_default=True)
def up(name: str, nodes: int, real_nodes: int, registry: bool, minio: bool, provider: str) -> None:  # noqa: FBT001 - options, named by click
    """Start a sandbox; the first time its binaries are built, which takes minutes."""
    from pawl.sandbox import SandboxOptions, terminating_cleanly
    from pawl.sandbox import up as bring_up

    with terminating_cleanly():
        options = SandboxOptions(
            name=name, nodes=nodes, real_nodes=real_nodes, registry=registry, provider=provider, minio=minio
        )
        found = bring_up(options, _runtime())
    real = f", real nodes {', '.join(node.name for node in found.real)}" if found.real else ""
    click.echo(
        f"sandbox {found.name}: API server {found.server}, registry {found.registry or 'none'}, "
        f"{found.nodes} simulated nodes{real}{f', MinIO {found.minio.endpoint}' if found.minio else ''}"
    )
    click.echo(f'use it: eval "$(pawl sandbox env --name {found.name})"')


@sandbox.command()
@name_option
@click.option("--all", "everything", is_flag=True, help="Every sandbox that is recorded.")
def down(name: str, everything: bool) -> None:  # noqa: FBT001 - an option, named by click
    """End a sandbox and remove its data. Ending one that is not there is no error."""
    from pawl.sandbox import down as take_down
    from pawl.sandbox import status as find

    runtime = _runtime()
    names = [found.name for found in find(runtime=runtime)] if everything else [name]
    if not names:
        click.echo("no sandbox is recorded")
    for each in names:
        gone = take_down(each, runtime=runtime)
        click.echo(f"sandbox {each} is down" if gone else f"sandbox {each} was not there")


@sandbox.command()
@click.option("--name", default=None, help="Only this sandbox.")
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True)
def status(name: str | None, output: str) -> None:
    """Show the recorded sandboxes and what of them lives."""
    from pawl.sandbox import status as find

    found = find(name, runtime=_runtime())
    if output == "table":
        _print_table(found)
        return
    rows = json.dumps([asdict(each) for each in found], indent=2)
    click.echo(rows if output == "json" else _as_yaml(rows), nl=output == "json")


@sandbox.command()
@name_option
def env(name: str) -> None:
    """Print `export KEY=value` lines for a shell to evaluate."""
    from pawl.sandbox import environment
    from pawl.sandbox.environment import export_lines

    for line in export_lines(environment(name, runtime=_runtime())):
        click.echo(line)


@sandbox.command()
@click.option("--real-nodes", is_flag=True, help="Also what real nodes need; as root, missing packages are installed.")
@click.option("--storage", is_flag=True, help="Also MinIO and the registry 2.8, for registries that move.")
def build(real_nodes: bool, storage: bool) -> None:  # noqa: FBT001 - options, named by click
    """Build the binaries into the cache and print their directory; `up` does it by itself when they are missing."""
    from pawl.sandbox.build import Builder, build_node_parts, build_storage_parts
    from pawl.sandbox.build import build as make

    builder = Builder(os.environ, progress=_runtime().progress)
    click.echo(make(builder))
    if storage:
        build_storage_parts(builder)
    if real_nodes and _machine_prepared():
        build_node_parts(builder)


def _machine_prepared() -> bool:
    """Install what real nodes need; where that cannot be, say why and go on: all else works."""
    from pawl.api.errors import SandboxError
    from pawl.sandbox.realnodes.machine import prepare

    runtime = _runtime()
    try:
        prepare(runtime)
    except SandboxError as error:
        runtime.progress.note(str(error))
        return False
    return True


def _runtime() -> Runtime:
    from pawl.sandbox import Runtime, for_stream

    # Progress goes to stderr, so that stdout can be piped and evaluated.
    return Runtime(progress=for_stream(sys.stderr))


def _as_yaml(rows: str) -> str:
    import yaml

    return yaml.safe_dump(json.loads(rows), sort_keys=False)


def _print_table(found: list[Status]) -> None:
    from rich.console import Console
    from rich.table import Table

    if not found:
        click.echo("no sandbox; start one with pawl sandbox up")
        return
    table = Table("NAME", "STATE", "PROVIDER", "NODES", "REAL NODES", "SERVER", "REGISTRY", "MINIO", "DEAD", box=None)
    for each in found:
        real, dead = ", ".join(each.real_nodes) or "-", ", ".join(each.dead) or "-"
        numbers = (each.name, each.state, each.provider, str(each.nodes), real)
        table.add_row(*numbers, each.server, each.registry or "-", each.minio or "-", dead)
    Console(width=None if sys.stdout.isatty() else 200).print(table)

"""`pawl registry`: look into a registry's store, of a RegistryStorage by name or of any distribution registry offline.

One file a command beside this one; each is imported when it runs. Neighbours: `registry_place` finds the store.
Not here: any look.
"""

from __future__ import annotations

import importlib
from types import MappingProxyType
from typing import Final

import click

COMMANDS: Final = MappingProxyType(
    {
        "usage": ("pawl.cli.registry_usage:usage", "How many bytes, repositories, tags, and stale uploads?"),
        "plan-gc": ("pawl.cli.registry_plan:plan_gc", "What would a collection delete, and why? Nothing is deleted."),
        "migrate": ("pawl.cli.registry_migrate:migrate", "What would a move to another store take?"),
        "verify": ("pawl.cli.registry_verify:verify", "Is everything there that the tags need, byte for byte?"),
    }
)

HELP: Final = """Look into a registry's store. Nothing is ever written.

By NAME: a RegistryStorage of the cluster, as its status has it. With --path or --s3: the store of any distribution
registry (Docker's registry:2, registry:3, Harbor's, OpenShift's), read as it lies there, the server running or not.

\b
    pawl registry usage main -n registry
    pawl registry usage --path /var/lib/registry
    pawl registry verify --s3 s3://images/prefix --endpoint http://minio:9000 --deep
    pawl registry plan-gc --path /var/lib/registry -f registrystorage.yaml
    pawl registry migrate --plan --from s3://images --endpoint http://minio:9000 --to /srv/registry

Credentials of a bucket are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or files accessKey and secretKey in the
directory that --credentials names.
"""
"""Shown by --help; what follows the backspace is not wrapped."""


class Looks(click.Group):
    """A group that imports a command when it is called, not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name][0].split(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table, without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=Looks, help=HELP)
def registry() -> None:
    """Look into a registry's store."""

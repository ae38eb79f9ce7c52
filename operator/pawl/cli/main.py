"""The `pawl` command and its exit codes: 0 done, 1 failed, 2 bad input, 3 nothing selectable or a conflict.

Errors are one line on stderr that says what to do. A command's module is imported when the command runs, so that
`pawl run` does not pay for tables and progress bars. Neighbours: one file a command beside this one.
"""

from __future__ import annotations

import importlib
import sys
from types import MappingProxyType
from typing import Final

import click

from pawl import __version__
from pawl.api.errors import InputError, PawlError

COMMANDS: Final = MappingProxyType(
    {
        "run": ("pawl.cli.run:run", "Run the operator."),
        "choose": ("pawl.cli.choose:choose", "Which tag would this policy select from these tags? Offline."),
        "rewrite": ("pawl.cli.rewrite:rewrite", "Show manifests with the images that overrides give them. Offline."),
        "gate": ("pawl.cli.gate:gate", "Print the objects by which the API server rewrites images."),
        "crds": ("pawl.cli.crds:crds", "Print the CRDs."),
        "status": (
            "pawl.cli.status:status",
            "Show policies, overrides and registries of a cluster, and what holds them.",
        ),
        "plan": ("pawl.cli.plan:plan", "What would an override do in this cluster? Nothing is written."),
        "why": ("pawl.cli.why:why", "Why does this Pod run these images? From the template to the node."),
        "duplicates": (
            "pawl.cli.duplicates:duplicates_command",
            "Images that run under two names with the same content.",
        ),
        "forget": ("pawl.cli.forget:forget", "Delete a policy and its ledger, to start over."),
        "uninstall": ("pawl.cli.uninstall:uninstall", "Give back what overrides changed, with Pawl or without."),
        "registry": ("pawl.cli.registry:registry", "Look into a registry's store: usage, collection, move, faults."),
        "ready": ("pawl.cli.ready:ready", "Ask a running operator whether it is ready."),
        "sandbox": ("pawl.cli.sandbox:sandbox", "A real control plane on this machine."),
        "demo": ("pawl.cli.demo:demo", "See the main job on the sandbox."),
    }
)

HIDDEN: Final = MappingProxyType({"worker": "pawl.cli.worker:worker"})
"""Commands that Pods run, not people."""


class Lazy(click.Group):
    """A group that imports a command when it is called, not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        del ctx
        place = COMMANDS[cmd_name][0] if cmd_name in COMMANDS else HIDDEN.get(cmd_name)
        if place is None:
            return None
        module, name = place.split(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table, without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pawl")
def cli() -> None:
    """Pawl: an image moves forward, or it stays; it never slips back."""


def main() -> None:
    """Run the command line and end the process with the code of what happened."""
    sys.exit(invoke(sys.argv[1:]))


def invoke(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    try:
        code = cli.main(args=arguments, prog_name="pawl", standalone_mode=False)
    except click.ClickException as error:
        return _fail(error.format_message(), 2)
    except InputError as error:
        return _fail(str(error), 2)
    except PawlError as error:
        return _fail(str(error), 1)
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted", 130)
    except BrokenPipeError:
        sys.stderr.close()
        return 141
    return code if isinstance(code, int) else 0


def _fail(message: str, code: int) -> int:
    click.echo(f"pawl: {' '.join(message.split())}", err=True)
    return code

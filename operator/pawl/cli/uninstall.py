"""`pawl uninstall`: everything that overrides changed is given back, whether Pawl still runs or not.

Exit 0: nothing of an override is left; 1: something was not given back in time, run it again; 2: no consent, bad flags.
It deletes overrides, and with them their tables, copies and finalizers. Policies, ledgers, CRDs, gate and registries
stay. Neighbours: `uninstall_look` reads, `uninstall_last` works where no replica lives, `uninstall_registries` lets go
of registries. Not here: giving back.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import click

from pawl.api.errors import ClusterError, InputError
from pawl.cli.uninstall_look import Found, Signs, kinds_stand, look, look_again
from pawl.cli.uninstall_registries import let_go, registries
from pawl.cli.uninstall_registries import told as told_registries
from pawl.cluster.client import Cluster

WORD = "uninstall"
AGAIN = "run pawl crds | kubectl apply -f -, then this command once more"
POLL = 0.25
"""Seconds between two looks."""
Ask = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for. `namespaces`: only these; empty: all. `ask` None: consent was given."""

    kubeconfig: str | None
    namespace: str
    namespaces: tuple[str, ...]
    wait: float
    plan: bool
    ask: Ask | None


@click.command()
@click.option("--plan", is_flag=True, help="Show what would be given back, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--namespace", default="pawl-system", show_default=True, metavar="NS", help="Where Pawl's Lease is.")
@click.option("--watch-namespaces", default="", metavar="A,B", help="Overrides of these namespaces only. Default: all.")
@click.option("--wait", default=300.0, show_default=True, metavar="SECONDS", help="For all to be given back.")
@click.option("--kubeconfig", default=None, envvar="PAWL_KUBECONFIG", metavar="FILE", help="Default: KUBECONFIG.")
def uninstall(
    *, plan: bool, yes: bool, namespace: str, watch_namespaces: str, wait: float, kubeconfig: str | None
) -> int:
    """Delete all overrides and wait until what they changed is given back."""
    if not (plan or yes or sys.stdin.isatty()):
        raise InputError("pawl uninstall asks before it deletes and there is no terminal; add --yes if you mean it")
    namespaces = tuple(word.strip() for word in watch_namespaces.split(",") if word.strip())
    return asyncio.run(give_back(Wish(kubeconfig, namespace, namespaces, wait, plan, None if yes else _ask)))


def _ask(text: str) -> str:
    answer: str = click.prompt(text, default="", show_default=False)
    return answer


async def give_back(wish: Wish) -> int:
    """Show what is there, and take it back unless only the plan is wanted. Raises InputError and ClusterError."""
    async with await Cluster.connect(wish.kubeconfig) as cluster:
        found = await look(cluster, wish.namespace, wish.namespaces)
        held = await registries(cluster, wish.namespaces)
        for line in (*told(found), *told_registries(held)):
            click.echo(line)
        if wish.plan:
            return 0
        if found.nothing:
            await let_go(cluster, held)
            return 0
        if wish.ask is not None and wish.ask(f"Type {WORD} to delete these overrides").strip() != WORD:
            raise InputError(f"nothing was deleted: what was typed is not {WORD}")
        await let_go(cluster, held)
        await _delete(cluster, found)
        await _ended(cluster, wish, found)
        left = await look_again(cluster, wish.namespaces)
    return _told_at_the_end(left)


def told(found: Found) -> list[str]:
    """Say what is there and what becomes of it. Pure."""
    if found.nothing:
        return ["nothing of an override is left here"]
    lines = [f"{each.name:<40} {each.becomes}" for each in found.signs.overrides]
    lines += [f"{name:<40} is gone already, and what it rolled is given back" for name in found.signs.owed]
    lines += [f"{name:<40} goes" for name in found.signs.tables]
    lines.append(_who(found))
    lines.append("policies, their ledgers, the CRDs and the gate stay as they are")
    return lines


def _who(found: Found) -> str:
    if found.leader:
        return f"Pawl runs: {found.leader} does it"
    return "Pawl does not run here: this command does it"


async def _delete(cluster: Cluster, found: Found) -> None:
    for each in found.signs.overrides:
        await each.delete(cluster)


async def _ended(cluster: Cluster, wish: Wish, found: Found) -> None:
    """Wait until nothing is left, working ourselves where nobody else does."""

    async def over() -> bool:
        return not await look_again(cluster, wish.namespaces)

    try:
        async with asyncio.timeout(wish.wait):
            if found.leader:
                await until(over)
                return
            if not await kinds_stand(cluster):
                raise ClusterError(f"{found.signs.names[0]} cannot be given back without the CRDs; {AGAIN}")
            from pawl.cli.uninstall_last import LastPlace, work_until

            place = LastPlace(wish.kubeconfig, wish.namespace, found.namespace_stands, wish.namespaces)
            await work_until(place, lambda: until(over))
    except TimeoutError:
        return


async def until(over: Callable[[], Awaitable[bool]]) -> None:
    """Return once it is over; a look that fails is tried again."""
    while True:
        try:
            if await over():
                return
        except ClusterError as error:
            click.echo(f"pawl: {error}", err=True)
        await asyncio.sleep(POLL)


def _told_at_the_end(left: Signs) -> int:
    if not left:
        click.echo("all was given back. Next: pawl gate | kubectl delete -f -, then stop Pawl,")
        click.echo("then pawl crds | kubectl delete -f -, which deletes the policies; their ledgers stay")
        return 0
    click.echo(f"pawl: not given back in time: {', '.join(left.names[:10])}; run pawl uninstall again", err=True)
    return 1

"""`pawl forget`: starting over. Deletes a policy and its ledger, after showing what is lost and asking for the name.

The order is what matters: the operator must not write the memory back between the two deletions. So the policy is
suspended first, and the operator's echo of a reconcile request proves that no older run is in flight; then the ledger
goes, then the policy, then the ledger once more if a change of leaders has written it meanwhile.
Neighbours: `cluster.ledgers` names the ledger, `controllers.imagepolicy` answers the request. Not here: going back
(`spec.rollback`), which forgets nothing.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import click
from pydantic import ValidationError

from pawl.api.errors import ClusterError, InputError, NotFound
from pawl.api.imagepolicy import ImagePolicy
from pawl.api.ledger import Ledger
from pawl.api.meta import REQUESTED_AT
from pawl.cli.status_place import current_namespace
from pawl.cluster.client import Cluster
from pawl.cluster.ledgers import LedgerStore, name_for
from pawl.cluster.resources import CONFIG_MAPS, IMAGE_POLICIES
from pawl.decide.memory import Memory, from_ledger, from_status, join, label

POLL = 0.1
"""Seconds between two looks."""
GONE = 30.0
"""Seconds in which a deleted policy must be gone; one that stays has a finalizer of somebody else."""

Ask = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Found:
    """What there is of a policy. Either may be None: deleted by hand, or never selected anything."""

    policy: ImagePolicy | None
    ledger_text: str | None


@click.command()
@click.argument("name")
@click.option("-n", "--namespace", default=None, metavar="NS", help="Default: that of the kubeconfig's context.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--wait", default=10.0, show_default=True, metavar="SECONDS", help="For the operator to stand still.")
@click.option("--kubeconfig", default=None, envvar="PAWL_KUBECONFIG", metavar="FILE", help="Default: KUBECONFIG.")
def forget(name: str, namespace: str | None, yes: bool, wait: float, kubeconfig: str | None) -> None:  # noqa: FBT001
    """Delete a policy and its ledger, to start over. Nothing else forgets."""
    if not yes and not sys.stdin.isatty():
        raise InputError(
            f"pawl forget {name} asks before it deletes and there is no terminal; add --yes if you mean it"
        )
    where = namespace or current_namespace(kubeconfig)
    asyncio.run(start_over(kubeconfig, Target(where, name), None if yes else _ask, wait))


@dataclass(frozen=True, slots=True)
class Target:
    """The policy that is forgotten."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def _ask(text: str) -> str:
    answer: str = click.prompt(text, default="", show_default=False)
    return answer


async def start_over(kubeconfig: str | None, target: Target, ask: Ask | None, wait: float) -> None:
    """Show what is lost, let `ask` confirm it by the name (None: no question), and delete.

    `wait`: seconds for the operator to stand still. Raises InputError without consent, and ClusterError.
    """
    async with await Cluster.connect(kubeconfig) as cluster:
        found = await _look(cluster, target)
        for line in losses(target, found):
            click.echo(line)
        if ask is not None and ask(f"Type {target.name} to forget it").strip() != target.name:
            raise InputError(f"nothing was deleted: what was typed is not {target.name}")
        if found.policy is not None:
            await _hold_still(cluster, target, wait)
        await _delete(cluster, target, found)
    click.echo(f"forgotten: imagepolicy {target} and its ledger. Create it anew with kubectl apply -f <its manifest>;")
    click.echo("it starts where spec.bootstrap says, never below spec.floor and what Pods of the namespace run.")


async def _look(cluster: Cluster, target: Target) -> Found:
    """Read both copies. Raises NotFound where there is neither."""
    ledger = await LedgerStore(cluster).read(target.namespace, target.name)
    try:
        raw = await cluster.get(IMAGE_POLICIES, target.namespace, target.name)
    except NotFound:
        if ledger.resource_version is None:
            raise
        return Found(None, ledger.text or "")
    return Found(ImagePolicy.model_validate_json(raw), ledger.text)


def losses(target: Target, found: Found) -> list[str]:
    """Say what is lost. Pure."""
    memory = _memory(found)
    held = memory.selection
    lines = [f"pawl forget {target} deletes what nothing can bring back:"]
    if found.policy is None:
        lines.append("  the policy itself is gone already; its ledger still holds")
    told = f"{label(held)}, epoch {held.epoch}, sequence {held.sequence}" if held else "none was made yet"
    lines.append(f"  selection  {told}")
    lines.append(f"  history    {len(memory.history)} decisions")
    lines.append(f"  nonces     {len(memory.nonces)} used: a rollback left in Git could fire again")
    lines.append(f"  blocked    {', '.join(memory.blocked) or 'none'} by rollbacks")
    lines.append(f"  digests    {len(memory.digests)} seen: a tag could go back to one of them")
    lines.append(f"  ledger     ConfigMap {name_for(target.name)}")
    return lines


def _memory(found: Found) -> Memory:
    """Join what can be read; a ledger that cannot be is forgotten like any other."""
    status = from_status(found.policy.status) if found.policy else Memory()
    try:
        ledger = Ledger.model_validate_json(found.ledger_text) if found.ledger_text else None
    except ValidationError:
        ledger = None
    return join(status, from_ledger(ledger))


async def _hold_still(cluster: Cluster, target: Target, wait: float) -> None:
    """Suspend the policy and wait until the operator has seen it: one key never runs twice at once."""
    wish = f"forget-{secrets.token_hex(8)}"
    patch = {"metadata": {"annotations": {REQUESTED_AT: wish}}, "spec": {"suspend": True}}
    await cluster.merge_patch(IMAGE_POLICIES, target.namespace, target.name, patch)

    async def seen() -> bool:
        raw = await cluster.get(IMAGE_POLICIES, target.namespace, target.name)
        return ImagePolicy.model_validate_json(raw).status.last_handled_reconcile_at == wish

    if not await _within(wait, seen):
        click.echo(f"no operator answered within {wait:g} s; going on, as none seems to run", err=True)


async def _delete(cluster: Cluster, target: Target, found: Found) -> None:
    """Ledger, policy, and the ledger again. Raises ClusterError."""
    await _delete_ledger(cluster, target)
    if found.policy is not None:
        uid = found.policy.metadata.uid
        await cluster.delete(IMAGE_POLICIES, target.namespace, target.name, uid=uid)

        async def gone() -> bool:
            return await _uid(cluster, target) != uid

        if not await _within(GONE, gone):
            way = f"look at its finalizers: kubectl get imagepolicy {target.name} -n {target.namespace} -o yaml"
            raise ClusterError(f"imagepolicy {target} is marked for deletion and not gone after {GONE:g} s; {way}")
    await _delete_ledger(cluster, target)


async def _delete_ledger(cluster: Cluster, target: Target) -> None:
    try:
        await cluster.delete(CONFIG_MAPS, target.namespace, name_for(target.name))
    except NotFound:
        return


async def _uid(cluster: Cluster, target: Target) -> str | None:
    try:
        raw = await cluster.get(IMAGE_POLICIES, target.namespace, target.name)
    except NotFound:
        return None
    return ImagePolicy.model_validate_json(raw).metadata.uid


async def _within(seconds: float, ask: Callable[[], Awaitable[bool]]) -> bool:
    """Ask until it is so; False after `seconds`."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not await ask():
        if loop.time() >= end:
            return False
        await asyncio.sleep(POLL)
    return True

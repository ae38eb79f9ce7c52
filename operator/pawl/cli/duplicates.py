"""`pawl duplicates`: images that nodes run under two names with the same content, and the override that unifies them.

Digests are those that nodes report. The same content under another digest is known through its registry only: with
--registry the config digests are asked for, with the Pods' own credentials. Exit codes: 0, 1 the cluster cannot be
read, 2 bad input. Neighbours: `decide.duplicates` finds them, `table_duplicates` shows. Not here: applying anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

import click

from pawl.api.errors import InputError
from pawl.cli.plan_preflight import registries, words
from pawl.cli.status_live import Live
from pawl.cli.status_place import current_namespace
from pawl.cli.status_print import note, print_content, print_document
from pawl.cli.table_duplicates import duplicate_document, duplicates_view
from pawl.cluster.client import Cluster
from pawl.cluster.world import World
from pawl.controllers.explain import Explainer, Explanation, Foreign
from pawl.controllers.pullkeys import Puller
from pawl.decide.duplicates import Duplicate, Run, duplicates, runs_of
from pawl.decide.objects import SYSTEM_NAMESPACES, PodRow, WorkloadRow


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for. `namespace` None means all."""

    namespace: str | None
    ask: bool
    plain_http: str
    operator: str


@click.command(name="duplicates")
@click.option("-n", "--namespace", default=None, metavar="NS", help="Default: that of the kubeconfig's context.")
@click.option("-A", "--all-namespaces", "everywhere", is_flag=True, help="Pods of all namespaces.")
@click.option("--registry", "ask", is_flag=True, help="Also other digests of the same content: asks registries.")
@click.option("--plain-http-hosts", default="", metavar="H,..", help="For --registry: host:port without TLS.")
@click.option("--operator-namespace", default="pawl-system", show_default=True, metavar="NS", help="Where Pawl runs.")
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True)
@click.option("--kubeconfig", default=None, envvar="PAWL_KUBECONFIG", metavar="FILE", help="Default: KUBECONFIG.")
def duplicates_command(
    namespace: str | None,
    everywhere: bool,  # noqa: FBT001 - an option, named by click
    ask: bool,  # noqa: FBT001
    plain_http_hosts: str,
    operator_namespace: str,
    output: str,
    kubeconfig: str | None,
) -> int:
    """Show images that run under two names with the same content, and the override that unifies them."""
    if everywhere and namespace:
        raise InputError("-A looks in all namespaces: leave out -n")
    where = None if everywhere else namespace or current_namespace(kubeconfig)
    excluded = SYSTEM_NAMESPACES | {operator_namespace}
    wish = Wish(where, ask, plain_http_hosts, operator_namespace)
    found, notes = asyncio.run(_look(kubeconfig, wish))
    for line in notes:
        note(line)
    if output != "table":
        print_document([duplicate_document(each, excluded) for each in found], output)
    elif found:
        print_content(duplicates_view(found, excluded))
    else:
        place = "the cluster" if where is None else f"namespace {where}; -A looks in all"
        click.echo(f"no node runs one content under two names in {place}", err=True)
    return 0


async def _look(kubeconfig: str | None, wish: Wish) -> tuple[tuple[Duplicate, ...], list[str]]:
    async with await Cluster.connect(kubeconfig) as cluster:
        live = Live(cluster)
        world = await live.world((wish.namespace,) if wish.namespace else ())
        runs = runs_of(world.pods(), lambda pod: workload_of(world, pod))
        if not wish.ask:
            return duplicates(runs), live.notes
        async with registries(cluster, words(wish.plain_http), wish.operator) as asking:
            same = await _same(asking.explainer, world, runs, live.notes)
        return duplicates(runs, same), live.notes


def workload_of(world: World, pod: PodRow) -> str:
    """Return what a Pod belongs to, as messages write it."""
    root = world.root_of(pod)
    if isinstance(root, WorkloadRow):
        return root.key
    return f"Pod {pod.namespace}/{pod.name}" if root is None else f"{root.kind} {pod.namespace}/{root.name}"


async def _same(explainer: Explainer, world: World, runs: Iterable[Run], notes: list[str]) -> dict[str, str]:
    """Ask for the config of every digest, once each by the repository that its Pod names."""
    asked: dict[tuple[str, str], Foreign] = {}
    pods = {(pod.namespace, pod.name): pod for pod in world.pods()}
    for run in runs:
        repository, node = str(run.reference.repository), world.node(run.node)
        puller = puller_of(pods[run.namespace, run.pod])
        foreign = Foreign(puller, repository, run.digest, node.platform if node is not None else "")
        asked.setdefault((repository, run.digest), foreign)
    found = await asyncio.gather(*(explainer.explain(foreign) for foreign in asked.values()))
    return dict(configs(zip(asked, found, strict=True), notes))


def puller_of(pod: PodRow) -> Puller:
    """Return with what a Pod pulls."""
    return Puller(pod.namespace, pod.spec.pull_secrets, (), pod.spec.account)


def configs(answers: Iterable[tuple[tuple[str, str], Explanation]], notes: list[str]) -> Iterable[tuple[str, str]]:
    """Yield what each digest's content is known by; what cannot be asked about is noted, and stands for itself."""
    for (_, digest), explanation in answers:
        if explanation.configs:
            yield digest, min(explanation.configs)
        elif explanation.message:
            notes.append(f"compared by its digest only: {explanation.message}")

"""`pawl why`: why a Pod runs these images, step by step; or what would become of an image, without a Pod.

It reads the table in force, as the gate does, and no registry. Exit codes: 0, 1 the cluster cannot be read, 2 bad input
or no such Pod. Neighbours: `why_live` reads, `why_trace` traces, `table_why` shows. Not here: decisions.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.text import Text

from pawl.api.errors import InputError
from pawl.api.imageoverride import WorkloadKind
from pawl.cli.status_live import Live
from pawl.cli.status_place import current_namespace
from pawl.cli.status_print import note, print_content, print_document
from pawl.cli.table_why import ground_line, image_document, image_view, pod_document, pod_view
from pawl.cli.why_live import answer_of, ground_of, with_policies
from pawl.cli.why_trace import trace_image
from pawl.cluster.client import Cluster
from pawl.decide.objects import ImageAt
from pawl.decide.tables import Subject

KINDS = tuple(kind.value for kind in WorkloadKind)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for: a Pod, or an image of a container of a Pod that need not exist."""

    namespace: str
    operator: str
    pod: str = ""
    image: str = ""
    container: str = ""
    kind: WorkloadKind = WorkloadKind.POD
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """One answer in both forms, and sentences for standard error."""

    document: dict[str, Any]
    content: RenderableType
    notes: tuple[str, ...]


@click.command()
@click.argument("pod", required=False)
@click.option("--image", default=None, metavar="REF", help="What would become of this image? Instead of a Pod.")
@click.option(
    "--kind", type=click.Choice(KINDS, case_sensitive=False), default=None, help="With --image: who starts it."
)
@click.option("--container", default=None, metavar="NAME", help="With --image: the name of the container.")
@click.option("-l", "--label", "labels", multiple=True, metavar="K=V", help="With --image: labels of the Pod.")
@click.option("-n", "--namespace", default=None, metavar="NS", help="Default: that of the kubeconfig's context.")
@click.option("--operator-namespace", default="pawl-system", show_default=True, metavar="NS", help="Where Pawl runs.")
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True)
@click.option("--kubeconfig", default=None, envvar="PAWL_KUBECONFIG", metavar="FILE", help="Default: KUBECONFIG.")
def why(
    pod: str | None,
    image: str | None,
    kind: str | None,
    container: str | None,
    labels: tuple[str, ...],
    namespace: str | None,
    operator_namespace: str,
    output: str,
    kubeconfig: str | None,
) -> int:
    """Show why a Pod runs its images: template, rules, policy, wanted image, spec, node, verdict."""
    if (pod is None) is (image is None):
        raise InputError("name a Pod, or give --image REF: `pawl why web-0 -n shop`")
    if pod is not None and (kind or container or labels):
        raise InputError("--kind, --container and --label belong to --image; a Pod has its own")
    wish = Wish(
        namespace or current_namespace(kubeconfig),
        operator_namespace,
        (pod or "").removeprefix("pod/"),
        image or "",
        container or "",
        WorkloadKind(kind) if kind else WorkloadKind.POD,
        tuple(_label(each) for each in labels),
    )
    shown = asyncio.run(_ask(kubeconfig, wish))
    for line in shown.notes:
        note(line)
    if output == "table":
        print_content(shown.content)
    else:
        print_document(shown.document, output)
    return 0


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise InputError(f"-l {text} is no label; write it like app=web")
    return key, value


async def _ask(kubeconfig: str | None, wish: Wish) -> Shown:
    async with await Cluster.connect(kubeconfig) as cluster:
        live = Live(cluster)
        return await (_of_pod(live, wish) if wish.pod else _of_image(live, wish))


async def _of_pod(live: Live, wish: Wish) -> Shown:
    found = await answer_of(live, wish.namespace, wish.pod, wish.operator)
    document = pod_document(found.pod, found.owners, found.ground, (found.traced, found.secrets))
    content = pod_view(found.pod, found.owners, found.traced, found.secrets)
    line = Text(f"\n{ground_line(found.ground)}", "dim")
    return Shown(document, Group(content, line), tuple(live.notes))


async def _of_image(live: Live, wish: Wish) -> Shown:
    ground = await ground_of(live, wish.namespace, wish.operator)
    subject = Subject(wish.kind, dict(wish.labels))
    at = ImageAt("containers", wish.container, wish.image)
    ground = await with_policies(live, ground, [trace_image(ground, subject, at, "the command line")])
    traced = trace_image(ground, subject, at, "the command line")
    document = {"namespace": wish.namespace, "table": ground.table_name, **image_document(traced)}
    return Shown(document, Group(image_view(traced), Text(f"\n{ground_line(ground)}", "dim")), tuple(live.notes))

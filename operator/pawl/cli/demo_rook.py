"""An operator that plays Rook, for the demo and the tests: it makes workloads with its own image, as it was at start.

    python -m pawl.cli.demo_rook --namespace rook --kubeconfig FILE [modes]

It stands for the process inside the Pod of the Deployment `rook-ceph-operator`, whose Pod is simulated: it lives while
that Pod lives, and a new Pod is a restart. Each write is a JSON line on stdout.
Neighbours: `demo_rook_life` is what it does. Not here: a watch; it polls, as it plays on small stages only.
"""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import suppress

import click

from pawl.api.errors import ClusterError
from pawl.cli.demo_rook_hands import Hands, Say, Signed
from pawl.cli.demo_rook_life import Life
from pawl.cli.demo_rook_objects import OPERATOR, Json, Modes, OwnerKind, own_of
from pawl.cluster.client import Cluster
from pawl.cluster.connect import HttpTransport
from pawl.cluster.credentials import Place
from pawl.cluster.resources import PODS


@click.command()
@click.option("--kubeconfig", default=None, metavar="FILE", help="Default: KUBECONFIG.")
@click.option("--namespace", required=True)
@click.option("--period", default=2.0, show_default=True, help="Seconds between two reconciliations.")
@click.option("--skip-if-exists", is_flag=True, help="Leave an existing DaemonSet alone.")
@click.option("--put-loop", default=0.0, metavar="SECONDS", help="PUT the DaemonSet again and again.")
@click.option("--revert", is_flag=True, help="PUT the Deployment when its image is another.")
@click.option("--workers", default=0, metavar="N", help="Bare Pods to keep.")
@click.option("--pod-compare", is_flag=True, help="Replace a bare Pod whose image is another.")
@click.option("--owner", type=click.Choice(["replicaset", "deployment", "configmap"]), default="replicaset")
@click.option("--job-image", default="", metavar="IMAGE", help="For the main container of Jobs. Default: its own.")
@click.option("--job-node", default="", metavar="NODE", help="Only the Job of this node has that image.")
@click.option("--job-runs", default="", metavar="DURATION", help="How long a simulated Pod of a Job runs.")
def rook(
    *,
    kubeconfig: str | None,
    namespace: str,
    period: float,
    skip_if_exists: bool,
    put_loop: float,
    revert: bool,
    workers: int,
    pod_compare: bool,
    owner: OwnerKind,
    job_image: str,
    job_node: str,
    job_runs: str,
) -> None:
    """Play Rook until SIGTERM."""
    modes = Modes(
        namespace,
        period,
        skip_if_exists,
        put_loop,
        revert,
        workers,
        pod_compare,
        owner,
        job_image,
        job_node,
        job_runs,
    )
    asyncio.run(play(kubeconfig, modes))


async def play(kubeconfig: str | None, modes: Modes) -> None:
    """Reconcile every `modes.period` seconds until SIGTERM. Raises InputError where there are no credentials."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Cluster(Signed(await HttpTransport.open(Place(kubeconfig=kubeconfig)))) as cluster:
        actor = Actor(modes, Hands(cluster, modes.namespace, say), say)
        while not stop.is_set():
            await actor.turn()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), modes.period)
    say("stopped", modes.namespace, "")


class Actor:
    """The operator across its lives."""

    def __init__(self, modes: Modes, hands: Hands, say: Say) -> None:
        self._modes = modes
        self._hands = hands
        self._say = say
        self._life: Life | None = None

    async def turn(self) -> None:
        """Find the Pod that this process is in, and do there what is due. Without one there is no process."""
        try:
            pods = await self._hands.find(PODS, f"app={OPERATOR}")
        except ClusterError as error:
            self._say("failed", "pods", str(error))
            return
        self._life = self._life_in(pods)
        if self._life is not None:
            await self._life.turn()

    def _life_in(self, pods: list[Json]) -> Life | None:
        alive = [pod for pod in pods if _is_alive(pod)]
        if self._life is not None and self._life.own.uid in {pod["metadata"]["uid"] for pod in alive}:
            return self._life
        ready = sorted(
            (pod for pod in alive if _is_ready(pod)), key=lambda pod: str(pod["metadata"]["creationTimestamp"])
        )
        return self._start(ready[-1]) if ready else None

    def _start(self, pod: Json) -> Life:
        own = own_of(pod)
        self._say("started", f"pods/{own.pod}", own.image)
        return Life(own, self._modes, self._hands, self._say)


def _is_alive(pod: Json) -> bool:
    return "deletionTimestamp" not in pod["metadata"] and pod.get("status", {}).get("phase") == "Running"


def _is_ready(pod: Json) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def say(event: str, name: str, detail: str) -> None:
    """Tell one event in a line."""
    click.echo(json.dumps({"event": event, "object": name, "detail": detail}))


if __name__ == "__main__":
    rook()

"""`pawl demo`: the main jobs on a sandbox of its own, in under two minutes once the binaries are built.

Every line that it shows is the result of a check against the real API server or registry; one that fails ends the demo
with exit code 1 and says which logs to read. Neighbours: `demo_program` lists the acts, `demo_screen` shows them.
"""

from __future__ import annotations

import asyncio
import os
import sys

import click

from pawl.api.errors import PawlError, SandboxError
from pawl.cli.demo_checks import CheckFailedError
from pawl.cli.demo_crew import Crew
from pawl.cli.demo_manifests import NAME, NAMESPACE
from pawl.cli.demo_program import ACTS, OPENING
from pawl.cli.demo_registry_wish import NAME as REGISTRY
from pawl.cli.demo_registry_wish import NAMESPACE as REGISTRIES
from pawl.cli.demo_rook_stage import NODES
from pawl.cli.demo_rook_wish import NAMESPACE as ROOK
from pawl.cli.demo_screen import Screen
from pawl.cli.demo_stage import Stage
from pawl.cli.demo_story import Story, Teller
from pawl.cluster.client import Cluster
from pawl.sandbox import Running, Runtime, SandboxOptions, down, terminating_cleanly, up


@click.command()
@click.option("--keep", is_flag=True, help="Leave sandbox and replicas running at the end.")
@click.option("--name", default="demo", show_default=True, help="Name of the sandbox that is made for it.")
def demo(keep: bool, name: str) -> None:  # noqa: FBT001 - an option, named by click
    """See the main jobs on the sandbox: select, hold, roll back; override, roll, prove; move a registry."""
    screen = Screen.on(sys.stdout)
    teller, runtime = Teller(screen), Runtime(progress=screen)
    screen.title("Pawl: an image moves forward, or it stays; it never slips back.")
    with terminating_cleanly():
        teller.begin(OPENING)
        sandbox = _start(teller, name, runtime)
        try:
            proxy = _played(teller, sandbox, keep=keep)
        finally:
            if not keep:
                down(name, runtime=runtime)
    screen.summary(teller.proved)
    screen.closing(_ways_on(name, proxy) if keep else [f"Sandbox {name} is down. To look around: pawl demo --keep"])


def _start(teller: Teller, name: str, runtime: Runtime) -> Running:
    """Start the sandbox. Raises SandboxError, also where one of that name runs already: it is not ours to end."""
    with teller.step("start the sandbox") as said:
        sandbox = up(SandboxOptions(name=name, nodes=NODES, minio=True), runtime)
        if not sandbox.started:
            way = f"run pawl sandbox down --name {name}, or use another --name"
            raise SandboxError(f"sandbox {name} is already running: {way}")
        said.append(f"kube-apiserver on {sandbox.server}, with RBAC, an etcd of its own and {NODES} simulated nodes")
    return sandbox


def _played(teller: Teller, sandbox: Running, *, keep: bool) -> str:
    """Play all acts and return the proxy's address. Raises CheckFailedError that names the logs."""
    crew = Crew(sandbox.name, os.environ)
    try:
        return asyncio.run(_play(teller, sandbox, crew))
    except PawlError as error:
        logs = crew.logs if keep else crew.save_logs()
        raise CheckFailedError(f"demo: {error}; read the logs in {logs}") from error


async def _play(teller: Teller, sandbox: Running, crew: Crew) -> str:
    async with await Cluster.connect(str(sandbox.kubeconfig)) as cluster:
        story = Story(Stage(sandbox, crew, cluster))
        await teller.play(OPENING, story)
        for act in ACTS:
            teller.begin(act)
            await teller.play(act, story)
        return story.stage.proxy


def _ways_on(name: str, proxy: str) -> list[str]:
    """What can be done with a sandbox that was kept."""
    return [
        f"Sandbox {name} goes on, with Rook, a registry and a replica of Pawl. Look around:",
        f'  eval "$(pawl sandbox env --name {name})"',
        f"  pawl status {NAME} -n {NAMESPACE}",
        f"  kubectl get imagepolicies,configmaps -n {NAMESPACE}",
        f"  kubectl get clusterimageoverrides,clusterimagerules; kubectl get daemonsets,jobs,pods -n {ROOK}",
        f"  pawl status -n {REGISTRIES}; pawl registry usage {REGISTRY} -n {REGISTRIES}",
        f"  curl -X PUT http://{proxy}/demo/half    # the registry answers half its tags; /demo/whole ends that",
        f"Take it down: pawl sandbox down --name {name}",
    ]

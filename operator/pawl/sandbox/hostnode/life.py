"""The host node as a whole: a thread with an event loop that plays the kubelet, the provisioner and the proxy.

    with HostNode(kubeconfig, directory, {"registry:*": ("/path/registry",)}) as node:
        node.pids("default/web-1")

When the block ends, the Pods' processes are gone and the Node is not Ready any more after a while, as with a machine
that lost its power. Neighbours: `podrun` for one Pod, `claims`, `ports`.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pawl.api.errors import SandboxError
from pawl.sandbox.hostnode import objects
from pawl.sandbox.hostnode.claims import CLASSES, Provisioner
from pawl.sandbox.hostnode.container import Setting
from pawl.sandbox.hostnode.kube import Access, Kube, access
from pawl.sandbox.hostnode.mounts import Mounts
from pawl.sandbox.hostnode.podrun import PodRun, is_over
from pawl.sandbox.hostnode.ports import NodePorts
from pawl.sandbox.hostnode.sources import Sources
from pawl.sandbox.hostnode.translate import Programs
from pawl.sandbox.hostnode.volumes import Rooms

Json = dict[str, Any]

TICK = 0.1
HEARTBEAT = 5.0
START = 30.0
STOP = 30.0
GRACE = 30
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
NODES = "/api/v1/nodes"


@dataclass(frozen=True)
class Plan:
    """What a host node is made of."""

    where: Access
    directory: Path
    programs: Programs
    name: str
    proxy: bool
    mounts: Mounts | None


class HostNode:
    """A Node whose Pods are processes of this machine. `proxy` False: another one serves the NodePorts and the
    claims. `sized`: claims have the size that they ask for, which needs root.
    """

    def __init__(
        self,
        kubeconfig: Path,
        directory: Path,
        programs: Programs,
        name: str = "host",
        *,
        proxy: bool = True,
        sized: bool = False,
    ) -> None:
        mounts = Mounts() if sized else None
        self._plan = Plan(access(kubeconfig), directory.absolute(), dict(programs), name, proxy, mounts)
        self._thread = threading.Thread(target=self._main, name=f"hostnode-{name}", daemon=True)
        self._up = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None
        self._runs: dict[str, PodRun] = {}
        self._failure: BaseException | None = None

    @property
    def name(self) -> str:
        """Name of the Node."""
        return self._plan.name

    @property
    def sized(self) -> bool:
        """Whether claims have the size that they ask for."""
        return self._plan.mounts is not None

    @property
    def directory(self) -> Path:
        """Everything of this node: `pods/`, `claims/`, and `node/` as the root of its file system."""
        return self._plan.directory

    def start(self) -> Self:
        """Begin; on return the Node is there and Ready. Raises SandboxError when that cannot be."""
        if self._plan.mounts and os.geteuid():
            raise SandboxError(f"Node {self.name}: claims of a true size need root: run as root, or leave sized out")
        self._thread.start()
        if not self._up.wait(START) or self._failure:
            why = str(self._failure or f"the API server did not take it within {START:g} s")
            self.stop()
            raise SandboxError(f"Node {self.name} could not be made ({why}): see whether the sandbox runs")
        return self

    def stop(self) -> None:
        """End all processes and the thread."""
        if self._loop and self._over and not self._loop.is_closed():
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(STOP)

    def pids(self, pod: str) -> dict[str, int]:
        """Ids of the running processes of a Pod (`namespace/name`), by container."""
        return next((run.pids for run in list(self._runs.values()) if run.key == pod), {})

    def log(self, pod_uid: str, container: str) -> Path:
        """File with a container's output."""
        return Rooms(self.directory / "pods" / pod_uid, self.directory / "node").log(container)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _main(self) -> None:
        try:
            asyncio.run(self._live())
        except BaseException as error:
            self._failure = error
            raise
        finally:
            self._up.set()

    async def _live(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        async with Kube(self._plan.where) as kube:
            work = asyncio.create_task(self._work(kube))
            over = asyncio.create_task(self._over.wait())
            await asyncio.wait({work, over}, return_when=asyncio.FIRST_COMPLETED)
            over.cancel()
            work.cancel()
            ended = await asyncio.gather(work, return_exceptions=True)
            await asyncio.gather(*(run.kill() for run in self._runs.values()))
            if self._plan.mounts:
                await self._plan.mounts.drop_all()
            if isinstance(ended[0], Exception):
                raise ended[0]

    async def _work(self, kube: Kube) -> None:
        await self._register(kube)
        self._up.set()
        pods = Pods(self._plan, kube, self._runs)
        ports = NodePorts(kube)
        claims = Provisioner(kube, self._plan.directory / "claims", self.name, self._plan.proxy, self._plan.mounts)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._beat(kube))
            group.create_task(_repeat(pods.tick))
            group.create_task(_repeat(claims.tick))
            if self._plan.proxy:
                group.create_task(_repeat(ports.tick, ports.close))

    async def _register(self, kube: Kube) -> None:
        await kube.call("POST", CLASSES, objects.storage_class())
        while (await kube.get(f"{NODES}/{self.name}")) is None:
            await kube.call("POST", NODES, objects.node(self.name))
        await kube.call("PATCH", f"{NODES}/{self.name}/status", objects.node_status(datetime.now(UTC)))

    async def _beat(self, kube: Kube) -> None:
        while True:
            now = datetime.now(UTC)
            made = objects.lease(self.name, now)
            answer = await kube.call("PATCH", f"{LEASES}/{self.name}", {"spec": made["spec"]})
            if answer.status == 404:
                await kube.call("POST", LEASES, made)
            await kube.call("PATCH", f"{NODES}/{self.name}/status", objects.node_status(now))
            await asyncio.sleep(HEARTBEAT)


class Pods:
    """The Pods that are bound to this node."""

    def __init__(self, plan: Plan, kube: Kube, runs: dict[str, PodRun]) -> None:
        self._plan = plan
        self._kube = kube
        self._runs = runs
        self._ends: dict[str, asyncio.Task[None]] = {}

    async def tick(self) -> None:
        """Start what is new, end what is to be deleted, kill what is gone."""
        query = f"&fieldSelector=spec.nodeName%3D{self._plan.name}"
        found = await self._kube.items("/api/v1/pods", query)
        if found is None:
            return
        pods = {pod["metadata"]["uid"]: pod for pod in found}
        for uid, pod in pods.items():
            self._follow(uid, pod)
        for uid in set(self._runs) - set(pods):
            await self._runs.pop(uid).kill()
            self._ends.pop(uid, None)

    def _follow(self, uid: str, pod: Json) -> None:
        leaving = "deletionTimestamp" in pod["metadata"]
        if uid not in self._runs:
            if is_over(pod) and not leaving:
                return
            self._runs[uid] = self._made(uid, pod)
            if not leaving:
                self._runs[uid].start()
        if leaving and uid not in self._ends:
            grace = float(pod["metadata"].get("deletionGracePeriodSeconds", GRACE))
            self._ends[uid] = asyncio.create_task(self._runs[uid].end(grace))

    def _made(self, uid: str, pod: Json) -> PodRun:
        rooms = Rooms(self._plan.directory / "pods" / uid, self._plan.directory / "node")
        sources = Sources(self._kube, pod, address_of(uid))
        return PodRun(pod, self._kube, Setting(sources, rooms, self._plan.programs))


def address_of(uid: str) -> str:
    """The loopback address of a Pod: its own, by its uid, so that all Pods may listen on the same port."""
    raw = hashlib.sha256(uid.encode()).digest()
    return f"127.{64 + raw[0] % 64}.{raw[1]}.{1 + raw[2] % 254}"


async def _repeat(step: Callable[[], Awaitable[None]], close: Callable[[], Awaitable[None]] | None = None) -> None:
    try:
        while True:
            await step()
            await asyncio.sleep(TICK)
    finally:
        if close:
            await close()

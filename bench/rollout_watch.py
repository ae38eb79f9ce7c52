"""What a rollout did, seen from outside: by a watch of its own, and by the API server's own counts of requests.

A watch shows every stored change but not a write that changed nothing; the counts show each request but not its object.
Neighbours: `rollout` and `drift` ask. Not here: figures.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import msgspec

from bench.cluster import Place
from pawl.api.errors import ApiUnavailable
from pawl.cluster.client import Cluster
from pawl.cluster.resources import CLUSTER_IMAGE_OVERRIDES, DEPLOYMENTS, Resource
from pawl.decide.objects import MANAGER

READS = {"GET", "LIST", "WATCH"}
APART = {"leases", "nodes"}
"""Heartbeats: of Leases by every controller, of Nodes by the simulated kubelets."""
_LABELS = re.compile(r'(\w+)="([^"]*)"')


@contextlib.asynccontextmanager
async def following(cluster: Cluster, resource: Resource, take: Callable[[bytes], None]) -> AsyncIterator[None]:
    """Hand every line of a watch over all namespaces to `take`, what is there already first."""
    opened = asyncio.Event()
    task = asyncio.create_task(_follow(cluster, resource, take, opened))
    opening = asyncio.create_task(opened.wait())
    await asyncio.wait({task, opening}, return_when=asyncio.FIRST_COMPLETED)
    try:
        yield
    finally:
        for each in (task, opening):
            each.cancel()
        found, _ = await asyncio.gather(task, opening, return_exceptions=True)
        if isinstance(found, Exception):
            raise found


async def _follow(cluster: Cluster, resource: Resource, take: Callable[[bytes], None], opened: asyncio.Event) -> None:
    """Watch, and again where the API server ends a watch: it does so when a CRD is established."""
    while True:
        with contextlib.suppress(ApiUnavailable):
            async with cluster.watch(resource, None, {"resourceVersion": "0"}, 3600) as lines:
                opened.set()
                async for line in lines:
                    if line.startswith(b'{"type":"ERROR"'):
                        break
                    take(line)
        await asyncio.sleep(0.1)


class _Entry(msgspec.Struct):
    manager: str = ""
    subresource: str = ""
    time: str = ""
    fields: msgspec.Raw = msgspec.field(name="fieldsV1", default=msgspec.Raw())


class _Meta(msgspec.Struct):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    managed: list[_Entry] = msgspec.field(name="managedFields", default=[])


class _Container(msgspec.Struct):
    image: str


class _PodSpec(msgspec.Struct):
    containers: list[_Container]


class _Template(msgspec.Struct):
    spec: _PodSpec


class _Spec(msgspec.Struct):
    template: _Template


class _Deployment(msgspec.Struct):
    metadata: _Meta
    spec: _Spec


class _Line(msgspec.Struct):
    type: str
    object: _Deployment


_DECODER = msgspec.json.Decoder(_Line)


@dataclass
class Deployments:
    """Stored writes of manager pawl by Deployment, and the image that each one has now."""

    writes: Counter[str] = field(default_factory=Counter)
    last: float = 0.0
    """When the last of these writes was seen, in monotonic seconds."""
    images: dict[tuple[str, str], str] = field(default_factory=dict)
    seen_at: dict[tuple[str, str], float] = field(default_factory=dict)
    """When the present image was seen first."""
    _known: dict[str, tuple[int, str, bytes]] = field(default_factory=dict)

    def take(self, raw: bytes) -> None:
        """Note one line of a watch of Deployments."""
        now, found = time.monotonic(), _DECODER.decode(raw).object
        meta = found.metadata
        name, image = (meta.namespace, meta.name), found.spec.template.spec.containers[0].image
        if self.images.get(name) != image:
            self.images[name], self.seen_at[name] = image, now
        mine = next((one for one in meta.managed if one.manager == MANAGER and not one.subresource), _Entry())
        state = (meta.generation, mine.time, bytes(mine.fields))
        before = self._known.get(meta.uid, (meta.generation, "", b""))
        self._known[meta.uid] = state
        # The controller writes the revision into annotations, which raises the generation too, but not our entry.
        if state[0] > before[0] and state[1:] != before[1:]:
            self.writes[meta.uid] += 1
            self.last = now

    def following(self, cluster: Cluster) -> contextlib.AbstractAsyncContextManager[None]:
        """Watch all Deployments."""
        return following(cluster, DEPLOYMENTS, self.take)


@dataclass
class Status:
    """The newest status of the one override, and how often it was written."""

    now: dict[str, object] = field(default_factory=dict)
    changes: int = 0
    log: list[tuple[float, object]] = field(default_factory=list)

    def take(self, raw: bytes) -> None:
        """Note one line of a watch of overrides."""
        status = msgspec.json.decode(raw)["object"].get("status", {})
        if status != self.now:
            self.now, self.changes = status, self.changes + 1
            self.log.append((time.monotonic(), self.conditions | {"workloads": status.get("workloads")}))

    @property
    def conditions(self) -> dict[str, str]:
        """Conditions as type: status/reason."""
        found = self.now.get("conditions", [])
        assert isinstance(found, list)
        return {one["type"]: f"{one['status']}/{one['reason']}" for one in found}

    def proved(self, workloads: int) -> bool:
        """Whether all workloads were rolled and all Pods verified."""
        counts, said = self.now.get("workloads"), self.conditions
        assert counts is None or isinstance(counts, dict)
        all_compliant = counts is not None and counts.get("compliant") == workloads
        return all_compliant and said.get("Verified", "")[:4] == said.get("RolledOut", "")[:4] == "True"

    def following(self, cluster: Cluster) -> contextlib.AbstractAsyncContextManager[None]:
        """Watch all ClusterImageOverrides."""
        return following(cluster, CLUSTER_IMAGE_OVERRIDES, self.take)


def writes(where: Place) -> Counter[str]:
    """Return the API server's count of writes so far by `verb resource/subresource`; dry runs and heartbeats apart."""
    command = [where.environment["KUBECTL"], "--kubeconfig", str(where.kubeconfig), "get", "--raw", "/metrics"]
    text = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    found: Counter[str] = Counter()
    for line in text.splitlines():
        if line.startswith("apiserver_request_total{"):
            labels = dict(_LABELS.findall(line))
            if labels["verb"] not in READS and labels["resource"] not in APART and not labels["dry_run"]:
                name = f"{labels['verb']} {labels['resource']}/{labels['subresource']}".rstrip("/")
                found[name] += int(float(line.rpartition(" ")[2]))
    return found

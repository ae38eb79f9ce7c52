"""The cluster side of a benchmark: a sandbox, policies in it, and a watch that says when each was selected."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pawl.api.crd import crds
from pawl.cluster.client import Cluster
from pawl.cluster.resources import IMAGE_POLICIES, Resource
from pawl.sandbox import SandboxOptions, running

CRDS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", namespaced=False)


@dataclass(frozen=True)
class Place:
    """A sandbox of one benchmark."""

    kubeconfig: Path
    registry: str
    store: Path
    """The registry's root directory."""
    environment: Mapping[str, str]


@contextlib.contextmanager
def place(name: str) -> Iterator[Place]:
    """Start a sandbox with our CRDs; it is taken down at the end."""
    with running(SandboxOptions(name=name, registry=True)) as found:
        assert found.registry is not None
        asyncio.run(_install(str(found.kubeconfig)))
        yield Place(found.kubeconfig, found.registry, found.kubeconfig.parent / "registry", found.env)


async def _install(kubeconfig: str) -> None:
    async with await Cluster.connect(kubeconfig) as cluster:
        for document in crds():
            await cluster.apply(CRDS, None, document["metadata"]["name"], document)
        for _ in range(200):
            with contextlib.suppress(Exception):
                async for _page in cluster.list_pages(IMAGE_POLICIES, None):
                    return
            await asyncio.sleep(0.05)


def policy(name: str, image: str, interval: str = "5m", **spec: Any) -> dict[str, Any]:
    body = {"image": image, "interval": interval, "access": {"plainHTTP": True}, "select": {"semver": {"range": "*"}}}
    return {
        "apiVersion": "pawl.dev/v1alpha1",
        "kind": "ImagePolicy",
        "metadata": {"name": name, "namespace": "default"},
        "spec": body | spec,
    }


async def create(cluster: Cluster, policies: list[dict[str, Any]]) -> None:
    await asyncio.gather(*(cluster.create(IMAGE_POLICIES, "default", one) for one in policies))


@dataclass
class Seen:
    """When each policy's selection was seen to be what is waited for, by a watch of its own."""

    at: dict[str, float]

    def done(self, count: int) -> bool:
        return len(self.at) >= count


@contextlib.asynccontextmanager
async def watching(cluster: Cluster, wanted: Callable[[dict[str, Any]], bool]) -> AsyncIterator[Seen]:
    """Watch all policies and note the first time at which each is as wanted."""
    seen = Seen({})
    opened = asyncio.Event()
    task = asyncio.create_task(_watch(cluster, wanted, seen, opened))
    await opened.wait()
    try:
        yield seen
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _watch(cluster: Cluster, wanted: Callable[[dict[str, Any]], bool], seen: Seen, opened: asyncio.Event) -> None:
    async with cluster.watch(IMAGE_POLICIES, None, {"resourceVersion": "0"}, 3600) as lines:
        opened.set()
        async for line in lines:
            body = json.loads(line)["object"]
            name = body["metadata"].get("name")
            if name not in seen.at and wanted(body):
                seen.at[name] = time.monotonic()


async def until(done: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise TimeoutError("the benchmark waited too long")
        await asyncio.sleep(0.02)

"""Five hundred Deployments in fifty namespaces on simulated nodes, with images that the sandbox's registry has.

Neighbours: `rollout` and `drift` measure on it, `rollout_watch` looks. Not here: figures.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from typing import Any

from bench.cluster import CRDS, Place, until
from bench.rollout_watch import following
from bench.seed import digest, image, repository
from pawl.api.crd import crds
from pawl.cluster.client import Cluster, Options
from pawl.cluster.resources import CLUSTER_IMAGE_OVERRIDES, DEPLOYMENTS, NAMESPACES
from pawl.sandbox import SandboxOptions, running

SPACES, WORKLOADS, IMAGES, NODES = 50, 500, 20, 10
CONCURRENT = 50
SOURCE = "registry.example.com/bench"
HELM = "helm"
LABEL = {"bench": "rollout"}
PATIENCE = 300.0
"""Seconds for controllers of two shared cores to make or roll five hundred Pods."""


@contextlib.contextmanager
def place(name: str) -> Iterator[Place]:
    """Start a sandbox with our CRDs, the images and all Deployments, settled."""
    with running(SandboxOptions(name=name, nodes=NODES, registry=True)) as found:
        assert found.registry is not None
        where = Place(found.kubeconfig, found.registry, found.kubeconfig.parent / "registry", found.env)
        for number in range(IMAGES):
            repository(where.store, f"bench/r{number:02d}", ["v0.9.0"], f"old {number}")
            repository(where.store, f"bench/r{number:02d}", ["v1.0.0"], f"r{number}")
        asyncio.run(_fill(where))
        yield where


def source(number: int) -> str:
    """The image of a Deployment before it is rewritten: a simulated kubelet takes its imageID from the digest."""
    kind = number % IMAGES
    return f"{SOURCE}/r{kind:02d}:v1.0.0@{digest(image(f'r{kind}')[1])}"


def older(registry: str, number: int) -> str:
    """An image of before, in the repository that a Deployment's image is rewritten to."""
    kind = number % IMAGES
    return f"{registry}/bench/r{kind:02d}:v0.9.0@{digest(image(f'old {kind}')[1])}"


def names() -> list[tuple[str, str, int]]:
    """Namespace, name and number of every Deployment."""
    return [(f"s{number % SPACES:02d}", f"web-{number:03d}", number) for number in range(WORKLOADS)]


def override(registry: str, templates: str) -> dict[str, Any]:
    """An override of all their images; everything in one batch."""
    spec = {
        "namespaces": {"selector": {"matchLabels": LABEL}},
        "rules": [{"source": SOURCE, "target": {"repository": f"{registry}/bench"}}],
        "enforcement": {"templates": templates},
        "rollout": {"maxConcurrent": CONCURRENT, "batches": ["100%"]},
    }
    return {
        "apiVersion": "pawl.dev/v1alpha1",
        "kind": "ClusterImageOverride",
        "metadata": {"name": "bench"},
        "spec": spec,
    }


def arguments(where: Place) -> tuple[str, ...]:
    """The operator's flags."""
    return "--manage-gate", "--plain-http-hosts", where.registry


def deployment(space: str, name: str, number: int) -> dict[str, Any]:
    labels = {"app": name}
    pod = {"containers": [{"name": "main", "image": source(number)}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": name, "namespace": space}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


async def _fill(where: Place) -> None:
    async with await Cluster.connect(str(where.kubeconfig), Options(timeout=60)) as cluster:
        for document in crds():
            await cluster.apply(CRDS, None, document["metadata"]["name"], document)
        for number in range(SPACES):
            metadata = {"name": f"s{number:02d}", "labels": LABEL}
            await cluster.create(NAMESPACES, None, {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        await asyncio.gather(*(_install(cluster, *one) for one in names()))
        await _settled(cluster)
        await _served(cluster)


async def _install(cluster: Cluster, space: str, name: str, number: int) -> None:
    """As Helm does; a plain create would be a write of manager pawl, the name of this client."""
    await cluster.apply(DEPLOYMENTS, space, name, deployment(space, name, number), manager=HELM)


async def _settled(cluster: Cluster) -> None:
    """Wait until every Deployment has its Pod."""
    ready: set[str] = set()

    def take(raw: bytes) -> None:
        body = json.loads(raw)["object"]
        if body.get("status", {}).get("readyReplicas") == 1:
            ready.add(body["metadata"]["uid"])

    async with following(cluster, DEPLOYMENTS, take):
        await until(lambda: len(ready) == WORKLOADS, PATIENCE)


async def _served(cluster: Cluster) -> None:
    for _ in range(200):
        with contextlib.suppress(Exception):
            async for _page in cluster.list_pages(CLUSTER_IMAGE_OVERRIDES, None):
                return
        await asyncio.sleep(0.05)

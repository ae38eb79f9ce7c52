"""The world on ten thousand Pods: how long a fresh process takes to know them, and what they cost in memory."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import psutil

from bench.replica import MIB
from bench.rows import Row
from pawl.cluster.client import Cluster, Options
from pawl.cluster.resources import DEPLOYMENTS, NAMESPACES, PODS, REPLICA_SETS, Resource
from pawl.cluster.world import World
from pawl.sandbox import SandboxOptions, running

SPACES, WORKLOADS, PODS_EACH, NODES = 50, 2000, 5, 20


def world(out: Path) -> list[Row]:
    """10,000 Pods of 2,000 Deployments with 2,000 ReplicaSets in 50 namespaces, listed by a fresh process."""
    with running(SandboxOptions(name="bench-world", nodes=NODES, registry=False)) as where:
        asyncio.run(_fill(str(where.kubeconfig)))
        command = [sys.executable, "-m", "bench.world", str(where.kubeconfig)]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    (out / "world.log").write_text(text)
    found = json.loads(text)
    assert found["pods"] == WORKLOADS * PODS_EACH
    assert found["workloads"] == WORKLOADS
    return [
        Row("10,000 Pods, 2,000 workloads: world filled, listings included", found["seconds"], "s", 5),
        Row("  CPU of that", found["cpu"], "s"),
        Row("  memory above idle", found["after"] - found["idle"], "MiB", 60),
        Row("  Pods of all workloads and their roots asked for", found["ask"], "s"),
    ]


def deployment(space: str, name: str) -> dict[str, Any]:
    """Paused and without replicas, so that no controller touches the Pods that are made by hand."""
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": space}
    spec = {"replicas": 0, "paused": True, "selector": {"matchLabels": labels}, "template": template(labels, name)}
    return _object("apps/v1", "Deployment", space, name, labels) | {"spec": spec}


def template(labels: dict[str, str], name: str) -> dict[str, Any]:
    env = [{"name": f"SETTING_{number}", "value": f"value {number} of {name}"} for number in range(10)]
    main = {"name": "main", "image": f"registry.example.com/team/{name}:v1.2.3", "env": env}
    side = {"name": "proxy", "image": "quay.io/mesh/proxy:v2.1.0", "env": env[:3]}
    return {"metadata": {"labels": labels}, "spec": {"containers": [main, side]}}


def replica_set(owner: dict[str, Any]) -> dict[str, Any]:
    meta, spec = owner["metadata"], owner["spec"]
    labels = {**meta["labels"], "pod-template-hash": "7d4b9c"}
    body = _object("apps/v1", "ReplicaSet", meta["namespace"], f"{meta['name']}-7d4b9c", labels)
    body["metadata"]["ownerReferences"] = [_reference(owner)]
    inner = {**spec["template"], "metadata": {"labels": labels}}
    return body | {"spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": inner}}


def pod(owner: dict[str, Any], number: int) -> dict[str, Any]:
    meta = owner["metadata"]
    labels = {**meta["labels"], "hand": "made"}
    body = _object("v1", "Pod", meta["namespace"], f"{meta['name']}-{number}", labels)
    body["metadata"]["ownerReferences"] = [_reference(owner)]
    return body | {"spec": {**owner["spec"]["template"]["spec"], "nodeName": f"node-{number % NODES}"}}


def _object(version: str, kind: str, space: str, name: str, labels: dict[str, str]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": space, "labels": labels}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def _reference(owner: dict[str, Any]) -> dict[str, Any]:
    meta = owner["metadata"]
    names = {"apiVersion": "apps/v1", "kind": "Deployment", "name": meta["name"], "uid": meta["uid"]}
    return names | {"controller": True}


async def _fill(kubeconfig: str) -> None:
    async with await Cluster.connect(kubeconfig, Options(timeout=60)) as cluster:
        for number in range(SPACES):
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"s{number:02d}"}}
            await cluster.create(NAMESPACES, None, body)
        names = [(f"s{number % SPACES:02d}", f"web-{number:04d}") for number in range(WORKLOADS)]
        owners = await _create(cluster, DEPLOYMENTS, (deployment(*name) for name in names))
        await _create(cluster, REPLICA_SETS, map(replica_set, owners))
        await _create(cluster, PODS, (pod(owner, number) for number in range(PODS_EACH) for owner in owners))
        await _quiet(cluster)


async def _create(cluster: Cluster, resource: Resource, bodies: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    async def one(body: dict[str, Any]) -> dict[str, Any]:
        raw = await cluster.create(resource, body["metadata"]["namespace"], body)
        found: dict[str, Any] = json.loads(raw)
        return {**found, "kind": body["kind"]}

    return list(await asyncio.gather(*(one(body) for body in bodies)))


async def _quiet(cluster: Cluster) -> None:
    """Wait until the simulated kubelet runs all Pods."""
    seen = World(cluster)
    task = asyncio.create_task(seen.run())
    await seen.until_synced()
    await _until(lambda: all(each.ready_since is not None for each in seen.pods()), 300)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _until(done: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "the Pods never ran"
        await asyncio.sleep(1)


async def _measure(kubeconfig: str) -> dict[str, float]:
    """In a process of its own: idle, filled, asked."""
    process = psutil.Process()
    async with await Cluster.connect(kubeconfig) as cluster:
        await cluster.get(NAMESPACES, None, "default")
        seen = World(cluster)
        gc.collect()
        idle, cpu, begin = process.memory_info().rss / MIB, sum(process.cpu_times()[:2]), time.monotonic()
        task = asyncio.create_task(seen.run())
        await seen.until_synced()
        seconds, cpu = time.monotonic() - begin, sum(process.cpu_times()[:2]) - cpu
        after = process.memory_info().rss / MIB
        begin = time.monotonic()
        roots = [seen.root_of(each) for row in seen.workloads() for each in seen.pods_of(row.uid)]
        ask = time.monotonic() - begin
        assert None not in roots
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        found = {"seconds": seconds, "cpu": cpu, "idle": idle, "after": after, "ask": ask}
        return found | {"pods": len(seen.pods()), "workloads": len(seen.workloads())}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_measure(sys.argv[1]))))

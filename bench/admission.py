"""What the gate adds to the creation of a Pod, and how many reviews the webhook answers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from bench.cluster import place
from bench.rows import Row
from pawl.admission.certificates import new_bundle
from pawl.admission.install import apply_gate
from pawl.admission.policies import PARTS
from pawl.admission.review import review
from pawl.admission.tablefeed import TableFeed
from pawl.admission.webhook import WebhookServer
from pawl.admission.webhookconfig import NAME, Endpoint
from pawl.api.errors import ClusterError, NotFound
from pawl.api.imagerules import Table
from pawl.cluster.client import Cluster
from pawl.cluster.resources import (
    IMAGE_RULES,
    MUTATING_BINDINGS,
    MUTATING_POLICIES,
    MUTATING_WEBHOOKS,
    PODS,
    SERVICE_ACCOUNTS,
)
from pawl.decide.rulebook_pages import hosts_of
from pawl.decide.tables import CompiledTable

RATE = 100
SECONDS = 8
TURNS = 3
REVIEWS = 3000
OWN = "pawl-system"
TABLE = Table.model_validate(
    {
        "rules": {
            "docker.io": [{"to": "r.corp:5000/hub", "override": "o", "rule": 0}],
            "quay.io/rook": [{"to": "r.corp:5000/rook", "override": "o", "rule": 1}],
        },
        "secrets": {"r.corp:5000": [{"names": ["regcred"]}]},
        "hosts": hosts_of(("docker.io", "quay.io/rook")),
        "gives": ["regcred"],
    }
)
IMAGES = ("nginx:1.27", "quay.io/rook/ceph:v1.16.4", "docker.io/library/busybox")
GATES = ("none", "policy", "webhook")


def admission(out: Path) -> list[Row]:
    """Creates of Pods with three images as dry runs (all of admission, nothing stored), a hundred a second from one
    client, one after the other API server without a gate, with the policy, with the webhook, three turns; what is added
    is the difference of medians of the turns. Client, webhook, API server and etcd share the cores."""
    del out
    with place("bench-admission") as where:
        samples = asyncio.run(_all(str(where.kubeconfig)))
    figures = {gate: [_quantiles(turn) for turn in turns] for gate, turns in samples.items()}
    middle = {
        gate: (median(p50 for p50, _ in turns), median(p99 for _, p99 in turns)) for gate, turns in figures.items()
    }
    (base50, base99), (policy50, policy99), (hook50, hook99) = (middle[gate] for gate in GATES)
    return [
        Row("create without a gate, p50", base50, "ms"),
        Row("  p99", base99, "ms"),
        Row("policy adds, p50", policy50 - base50, "ms", 2.5),
        Row("  p99", policy99 - base99, "ms"),
        Row("webhook adds, p50", hook50 - base50, "ms", 2.5),
        Row("  p99", hook99 - base99, "ms", 15),
        Row("webhook, CPU of a review of three images", 1e6 / _reviews_per_second(), "µs", 1000),
    ]


async def _all(kubeconfig: str) -> dict[str, list[list[float]]]:
    async with await Cluster.connect(kubeconfig) as cluster:
        body = {"metadata": {"name": "pawl"}, "spec": TABLE.wire()}
        body |= {"apiVersion": "pawl.dev/v1alpha1", "kind": "ImageRules"}
        await cluster.create(IMAGE_RULES, "default", body)
        await _account(cluster)
        samples: dict[str, list[list[float]]] = {gate: [] for gate in GATES}
        for _ in range(TURNS):
            for gate in GATES:
                async with _gate(cluster, gate):
                    await _until(cluster, rewritten=gate != "none")
                    samples[gate].append(await _paced(cluster))
        return samples


async def _account(cluster: Cluster) -> None:
    """Without its ServiceAccount a namespace takes no Pods; the controller that makes it may be late."""
    with suppress(ClusterError):
        await cluster.create(SERVICE_ACCOUNTS, "default", {"metadata": {"name": "default"}})


@asynccontextmanager
async def _gate(cluster: Cluster, gate: str) -> AsyncIterator[None]:
    if gate == "none":
        yield
    elif gate == "policy":
        await apply_gate(cluster, OWN, "policy-v1", failure="Fail")
        yield
        for part in PARTS:
            await cluster.delete(MUTATING_BINDINGS, None, part.name)
            await cluster.delete(MUTATING_POLICIES, None, part.name)
    else:
        async with _webhook(cluster):
            yield


@asynccontextmanager
async def _webhook(cluster: Cluster) -> AsyncIterator[None]:
    bundle, feed = new_bundle(["127.0.0.1"], datetime.now(UTC)), TableFeed(cluster)
    task = asyncio.create_task(feed.run())
    server = WebhookServer(feed.lookup, OWN, bundle)
    port = await server.start("127.0.0.1", 0)
    await apply_gate(cluster, OWN, "webhook", Endpoint(f"https://127.0.0.1:{port}", bundle.authorities, "Fail"))
    yield
    with suppress(NotFound):
        await cluster.delete(MUTATING_WEBHOOKS, None, NAME)
    await server.close()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _until(cluster: Cluster, *, rewritten: bool) -> None:
    """Wait until the API server has the gate, or has it no more."""
    async with asyncio.timeout(60):
        while True:
            with suppress(ClusterError):
                made = json.loads(await cluster.create(PODS, "default", _pod(0), dry_run=True))
                if (made["spec"]["containers"][0]["image"] != IMAGES[0]) is rewritten:
                    return
            await asyncio.sleep(0.1)


async def _paced(cluster: Cluster) -> list[float]:
    """Ask a hundred times a second, whether the last is answered or not; milliseconds from the time that was due."""
    loop = asyncio.get_running_loop()
    begin = loop.time() + 0.1

    async def one(number: int) -> float:
        due = begin + number / RATE
        await asyncio.sleep(due - loop.time())
        sent = loop.time()
        await cluster.create(PODS, "default", _pod(number), dry_run=True)
        return (loop.time() - sent) * 1000

    return await asyncio.gather(*(one(number) for number in range(RATE * SECONDS)))


def _pod(number: int) -> dict[str, Any]:
    containers = [{"name": f"c{index}", "image": image} for index, image in enumerate(IMAGES)]
    return {"metadata": {"name": f"p-{number}", "labels": {"app": "web"}}, "spec": {"containers": containers}}


def _quantiles(values: list[float]) -> tuple[float, float]:
    ordered = sorted(values)
    return median(ordered), ordered[int(len(ordered) * 0.99)]


def _reviews_per_second() -> float:
    """Of one core, driven directly: no network, no TLS."""
    compiled = CompiledTable.of(TABLE)
    request = {"uid": "u", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "namespace": "default"}
    raw = json.dumps({"request": {**request, "operation": "CREATE", "object": _pod(1)}}).encode()
    begin = time.process_time()
    for _ in range(REVIEWS):
        review(raw, lambda _: compiled, OWN)
    return REVIEWS / (time.process_time() - begin)

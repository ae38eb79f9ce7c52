"""The gate in a real API server for tests: installed, fed with tables, asked with dry runs, taken away."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import msgspec
from tests.cluster.gate_pods import found

from pawl.admission.certificates import Bundle, new_bundle
from pawl.admission.install import apply_gate
from pawl.admission.policies import FailurePolicy
from pawl.admission.tablefeed import TableFeed
from pawl.admission.webhook import WebhookServer
from pawl.admission.webhookconfig import Endpoint
from pawl.api.errors import ClusterError, NotFound
from pawl.api.imagerules import Table
from pawl.api.meta import API_VERSION
from pawl.cluster.client import Cluster, Options
from pawl.cluster.resources import (
    CLUSTER_IMAGE_RULES,
    IMAGE_RULES,
    JOBS,
    MUTATING_BINDINGS,
    MUTATING_POLICIES,
    MUTATING_WEBHOOKS,
    NAMESPACES,
    PODS,
)

Json = dict[str, Any]

OWN = "pawl-system"
PARTS = ("pawl-namespace", "pawl-cluster", "pawl-namespace-templates", "pawl-cluster-templates")
CANARY = "gate-canary"
CANARY_TABLE = Table.model_validate(
    {
        "rules": {
            "marker.invalid": [{"to": "marked.invalid/canary", "templates": True, "override": "o", "rule": 0}],
            "marker.invalid/x": [{"to": "marked.invalid/canary", "templates": True, "override": "o", "rule": 0}],
        }
    }
)
CANARY_JOB = {
    "metadata": {"name": "canary"},
    "spec": {
        "template": {
            "spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "marker.invalid/x"}]},
        }
    },
}
PATIENT = Options(timeout=60)


@asynccontextmanager
async def policies(cluster: Cluster, failure: FailurePolicy = "Fail") -> AsyncIterator[None]:
    """The policies are in the API server; gone at the end."""
    await make_namespace(cluster, CANARY)
    await set_table(cluster, CANARY, CANARY_TABLE)
    await apply_gate(cluster, OWN, "policy-v1", failure=failure)
    try:
        await _canary(cluster, "marked.invalid/canary")
        yield
    finally:
        for name in PARTS:
            for resource in (MUTATING_BINDINGS, MUTATING_POLICIES):
                with suppress(NotFound):
                    await cluster.delete(resource, None, name)
        await _canary(cluster, "marker.invalid/x")


async def _canary(cluster: Cluster, wanted: str) -> None:
    """Wait until the API server's caches have the policies, or have them no more: templates are the last of them."""
    async with asyncio.timeout(30):
        while True:
            with suppress(ClusterError):
                raw = await cluster.create(JOBS, CANARY, CANARY_JOB, dry_run=True)
                if msgspec.json.decode(raw)["spec"]["template"]["spec"]["containers"][0]["image"] == wanted:
                    return
            await asyncio.sleep(0.05)


@asynccontextmanager
async def webhook(cluster: Cluster, failure: FailurePolicy = "Fail") -> AsyncIterator[tuple[WebhookServer, TableFeed]]:
    """A webhook of this process is what the API server asks; the table feed has seen everything once."""
    bundle = new_bundle(["127.0.0.1"], datetime.now(UTC))
    feed = TableFeed(cluster)
    task = asyncio.create_task(feed.run())
    server = WebhookServer(feed.lookup, OWN, bundle)
    try:
        port = await server.start("127.0.0.1", 0)
        await until(lambda: feed.ready)
        await configured(cluster, port, bundle, failure)
        yield server, feed
    finally:
        with suppress(NotFound):
            await cluster.delete(MUTATING_WEBHOOKS, None, "pawl")
        await server.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def configured(cluster: Cluster, port: int, bundle: Bundle, failure: FailurePolicy) -> None:
    endpoint = Endpoint(f"https://127.0.0.1:{port}", bundle.authorities, failure)
    await apply_gate(cluster, OWN, "webhook", endpoint)


async def set_table(cluster: Cluster, namespace: str, table: Table) -> None:
    """Store the table of a namespace, or with "" that of the cluster."""
    resource, kind = (IMAGE_RULES, "ImageRules") if namespace else (CLUSTER_IMAGE_RULES, "ClusterImageRules")
    meta = {"name": "pawl", **({"namespace": namespace} if namespace else {})}
    body = {"apiVersion": API_VERSION, "kind": kind, "metadata": meta, "spec": table.wire()}
    with suppress(NotFound):
        stored = msgspec.json.decode(await cluster.get(resource, namespace or None, "pawl"))
        meta["resourceVersion"] = stored["metadata"]["resourceVersion"]
        await cluster.replace(resource, namespace or None, "pawl", body)
        return
    await cluster.create(resource, namespace or None, body)


async def drop_cluster_table(cluster: Cluster) -> None:
    with suppress(NotFound):
        await cluster.delete(CLUSTER_IMAGE_RULES, None, "pawl")


def marked(table: Table, mark: int) -> Table:
    """The table with an entry that tells which table answers: `marker.invalid/x` becomes `marked.invalid/<mark>`."""
    entry = {"to": f"marked.invalid/m{mark}", "override": "mark", "rule": 0}
    spec = table.wire()
    spec["mandatory"] = {**spec.get("mandatory", {}), "marker.invalid/x": [entry]}
    if "hosts" in spec:
        spec["hosts"] = {**spec["hosts"], "marker.invalid": True}
    return type(table).model_validate(spec)


async def in_force(cluster: Cluster, namespace: str, mark: int) -> None:
    """Wait until Pods are rewritten by the table with this mark."""
    async with asyncio.timeout(30):
        while await images(cluster, namespace, bare("marker.invalid/x")) != [f"marked.invalid/m{mark}"]:  # noqa: ASYNC110 - the API server's cache
            await asyncio.sleep(0.02)


async def absent(cluster: Cluster, namespace: str) -> None:
    """Wait until nothing rewrites the marker any more."""
    async with asyncio.timeout(30):
        while await images(cluster, namespace, bare("marker.invalid/x")) != ["marker.invalid/x"]:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def bare(*names: str, **metadata: Any) -> Json:
    """A Pod with these images."""
    containers = [{"name": f"c{index}", "image": name} for index, name in enumerate(names)]
    meta = {"name": "bare", **metadata}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": containers}}


async def ask(cluster: Cluster, namespace: str, manifest: Json) -> tuple[list[str], list[str]]:
    """Images and pull Secrets of a Pod as it would be stored."""
    return found(msgspec.json.decode(await cluster.create(PODS, namespace, manifest, dry_run=True)))


async def images(cluster: Cluster, namespace: str, manifest: Json) -> list[str]:
    try:
        return (await ask(cluster, namespace, manifest))[0]
    except ClusterError as error:  # while policy or table arrive in the API server's caches
        return [str(error)]


async def make_namespace(cluster: Cluster, name: str, **labels: str) -> None:
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    with suppress(ClusterError):
        await cluster.create(NAMESPACES, None, body)


async def until(condition: Any, seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.005)


def trusting(bundle: Bundle) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=bundle.authorities.decode())

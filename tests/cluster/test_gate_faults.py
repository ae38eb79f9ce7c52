"""The gate where it must not stand in the way: dead webhooks, the system's Pods, Pods that are debugged, templates."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any, Literal

import aiohttp
import pytest
from tests.cluster.gates import (
    OWN,
    PATIENT,
    bare,
    configured,
    drop_cluster_table,
    images,
    in_force,
    make_namespace,
    marked,
    policies,
    set_table,
    trusting,
    webhook,
)

from pawl.admission.certificates import ensure_bundle, new_bundle
from pawl.admission.scope import MAX_IMAGES
from pawl.admission.webhook import MAX_BODY
from pawl.api.imagerules import ClusterTable, Table
from pawl.cluster.client import Cluster
from pawl.cluster.resources import (
    CRON_JOBS,
    DEPLOYMENTS,
    JOBS,
    MUTATING_WEBHOOKS,
    PODS,
    SECRETS,
    Resource,
)
from pawl.sandbox import Cluster as Sandbox

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]

Json = dict[str, Any]
Kind = Literal["policy", "webhook"]
HUB = {"rules": {"docker.io": [{"to": "m.zone/hub", "templates": True, "override": "o", "rule": 0}]}}
SECRET = {"secrets": {"m.zone": [{"names": ["reg"]}]}}
BOTH = pytest.mark.parametrize("kind", ["policy", "webhook"])


@pytest.fixture
async def client(cluster: Sandbox, installed: list[str]) -> AsyncIterator[Cluster]:
    del installed
    async with await Cluster.connect(str(cluster.kubeconfig), PATIENT) as opened:
        yield opened


def gate(kind: Kind, client: Cluster) -> AbstractAsyncContextManager[Any]:
    return policies(client) if kind == "policy" else webhook(client)


async def table_in(client: Cluster, namespace: str, spec: Json) -> None:
    await set_table(client, namespace, marked(Table.model_validate(spec), 1))
    await in_force(client, namespace, 1)


async def clustered(client: Cluster, namespace: str, own: dict[str, bool]) -> None:
    await set_table(client, "", marked(ClusterTable.model_validate({**HUB, "own": own}), 2))
    await in_force(client, namespace, 2)


@BOTH
async def test_a_pod_that_is_debugged_twice(client: Cluster, namespace: str, kind: Kind) -> None:
    """kubectl debug twice: both containers are rewritten, and what runs is not touched again (kyverno#9152)."""
    pod = await client.create(PODS, namespace, bare("busybox", name="debugged"))
    assert json.loads(pod)["spec"]["containers"][0]["image"] == "busybox"
    async with gate(kind, client):
        await table_in(client, namespace, HUB | SECRET)
        for number in (1, 2):
            await debug(client, namespace, f"d{number}")
        stored = json.loads(await client.get(PODS, namespace, "debugged"))["spec"]
    assert [each["image"] for each in stored["ephemeralContainers"]] == ["m.zone/hub/library/busybox"] * 2
    assert stored["containers"][0]["image"] == "busybox"
    assert "imagePullSecrets" not in stored


async def debug(client: Cluster, namespace: str, name: str) -> None:
    pod = json.loads(await client.get(PODS, namespace, "debugged"))
    known = pod["spec"].get("ephemeralContainers", [])
    added = [*known, {"name": name, "image": "busybox", "terminationMessagePolicy": "File"}]
    body = {"spec": {"ephemeralContainers": added}}
    await client.merge_patch(PODS, namespace, "debugged", body, "ephemeralcontainers")


@BOTH
async def test_what_is_never_touched(client: Cluster, namespace: str, kind: Kind) -> None:
    ignored = f"{namespace}-i"
    await make_namespace(client, OWN)
    await make_namespace(client, ignored, **{"pawl.dev/ignore": "true"})
    mirror = {"kubernetes.io/config.mirror": "x", "kubernetes.io/config.source": "file"}
    try:
        async with gate(kind, client):
            await clustered(client, namespace, {})
            assert await images(client, namespace, bare("nginx")) == ["m.zone/hub/library/nginx"]
            for never in ("kube-system", "kube-node-lease", OWN, ignored):
                assert await images(client, never, bare("nginx")) == ["nginx"]
            labelled = bare("nginx", labels={"pawl.dev/ignore": "true"})
            assert await images(client, namespace, labelled) == ["nginx"]
            static = bare("nginx", annotations=mirror)
            assert "m.zone" not in str(await images(client, namespace, static))
    finally:
        await drop_cluster_table(client)


@BOTH
async def test_a_new_namespace_is_covered_from_its_first_pod(client: Cluster, namespace: str, kind: Kind) -> None:
    try:
        async with gate(kind, client):
            await clustered(client, namespace, {f"{namespace}-own": True})
            for name, wanted in ((f"{namespace}-new", "m.zone/hub/library/nginx"), (f"{namespace}-own", "nginx")):
                await make_namespace(client, name)
                assert await images(client, name, bare("nginx")) == [wanted]
    finally:
        await drop_cluster_table(client)


@BOTH
async def test_templates_are_rewritten_where_an_entry_says_so(client: Cluster, namespace: str, kind: Kind) -> None:
    async with gate(kind, client):
        await table_in(client, namespace, HUB | SECRET)
        for resource, body in workloads():
            stored = json.loads(await client.create(resource, namespace, body, dry_run=True))
            spec = template(stored)
            assert [each["image"] for each in spec["containers"]] == ["m.zone/hub/library/nginx"]
            assert "imagePullSecrets" not in spec
        await set_table(client, namespace, marked(Table.model_validate(without_templates()), 3))
        await in_force(client, namespace, 3)
        for resource, body in workloads():
            spec = template(json.loads(await client.create(resource, namespace, body, dry_run=True)))
            assert [each["image"] for each in spec["containers"]] == ["nginx"]


def without_templates() -> Json:
    return {"rules": {"docker.io": [{"to": "m.zone/hub", "override": "o", "rule": 0}]}}


def workloads() -> list[tuple[Resource, Json]]:
    inner = {"containers": [{"name": "a", "image": "nginx"}], "restartPolicy": "Never"}
    job = {"template": {"spec": inner}}
    always = {"metadata": {"labels": {"a": "b"}}, "spec": {**inner, "restartPolicy": "Always"}}
    meta = {"metadata": {"name": "w"}}
    return [
        (DEPLOYMENTS, {**meta, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": always}}),
        (JOBS, {**meta, "spec": job}),
        (CRON_JOBS, {**meta, "spec": {"schedule": "0 0 * * *", "jobTemplate": {"spec": job}}}),
    ]


def template(stored: Json) -> Json:
    spec: Json = stored["spec"]
    return template(spec["jobTemplate"]) if "jobTemplate" in spec else spec["template"]["spec"]


GIANTS = [
    ([f"docker.io/a/{'b' * 98}:{'t' * 128}@sha512:{'a' * 128}"] * 86, True),
    ([f"docker.io/a/{'b' * 98}:{'t' * 128}@sha512:{'a' * 128}"] * 90, False),
    ([f"docker.io/{'a/' * 111}b"] * 9, True),
    ([f"docker.io/{'a/' * 111}b"] * 10, False),
    ([f"docker.io/a/b/c-{number}" for number in range(MAX_IMAGES - 1)], True),
    ([f"docker.io/a/c-{number}" for number in range(MAX_IMAGES + 1)], False),
    (["x" * 100_000, "docker.io/a/b", *["x" * 601] * 200], True),
]


@BOTH
async def test_a_giant_pod_is_decided_within_bounds(client: Cluster, namespace: str, kind: Kind) -> None:
    """Up to the bounds the budget of CEL suffices; what is beyond them is left alone, not refused."""
    async with gate(kind, client):
        await table_in(client, namespace, HUB | SECRET | {"held": {"m.zone/held": "missing"}})
        for names, rewritten in GIANTS:
            wanted = [name.replace("docker.io", "m.zone/hub") for name in names] if rewritten else names
            assert await images(client, namespace, bare(*names)) == wanted


async def test_a_dead_webhook_delays_and_nothing_more(client: Cluster, namespace: str) -> None:
    """S15 and S16: nobody answers; Pods are made within the timeout, those of the system at once."""
    await make_namespace(client, OWN)
    bundle = new_bundle(["127.0.0.1"], datetime.now(UTC))
    with socket.socket() as silent:  # takes connections and never says a word
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        try:
            await configured(client, silent.getsockname()[1], bundle, "Ignore")
            took = await delayed(client, namespace)
            assert took < 2 * 2 + 1  # two calls at most: the API server asks again what others changed
            for never in ("kube-system", OWN):
                begin = time.monotonic()
                assert await images(client, never, bare("nginx")) == ["nginx"]
                assert time.monotonic() - begin < 1.5
        finally:
            await client.delete(MUTATING_WEBHOOKS, None, "pawl")


async def delayed(client: Cluster, namespace: str) -> float:
    """Wait until the configuration is in force, which a delay shows, and return how long a create took then."""
    async with asyncio.timeout(30):
        while True:
            begin = time.monotonic()
            assert await images(client, namespace, bare("nginx")) == ["nginx"]
            if (took := time.monotonic() - begin) > 1:
                return took


async def test_a_webhook_that_comes_back_rewrites_again(client: Cluster, namespace: str) -> None:
    await set_table(client, namespace, marked(Table.model_validate(HUB), 1))
    async with webhook(client, "Ignore"):
        await in_force(client, namespace, 1)
    assert await images(client, namespace, bare("nginx")) == ["nginx"]
    async with webhook(client, "Ignore"):
        await in_force(client, namespace, 1)


async def test_a_renewed_certificate_is_served_without_a_restart(client: Cluster, namespace: str) -> None:
    await set_table(client, namespace, marked(Table.model_validate(HUB), 1))
    async with webhook(client) as (server, _):
        await in_force(client, namespace, 1)
        renewed = new_bundle(["127.0.0.1"], datetime.now(UTC))
        server.reload(renewed)
        port = server.port
        await configured(client, port, renewed, "Fail")
        async with aiohttp.ClientSession() as session:
            answer = await session.post(f"https://127.0.0.1:{port}/mutate", data=b"{", ssl=trusting(renewed))
            assert (await answer.json())["response"]["allowed"] is True
            large = await session.post(
                f"https://127.0.0.1:{port}/mutate", data=BytesIO(b"x" * (MAX_BODY + 1)), ssl=trusting(renewed)
            )
            assert (await large.json())["response"]["allowed"] is True
        await in_force(client, namespace, 1)


async def test_certificates_are_made_once_for_all_and_renewed_in_time(client: Cluster, namespace: str) -> None:
    now = datetime.now(UTC)
    made = await asyncio.gather(*(ensure_bundle(client, namespace, ["pawl.svc"], now) for _ in range(5)))
    assert len({each.certificate for each in made}) == 1
    later = await ensure_bundle(client, namespace, ["pawl.svc"], now + timedelta(days=300))
    assert later.certificate != made[0].certificate
    assert made[0].authorities in later.authorities
    other = await ensure_bundle(client, namespace, ["pawl.svc", "10.0.0.1"], now)
    assert other.serves(["10.0.0.1"], now)
    await client.merge_patch(SECRETS, namespace, "pawl-webhook", {"data": {"tls.key": "eA=="}})
    mended = await ensure_bundle(client, namespace, ["pawl.svc"], now)
    assert mended.certificate != other.certificate

"""The demo's registry as the world has it: its status, its Pods, its keys, and the bucket below it.

Neighbours: `demo_stage` has sandbox and kubectl, `demo_registry_door` is a client. Not here: what should be true.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from obstore.store import S3Store

from pawl.api.errors import SandboxError
from pawl.api.meta import REQUESTED_AT
from pawl.api.registrystorage import RegistryStorage
from pawl.cli import demo_registry_wish as wish
from pawl.cli.demo_checks import Check, expect, until
from pawl.cli.demo_registry_door import Door
from pawl.cli.demo_registry_pull import Puller
from pawl.cli.demo_stage import Stage
from pawl.cluster.resources import CONFIG_MAPS, NODES, PODS, REGISTRY_STORAGES, SECRETS
from pawl.decide.layout import blob_key
from pawl.sandbox.minio import Minio
from pawl.sandbox.ports import is_free
from pawl.sandbox.s3 import REGION

SERVER: Final = f"{wish.NAME}-registry"
LOWEST, HIGHEST = 30000, 32767
"""NodePorts."""


@dataclass
class House:
    """What the play remembers of the registry. Seconds are those of pushing a large layer."""

    port: int = 0
    digests: dict[str, str] = field(default_factory=dict)
    puller: Puller | None = None
    on_bucket: float = 0.0
    rotten: str = ""
    phases: list[str] = field(default_factory=list)
    rate: int = 0
    """Most bytes a second that were told of a copy."""


def minio_of(stage: Stage) -> Minio:
    """The sandbox's MinIO."""
    if stage.sandbox.minio is None:
        raise SandboxError(f"sandbox {stage.sandbox.name} has no MinIO: take it down, and let the demo make it")
    return stage.sandbox.minio


def start_node(stage: Stage) -> None:
    """Start the kubelet of the registry's node."""
    place = stage.crew.logs.parent / "host"
    registry = Path(stage.sandbox.env["KUBECTL"]).parent / "registry"
    stage.crew.start(
        "host", "-m", "pawl.cli.demo_registry_node", str(stage.sandbox.kubeconfig), str(place), str(registry)
    )


async def node_is_ready(stage: Stage) -> bool:
    """Whether the node runs Pods. Raises ClusterError."""
    found = json.loads(await stage.cluster.get(NODES, None, wish.NODE))
    conditions = found.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def node_port(name: str) -> int:
    """A NodePort that nobody listens on; sandboxes of other names look elsewhere first."""
    count = HIGHEST - LOWEST
    first = zlib.crc32(name.encode()) % count
    ports = (LOWEST + (first + step) % count for step in range(count))
    return next(port for port in ports if is_free(port))


async def declare(stage: Stage, house: House, storage: wish.Json) -> str:
    """Apply the registry with this store, and return what kubectl says."""
    return await stage.apply(wish.registry(storage, house.port))


async def read(stage: Stage) -> RegistryStorage:
    """Read the registry from the API server. Raises ClusterError."""
    return RegistryStorage.model_validate_json(await stage.cluster.get(REGISTRY_STORAGES, wish.NAMESPACE, wish.NAME))


async def watched(
    stage: Stage, house: House, what: str, seconds: float, good: Callable[[RegistryStorage], bool]
) -> RegistryStorage:
    """Wait until `good`, and note the phases and the rates that are told meanwhile. Raises CheckFailedError."""

    async def ask() -> RegistryStorage:
        found = await read(stage)
        if moving := found.status.migration:
            house.rate = max(house.rate, moving.bytes_per_second)
            house.phases += [moving.phase.value] if moving.phase not in house.phases[-1:] else []
        return found

    return await until(Check(what, seconds, good, seen), ask)


def holds(found: RegistryStorage, kind: str) -> bool:
    """Whether a condition is True, for the newest generation."""
    newest = found.status.observed_generation == found.metadata.generation
    return newest and any(each.type == kind and each.status == "True" for each in found.status.conditions)


def seen(found: RegistryStorage) -> str:
    """What its status says, in a line, for a check that failed."""
    status, moving = found.status, found.status.migration
    said = "; ".join(f"{c.type}={c.status} {c.reason} ({c.message})" for c in status.conditions)
    where = status.store.label if status.store else "no store"
    return f"{status.phase or 'nothing'} on {where}, {moving.phase.value if moving else 'no'} migration; {said}"


async def door(stage: Stage, house: House, *, straight: bool = False) -> Door:
    """How a client gets in, by what Pawl wrote for clients. `straight` to the Pod, past the node's port proxy."""
    name = f"127.0.0.1:{house.port}"
    address = f"{await _pod_address(stage)}:5000" if straight else name
    authorities = (await _get(stage, CONFIG_MAPS, f"{SERVER}-ca"))["data"]["ca.crt"]
    login = (await _get(stage, SECRETS, f"{SERVER}-users"))["data"]
    user, password = (base64.b64decode(login[key]).decode() for key in ("username", "password"))
    return Door(address, "127.0.0.1", ssl.create_default_context(cadata=authorities), user, password)


async def _get(stage: Stage, resource: Any, name: str) -> wish.Json:  # noqa: ANN401 - see Cluster.get
    found: wish.Json = json.loads(await stage.cluster.get(resource, wish.NAMESPACE, name))
    return found


async def _pod_address(stage: Stage) -> str:
    selector = f"pawl.dev/registry={wish.NAME},pawl.dev/part=server"
    pages = stage.cluster.list_pages(PODS, wish.NAMESPACE, selector)
    pods = [pod async for page in pages for pod in json.loads(page)["items"]]
    alive = [pod["status"].get("podIP", "") for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    expect(len(alive) == 1 and bool(alive[0]), "one Pod that serves", alive)
    return str(alive[0])


async def again(stage: Stage, wish_: str) -> str:
    """Ask for another try by the annotation."""
    note = f"{REQUESTED_AT}={wish_}"
    place = ("-n", wish.NAMESPACE, f"registrystorage/{wish.NAME}", note)
    answer = await stage.kubectl("annotate", "--overwrite", *place)
    expect(answer.code == 0, "kubectl annotate to be accepted", answer.err)
    return f"kubectl annotate {note}"


async def flip(stage: Stage, digest: str) -> int:
    """Turn one bit of a blob in the bucket over, as a bad disk does, and return where."""
    bucket, key = _bucket(stage), blob_key(digest)
    raw = bytearray(await (await bucket.get_async(key)).bytes_async())
    place = len(raw) // 2
    raw[place] ^= 1
    await bucket.put_async(key, bytes(raw))
    return place


async def take_away(stage: Stage, digest: str) -> None:
    """Delete a blob from the bucket."""
    await _bucket(stage).delete_async(blob_key(digest))


def _bucket(stage: Stage) -> S3Store:
    minio = minio_of(stage)
    return S3Store(
        wish.BUCKET,
        endpoint=minio.endpoint,
        access_key_id=minio.access_key,
        secret_access_key=minio.secret_key,
        region=REGION,
        client_options={"allow_http": True},
        virtual_hosted_style_request=False,
    )


async def make_bucket(stage: Stage) -> None:
    """Make the bucket. Raises SandboxError."""
    await asyncio.to_thread(minio_of(stage).bucket, wish.BUCKET)

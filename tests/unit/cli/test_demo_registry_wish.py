"""What the demo declares of its registry, and its large layers: right by the models, and known before anything runs."""

from __future__ import annotations

import hashlib
import json

import pytest

from pawl.api.registrystorage import RegistryStorage
from pawl.api.registrystorage_status import MigrationPhase
from pawl.cli import demo_registry_wish as wish
from pawl.cli.demo_registry_layer import PIECE, Layer
from pawl.cli.demo_registry_stage import holds, node_port, seen
from pawl.sandbox.minio import Minio

MINIO = Minio("http://127.0.0.1:9000", "pawl", "not told")
STORE = {"id": "a", "kind": "S3", "bucket": "images"}
TIMES = {"startedAt": "2026-01-01T00:00:00Z", "phaseSince": "2026-01-01T00:00:00Z"}


def registry(storage: wish.Json, status: wish.Json | None = None, generation: int = 1) -> RegistryStorage:
    body = json.loads(wish.registry(storage, 30001))
    body["metadata"]["generation"] = generation
    return RegistryStorage.model_validate_json(json.dumps(body | {"status": status or {}}))


def test_the_registry_is_on_a_bucket_first_and_on_a_volume_then() -> None:
    on_bucket, on_volume = registry(wish.on_bucket(MINIO)), registry(wish.on_volume())
    assert on_bucket.spec.storage.s3 is not None
    assert on_bucket.spec.storage.s3.bucket == wish.BUCKET
    assert on_volume.spec.storage.filesystem is not None
    assert on_bucket.spec.access == on_volume.spec.access
    assert on_bucket.spec.access.host == "127.0.0.1:30001"


def test_its_pods_and_nothing_else_go_to_its_node() -> None:
    taint = json.loads(wish.node())["spec"]["taints"][0]
    server = registry(wish.on_volume()).spec.server
    assert [(each.key, each.operator) for each in server.tolerations] == [(taint["key"], "Exists")]
    assert server.node_selector == {"kubernetes.io/hostname": wish.NODE}


def test_the_keys_of_the_bucket_are_in_the_secret_alone() -> None:
    secret = json.loads(wish.home(MINIO))["items"][1]
    assert secret["stringData"] == {"accessKey": "pawl", "secretKey": "not told"}
    assert "not told" not in wish.registry(wish.on_bucket(MINIO), 30001)


def test_what_rots_is_pulled_by_nobody() -> None:
    assert wish.ROTTEN.repository not in {each.repository for each in wish.PULLED}


def test_a_layer_is_what_its_digest_says() -> None:
    layer = Layer(7, pieces=3)
    body = b"".join(layer)
    assert len(body) == layer.size == 3 * PIECE
    assert layer.digest == f"sha256:{hashlib.sha256(body).hexdigest()}"
    assert json.loads(layer.manifest().body)["layers"][0]["digest"] == layer.digest


def test_layers_of_other_seeds_share_no_bytes() -> None:
    """A layer that the store has would not be written again, and its push would say nothing."""
    one, other = list(Layer(1, pieces=2)), list(Layer(2, pieces=2))
    assert len({*one, *other}) == 4


async def test_a_layer_streams_what_it_holds() -> None:
    layer = Layer(1, pieces=2)
    assert [piece async for piece in layer.stream()] == list(layer)


def test_ports_of_sandboxes_differ() -> None:
    assert len({node_port(name) for name in ("demo", "demo-1", "demo-2")}) == 3


@pytest.mark.parametrize(("observed", "good"), [(1, False), (2, True)])
def test_a_condition_counts_for_the_newest_generation_only(observed: int, *, good: bool) -> None:
    ready = {"type": "Ready", "status": "True", "reason": "Serving", "message": "", "observedGeneration": observed}
    ready["lastTransitionTime"] = TIMES["startedAt"]
    found = registry(wish.on_volume(), {"observedGeneration": observed, "conditions": [ready]}, generation=2)
    assert holds(found, "Ready") is good
    assert not holds(found, "Writable")


def test_a_check_that_fails_tells_store_phase_and_conditions() -> None:
    moving = {"id": "m", "phase": MigrationPhase.BULK.value, "source": STORE, "target": STORE, **TIMES}
    found = registry(wish.on_volume(), {"phase": "Migrating", "store": STORE, "migration": moving})
    assert seen(found) == "Migrating on bucket images at AWS, Bulk migration; "

"""A registry that lies and breaks in every way while policies of every kind advance: forward or not at all."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.cluster.api import Api
from tests.cluster.operators import Shop, eventually, operator_of, spec, tell
from tests.faults.recorder import recording
from tests.faults.weather import weather
from tests.support.registry import FakeRegistry
from tests.support.registry_images import digest_of

from pawl.sandbox import Cluster

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.faults,
    pytest.mark.timeout(240),
    pytest.mark.usefixtures("installed"),
]

SECONDS, LONGEST = 15.0, 60.0
ENOUGH = 18
"""Moves that a storm must have seen; on a slow machine it lasts longer."""
KINDS: dict[str, dict[str, object]] = {
    "semver": {},
    "follow": {"tagMutability": "Follow"},
    "descending": {"select": {"alphabetical": {"order": "Descending"}}},
    "platforms": {"platforms": ["linux/amd64"]},
    "aged": {"gates": {"minimumAge": "1s"}},
    "digest": {"select": {"digest": {"tag": "v1.0.0"}}, "tagMutability": "Follow"},
}


def sent(registry: FakeRegistry, repository: str) -> set[str]:
    """The digests of all bytes that may have come for a manifest, the flipped ones included."""
    bodies = [body for _, body in registry.repositories[repository].manifests.values()]
    return {digest_of(body) for whole in bodies for body in (whole, whole.replace(b"2", b"3", 1))}


async def test_a_storm_takes_nothing_back(
    cluster: Cluster, api: Api, namespace: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with FakeRegistry() as registry:
        with recording(cluster.kubeconfig) as recorder, operator_of(cluster.kubeconfig, tmp_path) as operator:
            shop = Shop(api, namespace, operator)

            def moves() -> dict[str, int]:
                return {name: len(recorder.steps(namespace, name)) for name in KINDS}

            for name, fields in KINDS.items():
                registry.push(f"shop/{name}", "v1.0.0")
                shop.create(spec(registry.host, f"shop/{name}", **fields), name)
            await asyncio.gather(*(shop.tag("v1.0.0", name) for name in KINDS))
            async with weather(registry, shop, list(KINDS), seed=3) as storm:
                await asyncio.sleep(SECONDS)
                await eventually(lambda: sum(moves().values()) > ENOUGH, LONGEST, "enough moves")
            for name in set(KINDS) - {"digest", "descending"}:
                registry.push(f"shop/{name}", "v2.0.0")
                await shop.ask(name)
                await shop.tag("v2.0.0", name)
            assert recorder.broken(namespace) == []
            tell(capsys, f"{storm.pushes} pushes in a storm of {SECONDS:g} s and more, moves {moves()}")
            for name in KINDS:
                digests = {step["digest"] for step in recorder.steps(namespace, name)}
                assert digests <= sent(registry, f"shop/{name}"), "every digest is the hash of bytes that were sent"
            assert not [line for line in operator.lines() if line["level"] == "error"]

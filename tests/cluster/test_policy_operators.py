"""More than one operator: each keeps to its namespaces, and two by mistake on the same policies do no harm."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from tests.cluster.api import Api
from tests.cluster.coherence import says
from tests.cluster.operators import Shop, eventually, good, operator_of, selected, spec
from tests.faults.recorder import recording
from tests.support.registry import FakeRegistry

from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("installed")]


@pytest.fixture
def elsewhere(api: Api) -> str:
    name = f"t-{uuid4().hex[:10]}"
    good(api.post("api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))
    return name


async def test_an_operator_keeps_to_its_namespaces(
    cluster: Cluster, api: Api, namespace: str, elsewhere: str, tmp_path: Path
) -> None:
    async with FakeRegistry() as registry:
        registry.push("shop/web", "v1.0.0")
        with operator_of(cluster.kubeconfig, tmp_path, "--watch-namespaces", namespace) as operator:
            mine, other = Shop(api, namespace, operator), Shop(api, elsewhere, operator)
            other.create(spec(registry.host))
            mine.create(spec(registry.host))
            await mine.tag("v1.0.0")
            registry.push("shop/web", "v1.1.0")
            other.annotate()
            await mine.ask()
            assert selected(mine.read())["tag"] == "v1.1.0"
            assert other.read()["status"] == {"observedGeneration": -1}
            assert operator.get("readyz").status_code == 200
            assert f"{elsewhere}/" not in operator.text


async def test_two_operators_by_mistake(cluster: Cluster, api: Api, namespace: str, tmp_path: Path) -> None:
    """Both lead, each in a Lease of its own, and both write: conflicts end in one history that goes forward."""
    scope = ("--watch-namespaces", namespace)
    names = [f"p{number}" for number in range(6)]
    async with FakeRegistry() as registry:
        registry.push("shop/web", "v1.0.0")
        with (
            recording(cluster.kubeconfig) as recorder,
            operator_of(cluster.kubeconfig, tmp_path, *scope) as one,
            operator_of(cluster.kubeconfig, tmp_path, *scope) as two,
        ):
            shop = Shop(api, namespace, one)
            for name in names:
                shop.create(spec(registry.host), name)
            for minor in range(8):
                registry.push("shop/web", f"v1.{minor}.0")
                for name in names:
                    await shop.ask(name)
            for name in names:
                await shop.tag("v1.7.0", name)
                held = shop.read(name)
                shop.edit(name, rollback=back(held, registry))
                await shop.tag("v1.6.0", name)
            registry.push("shop/web", "v1.9.0")
            for name in names:
                await shop.ask(name)
                await shop.tag("v1.9.0", name)
            assert recorder.broken(namespace) == []
            for name in names:
                sequences = [step["sequence"] for step in recorder.steps(namespace, name)]
                assert sequences == list(range(1, len(sequences) + 1)), "no move twice, none left out"
                assert [entry["to"][:6] for entry in shop.read(name)["status"]["history"]].count("v1.6.0") <= 2
                assert says(shop.read(name), "Ready") == ("True", "Selected")
            writers = {line["policy"] for operator in (one, two) for line in operator.lines("status written")}
            assert len(writers) == len(names)
            assert all(operator.lines("status written") for operator in (one, two)), "both did write"
            assert not [line for operator in (one, two) for line in operator.lines() if line["level"] == "error"]
            versions = len(recorder.of(namespace))
            asked = len(registry.asked("tags/list"))
            await eventually(lambda: len(registry.asked("tags/list")) >= asked + 4, 40, "two more rounds of both")
            assert len(recorder.of(namespace)) == versions, "they agree and are silent"


def back(policy: dict[str, object], registry: FakeRegistry) -> dict[str, object]:
    held, tags = selected(policy), registry.repositories["shop/web"].tags
    to = {"tag": "v1.6.0", "digest": tags["v1.6.0"]}
    return {"nonce": "both", "from": {"tag": held["tag"]}, "to": to, "reason": "both see it"}

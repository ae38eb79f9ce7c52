"""Death at every call: wherever a controller dies or loses an answer, the end is that of an undisturbed life."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.cluster.api import Api
from tests.cluster.operators import Shop, tell
from tests.faults.death import How, Mortal
from tests.faults.recorder import recording
from tests.faults.scenario import Json, Play, registry_client
from tests.support.registry import FakeRegistry

from pawl.cluster.connect import HttpTransport
from pawl.cluster.credentials import Place
from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.faults, pytest.mark.usefixtures("installed")]


@pytest.fixture
async def transport(cluster: Cluster) -> AsyncIterator[HttpTransport]:
    made = await HttpTransport.open(Place(kubeconfig=str(cluster.kubeconfig)))
    yield made
    await made.close()


@pytest.fixture
def shop(api: Api, namespace: str) -> Shop:
    return Shop(api, namespace, None)  # type: ignore[arg-type] - no process takes part


async def played(shop: Shop, registry: FakeRegistry, name: str, mortal: Mortal) -> tuple[Json, Play]:
    """The scenario from first to last, with a registry client of its own."""
    async with registry_client() as ways:
        play = Play(shop, registry, name, mortal, ways)
        return await play.run(), play


@pytest.mark.parametrize("how", How, ids=lambda how: how.name.lower().replace("_", "-"))
async def test_death_at_every_call(
    cluster: Cluster, shop: Shop, transport: HttpTransport, how: How, capsys: pytest.CaptureFixture[str]
) -> None:
    async with FakeRegistry() as registry:
        calm = Mortal(transport)
        wanted, _ = await played(shop, registry, "calm", calm)
        assert [entry["cause"] for entry in wanted["status"]["history"]] == ["Bootstrap", "Newer", "Rollback", "Newer"]
        assert len([call for call in calm.calls if call.startswith(("patch", "create"))]) >= 8
        with recording(cluster.kubeconfig) as recorder:
            for number in range(1, len(calm.calls) + 1):
                mortal = Mortal(transport, number, how)
                found, play = await played(shop, registry, f"n{number}", mortal)
                where = f"{how.value} {number}, {mortal.calls[number - 1]}"
                assert found == wanted, where
                assert play.deaths == (1 if how.name.startswith("KILLED") else 0), where
            assert recorder.broken(shop.namespace) == []
        tell(capsys, f"{how.value}: {len(calm.calls)} calls, each once; the same end every time")

"""Three replicas whose leader is killed again and again while the registry moves and lies: nothing goes back."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

import pytest
from tests.cluster.api import Api
from tests.cluster.operators import Operator, Shop, eventually, selected, spec, tell
from tests.faults.recorder import Recorder, recording
from tests.faults.replicas import Crew, crew_of, lease_of, two_writers
from tests.faults.weather import weather
from tests.support.registry import FakeRegistry

from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.faults, pytest.mark.usefixtures("installed")]

LEASES = "apis/coordination.k8s.io/v1/leases"
KILLS = 10
TAKEOVER = 20.0
NAMES = ("web", "api", "batch", "tool")


async def new_leader(crew: Crew, leases: Recorder, before: str) -> Operator:
    """Wait until another replica holds the Lease and has written in its term, or had nothing to write yet."""
    found: list[Operator] = []

    def led() -> bool:
        spec_now = lease_of(leases, crew.namespace)
        if spec_now.get("holderIdentity") in (None, "", before):
            return False
        leader = crew.leader(leases)
        found[:] = [leader] if leader else []
        return bool(found)

    await eventually(led, 45, "another replica leads")
    return found[0]


@pytest.mark.timeout(480)
async def test_the_leader_is_killed_again_and_again(
    cluster: Cluster, api: Api, namespace: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chance, took = random.Random(7), []
    async with FakeRegistry() as registry:
        with (
            recording(cluster.kubeconfig) as policies,
            recording(cluster.kubeconfig, LEASES) as leases,
            crew_of(cluster.kubeconfig, tmp_path, namespace) as crew,
        ):
            for _ in range(3):
                crew.start()
            shop = Shop(api, namespace, crew.all[0])
            for name in NAMES:
                registry.push(f"shop/{name}", "v1.0.0")
                shop.create(spec(registry.host, f"shop/{name}"), name)
            leader = await new_leader(crew, leases, "")
            for name in NAMES:
                await shop.tag("v1.0.0", name, seconds=30)
            async with weather(registry, shop, NAMES, seed=11) as storm:
                for _ in range(KILLS):
                    await asyncio.sleep(chance.random() * 2)
                    identity, begin = leader.identity, time.monotonic()
                    leader.kill()
                    crew.bury()
                    crew.start()
                    leader = await new_leader(crew, leases, identity)
                    took.append(time.monotonic() - begin)
            for name in NAMES:  # calm weather: everything settles on the greatest that is there
                registry.push(f"shop/{name}", "v2.0.0")
                await shop.ask(name)
                await shop.tag("v2.0.0", name)
            moves = sum(len(policies.steps(namespace, name)) for name in NAMES)
            tell(capsys, f"{KILLS} kills, takeovers " + " ".join(f"{each:.1f}" for each in took) + " s")
            tell(capsys, f"{storm.pushes} pushes, {moves} moves, {len(crew.writes())} status writes")
            assert policies.broken(namespace) == []
            assert two_writers(crew, leases) == []
            assert max(took) <= TAKEOVER
            assert moves >= KILLS, "there was something to lose"
            for name in NAMES:
                assert shop.ledger_content(name)["selection"] == selected(shop.read(name))


@pytest.mark.timeout(300)
async def test_sigterm_hands_over_within_seconds(
    cluster: Cluster, api: Api, namespace: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    took = []
    async with FakeRegistry() as registry:
        registry.push("shop/web", "v1.0.0")
        with (
            recording(cluster.kubeconfig) as policies,
            recording(cluster.kubeconfig, LEASES) as leases,
            crew_of(cluster.kubeconfig, tmp_path, namespace) as crew,
        ):
            leader, other = crew.start(), crew.start()
            for each in (leader, other):
                each.wait_log("ready")
            leader = await new_leader(crew, leases, "")
            shop = Shop(api, namespace, leader)
            shop.create(spec(registry.host, interval="1h"))
            await shop.tag("v1.0.0")
            for minor in range(1, 4):
                registry.push("shop/web", f"v1.{minor}.0")
                begin = time.monotonic()
                leader.process.terminate()
                shop.annotate()
                await shop.tag(f"v1.{minor}.0", seconds=25)
                took.append(time.monotonic() - begin)
                # One signal, as from a kubelet: another one while the interpreter ends would kill it.
                assert await asyncio.to_thread(leader.process.wait, 30) == 0
                crew.bury()
                crew.start().wait_log("ready")
                leader = await new_leader(crew, leases, leader.identity)
            tell(capsys, "SIGTERM to the next move: " + " ".join(f"{each:.2f}" for each in took) + " s")
            assert policies.broken(namespace) == []
            assert two_writers(crew, leases) == []
            assert max(took) <= 3.0

"""An API server that stands still: the leader gives up in time, or keeps the Lease lawfully; nothing goes back."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import psutil
import pytest
import yaml
from tests.cluster.api import Api
from tests.cluster.operators import Shop, eventually, selected, spec, tell
from tests.faults.recorder import recording
from tests.faults.replicas import crew_of, two_writers
from tests.support.registry import FakeRegistry

from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.faults, pytest.mark.usefixtures("installed")]

LEASES = "apis/coordination.k8s.io/v1/leases"
PAUSE = 12.0


def api_server(cluster: Cluster) -> psutil.Process:
    """The process behind a sandbox's kubeconfig, by the port that it serves."""
    if cluster.source == "PAWL_KUBECONFIG":
        pytest.skip("the API server given is not ours to stop")
    server = yaml.safe_load(cluster.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    port = server.rpartition(":")[2]
    found = [
        process
        for process in psutil.process_iter(["cmdline"])
        if "kube-apiserver" in " ".join(process.info["cmdline"] or [])[:300]
        and any(part.endswith(f"secure-port={port}") for part in process.info["cmdline"])
    ]
    if len(found) != 1:
        pytest.skip(f"no process of this machine serves {server}")
    return found[0]


async def test_an_api_server_that_stands_still(
    cluster: Cluster, api: Api, namespace: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = api_server(cluster)
    async with FakeRegistry() as registry:
        registry.push("shop/web", "v1.0.0")
        with (
            recording(cluster.kubeconfig) as policies,
            recording(cluster.kubeconfig, LEASES) as leases,
            crew_of(cluster.kubeconfig, tmp_path, namespace) as crew,
        ):
            for _ in range(2):
                crew.start().wait_log("ready")
            shop = Shop(api, namespace, crew.all[0])
            shop.create(spec(registry.host))
            await shop.tag("v1.0.0", seconds=30)
            for minor in range(1, 6):  # a write is under way when the server stops
                registry.push("shop/web", f"v1.{minor}.0")
                shop.annotate()
            server.send_signal(signal.SIGSTOP)
            try:
                await asyncio.sleep(PAUSE)
            finally:
                server.send_signal(signal.SIGCONT)
            begin = time.monotonic()
            dead: list[object] = []

            def restarted() -> bool:
                for each in crew.bury():
                    dead.append(each)
                    assert each.process.returncode != 0
                    assert "pawl is lost: it could not be renewed" in each.text
                    crew.start()
                return crew.leader(leases) is not None

            await eventually(restarted, 45, "a leader after the pause")
            registry.push("shop/web", "v2.0.0")
            shop.annotate()
            await eventually(lambda: restarted() and selected(shop.read())["tag"] == "v2.0.0", 60)
            tell(
                capsys,
                f"{PAUSE:g} s without an API server: {len(dead)} gave up, moved {time.monotonic() - begin:.1f} s later",
            )
            assert dead, "no renewal for longer than the deadline: the leader had to go"
            assert policies.broken(namespace) == []
            assert two_writers(crew, leases) == []
            assert shop.ledger_content()["selection"] == selected(shop.read())

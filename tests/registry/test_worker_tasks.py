"""`pawl worker` from end to end: a whole move by its tasks, one process that is watched and told to end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.registries import collect_garbage, filesystem, registry_on
from tests.support.servers import free_address
from tests.unit.cli.run_pawl import pawl

from pawl.api.registrywork import TOKEN_VARIABLE
from pawl.jobs.progress import INTERRUPTED
from pawl.sandbox.images import Image, Pusher

pytestmark = pytest.mark.registry

Json = dict[str, Any]
TOKEN = "only-for-the-operator"


def order(directory: Path, task: str, **fields: object) -> tuple[str, ...]:
    """Write an order and return the arguments that carry it out."""
    directory.mkdir(exist_ok=True)
    file = directory / f"{task}.json"
    file.write_text(json.dumps({"task": task, "id": "m1", **fields}))
    return ("worker", task, "--order", str(file), "--termination-log", str(directory / f"{task}.report"))


def carried_out(directory: Path, task: str, **fields: object) -> Json:
    ended = pawl(*order(directory, task, **fields), "--listen", "127.0.0.1:0")
    report: Json = json.loads((directory / f"{task}.report").read_text())
    assert ended.code == (0 if report.get("ok") else 1), ended
    assert json.loads(ended.out)["done"]
    return report


def place(path: Path) -> Json:
    return {"kind": "Filesystem", "path": str(path)}


def test_a_move_by_its_tasks(tmp_path: Path) -> None:
    old, new, orders = tmp_path / "old", tmp_path / "new", tmp_path / "orders"
    new.mkdir()
    with registry_on(filesystem(old)) as registry, Pusher(registry.host) as pusher:
        pusher.push(Image("shop/web", "v1"))
        pusher.push(Image("shop/web", "v2", text="another"))
        bulk = carried_out(orders, "bulk", source=place(old), target=place(new))
        assert bulk["ok"], bulk
        pusher.push(Image("shop/api", "v1"))
    assert carried_out(orders, "final", source=place(old), target=place(new))["ok"]
    assert carried_out(orders, "verify", target=place(new), verify="Deep")["ok"]
    with registry_on(filesystem(new), read_only=True) as registry:
        url = {"url": f"http://{registry.host}"}
        smoke = carried_out(orders, "smoke", target=place(new), endpoint=url)
        assert smoke["ok"], smoke
        assert smoke["progress"]["objects"] > 3
        assert carried_out(orders, "probe", endpoint=url)["steps"][-1]["message"].startswith("read-only now")
    assert carried_out(orders, "delete", source=place(old))["ok"]
    assert not [path for path in old.rglob("*") if path.is_file()]


def test_a_collection_by_its_tasks(tmp_path: Path) -> None:
    store, orders = tmp_path / "store", tmp_path / "orders"
    with registry_on(filesystem(store)) as registry, Pusher(registry.host) as pusher:
        for number in range(3):
            pusher.push(Image("shop/web", f"v{number}", text=f"{number}" * 5000))
        config = registry.config.read_bytes()
    rules = {"retention": [{"repositories": ["**"], "keepLast": 2}]}
    caps = {"collection": {"minimumAge": "0s", "maxDeletePercent": 60}}
    more = {"source": place(store), "now": "2100-01-01T00:00:00Z", **rules, **caps}
    prepared = carried_out(orders, "prepare", **more)
    assert prepared["ok"], prepared
    file = tmp_path / "config.yml"
    file.write_bytes(config)
    assert collect_garbage(file).returncode == 0
    accounted = carried_out(orders, "account", **more)
    assert accounted["ok"], accounted
    assert accounted["freedBytes"] > 5000


def asked(address: str, path: str, token: str) -> tuple[int, Json]:
    request = urllib.request.Request(f"http://{address}{path}", headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, {}


class Worker:
    """`pawl worker` as a process of its own, with the token and credentials in its environment."""

    def __init__(self, arguments: tuple[str, ...]) -> None:
        self._address = free_address()
        keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "5ecret-5ecret"}
        environment = {**os.environ, **keys, TOKEN_VARIABLE: TOKEN, "PAWL_WORK_LISTEN": self._address}
        command = [sys.executable, "-m", "pawl", *arguments]
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def ask(self, path: str, field: str) -> Json:
        """Ask until its answer has a field."""
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError):
                status, report = asked(self._address, path, TOKEN)
                if status == 200 and field in report:
                    assert asked(self._address, path, "another") == (401, {})
                    return report
            assert time.monotonic() < deadline, "the worker does not answer"
            time.sleep(0.02)

    def ended(self) -> Json:
        """Tell it to end, and return its report."""
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=20)
        assert "5ecret" not in out + err
        assert TOKEN not in out + err
        report: Json = json.loads(out)
        return report


@pytest.fixture
def start() -> Iterator[Callable[[tuple[str, ...]], Worker]]:
    """Starts workers that end with the test."""
    started: list[Worker] = []

    def begin(arguments: tuple[str, ...]) -> Worker:
        started.append(Worker(arguments))
        return started[-1]

    yield begin
    for worker in started:
        worker.process.kill()
        worker.process.communicate()


Start = Callable[[tuple[str, ...]], Worker]


def test_a_worker_is_watched_and_told_to_end(tmp_path: Path, start: Start) -> None:
    """Its source takes connections and never answers, as a MinIO whose disk hangs."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        source = {"kind": "S3", "endpoint": endpoint, "bucket": "images"}
        (tmp_path / "new").mkdir()
        worker = start(order(tmp_path / "orders", "bulk", source=source, target=place(tmp_path / "new")))
        report = worker.ask("/progress", "task")
        assert (report["task"], report.get("done", False)) == ("bulk", False)
        ended = worker.ended()
    assert (worker.process.returncode, ended["reason"]) == (1, INTERRUPTED)
    assert json.loads((tmp_path / "orders" / "bulk.report").read_text()) == ended


def test_a_meter_serves_until_it_is_told_to_end(tmp_path: Path, start: Start) -> None:
    with registry_on(filesystem(tmp_path / "store")) as registry, Pusher(registry.host) as pusher:
        pusher.push(Image("shop/web", "v1"))
    worker = start(order(tmp_path / "orders", "meter", source=place(tmp_path / "store")))
    assert worker.ask("/usage", "walkedAt")["tags"] == 1
    assert worker.ended()["ok"]
    assert worker.process.returncode == 0

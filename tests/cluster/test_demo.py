"""`pawl demo` as a process, on a sandbox of its own: it ends well, it fails with words, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pawl.cli.demo_registry_wish import ROTTEN
from pawl.sandbox import Cluster, Runtime, down, status
from pawl.sandbox.images import Image, Pusher, build, digest_of
from pawl.sandbox.ports import is_free
from pawl.sandbox.state import Store

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(480)]

END = 420
"""Seconds for a whole demo on a busy machine; it takes a quarter of that on an idle one."""


class Demo:
    """One demo with a state directory of its own."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.name = f"demo-{os.getpid()}"
        self.state = home / "state"
        self.output = home / "output.txt"
        self.runtime = Runtime(environ={**os.environ, "PAWL_STATE_DIR": str(self.state)})
        with self.output.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pawl", "demo", "--name", self.name, *arguments],
                env=dict(self.runtime.environ) | {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"},
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    @property
    def text(self) -> str:
        return self.output.read_text()

    def says(self, words: str) -> None:
        """Wait until the demo has said this."""
        end = time.monotonic() + END
        while words not in self.text:
            assert self.process.poll() is None, self.text
            assert time.monotonic() < end, self.text
            time.sleep(0.05)

    def ended(self) -> int:
        return self.process.wait(END)

    def pid(self, role: str) -> int:
        """A recorded process of the sandbox."""
        state = Store(self.state).load(self.name)
        assert state is not None
        return next(process.pid for process in state.processes if process.role == role)

    def left(self) -> list[str]:
        """What still runs: processes that name the state directory, and the proxy by its port."""
        own = [
            each for each in psutil.process_iter(["cmdline"]) if str(self.state) in " ".join(each.info["cmdline"] or [])
        ]
        ports = re.findall(r"proxy on 127\.0\.0\.1:(\d+)", self.text)
        return [str(each) for each in own] + [port for port in ports if not is_free(int(port))]

    def end(self) -> None:
        """Leave nothing behind, whatever the test found."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        down(self.name, runtime=self.runtime)


@pytest.fixture
def demos() -> Iterator[list[Demo]]:
    """The demos that a test starts; they are ended with it."""
    started: list[Demo] = []
    yield started
    for demo in started:
        demo.end()


def start(demos: list[Demo], home: Path, *arguments: str) -> Demo:
    demos.append(Demo(home, *arguments))
    return demos[0]


def test_it_ends_well_and_leaves_nothing(demos: list[Demo], tmp_path: Path) -> None:
    demo = start(demos, tmp_path)
    assert demo.ended() == 0, demo.text
    assert demo.left() == []
    assert status(runtime=demo.runtime) == []
    acts = re.findall(r"^(\d+) +(\S.+)$", demo.text, re.MULTILINE)
    numbers = [str(number) for number in range(1, 15)]
    assert [number for number, _ in acts] == numbers * 2, "each act, and each once more in the table"
    assert "✗" not in demo.text
    took = re.search(r"leads ([\d.]+) s after the kill", demo.text)
    assert took is not None
    assert float(took[1]) <= 20
    assert "selection.sortKey never falls" in demo.text
    assert "\x1b" not in demo.text
    assert_rook_is_told(demo.text)
    assert_registry_is_told(demo.text)


def assert_rook_is_told(text: str) -> None:
    """Who missed the chart, what preflight missed, how each workload went, and what works without Pawl."""
    assert "DaemonSet rook-discover keeps docker.io/rook/ceph:v1.15.0" in text
    assert re.search(r"ceph:v18\.2\.4@sha256:\w{64} for linux/amd64: .* not found", text)
    paths = re.findall(r"^ {5}(\w+ rook-[\w-]+) +((?:stale|stuck) → rolling → verified)", text, re.MULTILINE)
    assert sorted(paths) == [
        ("DaemonSet rook-discover", "stale → rolling → verified"),
        ("Deployment rook-ceph-operator", "stale → rolling → verified"),
        ("Deployment rook-mon", "stuck → rolling → verified"),
        ("Job rook-prepare-node-0", "stale → rolling → verified"),
        ("Job rook-prepare-node-1", "stuck → rolling → verified"),
        ("Pod rook-worker-0", "stale → rolling → verified"),
    ]
    assert "Job rook-prepare-node-1 was deleted once" in text
    rewritten = re.findall(r"kubectl run -n (\S+) .*: the Pod has 127\.0\.0\.1:\d+/rook/ceph:v1\.16\.4@sha256:", text)
    assert rewritten == ["rook-ceph", "team-new"]
    assert re.search(r"pawl why rook-discover-\w+: docker\.io/rook/ceph:v1\.15\.0 → rook-private, rule 0 →", text)


def assert_registry_is_told(text: str) -> None:
    """Which blob was caught, where the registry was served from meanwhile and is now, and how pulls and pushes went."""
    rotten = build(ROTTEN).blobs[0].digest
    caught = re.search(
        rf"✓ SourceCorrupt: .*{rotten}.*\n +[\d.]+ MiB copied .*: (\d+) of (\d+) objects are there", text
    )
    assert caught is not None
    assert int(caught[1]) == int(caught[2]) - 1
    assert "still served from bucket images at " in text
    phases = re.search(r"demo-true-bytes: (.*) \(", text)
    assert phases is not None
    assert phases[1].split(" → ")[-1] == "Hold"
    assert re.search(r"served from claim main-registry-\w+ after", text)
    pulls = re.search(r"the client: (\d+) pulls succeeded, \d+ had to be tried again, .* 0 got wrong bytes", text)
    assert pulls is not None
    assert int(pulls[1]) > 10
    assert re.search(r"registry verify --deep: \d+ blobs, .* nothing wrong", text)
    assert re.search(r"128\.0 MiB pushed in [\d.]+ s, .*: the volume; [\d.]+ s on MinIO", text)


def test_an_interrupt_takes_all_of_it_down(demos: list[Demo], tmp_path: Path) -> None:
    demo = start(demos, tmp_path)
    demo.says("holds the Lease")
    demo.process.send_signal(signal.SIGINT)
    assert demo.ended() == 130
    assert demo.left() == []
    assert demo.text.endswith("pawl: interrupted\n")


def test_one_command_takes_down_what_a_killed_demo_left(demos: list[Demo], tmp_path: Path) -> None:
    demo = start(demos, tmp_path)
    demo.says("holds the Lease")
    demo.process.kill()
    demo.ended()
    assert len(demo.left()) > 3
    assert down(demo.name, runtime=demo.runtime)
    assert demo.left() == []


def test_a_check_that_fails_ends_it_with_the_logs_to_read(demos: list[Demo], tmp_path: Path) -> None:
    demo = start(demos, tmp_path)
    demo.says("holds the Lease")
    os.kill(demo.pid("kube-apiserver"), signal.SIGKILL)
    assert demo.ended() == 1
    assert demo.left() == []
    last = demo.text.splitlines()[-1]
    assert last.startswith("pawl: demo: expected ")
    logs = Path(last.rpartition("read the logs in ")[2])
    assert {"replica-1.log", "replica-2.log", "proxy.log", "kube-apiserver.log"} <= {
        path.name for path in logs.iterdir()
    }


def test_images_on_the_sandboxs_registry(cluster: Cluster) -> None:
    if not cluster.registry:
        pytest.skip("this cluster has no registry")
    repository = f"images/{os.getpid()}"
    image = Image(repository, "v1", "text", ("linux/amd64", "linux/arm64"))
    with Pusher(cluster.registry) as pusher:
        assert pusher.tags(repository) == []
        assert pusher.push(image) == digest_of(image) == pusher.push(image)
        assert pusher.tag(image, "v2", "v3") == digest_of(image)
        assert pusher.tags(repository) == ["v1", "v2", "v3"]
        pusher.delete_tag(repository, "v2")
        pusher.delete_tag(repository, "v2")
        assert pusher.tags(repository) == ["v1", "v3"]
        pusher.delete_image(repository, digest_of(image))
        assert pusher.tags(repository) == []

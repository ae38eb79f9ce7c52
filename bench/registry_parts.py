"""Servers and workers that `registry` measures, as processes of their own, and what the kernel says they used."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from obstore.store import S3Store

from pawl.api.registrywork import Order, Place
from pawl.sandbox import minio as server
from pawl.sandbox.build import Builder, build_minio
from pawl.sandbox.minio import Minio
from pawl.sandbox.processes import Command

MIB = 1 << 20
NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Ran:
    """What a process took. `report`: all that it printed, as JSON, or the last line of it."""

    seconds: float
    cpu: float
    peak: float
    code: int
    report: dict[str, Any] = field(default_factory=dict)


@contextlib.contextmanager
def serving(command: Command, log: Path, ready: Callable[[], bool]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends; inside it `ready` holds."""
    with log.open("wb") as output:
        environ = {**os.environ, **command.environ}
        process = subprocess.Popen(command.argv, env=environ, stdout=output, stderr=output)
    try:
        end = time.monotonic() + 60
        while not ready():
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{command.role} does not answer: {log.read_text()[-500:]}")
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait()


def address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def answers(url: str) -> bool:
    with contextlib.suppress(OSError), NO_PROXY.open(url, timeout=1):
        return True
    return False


@contextlib.contextmanager
def minio(directory: Path) -> Iterator[Minio]:
    """MinIO over a directory, its metrics open to anybody."""
    where = address()
    directory.mkdir(exist_ok=True)
    command = server.minio(build_minio(Builder(os.environ)), directory, where)
    command = Command(command.role, command.argv, {**command.environ, "MINIO_PROMETHEUS_AUTH_TYPE": "public"})
    with serving(command, directory / "minio.log", lambda: server.answers(where)) as process:
        yield server.found(directory, where, process.pid)


def client(store: Minio, bucket: str) -> S3Store:
    return S3Store(
        bucket,
        endpoint=store.endpoint,
        access_key_id=store.access_key,
        secret_access_key=store.secret_key,
        region="us-east-1",
        client_options={"allow_http": True, "timeout": "15m"},
        virtual_hosted_style_request=False,
    )


def bucket_place(store: Minio, bucket: str, directory: Path) -> Place:
    """The place of a bucket, its credentials in files."""
    keys = directory / "credentials"
    keys.mkdir(exist_ok=True)
    (keys / "accessKey").write_text(store.access_key)
    (keys / "secretKey").write_text(store.secret_key)
    return Place(kind="S3", endpoint=store.endpoint, bucket=bucket, credentials=str(keys))


def sent(store: Minio) -> float:
    """Bytes that MinIO has sent to its S3 clients, settled."""
    pattern = re.compile(r"^minio_api_requests_traffic_sent_bytes\{[^\n]*\} (\S+)$", re.MULTILINE)
    before, found = -1.0, 0.0
    while before != found:
        time.sleep(1.0)
        with NO_PROXY.open(f"{store.endpoint}/minio/metrics/v3/api/requests") as answer:
            before, found = found, sum(map(float, pattern.findall(answer.read().decode())))
    return found


def order_file(order: Order, directory: Path) -> Path:
    path = directory / f"{order.task}.json"
    path.write_text(order.model_dump_json(by_alias=True))
    return path


def worker(order: Order, directory: Path, where: str = "127.0.0.1:0") -> list[str]:
    """The command of a Job's worker."""
    words = [sys.executable, "-m", "pawl", "worker", str(order.task), "--order", str(order_file(order, directory))]
    return [*words, "--listen", where, "--termination-log", str(directory / "report")]


def run(command: Sequence[str], environ: Mapping[str, str] | None = None) -> Ran:
    """Run a process to its end."""
    begin, before = time.monotonic(), children()
    process = subprocess.Popen(command, env={**os.environ, **(environ or {})}, stdout=subprocess.PIPE)
    peak = 0.0
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    printed = b""
    while process.poll() is None:
        peak = max(peak, high_water(process.pid))
        printed += process.stdout.read() or b""
        time.sleep(0.05)
    seconds = time.monotonic() - begin
    printed += process.stdout.read() or b""
    process.stdout.close()
    return Ran(seconds, children() - before, peak, process.returncode, _last(printed))


def children() -> float:
    """CPU seconds of all processes that were run and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def cpu(pid: int) -> float:
    """CPU seconds of a process so far."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def high_water(pid: int) -> float:
    """The largest resident set of a process so far, in MiB."""
    with contextlib.suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0
    return 0.0


def written(pid: int) -> int:
    """Bytes that a process has had the disk write."""
    found = re.search(r"^write_bytes: (\d+)", Path(f"/proc/{pid}/io").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def cold(directory: Path) -> None:
    """Write a directory to its disk and have the kernel forget what it knows of the larger files."""
    subprocess.run(["sync", "-f", str(directory)], check=True)
    for path in directory.rglob("*"):
        if path.is_file() and path.stat().st_size > 64 * 1024:
            descriptor = os.open(path, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def _last(printed: bytes) -> dict[str, Any]:
    for text in (printed, printed.strip().rpartition(b"\n")[2]):
        with contextlib.suppress(ValueError):
            found = json.loads(text)
            return found if isinstance(found, dict) else {}
    return {}

"""One large layer is pushed to the server as Pawl configures it: on a filesystem and on MinIO, side by side.

The client does as docker does, one PATCH in chunks, but sends from the page cache: its CPU is not the server's.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bench.registry_parts import MIB, address, answers, minio, serving, written
from bench.registry_tree import GIB, Noise
from bench.rows import Row
from pawl.api.registrystorage_spec import RegistryStorageSpec
from pawl.api.registrystorage_status import StoreRef
from pawl.decide.serverconfig import STORE_DIRECTORY, Shape, config_text
from pawl.sandbox.build import Builder, build
from pawl.sandbox.processes import Command
from pawl.sandbox.registry import ENVIRON

TIMES = 3
CHUNK = 8 * MIB
SHAPE = Shape(read_only=False, secure=False, auth=False)


@dataclass(frozen=True)
class Pushed:
    """One push, and what the same bytes cost without a registry just before."""

    seconds: float
    bound: float
    written: int
    size: int


def push(scratch: Path, gib: float) -> list[Row]:
    """Measure pushes; medians of a few."""
    noise = Noise(7, int(gib * GIB))
    layer = scratch / "layer"
    with layer.open("wb") as file:
        file.writelines(noise.pieces())
    digest = noise.digest
    try:
        disk = [on_filesystem(scratch, layer, digest) for _ in range(TIMES)]
        bucket = [on_minio(scratch, layer, digest) for _ in range(TIMES)]
    finally:
        layer.unlink()
    return [*_rows(f"push of {gib:g} GiB in one layer to a filesystem", disk, bounded=True), *_beside(bucket, disk)]


def _rows(said: str, pushes: list[Pushed], *, bounded: bool) -> list[Row]:
    ratio = statistics.median(one.seconds / one.bound for one in pushes)
    writes = statistics.median(one.written / one.size for one in pushes)
    return [
        Row(f"{said}: seconds / max(write and fsync, sha256) of the same bytes", ratio, "", 1.3 if bounded else None),
        Row("  seconds", statistics.median(one.seconds for one in pushes), "s"),
        Row("  max(write and fsync, sha256)", statistics.median(one.bound for one in pushes), "s"),
        Row("  bytes written / bytes", writes, "", 1.02 if bounded else None),
    ]


def _beside(bucket: list[Pushed], disk: list[Pushed]) -> list[Row]:
    ratio = statistics.median(one.seconds for one in bucket) / statistics.median(one.seconds for one in disk)
    return [*_rows("the same to MinIO", bucket, bounded=False), Row("  times as long as on a filesystem", ratio, "")]


def on_filesystem(scratch: Path, layer: Path, digest: str) -> Pushed:
    store = scratch / f"store-{time.monotonic_ns()}"
    store.mkdir()
    bound = floor(scratch, layer)
    text = config_text(RegistryStorageSpec(), StoreRef(id="bench", kind="Filesystem"), SHAPE)
    try:
        with server(scratch, text.replace(STORE_DIRECTORY, str(store)), {}) as (host, pid):
            before = written(pid)
            seconds = upload(host, layer, digest)
            count = max(written(pid) - before, used(store))
        return Pushed(seconds, bound, count, layer.stat().st_size)
    finally:
        shutil.rmtree(store)


def on_minio(scratch: Path, layer: Path, digest: str) -> Pushed:
    home = scratch / f"push-{time.monotonic_ns()}"
    home.mkdir()
    bound = floor(scratch, layer)
    try:
        with minio(home) as store:
            store.bucket("images")
            ref = StoreRef(id="bench", kind="S3", endpoint=store.endpoint, bucket="images", region="us-east-1")
            keys = {
                "REGISTRY_STORAGE_S3_ACCESSKEY": store.access_key,
                "REGISTRY_STORAGE_S3_SECRETKEY": store.secret_key,
            }
            with server(scratch, config_text(RegistryStorageSpec(), ref, SHAPE), keys) as (host, _):
                before = written(store.pid)
                seconds = upload(host, layer, digest)
                count = written(store.pid) - before
        return Pushed(seconds, bound, count, layer.stat().st_size)
    finally:
        shutil.rmtree(home)


@contextmanager
def server(scratch: Path, config: str, keys: dict[str, str]) -> Iterator[tuple[str, int]]:
    """Run distribution with a configuration; yields its address and its pid."""
    host = address()
    (scratch / "config.yml").write_text(config)
    environ = {**ENVIRON, **keys, "REGISTRY_HTTP_ADDR": host, "REGISTRY_HTTP_SECRET": "bench"}
    binary = build(Builder(os.environ)) / "registry"
    command = Command("registry", (str(binary), "serve", str(scratch / "config.yml")), environ)
    with serving(command, scratch / "registry.log", lambda: answers(f"http://{host}/v2/")) as process:
        yield host, process.pid


def floor(scratch: Path, layer: Path) -> float:
    """Seconds of the slower of: write and fsync of the bytes, sha256 of them."""
    copy = scratch / "floor"
    subprocess.run(["sync", "-f", str(scratch)], check=True)
    seconds = max(_write(layer, copy), _hash(layer))
    copy.unlink()
    return seconds


def _write(layer: Path, copy: Path) -> float:
    with layer.open("rb", buffering=0) as source, copy.open("wb", buffering=0) as target:
        buffer = memoryview(bytearray(MIB))
        begin = time.monotonic()
        while count := source.readinto(buffer):
            target.write(buffer[:count])
        os.fsync(target.fileno())
        return time.monotonic() - begin


def _hash(layer: Path) -> float:
    with layer.open("rb", buffering=0) as source:
        begin = time.monotonic()
        hashlib.file_digest(source, "sha256")
        return time.monotonic() - begin


def used(store: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in store.rglob("*") if path.is_file())


def upload(host: str, layer: Path, digest: str) -> float:
    """Push a layer; the seconds from the first request to the answer that it is there."""
    subprocess.run(["sync", "-f", str(layer)], check=True)
    begin = time.monotonic()
    location = _ask(host, "POST", "/v2/team/app/blobs/uploads/", 202)
    location = _patch(host, location, layer)
    _ask(host, "PUT", f"{location}{'&' if '?' in location else '?'}digest={digest}", 201)
    return time.monotonic() - begin


def _ask(host: str, method: str, path: str, status: int) -> str:
    connection = http.client.HTTPConnection(host, timeout=600)
    connection.request(method, path, headers={"Content-Length": "0"})
    found = _location(connection.getresponse(), status)
    connection.close()
    return found


def _location(answer: http.client.HTTPResponse, status: int) -> str:
    body = answer.read()
    if answer.status != status:
        raise RuntimeError(f"the registry answered {answer.status}: {body[:200]!r}")
    parts = urlsplit(answer.headers["Location"])
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _patch(host: str, path: str, layer: Path) -> str:
    name, _, port = host.partition(":")
    size = layer.stat().st_size
    head = f"PATCH {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/octet-stream\r\n"
    with socket.create_connection((name, int(port)), timeout=600) as wire, layer.open("rb") as file:
        wire.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        for start in range(0, size, CHUNK):
            count = min(CHUNK, size - start)
            wire.sendall(f"{count:x}\r\n".encode())
            wire.sendfile(file, start, count)
            wire.sendall(b"\r\n")
        wire.sendall(b"0\r\n\r\n")
        answer = http.client.HTTPResponse(wire, method="PATCH")
        answer.begin()
        return _location(answer, 202)

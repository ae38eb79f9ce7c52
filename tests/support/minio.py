"""A MinIO of a test's own, without any cluster: `with minio() as store: store.bucket("images")`.

The binary is built by `pawl sandbox build --storage`; see `pawl.sandbox.minio` for what runs.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.servers import free_address, serving

from pawl.sandbox import minio as server
from pawl.sandbox.build import Builder, build_minio
from pawl.sandbox.minio import Minio


@contextmanager
def minio(directory: Path | None = None, host: str = "127.0.0.1") -> Iterator[Minio]:
    """Serve `directory` (a temporary one by default) until the block ends; data and keys outlive the process in it.

    `host` is the address to listen on: real nodes reach the machine by that of their bridge.
    """
    with tempfile.TemporaryDirectory(prefix="pawl-minio-") as scratch:
        home = directory or Path(scratch)
        address = free_address(host)
        command = server.minio(build_minio(Builder(os.environ)), home, address)
        with serving(command, home / "minio.log", lambda: server.answers(address)) as process:
            yield server.found(home, address, process.pid)

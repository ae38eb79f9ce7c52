"""A second S3 server, unlike MinIO: `rclone serve s3` over a directory, where a bucket is a directory and a key a file.

It keeps no data of its own, so what a test finds in the directory is what was stored. For stores only: the registry's
own S3 driver (versions 2.8 and 3.1) panics on its answers to the first chunk of an upload.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.servers import free_address, serving

from pawl.sandbox.minio import Minio
from pawl.sandbox.processes import Command
from pawl.sandbox.rest import NO_ANSWER, Api

RCLONE = Path(sys.executable).parent / "rclone"


@contextmanager
def rclone_s3(directory: Path) -> Iterator[Minio]:
    """Serve `directory` until the block ends; answers with the same fields as MinIO has."""
    data = directory / "data"
    data.mkdir(parents=True, exist_ok=True)
    address, access, secret = free_address(), f"pawl{secrets.token_hex(4)}", secrets.token_hex(16)
    environ = {"RCLONE_AUTH_KEY": f'"{access},{secret}"', "RCLONE_CONFIG": str(directory / "rclone.conf")}
    # The cache of directories would hide for minutes what a test does to the files; without any a deletion never ends.
    options = ("--addr", address, "--vfs-cache-mode", "off", "--dir-cache-time", "1s", "--log-level", "NOTICE")
    command = Command("rclone", (str(RCLONE), "serve", "s3", str(data), *options), environ)
    with serving(command, directory / "rclone.log", lambda: _answers(address)) as process:
        yield Minio(f"http://{address}", access, secret, process.pid)


def _answers(address: str) -> bool:
    return Api(f"http://{address}").get("/").status != NO_ANSWER

"""MinIO beside a cluster, or alone: one process on loopback over one directory, without console, updates or telemetry.

Its keys are made for each directory and kept in it, readable by its owner only. Neighbours: `build` makes the binary,
`s3` speaks to it. Not here: when it is started and ended (`launch`, `sandbox`).
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from pawl.sandbox.files import PRIVATE, write_whole
from pawl.sandbox.processes import Command
from pawl.sandbox.rest import Api
from pawl.sandbox.s3 import Keys, make_bucket

ROLE = "minio"
OK = 200


@dataclass(frozen=True)
class Minio:
    """A MinIO that answers: any S3 client may use it, in path style, region `us-east-1`."""

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    pid: int = 0

    @property
    def address(self) -> str:
        """`host:port`."""
        return self.endpoint.removeprefix("http://")

    def bucket(self, name: str) -> str:
        """Make a bucket and return its name; one that is there is kept. Raises SandboxError when it is refused."""
        return make_bucket(self.endpoint, Keys(self.access_key, self.secret_key), name)


def minio(binary: Path | str, directory: Path, address: str) -> Command:
    """The process that serves `directory` on `address` (`host:port`); its keys are made where it has none."""
    keys = keys_of(directory)
    environ = {
        "MINIO_ROOT_USER": keys.access_key,
        "MINIO_ROOT_PASSWORD": keys.secret_key,
        "MINIO_UPDATE": "off",
        "MINIO_BROWSER": "off",
        "MINIO_CALLHOME_ENABLE": "off",
        # Buffers of at most 256 MiB; by default MinIO sizes them by the machine's memory.
        "MINIO_CI_CD": "on",
    }
    data = directory / "data"
    data.mkdir(parents=True, exist_ok=True)
    return Command(ROLE, (str(binary), "server", "--quiet", "--address", address, str(data)), environ)


def keys_of(directory: Path) -> Keys:
    """The keys of the MinIO in `directory`, made on the first call."""
    path = directory / "keys.json"
    if not path.exists():
        made = {"access_key": f"pawl{secrets.token_hex(4)}", "secret_key": secrets.token_hex(16)}
        write_whole(path, json.dumps(made), PRIVATE)
    return Keys(**json.loads(path.read_text()))


def found(directory: Path, address: str, pid: int = 0) -> Minio:
    """The MinIO of `directory` on `address`, as its users see it."""
    keys = keys_of(directory)
    return Minio(f"http://{address}", keys.access_key, keys.secret_key, pid)


def answers(address: str) -> bool:
    """Whether MinIO on `address` takes requests, its drive included."""
    return Api(f"http://{address}", timeout=1.0).get("/minio/health/cluster").status == OK

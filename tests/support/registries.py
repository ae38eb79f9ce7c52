"""Real registries of a test's own, version 3 and 2, over any store: configured as Pawl configures them.

`with registry_on(filesystem(tmp_path)) as server: ...`. Neighbours: `registry` is the one that misbehaves on request.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tests.support.servers import end, free_address, serving

from pawl.sandbox.build import Builder, build, build_registry2
from pawl.sandbox.minio import Minio
from pawl.sandbox.processes import Command
from pawl.sandbox.registry import ENVIRON
from pawl.sandbox.rest import NO_ANSWER, Api

Config = dict[str, Any]
SECRET = "one for all replicas"


@dataclass(frozen=True)
class Tls:
    """Files of a certificate."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Server:
    """A registry that answers on `host` (`host:port`); `config` is its file, for `registry garbage-collect`."""

    host: str
    process: subprocess.Popen[bytes]
    config: Path
    log: Path

    @property
    def pid(self) -> int:
        """The process' id."""
        return self.process.pid

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait()

    def term(self) -> None:
        """End it as a kubelet would, and wait until it has drained."""
        end(self.process)


def filesystem(directory: Path) -> Config:
    """A store in a directory."""
    return {"filesystem": {"rootdirectory": str(directory)}}


def s3(store: Minio, bucket: str, prefix: str = "") -> Config:
    """A store in a bucket, in path style and with parts of the smallest size."""
    place = {"region": "us-east-1", "regionendpoint": store.endpoint, "bucket": bucket, "rootdirectory": f"/{prefix}"}
    keys = {"accesskey": store.access_key, "secretkey": store.secret_key}
    return {"s3": {**place, **keys, "forcepathstyle": True, "secure": False, "chunksize": 5 * 1024 * 1024}}


@contextmanager
def registry_on(
    storage: Mapping[str, Any],
    version: str = "3",
    *,
    read_only: bool = False,
    auth: Path | None = None,
    tls: Tls | None = None,
    host: str = "",
) -> Iterator[Server]:
    """Serve `storage` until the block ends. `auth` is an htpasswd file; `host` is for a restart in the same place."""
    address = host or free_address()
    with tempfile.TemporaryDirectory(prefix="pawl-registry-") as scratch:
        path, log = Path(scratch) / "config.yml", Path(scratch) / "registry.log"
        path.write_text(yaml.safe_dump(config(storage, address, read_only=read_only, auth=auth, tls=tls)))
        command = Command("registry", (str(binary(version)), "serve", str(path)), ENVIRON)
        with serving(command, log, lambda: _answers(address)) as process:
            yield Server(address, process, path, log)


def config(
    storage: Mapping[str, Any],
    address: str,
    *,
    read_only: bool = False,
    auth: Path | None = None,
    tls: Tls | None = None,
) -> Config:
    """The configuration: deletes allowed, no redirects, no cache of descriptors, uploads never purged. Pure."""
    http: Config = {"addr": address, "secret": SECRET, "relativeurls": True}
    if tls:
        http["tls"] = {"certificate": str(tls.certificate), "key": str(tls.key)}
    made: Config = {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            **storage,
            "delete": {"enabled": True},
            "redirect": {"disable": True},
            "maintenance": {"uploadpurging": {"enabled": False}, "readonly": {"enabled": read_only}},
        },
        "http": http,
    }
    if auth:
        made["auth"] = {"htpasswd": {"realm": "test", "path": str(auth)}}
    return made


def collect_garbage(config_file: Path, version: str = "3", *options: str) -> subprocess.CompletedProcess[str]:
    """Run the server's own collection over the store that a configuration names."""
    argv = [str(binary(version)), "garbage-collect", *options, str(config_file)]
    return subprocess.run(argv, env={**os.environ, **ENVIRON}, capture_output=True, text=True, check=False)


def binary(version: str = "3") -> Path:
    """Path of the server's program; built where the cache has none."""
    if version == "2":
        return build_registry2(Builder(os.environ))
    return build(Builder(os.environ)) / "registry"


def _answers(address: str) -> bool:
    # An HTTP request to a TLS port gets an answer, too; only who listens matters.
    return Api(f"http://{address}", timeout=1.0).get("/v2/").status != NO_ANSWER

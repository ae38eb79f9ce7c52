"""A private registry for real nodes: distribution over TLS with a CA that nobody knows, and one user.

It listens on an address that the machine, the nodes and Pawl reach under one name. Neighbours: `node_images` pushes.
Not here: registries that misbehave (`tests.support.registry`).
"""

from __future__ import annotations

import base64
import ctypes
import json
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import trustme
import yaml
from tests.cluster.api import Json
from tests.node.node_images import Place

START = 20.0
USER = "robot"


@dataclass
class PrivateRegistry:
    """A running one. `host` is host:port, `password` the one that is right now."""

    host: str
    ca: str
    directory: Path
    password: str = field(repr=False)

    @property
    def place(self) -> Place:
        """Where to push, as the user."""
        return Place(self.host, ssl.create_default_context(cadata=self.ca), (USER, self.password))

    def rotate(self, password: str) -> None:
        """Take another password; the old one is worth nothing from now on."""
        before, self.password = self.password, password
        write_users(self.directory / "users", password)
        with httpx.Client(verify=ssl.create_default_context(cadata=self.ca), trust_env=False) as client:
            wait(lambda: client.get(f"https://{self.host}/v2/", auth=(USER, before)).status_code == 401)


def pull_secret(name: str, host: str, password: str, **annotations: str) -> Json:
    """The user's credentials as a pull Secret."""
    auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
    config = base64.b64encode(json.dumps({"auths": {host: {"auth": auth}}}).encode()).decode()
    metadata = {"name": name, "annotations": annotations}
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/dockerconfigjson"}
    return body | {"data": {".dockerconfigjson": config}}


@contextmanager
def private_registry(binary: Path, address: str, directory: Path, password: str) -> Iterator[PrivateRegistry]:
    """The registry, for the time of a `with` block."""
    ca = trustme.CA()
    host = f"{address}:{free_port(address)}"
    running = PrivateRegistry(host, ca.cert_pem.bytes().decode(), directory, password)
    pair = ca.issue_cert(address)
    pair.private_key_pem.write_to_path(str(directory / "tls.key"))
    pair.cert_chain_pems[0].write_to_path(str(directory / "tls.crt"))
    write_users(directory / "users", password)
    (directory / "config.yaml").write_text(yaml.safe_dump(configuration(host, directory)))
    with (directory / "registry.log").open("wb") as log:
        argv = [str(binary), "serve", str(directory / "config.yaml")]
        process = subprocess.Popen(argv, stdout=log, stderr=log, env={"OTEL_TRACES_EXPORTER": "none"})
    try:
        wait(lambda: process.poll() is None and answers(running))
        yield running
    finally:
        process.terminate()
        process.wait(10)


def configuration(host: str, directory: Path) -> dict[str, object]:
    tls = {"certificate": str(directory / "tls.crt"), "key": str(directory / "tls.key")}
    return {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(directory / "data")}},
        "http": {"addr": host, "tls": tls, "relativeurls": True},
        "auth": {"htpasswd": {"realm": "private", "path": str(directory / "users")}},
    }


def write_users(path: Path, password: str) -> None:
    """Write the one user; the file is read again when its time of change is another."""
    path.write_text(f"{USER}:{bcrypt(password)}\n")


def bcrypt(password: str) -> str:
    """The only form that distribution reads, by the system's own crypt."""
    library = ctypes.CDLL("libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    made = library.crypt(password.encode(), b"$2b$04$" + b"abcdefghijklmnopqrstuu")
    assert made.startswith(b"$2b$"), "crypt of this system knows no bcrypt"
    return str(made.decode())


def answers(registry: PrivateRegistry) -> bool:
    with registry.place.client() as client:
        try:
            return client.get("/v2/").status_code == 200
        except httpx.TransportError:
            return False


def free_port(address: str) -> int:
    with socket.socket() as one:
        one.bind((address, 0))
        return int(one.getsockname()[1])


def wait(asked: object, seconds: float = START) -> None:
    """Wait until the registry does as it should."""
    assert callable(asked)
    end = time.monotonic() + seconds
    while not asked():
        assert time.monotonic() < end, "the private registry does not answer as it should"
        time.sleep(0.05)

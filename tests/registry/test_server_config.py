"""The configuration that Pawl writes, read by real servers, 3.1 and 2.8: what they take and refuse, and who may in."""

from __future__ import annotations

import base64
import http.client
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import yaml
from tests.support.minio import minio
from tests.support.registries import binary
from tests.support.registryobjects import BUCKET, DISK, spec
from tests.support.servers import free_address, serving

from pawl.api.registrystorage_status import StoreRef
from pawl.cluster.certificates import new_authority, new_pair
from pawl.controllers.registryaccess_tls import Own, carried_out, trusted
from pawl.decide.accesspairs import Act
from pawl.decide.serverconfig import Shape, config_text
from pawl.sandbox.processes import Command

pytestmark = pytest.mark.registry

NOW = datetime.now(UTC)
WRITABLE = Shape(read_only=False, secure=False, auth=False)


@dataclass(frozen=True)
class Running:
    """A server of a test: `pods` is the directory that stands for `/pawl`."""

    host: str
    pod: Path

    def ask(self, method: str, path: str, *, user: str = "", trust: bytes = b"", name: str = "") -> int:
        connection = self._connection(trust, name)
        auth = {"Authorization": "Basic " + base64.b64encode(user.encode()).decode()} if user else {}
        try:
            connection.request(method, path, headers={**auth, "Content-Length": "0"})
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def _connection(self, trust: bytes, name: str) -> http.client.HTTPConnection:
        if not trust:
            return http.client.HTTPConnection(self.host, timeout=10)
        connection = http.client.HTTPConnection(self.host, timeout=10)
        connection.connect()
        context = ssl.create_default_context(cadata=trust.decode())
        connection.sock = context.wrap_socket(connection.sock, server_hostname=name)
        return connection


@contextmanager
def running(pod: Path, text: str, version: str, env: dict[str, str] | None = None) -> Iterator[Running]:
    """Serve with a configuration as in a Pod, `/pawl` being a directory of the test."""
    host = free_address()
    (pod / "store").mkdir(parents=True, exist_ok=True)
    file = pod / "config.yml"
    file.write_text(text.replace("/pawl/", f"{pod}/"))
    environ = {
        "OTEL_TRACES_EXPORTER": "none",
        "REGISTRY_HTTP_SECRET": "shared",
        "REGISTRY_HTTP_ADDR": host,
        **(env or {}),
    }
    command = Command("registry", (str(binary(version)), "serve", str(file)), environ)
    with serving(command, pod / "log", lambda: _listens(host)):
        yield Running(host, pod)


def _listens(host: str) -> bool:
    connection = http.client.HTTPConnection(host, timeout=1)
    try:
        connection.connect()
    except OSError:
        return False
    connection.close()
    return True


def hashed(*users: tuple[str, str]) -> str:
    return "".join(f"{name}:{bcrypt.hashpw(word.encode(), bcrypt.gensalt(5)).decode()}\n" for name, word in users)


@pytest.mark.parametrize("version", ["3", "2"])
def test_a_server_with_users_and_a_certificate(tmp_path: Path, version: str) -> None:
    authority = new_authority("one", NOW, timedelta(days=2))
    pair = new_pair(authority, ["main-registry.shop.svc", "10.0.0.7"], NOW, timedelta(days=1))
    for path, body in (("tls/tls.crt", pair.certificate), ("tls/tls.key", pair.key)):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(body)
    file = tmp_path / "htpasswd/htpasswd"
    file.parent.mkdir()
    file.write_text(hashed(("pawl-a", "old")))
    with running(
        tmp_path, config_text(spec(), DISK, Shape(read_only=False, secure=True, auth=True)), version
    ) as server:

        def ask(method: str, path: str, user: str = "") -> int:
            return server.ask(method, path, user=user, trust=authority.certificate, name="main-registry.shop.svc")

        assert (ask("GET", "/"), ask("GET", "/v2/")) == (200, 401), "the probe's path is open, the rest is not"
        assert ask("GET", "/v2/", "pawl-a:old") == 200
        assert ask("POST", "/v2/a/blobs/uploads/", "pawl-a:old") == 202
        assert ask("POST", "/v2/a/blobs/uploads/", "pawl-a:wrong") == 401
        # Both hold in the time between, and no restart is needed for it.
        file.write_text(hashed(("pawl-a", "old"), ("pawl-b", "new")))
        assert (ask("GET", "/v2/", "pawl-a:old"), ask("GET", "/v2/", "pawl-b:new")) == (200, 200)
        file.write_text(hashed(("pawl-b", "new")))
        assert (ask("GET", "/v2/", "pawl-a:old"), ask("GET", "/v2/", "pawl-b:new")) == (401, 200)


def test_a_new_authority_is_trusted_before_anything_is_signed_with_it(tmp_path: Path) -> None:
    hosts = ("main-registry.shop.svc",)
    first = carried_out(Act.BEGIN, Own(), hosts, NOW)
    published = carried_out(Act.PUBLISH, first, hosts, NOW)
    bundle = trusted(published, NOW)
    turned = carried_out(Act.TURN, replace(published, trusted=bundle), hosts, NOW)
    (tmp_path / "tls").mkdir()
    for own, others in ((first, trusted(first, NOW)), (turned, trusted(turned, NOW))):
        assert own.pair is not None
        (tmp_path / "tls/tls.crt").write_bytes(own.pair.certificate)
        (tmp_path / "tls/tls.key").write_bytes(own.pair.key)
        with running(
            tmp_path, config_text(spec(), DISK, Shape(read_only=False, secure=True, auth=False)), "3"
        ) as server:
            for known in (bundle, others):
                assert server.ask("GET", "/v2/", trust=known, name=hosts[0]) == 200
            if own is turned:
                with pytest.raises(ssl.SSLCertVerificationError):
                    server.ask("GET", "/v2/", trust=trusted(first, NOW), name=hosts[0])


@pytest.mark.parametrize("version", ["3", "2"])
def test_a_read_only_server_answers_405_and_writes_nothing(tmp_path: Path, version: str) -> None:
    with running(
        tmp_path, config_text(spec(), DISK, Shape(read_only=True, secure=False, auth=False)), version
    ) as server:
        assert server.ask("POST", "/v2/pawl-canary/blobs/uploads/") == 405
        assert server.ask("DELETE", f"/v2/a/manifests/sha256:{'0' * 64}") == 405
        assert server.ask("GET", "/v2/") == 200
        assert not list((tmp_path / "store").iterdir())


@pytest.fixture(scope="module")
def bucket() -> Iterator[tuple[StoreRef, dict[str, str]]]:
    """A bucket, and the environment with its keys."""
    with minio() as found:
        found.bucket("images")
        store = BUCKET.model_copy(update={"endpoint": found.endpoint, "ca_secret": ""})
        keys = {"ACCESSKEY": found.access_key, "SECRETKEY": found.secret_key}
        yield store, {f"REGISTRY_STORAGE_S3_{key}": each for key, each in keys.items()}


@pytest.mark.parametrize("version", ["3", "2"])
def test_a_server_on_a_bucket(tmp_path: Path, bucket: tuple[StoreRef, dict[str, str]], version: str) -> None:
    store, keys = bucket
    with running(tmp_path, config_text(spec(), store, WRITABLE), version, keys) as server:
        assert server.ask("GET", "/v2/") == 200
        assert server.ask("POST", "/v2/a/blobs/uploads/") == 202


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("store", [DISK, BUCKET], ids=lambda store: str(store.kind))
def test_the_text_holds_what_large_layers_need(store: StoreRef, *, read_only: bool) -> None:
    given = {"storage": {"s3": {"bucket": "images", "chunkSize": 128, "copyConcurrency": 4}}}
    text = config_text(spec(**given), store, Shape(read_only=read_only, secure=False, auth=False))
    storage: dict[str, Any] = yaml.safe_load(text)["storage"]
    assert "cache" not in storage
    assert storage["redirect"] == {"disable": True}
    assert storage["delete"] == {"enabled": True}
    assert storage["maintenance"]["readonly"] == {"enabled": read_only}
    assert storage["maintenance"]["uploadpurging"]["enabled"] is not read_only, "it deletes in a read-only server, too"
    if store is BUCKET:
        assert storage["s3"]["chunksize"] == 128 * 1024 * 1024
        assert storage["s3"]["multipartcopychunksize"] == 256 * 1024 * 1024
        assert (storage["s3"]["multipartcopymaxconcurrency"], storage["s3"]["secure"]) == (4, False)

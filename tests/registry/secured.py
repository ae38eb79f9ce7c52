"""A real registry with users under TLS, whose certificate is for the name of a Service and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import bcrypt
import trustme
from tests.support.registries import Server as Registry
from tests.support.registries import Tls, filesystem, registry_on

from pawl.registry.credentials import Credentials
from pawl.registry.servers import Target

NAME = "main-registry.shop.svc"
URL = f"https://{NAME}:5000"
USER = Credentials("pawl", "a password")


@dataclass(frozen=True)
class Secured:
    """The registry, what vouches for it, and its files: ca.crt, username, password, store."""

    registry: Registry
    ca_pem: str
    base: Path

    @property
    def store(self) -> Path:
        return self.base / "store"

    def target(self, credentials: Credentials = USER, url: str = URL) -> Target:
        return Target(url, self.registry.host, self.ca_pem, credentials)


@contextmanager
def secured_registry(base: Path, *, read_only: bool = False) -> Iterator[Secured]:
    authority = trustme.CA()
    certificate = authority.issue_cert(NAME)
    certificate.private_key_pem.write_to_path(base / "tls.key")
    for pem in certificate.cert_chain_pems:
        pem.write_to_path(base / "tls.crt", append=True)
    authority.cert_pem.write_to_path(base / "ca.crt")
    hashed = bcrypt.hashpw(USER.password.encode(), bcrypt.gensalt(4)).decode()
    (base / "htpasswd").write_text(f"{USER.username}:{hashed}\n")
    (base / "username").write_text(USER.username)
    (base / "password").write_text(USER.password)
    tls = Tls(base / "tls.crt", base / "tls.key")
    store = filesystem(base / "store")
    with registry_on(store, auth=base / "htpasswd", tls=tls, read_only=read_only) as registry:
        yield Secured(registry, authority.cert_pem.bytes().decode(), base)

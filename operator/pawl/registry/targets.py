"""Where a request goes: origins, URLs, the endpoint of a registry and who asks it.

Neighbours: `addresses` says which origins may be dialled, `wire` dials them, `credentials` says who asks.
Not here: I/O, and repository grammar (`decide.reference` parses what users write; hosts and paths arrive normalised).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv6Address
from urllib.parse import urljoin, urlsplit

from pawl.registry.credentials import ANONYMOUS, Credentials, opaque

DOCKER_HUB_ALIASES = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
"""Names of Docker Hub. docker.io itself serves a web page; the registry answers at registry-1.docker.io."""

_DEFAULT_PORTS = {"https": 443, "http": 80}
_HOST = re.compile(r"[a-z0-9_]([a-z0-9._-]{0,251}[a-z0-9_.])?")
_COMPONENT = r"[A-Za-z0-9]+(?:(?:\.|__?|-+)[A-Za-z0-9]+)*"
_PATH = re.compile(f"{_COMPONENT}(?:/{_COMPONENT})*")
_REFERENCE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:+-]{0,255}")


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port: what may share a connection, a token, a limit. `host` is lower case, without brackets."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """The value of a Host header: brackets around IPv6, no default port."""
        return self.bracketed if self.port == _DEFAULT_PORTS[self.scheme] else self.host_port

    @property
    def host_port(self) -> str:
        """Host and port, both always said."""
        return f"{self.bracketed}:{self.port}"

    @property
    def bracketed(self) -> str:
        """The host as it stands in a URL."""
        return f"[{self.host}]" if ":" in self.host else self.host


@dataclass(frozen=True, slots=True)
class Url:
    """An absolute http(s) URL without userinfo and fragment. `target` is path and query, ASCII."""

    origin: Origin
    target: str

    @classmethod
    def parse(cls, text: str) -> Url:
        """Read an absolute URL.

        Raises:
            ValueError: another scheme, no or a strange host, userinfo, blanks or control characters.

        """
        if not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError("not a URL: blanks, control or non-ASCII characters")
        parts = urlsplit(text)
        if parts.scheme not in _DEFAULT_PORTS or "@" in parts.netloc:
            raise ValueError("not a plain http or https URL")
        origin = origin_of(parts.scheme, parts.netloc)
        query = f"?{parts.query}" if parts.query else ""
        return cls(origin, (parts.path or "/") + query)

    def resolve(self, reference: str) -> Url:
        """The URL that `reference` (absolute or relative, RFC 3986) means when this one is the base.

        Raises:
            ValueError: see `parse`.

        """
        return Url.parse(urljoin(str(self), reference))

    def __str__(self) -> str:
        return f"{self.origin.scheme}://{self.origin.authority}{self.target}"


def origin_of(scheme: str, host_port: str) -> Origin:
    """Split `host`, `host:port` or `[v6]:port`.

    Raises:
        ValueError: the host is no DNS name or address, or the port no number from 1 to 65535.

    """
    host, port = _split_port(host_port.lower())
    number = _DEFAULT_PORTS[scheme] if port is None else int(port)
    if not 1 <= number <= 65535:
        raise ValueError(f"not a port: {number}")
    return Origin(scheme, host, number)


def _split_port(text: str) -> tuple[str, str | None]:
    match = re.fullmatch(r"(?:\[([0-9a-f:.]+)\]|([^:\[\]]+))(?::([0-9]{1,5}))?", text)
    if match is None:
        raise ValueError("not a host")
    literal, name, port = match.groups()
    if literal is not None:
        return str(IPv6Address(literal)), port
    if not _HOST.fullmatch(name):
        raise ValueError("not a host")
    return name, port


@dataclass(frozen=True)
class Endpoint:
    """How to reach a registry.

    Attributes:
        host: normalised host of the image reference, with its port if it has one (docker.io, registry.corp:5000).
        plain_http: speak HTTP without TLS; `NetworkPolicy` has the last word.
        ca_pem: PEM certificates that extend the system's authorities, from `ca.crt` of spec.access.caSecretRef.
        timeout: seconds for one request in all: connect, headers, body, redirects and the second try after a 401.
        token_realms: hosts (host or host:port) besides the registry's own where a token may be asked for.

    """

    host: str
    plain_http: bool = False
    ca_pem: str | None = field(default=None, repr=False)
    timeout: float = 30.0
    token_realms: tuple[str, ...] = ()

    @cached_property
    def origin(self) -> Origin:
        """Where the registry is dialled. Raises ValueError if `host` is no host."""
        host = "registry-1.docker.io" if self.host in DOCKER_HUB_ALIASES else self.host
        return origin_of("http" if self.plain_http else "https", host)

    @cached_property
    def ca_fingerprint(self) -> str:
        """Hash of the CA, empty without one."""
        return hashlib.sha256(self.ca_pem.encode()).hexdigest() if self.ca_pem else ""


@dataclass(frozen=True)
class Access:
    """Which registry, and as whom. What one access has learned is never shown to another."""

    endpoint: Endpoint
    credentials: Credentials = ANONYMOUS

    @cached_property
    def realm_key(self) -> str:
        """Opaque key for tokens: all that decides where a token comes from and whom it is for."""
        end = self.endpoint
        return opaque(str(end.origin), end.ca_fingerprint, *end.token_realms, self.credentials.fingerprint())

    @cached_property
    def fingerprint(self) -> str:
        """Opaque key for shared scans. The timeout is part of it: a hasty neighbour must not fail a patient one."""
        return opaque(self.realm_key, repr(self.endpoint.timeout))

    @property
    def origin(self) -> Origin:
        """Where the registry is dialled."""
        return self.endpoint.origin

    def url(self, target: str) -> Url:
        """The URL of a path and query on this registry."""
        return Url(self.origin, target)


def repository_target(path: str, rest: str) -> str:
    """`/v2/<path>/<rest>`.

    Raises:
        ValueError: the path is no repository path. Paths arrive normalised, so this is a mistake of the caller.

    """
    if len(path) > 255 or not _PATH.fullmatch(path):
        raise ValueError(f"not a repository path: {path[:64]!r}")
    return f"/v2/{path}/{rest}"


def reference_target(path: str, kind: str, reference: str) -> str:
    """`/v2/<path>/<kind>/<tag or digest>`. Raises ValueError if it is neither."""
    if not _REFERENCE.fullmatch(reference):
        raise ValueError(f"not a tag or digest: {reference[:64]!r}")
    return repository_target(path, f"{kind}/{reference}")

"""Where the API server is and who we are: read from a kubeconfig or from the Pod, and read again before it expires.

Every refresh reads from the start, so a rotated token, CA or client certificate is seen the same way.
Neighbours: `kubeconfig` and `servers` do the reading, `connect` sends requests with what is found here. Not here:
requests.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pawl.api.errors import InputError
from pawl.cluster import servers
from pawl.cluster.refusals import one_line
from pawl.cluster.servers import Server

TOKEN_PERIOD: Final = 60.0
"""Seconds between two readings of the Pod's token; the kubelet renews the file well before the old token ends."""
KUBECONFIG_PERIOD: Final = 300.0
"""Seconds between two readings of a kubeconfig, which may name a token file or certificates that rotate."""
EXPIRY_MARGIN: Final = 60.0
"""Seconds before the end of an exec plugin's credentials at which new ones are asked for."""
PLUGIN_TIMEOUT: Final = 30.0
"""Seconds that an exec plugin or an OIDC refresh may take."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where credentials are looked for: an explicit kubeconfig, the environment, and the Pod's mounted files."""

    kubeconfig: str | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    token_file: str = servers.TOKEN
    ca_file: str = servers.AUTHORITY

    def found_kubeconfig(self) -> str | None:
        """Return the kubeconfig to read: the explicit one, `KUBECONFIG`, or, outside of a Pod, the user's own."""
        named = self.kubeconfig or self.environ.get("KUBECONFIG")
        if named or self.in_pod():
            return named or None
        return str(Path.home() / ".kube" / "config")

    def in_pod(self) -> bool:
        """Tell whether this process runs in a Pod: `KUBERNETES_SERVICE_HOST` is set and a token is mounted."""
        return bool(self.environ.get(servers.HOST)) and Path(self.token_file).is_file()


@dataclass(frozen=True, slots=True)
class Credentials:
    """Everything needed to reach one API server as one user. Secrets never show in the repr."""

    server: str
    authorization: str | None = field(repr=False)
    ca_path: str | None
    certificate_path: str | None
    private_key_path: str | None
    insecure: bool
    tls_server_name: str | None
    proxy: str | None
    tls: ssl.SSLContext = field(repr=False, compare=False)
    fingerprint: str
    """A hash of all that a connection is made of, file contents too; another one needs another session."""
    lifetime: float
    """Seconds after which they are to be read again."""


async def load(place: Place) -> Credentials:
    """Read the credentials. Raises InputError with a sentence where nothing usable is found."""
    try:
        async with asyncio.timeout(PLUGIN_TIMEOUT):
            return _credentials(*await _read(place), place.environ)
    except TimeoutError:
        raise InputError(f"the credential plugin of {_origin(place)} gave no answer in {PLUGIN_TIMEOUT:g} s") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        # The loader trips over a malformed file with whatever Python raises first; each means the same to the user.
        raise InputError(f"{_origin(place)} is not usable: {one_line(str(error))}; {_way_out(place)}") from error


def _origin(place: Place) -> str:
    found = place.found_kubeconfig()
    return f"kubeconfig {found}" if found else "the ServiceAccount mounted in this Pod"


def _way_out(place: Place) -> str:
    inside = place.found_kubeconfig() is None
    return "check automountServiceAccountToken" if inside else "name another with --kubeconfig"


async def _read(place: Place) -> tuple[Server, float]:
    """Return the server and the seconds until it is to be read again."""
    found = place.found_kubeconfig()
    if found is None:
        return servers.of_pod(place.environ, place.token_file, place.ca_file), TOKEN_PERIOD
    if not _exists(found):
        raise InputError(f"there is no kubeconfig {found}; set KUBECONFIG or name one with --kubeconfig")
    from pawl.cluster.kubeconfig import read  # noqa: PLC0415 - ten MiB that a Pod does not need

    server = await read(found)
    return server, _plugin_lifetime(server.expires_in)


def _exists(paths: str) -> bool:
    """Tell whether one of the files of a `KUBECONFIG` list is there."""
    return any(Path(part).expanduser().is_file() for part in paths.split(os.pathsep) if part)


def _plugin_lifetime(expires_in: float | None) -> float:
    return KUBECONFIG_PERIOD if expires_in is None else min(max(expires_in - EXPIRY_MARGIN, 1.0), KUBECONFIG_PERIOD)


def _credentials(server: Server, lifetime: float, environ: Mapping[str, str]) -> Credentials:
    parts = (server.url, not server.insecure, server.tls_server_name, server.proxy)
    files = (server.ca_path, server.certificate_path, server.private_key_path)
    return Credentials(
        server=server.url,
        authorization=server.authorization,
        ca_path=server.ca_path,
        certificate_path=server.certificate_path,
        private_key_path=server.private_key_path,
        insecure=server.insecure,
        tls_server_name=server.tls_server_name,
        proxy=server.proxy or environment_proxy(server.url, environ),
        tls=server.tls,
        fingerprint=_fingerprint(parts, files),
        lifetime=lifetime,
    )


def _fingerprint(parts: tuple[object, ...], files: tuple[str | None, ...]) -> str:
    digest = hashlib.sha256(repr(parts).encode())
    for path in files:
        digest.update(b"\0" if path is None else Path(path).read_bytes())
    return digest.hexdigest()


def environment_proxy(server: str, environ: Mapping[str, str]) -> str | None:
    """Return the proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY name for `server`, as kubectl would choose it.

    Asked once a connection: the HTTP library would look it up in a thread for every request. CIDR ranges in NO_PROXY,
    common in clusters, are honoured; loopback is never proxied.
    """
    url = urlsplit(server)
    host = url.hostname or ""
    lowered = {key.lower(): value for key, value in environ.items() if key.lower().endswith("_proxy")}
    proxy = lowered.get(f"{url.scheme}_proxy")
    if not proxy or _bypassed(host, url.netloc, lowered.get("no_proxy", "")):
        return None
    return proxy


def _bypassed(host: str, netloc: str, no_proxy: str) -> bool:
    entries = [entry.strip().lower() for entry in no_proxy.split(",") if entry.strip()]
    names = (host, netloc.rpartition("@")[2].lower())
    if host == "localhost" or any(entry == "*" or _named(entry.lstrip("*."), names) for entry in entries):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or any(_contains(entry, address) for entry in entries if "/" in entry)


def _named(entry: str, names: tuple[str, ...]) -> bool:
    return any(name == entry or name.endswith(f".{entry}") for name in names)


def _contains(network: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False

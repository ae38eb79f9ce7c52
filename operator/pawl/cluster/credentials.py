"""Where the API server is and who we are: read from a kubeconfig or from the Pod, and read again before it expires.

The `kubernetes` client does the reading (contexts, merged files, exec plugins, OIDC, TLS); only plain values leave this
file. Every refresh reads from the start, so a rotated token, CA or client certificate is seen the same way.
Neighbours: `connect` sends requests with what is found here. Not here: requests.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import os
import ssl
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from kubernetes.aio.client import Configuration
from kubernetes.aio.client.rest import RESTClientObject
from kubernetes.aio.config import ConfigException, load_kube_config
from kubernetes.aio.config.incluster_config import (
    SERVICE_CERT_FILENAME,
    SERVICE_HOST_ENV_NAME,
    SERVICE_TOKEN_FILENAME,
    InClusterConfigLoader,
)
from yaml import YAMLError

from pawl.api.errors import InputError
from pawl.cluster.refusals import one_line

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
    token_file: str = SERVICE_TOKEN_FILENAME
    ca_file: str = SERVICE_CERT_FILENAME

    def found_kubeconfig(self) -> str | None:
        """Return the kubeconfig to read: the explicit one, `KUBECONFIG`, or, outside of a Pod, the user's own."""
        named = self.kubeconfig or self.environ.get("KUBECONFIG")
        if named or self.in_pod():
            return named or None
        return str(Path.home() / ".kube" / "config")

    def in_pod(self) -> bool:
        """Tell whether this process runs in a Pod: `KUBERNETES_SERVICE_HOST` is set and a token is mounted."""
        return bool(self.environ.get(SERVICE_HOST_ENV_NAME)) and Path(self.token_file).is_file()


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
    configuration = Configuration()
    try:
        async with asyncio.timeout(PLUGIN_TIMEOUT):
            lifetime = await _fill(configuration, place)
        return _credentials(configuration, place, lifetime)
    except TimeoutError:
        raise InputError(f"the credential plugin of {_origin(place)} gave no answer in {PLUGIN_TIMEOUT:g} s") from None
    except (ConfigException, YAMLError, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        # The loader trips over a malformed file with whatever Python raises first; each means the same to the user.
        raise InputError(f"{_origin(place)} is not usable: {one_line(str(error))}; {_way_out(place)}") from error


def _origin(place: Place) -> str:
    found = place.found_kubeconfig()
    return f"kubeconfig {found}" if found else "the ServiceAccount mounted in this Pod"


def _way_out(place: Place) -> str:
    inside = place.found_kubeconfig() is None
    return "check automountServiceAccountToken" if inside else "name another with --kubeconfig"


async def _fill(configuration: Configuration, place: Place) -> float:
    """Fill the configuration and return its lifetime in seconds."""
    found = place.found_kubeconfig()
    if found is None:
        _fill_from_pod(configuration, place)
        return TOKEN_PERIOD
    if not _exists(found):
        raise InputError(f"there is no kubeconfig {found}; set KUBECONFIG or name one with --kubeconfig")
    # persist_config off: an operator never writes into its user's kubeconfig.
    reading: Awaitable[object] = load_kube_config(  # type: ignore[no-untyped-call]
        config_file=found, client_configuration=configuration, persist_config=False
    )
    loader = await reading
    return _plugin_lifetime(getattr(loader, "exec_plugin_expiry", None))


def _fill_from_pod(configuration: Configuration, place: Place) -> None:
    loader = InClusterConfigLoader(  # type: ignore[no-untyped-call]
        place.token_file, place.ca_file, try_refresh_token=False, environ=place.environ
    )
    loader.load_and_set(configuration)  # type: ignore[no-untyped-call]


def _exists(paths: str) -> bool:
    """Tell whether one of the files of a `KUBECONFIG` list is there."""
    return any(Path(part).expanduser().is_file() for part in paths.split(os.pathsep) if part)


def _plugin_lifetime(expiry: datetime | None) -> float:
    if expiry is None:
        return KUBECONFIG_PERIOD
    left = (expiry - datetime.now(UTC)).total_seconds() - EXPIRY_MARGIN
    return min(max(left, 1.0), KUBECONFIG_PERIOD)


def _credentials(configuration: Configuration, place: Place, lifetime: float) -> Credentials:
    rest = RESTClientObject(configuration)  # builds the TLS context; its own session is never opened
    server = configuration.host.rstrip("/")
    parts = (server, configuration.verify_ssl, configuration.tls_server_name, configuration.proxy)
    files = (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file)
    return Credentials(
        server=server,
        authorization=_authorization(configuration),
        ca_path=configuration.ssl_ca_cert,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        insecure=not configuration.verify_ssl,
        tls_server_name=configuration.tls_server_name,
        proxy=configuration.proxy or environment_proxy(server, place.environ),
        tls=rest.ssl_context,
        fingerprint=_fingerprint(parts, files),
        lifetime=lifetime,
    )


def _authorization(configuration: Configuration) -> str | None:
    value: str | None = configuration.api_key.get("BearerToken")
    if value is None:
        return None
    scheme, _, secret = value.strip().partition(" ")
    # A newline at the end of a token file would otherwise end the header.
    return f"{scheme.capitalize()} {secret.strip()}"


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

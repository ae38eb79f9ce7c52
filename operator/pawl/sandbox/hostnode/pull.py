"""Pulls as a node would, as far as it proves something: the manifest, with the Pod's Secrets and the node's trust.

Trust is read from `/etc/containerd/certs.d` of the node, as containerd does; a plain registry is spoken to on loopback
only. Nothing is unpacked: what such an image holds is not run.
"""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

Json = dict[str, Any]

CERTS = "etc/containerd/certs.d"
KINDS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
TIMEOUT = aiohttp.ClientTimeout(total=10)


class PullError(Exception):
    """Why an image cannot be pulled; half a sentence."""


@dataclass(frozen=True)
class Image:
    """An image reference, in parts."""

    host: str
    repository: str
    reference: str

    @property
    def loopback(self) -> bool:
        """Whether its registry is on this machine, where plain HTTP is no risk."""
        return self.host.startswith(("127.", "localhost"))


def parse(text: str) -> Image:
    """The parts of a reference. Raises PullError for one without a host."""
    host, slash, rest = text.partition("/")
    if not slash or not ({".", ":"} & set(host) or host == "localhost"):
        raise PullError(f"{text} names no registry that this node knows")
    name, _, digest = rest.partition("@")
    head, colon, tag = name.rpartition(":")
    return Image(host, head if colon else name, digest or (tag if colon else "latest"))


async def pull(text: str, keyring: Mapping[str, str], node: Path) -> str:
    """The image's id (`repository@digest`). `keyring` has `user:password` by host. Raises PullError."""
    image = parse(text)
    headers = {"Accept": ", ".join(KINDS)}
    if image.host in keyring:
        headers["Authorization"] = "Basic " + base64.b64encode(keyring[image.host].encode()).decode()
    try:
        raw = await _manifest(image, headers, node)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise PullError(f"failed to pull {text}: {error}") from error
    digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
    if image.reference.startswith("sha256:") and digest != image.reference:
        raise PullError(f"failed to pull {text}: the registry gave {digest}")
    return f"{image.host}/{image.repository}@{digest}"


def keyring_of(data: bytes) -> dict[str, str]:
    """`user:password` by host, from a `.dockerconfigjson`."""
    found: dict[str, str] = {}
    for host, entry in json.loads(data).get("auths", {}).items():
        plain = f"{entry.get('username', '')}:{entry.get('password', '')}"
        found[host] = base64.b64decode(entry["auth"]).decode() if entry.get("auth") else plain
    return found


async def _manifest(image: Image, headers: Mapping[str, str], node: Path) -> bytes:
    secure = trust(image.host, node)
    try:
        return await _get("https", image, headers, secure)
    except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorDNSError):
        raise
    except (aiohttp.ClientSSLError, aiohttp.ServerDisconnectedError):
        if not image.loopback:
            raise
    return await _get("http", image, headers, secure)


async def _get(scheme: str, image: Image, headers: Mapping[str, str], secure: ssl.SSLContext) -> bytes:
    url = f"{scheme}://{image.host}/v2/{image.repository}/manifests/{image.reference}"
    connector = aiohttp.TCPConnector(ssl=secure)
    async with (
        aiohttp.ClientSession(connector=connector, timeout=TIMEOUT, trust_env=False) as session,
        session.get(url, headers=headers) as reply,
    ):
        if reply.status != 200:
            raise PullError(f"failed to pull {image.host}/{image.repository}: {reply.status} {reply.reason}")
        return await reply.read()


def trust(host: str, node: Path) -> ssl.SSLContext:
    """Whom this node trusts for a registry: everybody's authorities, and those of its `hosts.toml`."""
    context = ssl.create_default_context()
    for directory in (node / CERTS / name for name in (host, host.replace(":", "_") + "_")):
        file = directory / "hosts.toml"
        if file.exists():
            for authority in _authorities(tomllib.loads(file.read_text()), directory, node):
                context.load_verify_locations(authority)
    return context


def _authorities(config: Json, directory: Path, node: Path) -> list[Path]:
    places = [config, *config.get("host", {}).values()]
    named = [name for place in places for name in _listed(place.get("ca"))]
    return [node / name.lstrip("/") if name.startswith("/") else directory / name for name in named]


def _listed(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else [str(value)] if value else []

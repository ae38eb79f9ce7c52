"""What is known of an API server before it is spoken to, and how a Pod knows it: its environment and mounted files.

A Pod needs no client library for that; the operator in a Pod never pays for one.
Neighbours: `kubeconfig` knows it from files of the user, `credentials` asks one of the two. Not here: connections.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

HOST: Final = "KUBERNETES_SERVICE_HOST"
PORT: Final = "KUBERNETES_SERVICE_PORT"
TOKEN: Final = "/var/run/secrets/kubernetes.io/serviceaccount/token"
AUTHORITY: Final = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"


@dataclass(frozen=True, slots=True)
class Server:
    """Where an API server is and as whom it is spoken to. Secrets never show in the repr."""

    url: str
    authorization: str | None = field(repr=False)
    tls: ssl.SSLContext = field(repr=False)
    ca_path: str | None = None
    certificate_path: str | None = None
    private_key_path: str | None = None
    insecure: bool = False
    tls_server_name: str | None = None
    proxy: str | None = None
    expires_in: float | None = None
    """Seconds until an exec plugin's credentials end; None where nothing is said about an end."""


def of_pod(environ: Mapping[str, str], token_file: str, ca_file: str) -> Server:
    """Read what the kubelet gave this Pod. Raises ValueError or OSError for what is missing."""
    host, port = environ.get(HOST), environ.get(PORT)
    if not host or not port:
        raise ValueError(f"{HOST} or {PORT} is not set")
    token = Path(token_file).read_text(encoding="utf-8").strip()
    if not token:
        raise ValueError(f"the token file {token_file} is empty")
    if not Path(ca_file).read_bytes():
        raise ValueError(f"the authority file {ca_file} is empty")
    address = f"[{host}]" if ":" in host else host
    tls = ssl.create_default_context(cafile=ca_file)
    return Server(f"https://{address}:{port}", f"Bearer {token}", tls, ca_path=ca_file)

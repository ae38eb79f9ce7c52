"""A minimal synchronous JSON client for the sandbox's own API server and registry; enough to wait and to make Nodes.

Not a Kubernetes client: the operator's is in `pawl.cluster`, which the sandbox may not import.
"""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

JSON = "application/json"
NO_ANSWER = 0
"""Status of a call that got no answer at all: not listening yet, connection cut, timeout."""


@dataclass(frozen=True)
class Answer:
    """Status and decoded JSON body; `body` is the raw text where it was no JSON."""

    status: int
    body: Any


@dataclass(frozen=True)
class Api:
    """One server, one identity. `timeout` in seconds counts for each call."""

    server: str
    tls: ssl.SSLContext | None = None
    timeout: float = 5.0

    def call(self, method: str, path: str, body: object = None) -> Answer:
        """One request on a connection of its own. A failed connection is an Answer with status 0, not an exception."""
        connection = self._connection()
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": JSON, "Accept": JSON})
            reply = connection.getresponse()
            return Answer(reply.status, _decoded(reply.read()))
        except (OSError, http.client.HTTPException) as error:
            return Answer(NO_ANSWER, str(error))
        finally:
            connection.close()

    def get(self, path: str) -> Answer:
        """GET `path`."""
        return self.call("GET", path)

    def _connection(self) -> http.client.HTTPConnection:
        where = urlsplit(self.server).netloc
        if self.tls is None:
            return http.client.HTTPConnection(where, timeout=self.timeout)
        return http.client.HTTPSConnection(where, timeout=self.timeout, context=self.tls)


def admin_api(server: str, pki: Path) -> Api:
    """A client for `server` with the administrator's certificate from the directory `pki`."""
    tls = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    tls.load_cert_chain(str(pki / "admin.crt"), str(pki / "admin.key"))
    return Api(server, tls)


def _decoded(raw: bytes) -> Any:  # noqa: ANN401 - JSON is what it is
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode(errors="replace")

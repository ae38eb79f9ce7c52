"""Certificates for tests: an authority of our own, made once a session.

Not here: the sandbox's certificates (`pawl.sandbox.certs`).
"""

from __future__ import annotations

import ssl

import trustme


class Authority:
    """A CA that nobody knows, and servers that it vouches for."""

    def __init__(self) -> None:
        self._ca = trustme.CA()

    @property
    def pem(self) -> str:
        """The CA's certificate, as it stands under ca.crt of a Secret."""
        return self._ca.cert_pem.bytes().decode()

    def server(self, *names: str) -> ssl.SSLContext:
        """A server context with a certificate for these names or addresses."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(*names).configure_cert(context)
        return context

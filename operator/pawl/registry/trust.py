"""TLS contexts: the system's authorities, extended by a CA of the user's.

Neighbours: `pools` uses them. Not here: reading of Secrets.
"""

from __future__ import annotations

import ssl

from pawl.api.errors import Untrusted
from pawl.registry.caches import Bounded
from pawl.registry.targets import Endpoint

_CONTEXTS = 32  # a context holds the system's authorities again, about 0.8 MiB


class TrustStore:
    """Contexts by the hash of their CA; building one costs tens of milliseconds."""

    def __init__(self) -> None:
        self._contexts: Bounded[str, ssl.SSLContext] = Bounded(_CONTEXTS)

    def context(self, endpoint: Endpoint) -> ssl.SSLContext:
        """The context for an endpoint.

        Raises:
            Untrusted: the CA is no PEM certificate.

        """
        context = self._contexts.get(endpoint.ca_fingerprint)
        if context is None:
            context = _build(endpoint)
            self._contexts.put(endpoint.ca_fingerprint, context)
        return context


def _build(endpoint: Endpoint) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not endpoint.ca_pem:
        return context
    try:
        context.load_verify_locations(cadata=endpoint.ca_pem)
    except (ssl.SSLError, ValueError):
        raise Untrusted(
            f"the CA for {endpoint.host} is no PEM certificate: put one under ca.crt of the Secret in "
            "spec.access.caSecretRef"
        ) from None
    return context


def distrust(host: str, error: ssl.SSLError) -> Untrusted:
    """The error for a failed handshake, naming host, cause and way out."""
    if isinstance(error, ssl.SSLCertVerificationError):
        cause = (error.verify_message or "verification failed").rstrip(".")
        return Untrusted(
            f"{host} shows a certificate that cannot be trusted ({cause}): put the CA that signed it under ca.crt of "
            "the Secret in spec.access.caSecretRef, or correct the certificate's names"
        )
    cause = (error.reason or "handshake failed").replace("_", " ").lower()
    return Untrusted(
        f"{host} does not complete a TLS handshake ({cause}): if it speaks no TLS, set spec.access.plainHTTP"
    )

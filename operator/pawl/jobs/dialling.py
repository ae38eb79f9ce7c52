"""The first three proofs of a connection, one by one: the name resolves, something listens, its certificate is trusted.

Each returns a Step whose sentence tells what to change. The HTTP client does the same at once and says less.
Neighbours: `probe` goes on with what the server answers. Not here: HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from dataclasses import dataclass
from typing import Final

from pawl.api.registrywork import Step
from pawl.registry.servers import Target
from pawl.registry.targets import Origin, origin_of

DNS: Final = "DNS"
TCP: Final = "TCP"
TLS: Final = "TLS"


@dataclass(frozen=True, slots=True)
class Dialled:
    """What is dialled, and the name that TLS is about."""

    named: Origin
    origin: Origin

    @classmethod
    def of(cls, target: Target) -> Dialled:
        """Read a target. Raises ValueError where its URL or address is none."""
        named = target.endpoint.origin
        return cls(named, origin_of(named.scheme, target.address) if target.address else named)


async def resolves(dialled: Dialled, seconds: float) -> Step:
    """Prove that the name has an address."""
    host, loop = dialled.origin.host, asyncio.get_running_loop()
    try:
        async with asyncio.timeout(seconds):
            found = await loop.getaddrinfo(host, dialled.origin.port, type=socket.SOCK_STREAM)
    except (TimeoutError, OSError, UnicodeError) as error:
        return Step(
            name=DNS,
            ok=False,
            message=f"{host} does not resolve ({_why(error)}): correct spec.access.host, or give that name an address; "
            "without spec.access.host the name of the Service is used",
        )
    addresses = dict.fromkeys(str(entry[4][0]) for entry in found)
    return Step(name=DNS, ok=True, message=f"{host} is {', '.join(list(addresses)[:4])}")


async def connects(dialled: Dialled, seconds: float) -> Step:
    """Prove that something listens."""
    place = dialled.origin.host_port
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(dialled.origin.host, dialled.origin.port)
    except (TimeoutError, OSError) as error:
        return Step(
            name=TCP,
            ok=False,
            message=f"no connection to {place} ({_why(error)}): see that the server's Pod is Ready, that the Service "
            "or Ingress leads to it at that port, and that no NetworkPolicy stands between",
        )
    await _hang_up(writer)
    return Step(name=TCP, ok=True, message=f"{place} takes connections")


async def trusted(dialled: Dialled, ca_pem: str, seconds: float) -> Step:
    """Prove that the certificate is of a known authority and for the name; plain HTTP has none to prove."""
    if dialled.named.scheme == "http":
        return Step(name=TLS, ok=True, message="plain HTTP, as spec.access.tls.disabled asks for")
    name, place = dialled.named.host, dialled.origin
    try:
        context = _context(ca_pem)
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(place.host, place.port, ssl=context, server_hostname=name)
    except ssl.SSLCertVerificationError as error:
        return Step(name=TLS, ok=False, message=_distrusted(name, error))
    except (ssl.SSLError, TimeoutError, OSError) as error:
        return Step(
            name=TLS,
            ok=False,
            message=f"{name} completes no TLS handshake ({_why(error)}): if something before the registry ends TLS or "
            "speaks plain HTTP, correct spec.access.service, or set spec.access.tls.disabled",
        )
    await _hang_up(writer)
    return Step(name=TLS, ok=True, message=f"the certificate of {name} is trusted")


def _distrusted(name: str, error: ssl.SSLCertVerificationError) -> str:
    cause = (error.verify_message or "verification failed").rstrip(".")
    if "hostname" in cause.lower() or "ip address mismatch" in cause.lower():
        way = "issue the certificate for spec.access.host, or correct spec.access.host"
    elif "expired" in cause or "not yet valid" in cause:
        way = "renew the certificate that spec.access.tls names; Pawl renews its own by itself"
    else:
        way = (
            "put the authority under ca.crt of the Secret that spec.access.tls names; nodes learn it by "
            "spec.access.nodeTrust"
        )
    return f"{name} shows a certificate that is not trusted ({cause}): {way}"


def _context(ca_pem: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_pem:
        context.load_verify_locations(cadata=ca_pem)
    return context


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _why(error: BaseException) -> str:
    if isinstance(error, TimeoutError) and not error.args:
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        return (error.reason or "handshake failed").replace("_", " ").lower()
    number = getattr(error, "errno", None)
    if isinstance(number, int) and number > 0 and not isinstance(error, socket.gaierror):
        return os.strerror(number)
    return str(getattr(error, "strerror", None) or type(error).__name__)

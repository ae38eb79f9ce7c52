"""Asks a container's process how it is: readiness, liveness and start, over HTTP or TCP."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import aiohttp

Json = dict[str, Any]

QUICK = 0.2
"""Seconds between looks until the first success, whatever the period."""
LONGEST = 1.0
"""No look is further apart than this: a sandbox has no time to wait ten seconds for a readiness that went away."""


def pause_of(probe: Json, *, good: bool) -> float:
    """Seconds until the next look."""
    return min(float(probe.get("periodSeconds", 10)), LONGEST) if good else QUICK


async def holds(probe: Json, container: Json, address: str) -> bool:
    """Whether the probe succeeds now; one of a kind that is not played (exec, gRPC) always does."""
    limit = float(probe.get("timeoutSeconds", 1))
    try:
        async with asyncio.timeout(limit):
            if "httpGet" in probe:
                return await _http(probe["httpGet"], container, address)
            if "tcpSocket" in probe:
                return await _tcp(_port(probe["tcpSocket"]["port"], container), address)
    except (OSError, TimeoutError, aiohttp.ClientError):
        return False
    return True


def _port(named: int | str, container: Json) -> int:
    if isinstance(named, int):
        return named
    ports = container.get("ports") or ()
    return next((int(port["containerPort"]) for port in ports if port.get("name") == named), 0)


async def _http(what: Json, container: Json, address: str) -> bool:
    scheme = what.get("scheme", "HTTP").lower()
    url = f"{scheme}://{what.get('host', address)}:{_port(what['port'], container)}{what.get('path', '/')}"
    headers = {each["name"]: each["value"] for each in what.get("httpHeaders") or ()}
    connector = aiohttp.TCPConnector(ssl=_trusting())
    async with (
        aiohttp.ClientSession(connector=connector, trust_env=False) as session,
        session.get(url, headers=headers, allow_redirects=False) as reply,
    ):
        return reply.status < 400


async def _tcp(port: int, address: str) -> bool:
    _, writer = await asyncio.open_connection(address, port)
    writer.close()
    return True


def _trusting() -> ssl.SSLContext:
    # A kubelet does not verify the certificates of what it probes.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context

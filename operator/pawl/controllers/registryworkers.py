"""Asks the Pods that work on a registry: how far they are, how full the store is, what a collection would do.

They are asked by their address with the registry's own token. Whatever they answer is somebody's words: bounded in size
and time, and used only if it has the form that was asked for.
Neighbours: `jobs.progress` and `jobs.meter` answer, `registryfacts` asks. Not here: what the answers mean.
"""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass
from typing import Final, TypeVar

import aiohttp
import structlog
from pydantic import BaseModel, ValidationError

from pawl.api.registrywork import WORK_PORT, Meter, Order, Plan, Report

T = TypeVar("T", bound=BaseModel)

SMALL: Final = 256 * 1024
LARGE: Final = 64 * 1024 * 1024
"""Bytes: a plan names every tag of a registry."""
SOON: Final = 5.0
LONG: Final = 120.0
"""Seconds for a plan: the store is walked for it."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """Where a worker answers. The token never shows in a repr."""

    address: str
    token: str
    port: int = WORK_PORT

    def __repr__(self) -> str:
        return f"Asked({self.address}:{self.port})"

    def url(self, path: str) -> str:
        """Return the address of one question."""
        host = f"[{self.address}]" if ipaddress.ip_address(self.address).version == 6 else self.address
        return f"http://{host}:{self.port}/{path}"


class WorkerClient:
    """Asks. One for a term; `close` it. `seconds` is the time for an answer, a plan excepted."""

    def __init__(self, seconds: float = SOON) -> None:
        self._seconds = seconds
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def progress(self, asked: Asked) -> Report | None:
        """Return how far a worker is, None where it does not say."""
        return await self._ask(asked, "progress", Report)

    async def usage(self, asked: Asked) -> Meter | None:
        """Return how full a store is, None where the meter does not say."""
        return await self._ask(asked, "usage", Meter)

    async def plan(self, asked: Asked, order: Order) -> Plan | None:
        """Return what a collection would do, None where the meter does not say."""
        return await self._ask(asked, "plan", Plan, order)

    async def _ask(self, asked: Asked, path: str, model: type[T], order: Order | None = None) -> T | None:
        limit, seconds = (LARGE, LONG) if order is not None else (SMALL, self._seconds)
        try:
            async with asyncio.timeout(seconds):
                raw = await self._send(asked, path, order, limit)
            return await asyncio.to_thread(model.model_validate_json, raw)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            what = "its answer has another form" if isinstance(error, ValidationError) else _plain(error)
            log.info("a worker did not say", address=asked.address, question=path, error=what)
            return None

    async def _send(self, asked: Asked, path: str, order: Order | None, limit: int) -> bytes:
        if self._session is None:
            self._session = aiohttp.ClientSession(auto_decompress=False, trust_env=False)
        method, body = ("POST", order.model_dump_json(by_alias=True)) if order is not None else ("GET", None)
        headers = {"Authorization": f"Bearer {asked.token}", "Content-Type": "application/json"}
        async with self._session.request(
            method, asked.url(path), data=body, headers=headers, allow_redirects=False
        ) as answer:
            if answer.status != 200:
                raise ValueError(f"HTTP {answer.status}")
            return await _whole(answer, limit)


async def _whole(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    found = bytearray()
    async for chunk in answer.content.iter_chunked(1 << 16):
        found += chunk
        if len(found) > limit:
            raise ValueError(f"more than {limit} bytes")
    return bytes(found)


def _plain(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__

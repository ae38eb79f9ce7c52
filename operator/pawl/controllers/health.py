"""One small HTTP server a replica: `/metrics`, `/healthz` (else restart me) and `/readyz` (else send me no requests).

A check is a name and a question whose answer is None or a sentence that says what is wrong.
Neighbours: `metrics` is the registry served, the run loop registers the checks. Not here: what is healthy.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.aiohttp import make_aiohttp_handler

LAG_LIMIT: Final = 10.0
"""Seconds that the event loop may be late before `/healthz` fails."""
SAMPLE: Final = 0.5
"""Seconds between two samples of the event loop's lag."""


@dataclass(frozen=True, slots=True)
class Check:
    """One named question. `ask` returns None, or one sentence naming what is wrong. It must be quick."""

    name: str
    ask: Callable[[], str | None]


class LoopLag:
    """Measures how late the event loop wakes a sleeper. `run` is its task."""

    def __init__(self, interval: float = SAMPLE) -> None:
        self._interval = interval
        self._samples: deque[float] = deque([0.0], maxlen=max(int(60 / interval), 1))
        self._expected: float | None = None

    @property
    def current(self) -> float:
        """Seconds that the last sample was late, or that the next one already is."""
        overdue = 0.0 if self._expected is None else asyncio.get_running_loop().time() - self._expected
        return max(self._samples[-1], overdue, 0.0)

    @property
    def worst(self) -> float:
        """The greatest lag of the last minute in seconds."""
        return max(self.current, *self._samples)

    async def run(self) -> None:
        """Sample until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                self._expected = loop.time() + self._interval
                await asyncio.sleep(self._interval)
                self._samples.append(max(loop.time() - self._expected, 0.0))
        finally:
            self._expected = None


def lag_check(lag: LoopLag, limit: float = LAG_LIMIT) -> Check:
    """Fail while the event loop is later than `limit` seconds."""

    def ask() -> str | None:
        late = lag.current
        return None if late <= limit else f"the event loop is {late:.1f} s late, more than {limit:g} s"

    return Check("event-loop", ask)


def age_check(name: str, age: Callable[[], float], limit: float) -> Check:
    """Fail while something, such as a watch, gave no sign of life for more than `limit` seconds."""

    def ask() -> str | None:
        seconds = age()
        return None if seconds <= limit else f"no sign of life for {seconds:.0f} s, more than {limit:g} s"

    return Check(name, ask)


def flag_check(name: str, good: Callable[[], bool], sentence: str) -> Check:
    """Fail with `sentence` while `good()` is false."""
    return Check(name, lambda: None if good() else sentence)


class HealthServer:
    """The server. Checks may be added at any time; only GET and HEAD are answered, and no body is read."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._live: list[Check] = []
        self._ready: list[Check] = []
        app = web.Application(client_max_size=1)
        app.router.add_get("/metrics", make_aiohttp_handler(registry))
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        self._runner = web.AppRunner(app, access_log=None, keepalive_timeout=30.0, shutdown_timeout=1.0)

    def add_live(self, *checks: Check) -> None:
        """Add checks to `/healthz`."""
        self._live += checks

    def add_ready(self, *checks: Check) -> None:
        """Add checks to `/readyz`."""
        self._ready += checks

    async def start(self, host: str, port: int) -> int:
        """Listen and return the port, chosen by the system where `port` is 0. Raises OSError where it is taken."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, reuse_address=True)
        await site.start()
        bound: int = self._runner.addresses[0][1]
        return bound

    async def close(self) -> None:
        """Stop listening and end the connections."""
        await self._runner.cleanup()

    async def _healthz(self, _request: web.Request) -> web.Response:
        return _answer(self._live)

    async def _readyz(self, _request: web.Request) -> web.Response:
        return _answer(self._ready)


def _answer(checks: Sequence[Check]) -> web.Response:
    """Ask all checks; 200 if none complains, else 503, in either case with a line each."""
    results = [(check.name, _ask(check)) for check in checks]
    lines = [f"[+]{name} ok" if said is None else f"[-]{name} failed: {said}" for name, said in results]
    failed = any(said is not None for _, said in results)
    return web.Response(text="\n".join([*lines, "failed" if failed else "ok", ""]), status=503 if failed else 200)


def _ask(check: Check) -> str | None:
    try:
        return check.ask()
    except Exception as error:  # noqa: BLE001 - a check that breaks is a check that fails, and says so
        return f"the check itself broke with {type(error).__name__}"

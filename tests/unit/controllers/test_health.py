"""The health server over a real socket."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from pawl.controllers.health import Check, HealthServer, LoopLag, age_check, flag_check, lag_check
from pawl.controllers.metrics import Metrics


@asynccontextmanager
async def serving(server: HealthServer) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    port = await server.start("127.0.0.1", 0)
    async with aiohttp.ClientSession() as session:
        yield session, f"http://127.0.0.1:{port}"
    await server.close()


async def ask(session: aiohttp.ClientSession, url: str) -> tuple[int, str]:
    async with session.get(url) as response:
        return response.status, await response.text()


@pytest.fixture
def server() -> HealthServer:
    return HealthServer(Metrics().registry)


async def test_metrics_are_served(server: HealthServer) -> None:
    async with serving(server) as (session, base):
        code, text = await ask(session, f"{base}/metrics")
    assert code == 200
    assert "pawl_leader 0.0" in text


async def test_without_checks_all_is_well(server: HealthServer) -> None:
    async with serving(server) as (session, base):
        assert await ask(session, f"{base}/healthz") == (200, "ok\n")
        assert await ask(session, f"{base}/readyz") == (200, "ok\n")


async def test_a_failing_check_is_named_with_its_sentence(server: HealthServer) -> None:
    state = {"alive": True}
    server.add_live(flag_check("queue", lambda: state["alive"], "the runner of the queue has ended"))
    server.add_live(Check("other", lambda: None))
    server.add_ready(age_check("watch", lambda: 95.0, 90.0))
    async with serving(server) as (session, base):
        assert await ask(session, f"{base}/healthz") == (200, "[+]queue ok\n[+]other ok\nok\n")
        state["alive"] = False
        code, text = await ask(session, f"{base}/healthz")
        assert code == 503
        assert "[-]queue failed: the runner of the queue has ended\n[+]other ok\nfailed\n" in text
        code, text = await ask(session, f"{base}/readyz")
        assert (code, text) == (503, "[-]watch failed: no sign of life for 95 s, more than 90 s\nfailed\n")


async def test_a_check_that_breaks_fails_without_telling_secrets(server: HealthServer) -> None:
    def broken() -> str | None:
        raise ValueError("hunter2")

    server.add_live(Check("broken", broken))
    async with serving(server) as (session, base):
        code, text = await ask(session, f"{base}/healthz")
    assert (code, text) == (503, "[-]broken failed: the check itself broke with ValueError\nfailed\n")


async def test_other_paths_and_methods_are_refused(server: HealthServer) -> None:
    async with serving(server) as (session, base):
        assert (await ask(session, f"{base}/"))[0] == 404
        async with session.post(f"{base}/healthz", data=b"x" * 100_000) as response:
            assert response.status == 405
        async with session.head(f"{base}/healthz") as response:
            assert response.status == 200


async def test_a_taken_port_is_an_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = HealthServer(Metrics().registry)
        with pytest.raises(OSError, match="in use"):
            await server.start("127.0.0.1", taken.getsockname()[1])
        await server.close()


def test_an_age_within_its_limit_is_no_complaint() -> None:
    assert age_check("watch", lambda: 90.0, 90.0).ask() is None


async def test_a_blocked_loop_shows_as_lag() -> None:
    lag = LoopLag(interval=0.01)
    assert lag.current == 0
    task = asyncio.create_task(lag.run())
    await asyncio.sleep(0.03)
    assert lag.worst < 0.1
    assert lag_check(lag, 0.1).ask() is None
    time.sleep(0.2)  # noqa: ASYNC251 - blocking is what is measured
    assert lag.current >= 0.15  # seen before the sampler could run
    said = lag_check(lag, 0.1).ask()
    assert said is not None
    assert "more than 0.1 s" in said
    await asyncio.sleep(0.05)
    assert lag.current < 0.1
    assert lag.worst >= 0.15
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert lag.current < 0.1

"""A registry that misbehaves on request, in a thread, for tests that wait without a loop of their own.

Neighbours: `tests.support.registry` is the registry. Not here: the sandbox's own registry (`override_stage_images`).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.registry import FakeRegistry

START = 20.0


@contextmanager
def registry_of(**fields: Any) -> Iterator[FakeRegistry]:
    """A running registry; its plain methods (`push`, `behave`, ...) may be called from the test's thread."""
    registry, up, stop = FakeRegistry(**fields), threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(registry, up, stop)), daemon=True)
    thread.start()
    assert up.wait(START), "the registry did not start"
    try:
        yield registry
    finally:
        stop.set()
        thread.join(START)
        assert not thread.is_alive(), "the registry did not end"


async def _serve(registry: FakeRegistry, up: threading.Event, stop: threading.Event) -> None:
    async with registry:
        up.set()
        await asyncio.to_thread(stop.wait)

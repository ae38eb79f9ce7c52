"""Running several endless works side by side, with one rule: the first that fails ends all.

asyncio.TaskGroup wraps failures in an ExceptionGroup and knows no stop event; a replica has both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine


async def run_until(stop: asyncio.Event, *works: Coroutine[object, object, object]) -> None:
    """Run until `stop` is set or a work fails; its error is raised once all others have ended. Works may return."""
    stopping: asyncio.Task[object] = asyncio.create_task(stop.wait())
    tasks: set[asyncio.Task[object]] = {asyncio.create_task(work) for work in works}
    running = set(tasks)
    try:
        while running and not stopping.done():
            await asyncio.wait({stopping, *running}, return_when=asyncio.FIRST_COMPLETED)
            for task in [task for task in running if task.done()]:
                running.discard(task)
                task.result()
    finally:
        for task in (stopping, *tasks):
            task.cancel()
        await asyncio.gather(stopping, *tasks, return_exceptions=True)

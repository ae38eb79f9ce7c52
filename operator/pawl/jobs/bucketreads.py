"""Small objects of a bucket, read by threads of their own.

A thread that waits in the library costs half of what a future an object costs: nothing has to wake the event loop, and
the library's own threads never wait for Python. Neighbours: `bucket` asks, and tries again what failed here. Not here:
patience, large objects.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Final

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from pawl.jobs.copystore import Body
from pawl.jobs.store import ObjectMissing, StoreError

THREADS: Final = 16

Fault = Callable[[Exception, str], StoreError]
"""Says what an error at a key is."""


def worth_a_try(body: Body | StoreError) -> bool:
    """Whether what was read is a failure that may pass."""
    return isinstance(body, StoreError) and not isinstance(body, ObjectMissing)


class Readers:
    """Threads that read whole objects below `prefix`."""

    def __init__(self, prefix: str, fault: Fault) -> None:
        self._prefix = prefix
        self._fault = fault
        self._threads = ThreadPoolExecutor(THREADS, "bucket")

    async def read(self, client: Callable[[], S3Store], wanted: Sequence[tuple[str, int]]) -> list[Body | StoreError]:
        """Return each object, or why it could not be read."""
        found: list[Body | StoreError] = [b""] * len(wanted)
        ended, loop = Event(), asyncio.get_running_loop()

        def go_on(begin: int) -> None:
            for number in range(begin, len(wanted), THREADS):
                if ended.is_set():
                    return
                found[number] = self._one(client, *wanted[number])

        begins = range(min(THREADS, len(wanted)))
        try:
            await asyncio.gather(*(loop.run_in_executor(self._threads, go_on, begin) for begin in begins))
        finally:
            ended.set()
        return found

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _one(self, client: Callable[[], S3Store], key: str, limit: int) -> Body | StoreError:
        try:
            result = obstore.get(client(), self._prefix + key)
            if result.meta["size"] > limit:
                return self._fault(ValueError(f"it has more than {limit} bytes"), key)
            return memoryview(result.bytes())
        except (BaseError, OSError, ValueError) as error:
            return self._fault(error, key)

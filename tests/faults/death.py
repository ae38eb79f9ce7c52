"""A transport to a real API server that dies at the n-th call, before or after the call really happened.

Neighbours: `scenario` plays the operator's part on it. Not here: processes (`replicas`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import Enum

from pawl.api.errors import ApiUnavailable
from pawl.cluster.calls import Answer, ConnectionValues, Request, Transport


class Dead(BaseException):
    """The process is gone: nobody may catch this."""


class How(Enum):
    """How the n-th call ends."""

    KILLED_BEFORE = "killed before the call"
    KILLED_AFTER = "killed after the call"
    LOST_BEFORE = "the call never arrived"
    LOST_AFTER = "the answer never arrived"


@dataclass
class Mortal:
    """A way to the API server. `calls` tells what was asked so far, in order."""

    inner: Transport
    at: int = 0
    how: How = How.KILLED_BEFORE
    calls: list[str] = field(default_factory=list)

    async def send(self, request: Request) -> Answer:
        self.calls.append(f"{request.verb} {request.right}")
        if len(self.calls) != self.at:
            return await self.inner.send(request)
        if self.how in {How.KILLED_AFTER, How.LOST_AFTER}:
            await self.inner.send(request)
        if self.how in {How.KILLED_BEFORE, How.KILLED_AFTER}:
            raise Dead
        raise ApiUnavailable("the network broke")

    def stream(self, request: Request) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self.inner.stream(request)

    async def connection_info(self) -> ConnectionValues:
        return await self.inner.connection_info()

    async def close(self) -> None:
        """The inner one outlives many operators."""

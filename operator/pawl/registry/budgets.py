"""Time that may be spent on the network.

A bound for one read is no bound at all: a server that drips a byte a second keeps every read happy. So a budget
covers a whole request, or a whole scan of many pages, and is spent only while the network works: the wait for a place
in a busy host's queue is not the registry's fault.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pawl.api.errors import Unreachable


@dataclass(slots=True)
class _Account:
    seconds: float  # as given, for messages
    setting: str
    left: float


class Budget:
    """Seconds left to spend. A budget within another one spends both."""

    __slots__ = ("_accounts",)

    def __init__(self, seconds: float, setting: str) -> None:
        """`setting` names, in messages, what the bound is."""
        self._accounts = [_Account(seconds, setting, seconds)]

    def within(self, seconds: float, setting: str) -> Budget:
        """A further bound for a part of what this budget pays for."""
        part = Budget(seconds, setting)
        part._accounts += self._accounts
        return part

    @asynccontextmanager
    async def spend(self, host: str) -> AsyncIterator[None]:
        """Run a block within the budget.

        Raises:
            Unreachable: the budget is used up; `host` is named.

        """
        tightest = min(self._accounts, key=lambda account: account.left)
        started = time.monotonic()
        try:
            async with asyncio.timeout(tightest.left):
                yield
        except TimeoutError:
            bound = f"{tightest.seconds:g} s ({tightest.setting})"
            raise Unreachable(f"{host} did not answer in full within {bound}") from None
        finally:
            spent = time.monotonic() - started
            for account in self._accounts:
                account.left -= spent

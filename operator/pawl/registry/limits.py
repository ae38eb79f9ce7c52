"""Kindness to hosts: how many requests at once, and when none at all.

A 429, or a 503 that says Retry-After, freezes the *host* for everybody: the limit is the registry's, and the thousand
policies behind it only know of it together (fluxcd/image-reflector-controller#163: pages hammered within 100 ms of a
429). While a host is frozen, calls fail at once with the wait that is left, so that callers wait outside, in their
queue.
Not here: the requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

from pawl.api.errors import RateLimited

MAX_WAIT = 3600.0
"""Longest wait that a server's Retry-After may impose, in seconds."""
_FIRST_WAIT, _LAST_WAIT = 1.0, 60.0  # seconds, doubled on each 429 that says nothing
_FORGET_ABOVE = 4096  # hosts


@dataclass(slots=True)
class _Host:
    places: asyncio.Semaphore
    users: int = 0
    frozen_until: float = 0.0
    told: bool = False
    strikes: int = field(default=0)


class HostGate:
    """Counts requests per host (`host` or `host:port` as dialled) and keeps frozen hosts shut."""

    def __init__(self, concurrency: int, clock: Callable[[], float]) -> None:
        self._concurrency = concurrency
        self._clock = clock
        self._hosts: dict[str, _Host] = {}

    def frozen_for(self, host: str) -> float:
        """Seconds until the host may be asked again; 0 if now."""
        state = self._hosts.get(host)
        return max(0.0, state.frozen_until - self._clock()) if state else 0.0

    @asynccontextmanager
    async def place(self, host: str) -> AsyncIterator[None]:
        """One of the host's places, waited for.

        Raises:
            RateLimited: the host is frozen, or was frozen while we waited.

        """
        state = self._state(host)
        state.users += 1
        try:
            self._refuse_frozen(host)
            async with state.places:
                self._refuse_frozen(host)
                yield
        finally:
            state.users -= 1

    def freeze(self, host: str, retry_after: float | None) -> RateLimited:
        """Shut the host: for `retry_after` seconds, or for a growing time where the server named none."""
        state = self._state(host)
        already = self.frozen_for(host) > 0
        if retry_after is None:
            # Answers that were under way when the host froze are the same news: they do not double the wait.
            state.strikes += 0 if already else 1
            wait = min(_FIRST_WAIT * 2 ** min(state.strikes - 1, 10), _LAST_WAIT)
        else:
            wait = min(max(retry_after, _FIRST_WAIT), MAX_WAIT)
        until = self._clock() + wait
        if until > state.frozen_until:
            state.frozen_until, state.told = until, retry_after is not None
        return self._refusal(host)

    def calm(self, host: str) -> None:
        """The host answered without complaint: the next wait starts small again."""
        state = self._hosts.get(host)
        if state is not None and state.strikes and self.frozen_for(host) == 0:
            state.strikes = 0

    def _refuse_frozen(self, host: str) -> None:
        if self.frozen_for(host) > 0:
            raise self._refusal(host)

    def _refusal(self, host: str) -> RateLimited:
        state, wait = self._hosts[host], self.frozen_for(host)
        who = "asks for" if state.told else "limits requests without saying for how long;"
        return RateLimited(f"{host} {who} a pause of {wait:.0f} s", retry_after=wait, told=state.told, status=429)

    def _state(self, host: str) -> _Host:
        state = self._hosts.get(host)
        if state is None:
            self._forget_idle()
            state = self._hosts[host] = _Host(asyncio.Semaphore(self._concurrency))
        return state

    def _forget_idle(self) -> None:
        if len(self._hosts) < _FORGET_ABOVE:
            return
        now = self._clock()
        self._hosts = {h: s for h, s in self._hosts.items() if s.users or s.frozen_until > now}


def retry_after(values: Iterable[str], now: float) -> float | None:
    """Seconds that a Retry-After header asks for (RFC 9110, section 10.2.3), or None. `now` is a POSIX time."""
    for value in values:
        text = value.strip()
        if text.isascii() and text.isdigit():
            return min(float(text), MAX_WAIT)
        try:
            return min(max(parsedate_to_datetime(text).timestamp() - now, 0.0), MAX_WAIT)
        except (ValueError, OverflowError):
            continue
    return None

"""One scan for all who want it: a thousand policies on one repository cost one request.

A scan is shared by callers with the same `Access` only: what one set of credentials may see is nobody else's
business. A result serves a caller if it was *started* at or after the time the caller names, because only then does
it show a tag that was pushed before that.
Memory stays flat: of a result only its revision is kept. The list itself lives as long as a caller holds the result,
or for some seconds while neighbours of the same interval come by; a caller that comes later and knows the revision is
told that nothing changed.
Neighbours: `client.list_tags` scans; controllers ask here. Not here: intervals, backoff.
"""

from __future__ import annotations

import asyncio
import time
import weakref
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from pawl.registry.caches import Bounded, cancel_all, ride, take_off
from pawl.registry.tags import TagList
from pawl.registry.targets import Access

_REPOSITORIES = 10_000  # remembered, about 1 KiB each
_LIST_SECONDS = 15.0
_LISTED_TAGS = 200_000  # held for neighbours, in all lists together: about 15 MiB


class TagLister(Protocol):
    """The part of `RegistryClient` that a hub needs."""

    def list_tags(self, access: Access, path: str, *, known_revision: str | None = None) -> Awaitable[TagList]:
        """See `RegistryClient.list_tags`."""
        ...


@dataclass(frozen=True, slots=True, weakref_slot=True)
class ScanResult:
    """A whole tag list.

    Attributes:
        tags: distinct tags in the registry's order; None if `unchanged`.
        revision: see `decide.shortlist.revision`.
        count: how many tags.
        started_at: monotonic seconds at which the scan began.
        unchanged: the list is the one of the `known_revision` that the caller named.
        complete: always True; a list that could not be read to its end is an error.

    """

    tags: tuple[str, ...] | None = field(repr=False)
    revision: str
    count: int
    started_at: float
    unchanged: bool = False
    complete: bool = True


@dataclass(slots=True)
class _Flight:
    started_at: float
    task: asyncio.Task[ScanResult]


@dataclass(slots=True)
class _Repository:
    last: ScanResult | None = None  # without its tags
    held: weakref.ref[ScanResult] | None = None  # with them, as long as somebody has it
    flight: _Flight | None = None


class ScanHub:
    """Shares scans. One for a process.

    `list_seconds` is how long a list is held for neighbours; `clock` gives monotonic seconds.
    """

    def __init__(
        self,
        lister: TagLister,
        *,
        clock: Callable[[], float] = time.monotonic,
        list_seconds: float = _LIST_SECONDS,
        listed_tags: int = _LISTED_TAGS,
    ) -> None:
        self._lister = lister
        self._clock = clock
        self._repositories: Bounded[tuple[str, str], _Repository] = Bounded(_REPOSITORIES)
        self._flights: set[asyncio.Task[ScanResult]] = set()
        self._shelf = _Shelf(list_seconds, listed_tags)

    async def scan(
        self, access: Access, path: str, *, not_before: float, known_revision: str | None = None
    ) -> ScanResult:
        """A scan that was started at or after `not_before` (monotonic seconds).

        Raises:
            RegistryError: the scan failed, for all who waited for it. Nobody after them is served the failure.

        """
        repository = self._repository((access.fingerprint, path))
        served = _serve(repository, not_before, known_revision)
        while served is None:
            flight = repository.flight
            if flight is None or flight.started_at < not_before:
                flight = self._start(repository, access, path, known_revision)
            # No fit: the registry said "unchanged" to the one who started the flight, who knew another list than we.
            served = _fit(await ride(flight.task), known_revision)
        return served

    def forget_lists(self) -> None:
        """Let go of all lists held for neighbours."""
        self._shelf.clear()

    async def aclose(self) -> None:
        """Stop all scans."""
        self._shelf.clear()
        await cancel_all(list(self._flights))

    def _repository(self, key: tuple[str, str]) -> _Repository:
        repository = self._repositories.get(key)
        if repository is None:
            repository = _Repository()
            self._repositories.put(key, repository)
        return repository

    def _start(self, repository: _Repository, access: Access, path: str, known_revision: str | None) -> _Flight:
        started_at = self._clock()
        task = take_off(lambda: self._scan(repository, access, path, started_at, known_revision))
        flight = repository.flight = _Flight(started_at, task)
        self._flights.add(task)

        def land(done: asyncio.Task[ScanResult]) -> None:
            self._flights.discard(done)
            if repository.flight is flight:
                repository.flight = None

        task.add_done_callback(land)
        return flight

    async def _scan(
        self, repository: _Repository, access: Access, path: str, started_at: float, known_revision: str | None
    ) -> ScanResult:
        found = await self._lister.list_tags(access, path, known_revision=known_revision)
        result = ScanResult(found.tags, found.revision, found.count, started_at, found.unchanged)
        if repository.last is None or repository.last.started_at <= started_at:
            repository.last = _without_tags(result)
            repository.held = weakref.ref(result) if result.tags is not None else None
            self._shelf.hold(result)
        return result


def _serve(repository: _Repository, not_before: float, known_revision: str | None) -> ScanResult | None:
    """What is at hand for a caller, or None if only a scan will do."""
    last = repository.last
    if last is None or last.started_at < not_before:
        return None
    held = repository.held() if repository.held is not None else None
    return _fit(held or last, known_revision)


def _fit(result: ScanResult, known_revision: str | None) -> ScanResult | None:
    """The result for a caller who knows a revision; None if the caller needs the list and it is gone."""
    if result.tags is not None:
        return result
    return _without_tags(result) if result.revision == known_revision else None


def _without_tags(result: ScanResult) -> ScanResult:
    return ScanResult(None, result.revision, result.count, result.started_at, unchanged=True)


class _Shelf:
    """Holds lists for some seconds, never more than a number of tags in all; the oldest make way."""

    def __init__(self, seconds: float, tags: int) -> None:
        self._seconds = seconds
        self._most = tags
        self._count = 0
        self._held: OrderedDict[int, tuple[ScanResult, asyncio.TimerHandle]] = OrderedDict()

    def hold(self, result: ScanResult) -> None:
        if result.tags is None or result.count > self._most or self._seconds <= 0:
            return
        timer = asyncio.get_running_loop().call_later(self._seconds, self._drop, id(result))
        self._held[id(result)] = result, timer
        self._count += result.count
        while self._count > self._most:
            self._drop(next(iter(self._held)))

    def _drop(self, key: int) -> None:
        entry = self._held.pop(key, None)
        if entry is not None:
            entry[1].cancel()
            self._count -= entry[0].count

    def clear(self) -> None:
        for key in list(self._held):
            self._drop(key)

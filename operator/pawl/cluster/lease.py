"""Which replica leads: an election on a `coordination.k8s.io/v1` Lease, with at most one writer at any moment.

The holder renews every `retry` seconds and stops leading `renew_deadline` after its last success, which is before the
`duration` after which another may take over. Each takeover raises the term (`leaseTransitions`). A lost Lease raises
LeaseLost: the process must exit, since what it believes may be stale.
Neighbours: `leaserecord` judges what was seen, `client` carries the writes. Not here: what a leader does.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import structlog

from pawl.api.errors import ClusterError, Conflict, Forbidden, LeaseLost, NotFound
from pawl.cluster.client import Cluster
from pawl.cluster.leaserecord import Observation, Record, Timing, decode, encode, stamp
from pawl.cluster.resources import LEASES, NAMESPACES

TERMINATING: Final = "because it is being terminated"  # how the API server refuses what a namespace that goes gets

log = structlog.get_logger(__name__)


def new_identity() -> str:
    """Return a name for this process that no other process has: `host_pid_random`."""
    return f"{socket.gethostname()}_{os.getpid()}_{secrets.token_hex(4)}"


def elapsed() -> float:
    """Return seconds on a clock that nobody can set and that goes on while the machine sleeps."""
    boottime: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boottime is None else time.clock_gettime(boottime)


def utc_now() -> datetime:
    """Return the wall clock. It is written for people to read and never compared."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Candidate:
    """Who stands for election, and on which Lease."""

    namespace: str
    name: str
    identity: str


@dataclass(frozen=True, slots=True)
class Clocks:
    """The two clocks of an election; see `elapsed` and `utc_now`."""

    elapsed: Callable[[], float] = elapsed
    wall: Callable[[], datetime] = utc_now


@dataclass(frozen=True, slots=True)
class LeaseState:
    """What is known of the Lease, for metrics and readiness. `term` is the greatest seen, our own while leading."""

    leading: bool
    holder: str
    term: int


class Elector:
    """One candidate on one Lease. Use one object for one `run`."""

    def __init__(
        self, cluster: Cluster, candidate: Candidate, timing: Timing | None = None, clocks: Clocks | None = None
    ) -> None:
        self._cluster = cluster
        self._candidate = candidate
        self._timing = timing or Timing()
        self._clocks = clocks or Clocks()
        self._seen = Observation(candidate.identity, self._timing)
        self._held: Record | None = None
        self._valid_until = 0.0
        self._trouble = ""

    @property
    def state(self) -> LeaseState:
        """The Lease as this candidate knows it now."""
        if self._held is not None:
            return LeaseState(self.valid(), self._candidate.identity, self._held.term)
        return LeaseState(leading=False, holder=self._seen.holder, term=self._seen.term)

    def valid(self) -> bool:
        """Tell whether the Lease is surely ours now, by our own clock. Ask right before each write."""
        return self._held is not None and self._clocks.elapsed() < self._valid_until

    async def run(self, on_lead: Callable[[int], Awaitable[None]]) -> None:
        """Wait for the Lease, then await `on_lead(term)` while it is ours, and release it at the end.

        Returns when `on_lead` returns, and raises what it raises. Raises LeaseLost once the Lease is lost, after
        `on_lead` was cancelled, and Forbidden where a right is missing. Cancelling ends `on_lead` first, then releases.
        """
        term = await self._campaign()
        log.info("this replica leads", lease=self._where, term=term, identity=self._candidate.identity)
        leading = asyncio.ensure_future(on_lead(term))
        keeping = asyncio.create_task(self._keep())
        try:
            await asyncio.wait({leading, keeping}, return_when=asyncio.FIRST_COMPLETED)
            if keeping.done():
                self._held = None
                keeping.result()
            leading.result()
        finally:
            ended = await self._end(leading)
            # Renewed until here: the last writes of a leader that is going are still those of the only writer.
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            if ended:
                await self._release()

    @property
    def _where(self) -> str:
        return f"{self._candidate.namespace}/{self._candidate.name}"

    async def _end(self, leading: asyncio.Future[None]) -> bool:
        """Cancel the leading task and tell whether it ended in time; one that did not may still write."""
        leading.cancel()
        done, _ = await asyncio.wait({leading}, timeout=self._timing.stop)
        if not done:
            log.error("the leading task did not stop; the lease is left to run out", lease=self._where)
        elif not leading.cancelled():
            leading.exception()  # fetched: the caller hears it from `run`, or of something worse
        return bool(done)

    # -- becoming the leader

    async def _campaign(self) -> int:
        """Look at the Lease every `retry` seconds until it is ours; return the term. Raises Forbidden."""
        while True:
            try:
                async with asyncio.timeout(self._timing.request):
                    if await self._attempt():
                        return self._seen.term
            except Forbidden:
                raise
            except (ClusterError, TimeoutError) as error:
                self._complain(error)
            await asyncio.sleep(self._timing.retry)

    async def _attempt(self) -> bool:
        """Look once and take the Lease if it is free."""
        current = await self._read()
        now = self._clocks.elapsed()
        self._trouble = ""
        if current is None:
            self._seen.see_none(now)
        else:
            self._seen.see(current, now)
        if not self._seen.free(now):
            return False
        try:
            await self._hold(self._claim(current))
        except Conflict:  # another candidate was faster
            return False
        return True

    def _claim(self, current: Record | None) -> Record:
        """The record that makes the Lease ours in a new term, or in the same if it was ours already."""
        now = stamp(self._clocks.wall(), None)
        if current is not None and current.holder == self._candidate.identity:
            return current
        fresh = Record(self._candidate.identity, self._seen.term + 1, self._timing.duration, acquired=now)
        if current is None:
            return fresh
        return _over(fresh, current)

    # -- staying it

    async def _keep(self) -> None:
        """Renew until it cannot be done in time; then raise LeaseLost."""
        while True:
            await asyncio.sleep(min(self._timing.retry, max(self._left(), 0.0)))
            left = self._left()
            if left <= 0:
                trouble = f" ({self._trouble})" if self._trouble else ""
                raise self._lost(f"it could not be renewed for {self._timing.renew_deadline:g} s{trouble}")
            try:
                async with asyncio.timeout(min(left, self._timing.request)):
                    await self._renew()
            except (ClusterError, TimeoutError) as error:
                self._complain(error)

    async def _renew(self) -> None:
        held = self._held
        if held is None:
            raise self._lost("it is not held")
        try:
            await self._hold(held)
        except Conflict:  # somebody wrote it, perhaps ourselves in a request whose answer never came
            current = await self._read()
            if current is None or current.holder != self._candidate.identity:
                raise self._lost(f"it is held by {current.holder or 'nobody' if current else 'nobody'}") from None
            await self._hold(_over(held, current))
        except NotFound:  # deleted by hand; whoever is first makes it again, and we did not miss a term if it is us
            await self._hold(replace(held, resource_version=None))

    async def _hold(self, record: Record) -> None:
        """Write the record as ours, renewed now. The validity counts from before the request: never too long."""
        begin = self._clocks.elapsed()
        renewed = stamp(self._clocks.wall(), record.renewed)
        written = await self._write(replace(record, renewed=renewed, duration=self._timing.duration))
        self._seen.see(written, self._clocks.elapsed())
        self._held = written
        self._valid_until = begin + self._timing.renew_deadline
        self._trouble = ""

    async def _release(self) -> None:
        """Empty the holder so that the next replica need not wait. A failure only costs that wait."""
        held, self._held = self._held, None
        if held is None:
            return
        empty = replace(held, holder="", duration=1.0, renewed=stamp(self._clocks.wall(), held.renewed))
        try:
            async with asyncio.timeout(self._timing.request):
                await self._write_over_own(empty)
            log.info("lease released", lease=self._where, term=held.term)
        except (ClusterError, TimeoutError) as error:
            log.warning("lease could not be released and will run out", lease=self._where, error=str(error))

    async def _write_over_own(self, record: Record) -> None:
        """Write the record; where a renewal of ours that was cut off got in between, write it over that one."""
        try:
            await self._write(record)
        except Conflict:
            current = await self._read()
            if current is None or current.holder != self._candidate.identity:
                raise
            await self._write(_over(record, current))

    def _left(self) -> float:
        return self._valid_until - self._clocks.elapsed()

    def _lost(self, cause: str) -> LeaseLost:
        self._held = None
        return LeaseLost(f"lease {self._where} is lost: {cause}; this process must exit and start anew")

    def _complain(self, error: Exception) -> None:
        """Log a failure once, not at every look."""
        text = str(error) or f"no answer within {self._timing.request:g} s"
        if text != self._trouble:
            log.warning("lease could not be read or written; trying again", lease=self._where, error=text)
        self._trouble = text

    # -- requests

    async def _read(self) -> Record | None:
        try:
            return decode(await self._cluster.get(LEASES, self._candidate.namespace, self._candidate.name))
        except NotFound:
            return None

    async def _write(self, record: Record) -> Record:
        namespace, name = self._candidate.namespace, self._candidate.name
        body = encode(namespace, name, record)
        if record.resource_version is not None:
            return decode(await self._cluster.replace(LEASES, namespace, name, body))
        try:
            return decode(await self._cluster.create(LEASES, namespace, body))
        except NotFound:
            await self._create_namespace()
            return decode(await self._cluster.create(LEASES, namespace, body))
        except Forbidden as error:
            if TERMINATING not in str(error):
                raise
            raise ClusterError(f"namespace {namespace} is being deleted; no replica leads there any more") from error

    async def _create_namespace(self) -> None:
        """Make the namespace, unless it was there before: what somebody deleted stays deleted. Raises ClusterError."""
        namespace = self._candidate.namespace
        if self._seen.term:
            raise ClusterError(f"namespace {namespace} was deleted; make it again, or stop this replica")
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        try:
            await self._cluster.create(NAMESPACES, None, body)
        except Conflict:
            return  # made by another replica in the same moment
        except Forbidden as error:
            way = f"run `kubectl create namespace {namespace}` or name another with --namespace"
            raise Forbidden(f"namespace {namespace} does not exist and {error}; {way}", status=403) from error


def _over(record: Record, current: Record) -> Record:
    """The record as a write over `current`: labels and annotations of others stay."""
    return replace(
        record, resource_version=current.resource_version, labels=current.labels, annotations=current.annotations
    )

"""Moves a registry from one store to another: `bulk` while it is pushed to, `final` while it is read-only.

Both are idempotent: a worker that is killed anywhere is started again with the same order, and goes on from what the
target's ledger proves. At each moment the target is a valid registry, for it is written in the order of the layout. The
source is only read. A blob whose bytes are wrong at the source ends both with SourceCorrupt once all others are copied.
Neighbours: `copy`, `copylinks` and `copyverify` do the work, `copytarget` and `preflight` say whether it may begin.
Not here: freezing a server and switching stores (`decide.storagemachine`).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from pawl.api.reasons import Reason
from pawl.api.registrywork import Order, Place, Report
from pawl.jobs.copy import Copier, Ways
from pawl.jobs.copygauge import Gauge, Tell
from pawl.jobs.copylinks import Links
from pawl.jobs.copymemory import use_again
from pawl.jobs.copyscan import Scan, scan
from pawl.jobs.copystore import PATIENT, CopyStore, Patience
from pawl.jobs.copytarget import Halt, Held, clear, fits, held, may_take
from pawl.jobs.copyverify import Findings, Verifier
from pawl.jobs.ledger import Ledger
from pawl.jobs.open import open_store
from pawl.jobs.preflight import schema1, schema1_found
from pawl.jobs.pushedtimes import carry_pushed
from pawl.jobs.store import StoreError, StoreFull

READY: Final = "ReadyToFreeze"
ENOUGH_BYTES: Final = 1 << 30
ENOUGH_SECONDS: Final = 60.0
ROUNDS: Final = 50
"""A source that is pushed to faster than it is copied is frozen all the same: the final round takes the rest."""
REPAIRS: Final = 2
_PARTIAL: Final = ".partial"

Open = Callable[[Place, Patience], CopyStore]


@dataclass(frozen=True, slots=True)
class Edges:
    """What a test puts in the place of the world."""

    open: Open = open_store
    now: Callable[[], float] = time.time
    clock: Callable[[], float] = time.monotonic
    patience: Patience = PATIENT


EDGES: Final = Edges()


async def bulk(order: Order, tell: Tell, edges: Edges = EDGES) -> Report:
    """Copy in rounds until one moves little; the source may change meanwhile."""
    return await _guarded(order, tell, edges, _bulk)


async def final(order: Order, tell: Tell, edges: Edges = EDGES) -> Report:
    """Copy what is left of a source that no longer changes, follow deletions, and prove all of it."""
    return await _guarded(order, tell, edges, _final)


@dataclass(frozen=True, slots=True)
class _Move:
    ways: Ways
    copier: Copier
    links: Links
    there: Held
    clock: Callable[[], float]

    async def round(self) -> tuple[Scan, bool]:
        """Copy once over the source; says whether little was left to do."""
        gauge, begun, before = self.ways.gauge, self.clock(), self.ways.gauge.fetched
        gauge.rounds += 1
        gauge.quarantine.clear()
        self.copier.damaged.clear()
        found = await scan(self.ways.source, self.there.proved, self.there.links)
        _aim(gauge, found)
        if gauge.rounds == 1:
            await self._room(found)
        if not found.blobs and len(self.there.proved):
            # A volume that is not mounted looks like this; following it would empty the target.
            raise StoreError(f"{self.ways.source.label} is empty, but blobs were copied from it; is it mounted?")
        await self.copier.blobs(found.large_first(), found.small_ones())
        await self.links.copy(found, self.copier.damaged)
        await self.ways.target.settle()
        little = gauge.fetched - before < ENOUGH_BYTES and self.clock() - begun < ENOUGH_SECONDS
        return found, little

    async def _room(self, found: Scan) -> None:
        target = self.ways.target
        if short := fits(found, self.there, await target.space()):
            raise Halt(Reason.NO_SPACE, f"{target.label} {short}; make it larger, or collect first")


async def _guarded(
    order: Order, tell: Tell, edges: Edges, run: Callable[[Order, Ways, Edges], Awaitable[Report]]
) -> Report:
    gauge = Gauge(order.task, order.id, tell, edges.clock)
    if order.source is None or order.target is None:
        return gauge.end(Reason.COPY_FAILED, "the order names no source or no target; give both", ok=False)
    use_again()
    source, target = edges.open(order.source, edges.patience), edges.open(order.target, edges.patience)
    try:
        ledger = Ledger(target, order.id, edges.now)
        return await run(order, Ways(source, target, ledger, gauge, order.parallel, edges.patience), edges)
    except Halt as halt:
        return gauge.end(halt.reason, str(halt), ok=False)
    except StoreFull as full:
        return gauge.end(Reason.NO_SPACE, str(full), ok=False)
    except StoreError as error:
        return gauge.end(Reason.COPY_FAILED, str(error), ok=False)
    finally:
        await source.close()
        await target.close()


async def _begin(ways: Ways, edges: Edges) -> _Move:
    source, target, ledger = ways.source, ways.target, ways.ledger
    ways.gauge.enter("Preflight", "looking at source and target")
    await source.space()
    if not await ledger.taken():
        await may_take(source, target)
        old = await schema1(source)
        if old.count:
            raise Halt(Reason.SCHEMA_1_FOUND, schema1_found(old))
        await target.prove()
        await ledger.take(source.label)
    await ledger.hold()
    await clear(target, keep=_PARTIAL)
    there = await held(target, await ledger.proved())
    return _Move(ways, Copier(ways, there.proved, there.unproved), Links(ways, there.links), there, edges.clock)


async def _bulk(order: Order, ways: Ways, edges: Edges) -> Report:
    del order
    move = await _begin(ways, edges)
    little, found = False, None
    while not little and ways.gauge.rounds < ROUNDS:
        ways.gauge.enter("Bulk", f"round {ways.gauge.rounds + 1}")
        found, little = await move.round()
    _no_damage(move)
    ways.gauge.enter(READY)
    return ways.gauge.end("", _left_behind(found), ok=True)


async def _final(order: Order, ways: Ways, edges: Edges) -> Report:
    move = await _begin(ways, edges)
    ways.gauge.enter("Final", "the last round, over a source that no longer changes")
    found, _ = await move.round()
    _no_damage(move)
    await move.links.copy_bare(found)
    gone = await move.links.follow(found)
    ways.gauge.enter("Verify", f"{gone} links followed out; looking at every link and manifest")
    verifier = await _verified(order, move, found)
    await carry_pushed(ways.source, ways.target)
    await ways.ledger.complete(verifier.count, verifier.bytes)
    await clear(ways.target)
    ways.gauge.enter("Verified")
    return ways.gauge.end("", _summary(verifier, found, gone), ok=True)


async def _verified(order: Order, move: _Move, found: Scan) -> Verifier:
    verifier = Verifier(move.ways, move.links, found)
    findings = await verifier.run(order.verify)
    for _ in range(REPAIRS):
        if not findings.wrong:
            break
        # The target lost what was once proved there: the source still has it.
        await _again(move, findings)
        verifier = Verifier(move.ways, move.links, found)
        findings = await verifier.run(order.verify)
    if not findings.sound:
        raise Halt(Reason.GRAPH_BROKEN, f"the copy is not whole: {findings}; the old store is untouched, try again")
    return verifier


async def _again(move: _Move, findings: Findings) -> None:
    for blob in findings.wrong:
        move.there.proved.drop(blob.digest)
    move.ways.gauge.enter("Final", f"{len(findings.wrong)} blobs have gone bad on the target and are copied again")
    await move.copier.blobs(findings.wrong, ())
    await move.ways.target.settle()
    _no_damage(move)


def _no_damage(move: _Move) -> None:
    if damaged := move.copier.damaged:
        raise Halt(
            Reason.SOURCE_CORRUPT,
            f"{len(damaged)} blobs of the source have other bytes than their name says, such as {damaged[0]}; take "
            "them out of the store and push their images again (a registry keeps a blob that it has), or delete their "
            "tags and collect; all other blobs are copied",
        )


def _aim(gauge: Gauge, found: Scan) -> None:
    todo = found.todo_blobs + sum(map(len, found.todo.values()))
    gauge.objects, gauge.bytes = found.blobs + found.links, found.bytes
    gauge.objects_done, gauge.bytes_done = gauge.objects - todo, gauge.bytes - found.todo_bytes
    gauge.say(at_once=True)


def _left_behind(found: Scan | None) -> str:
    if found is None or not found.faults.count:
        return ""
    return f"{found.faults.count} broken links of the source are not copied: {found.faults}"


def _summary(verifier: Verifier, found: Scan, gone: int) -> str:
    said = f"{verifier.count} blobs, {verifier.bytes} bytes and {found.links} links are proved; {gone} links deleted"
    old = verifier.findings.old
    notes = [_left_behind(found), f"{old.count} references led nowhere at the source already: {old}" * bool(old.count)]
    return "; ".join([said, *filter(None, notes)])

"""Parts of a copy that need no server: batches, memory, syncs, ledgers, progress, and room."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from pawl.api.registrywork import Place, Report, Task
from pawl.jobs.copy import BATCH, BATCH_BYTES, Budget, batched
from pawl.jobs.copygauge import Gauge
from pawl.jobs.copyscan import Scan
from pawl.jobs.copysets import Sizes
from pawl.jobs.copytarget import Held, fits
from pawl.jobs.filebarrier import Barrier
from pawl.jobs.ledger import Blob, Ledger, recorded
from pawl.jobs.open import open_store
from pawl.jobs.store import Space, StoreError

DIGESTS = [f"sha256:{n:064x}" for n in range(5)]


def test_batches_are_bounded_in_number_and_bytes() -> None:
    many = list(batched(Blob(DIGESTS[0], 1) for _ in range(2 * BATCH + 1)))
    assert [len(batch) for batch in many] == [BATCH, BATCH, 1]
    heavy = list(batched(Blob(DIGESTS[0], BATCH_BYTES // 2) for _ in range(5)))
    assert [len(batch) for batch in heavy] == [2, 2, 1]
    assert list(batched([])) == []


async def test_streams_never_take_more_memory_than_there_is() -> None:
    budget, held, most = Budget(10), 0, 0

    async def stream(wanted: int) -> None:
        nonlocal held, most
        async with budget.room(wanted):
            held += min(wanted, 10)
            most = max(most, held)
            await asyncio.sleep(0)
            held -= min(wanted, 10)

    await asyncio.gather(*(stream(wanted) for wanted in (3, 4, 99, 1, 10, 6, 6)))
    assert (held, most) == (0, 10)


async def test_who_waits_while_a_sync_runs_gets_the_next_one_and_shares_it(tmp_path: Path) -> None:
    begun, running, may_end = list[int](), threading.Event(), threading.Event()

    def sync(descriptor: int) -> None:
        begun.append(descriptor)
        running.set()
        may_end.wait(5)

    barrier = Barrier(tmp_path, sync)
    barrier.open()
    first = asyncio.ensure_future(barrier.wait())
    await asyncio.to_thread(running.wait, 5)
    late = [asyncio.ensure_future(barrier.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    may_end.set()
    await asyncio.gather(first, *late)
    assert len(begun) == 2
    barrier.close()


async def test_a_sync_that_fails_is_told_to_all_who_wait(tmp_path: Path) -> None:
    def sync(descriptor: int) -> None:
        raise OSError(5, f"Input/output error of {descriptor}")

    barrier = Barrier(tmp_path, sync)
    both = await asyncio.gather(barrier.wait(), barrier.wait(), return_exceptions=True)
    assert [isinstance(error, OSError) for error in both] == [True, True]
    barrier.close()


async def test_a_ledger_outlives_torn_lines(tmp_path: Path) -> None:
    store = open_store(Place(kind="Filesystem", path=str(tmp_path)))
    ledger = Ledger(store, "m1", lambda: 1.0)
    assert not await ledger.taken()
    await ledger.take("somewhere")
    await ledger.add([Blob(DIGESTS[0], 7)])
    log = tmp_path / ".pawl/migration-m1/done"
    with log.open("ab") as torn:
        torn.write(b'{"digest":"sha256:0000')
    again = Ledger(store, "m1", lambda: 2.0)
    assert await again.taken()
    await again.add([Blob(DIGESTS[1], 9)])
    await again.add([Blob(DIGESTS[2], 0)])
    with log.open("ab") as noise:
        noise.write(b"\0" * 5000 + b"\n" + b'{"digest":"x","size":1}\n[]\n')
    proved = await again.proved()
    assert [proved.get(digest) for digest in DIGESTS] == [7, 9, 0, None, None]
    assert [blob.size async for blob in recorded(store)] == [7, 9, 0]
    assert len(await Ledger(store, "m2", lambda: 1.0).proved()) == 0
    await store.close()


@pytest.mark.parametrize("name", ["", "../x", "a/b", "x" * 64, "-x"])
def test_a_ledgers_name_is_one_directory(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match="names no migration"):
        Ledger(open_store(Place(kind="Filesystem", path=str(tmp_path))), name, lambda: 1.0)


def test_the_rate_is_of_the_last_ten_seconds() -> None:
    now, told = [0.0], list[Report]()
    gauge = Gauge(Task.BULK, "m1", told.append, lambda: now[0])
    gauge.bytes = 10_000
    for second in range(1, 31):
        now[0] = float(second)
        gauge.pass_by(1000 if second <= 10 else 100)
    assert told[9].progress.bytes_per_second == 1000
    assert told[-1].progress.bytes_per_second == 100
    assert told[-1].progress.eta_seconds == 100
    gauge.pass_by(1)
    assert len(told) == 30, "not more often than five times a second"


def test_a_report_stays_small() -> None:
    gauge = Gauge(Task.BULK, "m1", list[Report]().append)
    gauge.quarantine += DIGESTS * 20
    last = gauge.end("SourceCorrupt", "x" * 5000, ok=False)
    assert (last.done, last.ok, len(last.quarantine), len(last.message)) == (True, False, 20, 500)


def test_room_is_asked_for_what_is_missing_and_more() -> None:
    scan = Scan(blobs=2, bytes=2000, largest=1000, links=10, large=[Blob(DIGESTS[0], 1000), Blob(DIGESTS[1], 1000)])
    empty = Held(Sizes(), Sizes(), Sizes())
    assert fits(scan, empty, Space()) == ""
    assert "needs 3200 bytes" in fits(scan, empty, Space(capacity=1, free=3199))
    assert fits(scan, empty, Space(capacity=1, free=3200)) == ""
    assert "inodes" in fits(scan, empty, Space(inodes=100, inodes_free=27))
    there = Held(Sizes(), Sizes(), Sizes())
    there.unproved.put(DIGESTS[0], 1000)
    there.unproved.put(DIGESTS[1], 1000)
    assert fits(scan, there, Space(capacity=1, free=1)) == ""

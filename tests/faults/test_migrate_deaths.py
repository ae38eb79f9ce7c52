"""A worker that dies anywhere: the target is a valid registry at that moment, and another worker ends the work."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.registry.migrations import QUICK, Tree, at, contents, dangling, order, silent
from tests.registry.mortalstore import Died, Life, Reads, die, edges

from pawl.api.registrystorage_spec import Verify
from pawl.api.registrywork import Report, Task
from pawl.decide import layout
from pawl.jobs.migrate import Edges, bulk, final

pytestmark = pytest.mark.faults
LARGE = 20 << 20
WORKER = """
import asyncio, sys
from pathlib import Path
from tests.registry.migrations import at, order, silent
from tests.registry.mortalstore import Life, edges, killed
from pawl.api.registrywork import Task
from pawl.jobs.migrate import bulk
source, target, writes = sys.argv[1:]
work = order(Task.BULK, at(Path(source)), at(Path(target)))
asyncio.run(bulk(work, silent, edges(target, Life(int(writes), killed))))
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """Each kind of object, most of them twice: hundreds of lives are lived over it."""
    tree = Tree(tmp_path_factory.mktemp("small"), seed=3)
    tree.tag("app", "v1", tree.image("app", 500))
    tree.tag("multi", "latest", tree.index("multi", tree.image("multi", 600)))
    return tree


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    tree = Tree(tmp_path_factory.mktemp("large"), seed=4).fill(1)
    tree.tag("big", "v1", tree.image("big", LARGE, 10))
    return tree


@pytest.fixture
def memory() -> Iterator[Path]:
    """A directory whose syncs cost nothing: hundreds of lives end in it."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as made:
        yield Path(made)


async def moved(source: Path, target: Path, with_edges: Edges = QUICK, verify: Verify = Verify.GRAPH) -> list[Report]:
    first = await bulk(order(Task.BULK, at(source), at(target), verify=verify), silent, with_edges)
    last = await final(order(Task.FINAL, at(source), at(target), verify=verify), silent, with_edges)
    return [first, last]


async def test_it_may_die_between_any_two_objects(small: Tree, memory: Path) -> None:
    """One life after the other, each a write longer than the last, on a target of its own; then one that lives on."""
    points, died = 0, True
    while died:
        target = memory / str(points)
        try:
            await moved(small.root, target, edges(str(target), Life(points, die)))
            died = False
        except Died:
            assert dangling(target) == []
            there = {key for key in contents(target) if key.startswith(layout.BLOBS)}
            taken, reads = any(target.glob(".pawl/migration-m1/about")), Reads()
            assert all(
                report.ok for report in await moved(small.root, target, edges(str(target), Life(9999, die), reads))
            )
            assert not (taken and there & set(reads.bytes)), "a blob that was there has been read from the source again"
            assert contents(target) == contents(small.root)
        shutil.rmtree(target)
        points += 1
    assert points > len(contents(small.root))


async def test_deaths_on_one_target_add_up_to_a_whole(small: Tree, memory: Path) -> None:
    lives, reports = 0, list[Report]()
    while not reports and lives < 200:
        lives += 1
        try:
            reports = await moved(small.root, memory, edges(str(memory), Life(3, die)))
        except Died:
            assert dangling(memory) == []
    assert all(report.ok for report in reports)
    assert lives > 5
    assert contents(memory) == contents(small.root)


@pytest.mark.parametrize("writes", [2, 4, 5, 6, 12, 30])
async def test_it_may_be_killed_by_force(large: Tree, tmp_path: Path, writes: int) -> None:
    arguments = (sys.executable, "-c", WORKER, str(large.root), str(tmp_path / "t"), str(writes))
    worker = await asyncio.create_subprocess_exec(*arguments)
    assert await worker.wait() == -9
    assert dangling(tmp_path / "t") == []
    reports = await moved(large.root, tmp_path / "t", verify=Verify.DEEP)
    assert [(report.ok, report.reason) for report in reports] == [(True, ""), (True, "")]
    assert contents(tmp_path / "t") == contents(large.root)
    assert not list((tmp_path / "t").glob(".pawl/tmp/*"))


async def test_a_large_blob_goes_on_where_it_was_cut(large: Tree, tmp_path: Path) -> None:
    with pytest.raises(Died):
        await moved(large.root, tmp_path, edges(str(tmp_path), Life(2, die, streams_only=True)))
    (partial,) = found(tmp_path, ".pawl/tmp/*.partial")
    kept = partial.stat().st_size
    assert kept == 16 << 20
    reads = Reads()
    assert all(report.ok for report in await moved(large.root, tmp_path, edges(str(tmp_path), Life(999, die), reads)))
    assert max(reads.bytes.values()) == LARGE - kept
    assert contents(tmp_path) == contents(large.root)


async def test_bytes_of_a_cut_blob_that_rot_meanwhile_are_no_fault_of_the_source(large: Tree, tmp_path: Path) -> None:
    with pytest.raises(Died):
        await moved(large.root, tmp_path, edges(str(tmp_path), Life(2, die, streams_only=True)))
    (partial,) = found(tmp_path, ".pawl/tmp/*.partial")
    flip(partial)
    assert all(report.ok for report in await moved(large.root, tmp_path))
    assert contents(tmp_path) == contents(large.root)


@pytest.mark.parametrize("which", ["large", "small"])
async def test_bytes_that_rot_on_the_target_are_found_by_a_deep_look_and_copied_again(
    large: Tree, tmp_path: Path, which: str
) -> None:
    await bulk(order(Task.BULK, at(large.root), at(tmp_path)), silent, QUICK)
    blobs = found(tmp_path, f"{layout.BLOBS}*/*/*/data")
    flip(blobs[-1] if which == "large" else blobs[len(blobs) // 2])
    report = await final(order(Task.FINAL, at(large.root), at(tmp_path)), silent, QUICK)
    assert (report.ok, report.reason) == (True, "")
    assert contents(tmp_path) == contents(large.root)


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of 16 MiB."""
    place = tmp_path / "tiny"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(place)], check=False)
    if made.returncode:
        pytest.skip("a mount needs root with CAP_SYS_ADMIN")
    yield place
    subprocess.run(["umount", str(place)], check=True)


async def test_a_target_that_is_too_small_is_refused_before_the_first_byte(large: Tree, tiny: Path) -> None:
    report = await bulk(order(Task.BULK, at(large.root), at(tiny)), silent, QUICK)
    assert (report.ok, report.reason) == (False, "NoSpace")
    assert "make it larger" in report.message
    assert contents(tiny) == {}


async def test_a_target_that_fills_up_meanwhile_stops_it_and_room_lets_it_go_on(tiny: Path, tmp_path: Path) -> None:
    tree = Tree(tmp_path / "source", seed=5).fill(1)
    tree.tag("big", "v1", tree.image("big", 6 << 20))
    other = tiny / "somebody-else"

    def fill_up(report: Report) -> None:
        if report.phase == "Bulk" and not other.exists():
            other.write_bytes(b"x" * (12 << 20))

    report = await bulk(order(Task.BULK, at(tree.root), at(tiny)), fill_up, QUICK)
    assert (report.ok, report.reason) == (False, "NoSpace")
    assert dangling(tiny) == []
    other.unlink()
    assert all(report.ok for report in await moved(tree.root, tiny))
    assert contents(tiny) == contents(tree.root)


def found(root: Path, pattern: str) -> list[Path]:
    """Files by size."""
    return sorted(root.glob(pattern), key=lambda path: path.stat().st_size)


def flip(path: Path) -> None:
    """Turn one bit over in the middle of a file."""
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(body)

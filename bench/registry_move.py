"""A registry moves from MinIO to a directory: beside `rclone copy` of the same tree, killed on the way, memory watched.

Copies count until their bytes are on the disk: the worker syncs by itself, for rclone `sync` is run.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from bench.registry_parts import MIB, NO_PROXY, Ran, address, bucket_place, client, cold, cpu, minio, run, sent, worker
from bench.registry_tree import GIB, Mix, fill_bucket, images, noises
from bench.rows import Row
from pawl.api.registrystorage_spec import Verify
from pawl.api.registrywork import Order, Place, Task
from pawl.sandbox.minio import Minio

BUCKET = "images"
TRANSFERS = (4, 16)
"""How many files rclone copies at once; the better of these counts."""
SHARE = 0.6
"""Of all bytes: there the worker is killed."""


@dataclass(frozen=True)
class Stage:
    """A full MinIO, and an empty directory beside it."""

    store: Minio
    data: Path
    scratch: Path
    targets: list[Path] = field(default_factory=list)

    @property
    def target(self) -> Path:
        return self.targets[-1]

    def order(self, task: Task, verify: Verify = Verify.DEEP) -> Order:
        source = bucket_place(self.store, BUCKET, self.scratch)
        return Order(
            task=task, id="bench", source=source, target=Place(kind="Filesystem", path=str(self.target)), verify=verify
        )

    def fresh(self) -> None:
        """Take an empty directory for the target, and let the source be read from its disk.

        Used ones lose their bytes, but not their names: ext4 passes inodes over that were freed in the last minutes,
        one by one, and whoever came next would pay for it.
        """
        for used in self.targets:
            shrink(used)
        self.targets.append(self.scratch / f"target-{len(self.targets)}")
        self.target.mkdir()
        cold(self.data)

    def clean(self) -> None:
        for used in self.targets:
            shutil.rmtree(used)


def move(scratch: Path, held: Mix) -> list[Row]:
    """Measure a move; the bytes in MinIO are kept in `scratch` and used again by the next run of the same size."""
    data = scratch / f"minio-{held.bytes}"
    data.mkdir(exist_ok=True)
    with minio(data) as store:
        stage = Stage(store, data / "data", scratch)
        filled(store, data, held)
        try:
            return [*_side_by_side(stage, held), *_killed(stage, held)]
        finally:
            stage.clean()


def shrink(directory: Path) -> None:
    """Give the bytes of all large files back."""
    for path in directory.rglob("*"):
        if path.is_file() and path.stat().st_size > MIB:
            os.truncate(path, 0)


def filled(store: Minio, data: Path, held: Mix) -> None:
    if (data / "filled").exists():
        return
    store.bucket(BUCKET)
    large, small = noises(held)
    asyncio.run(fill_bucket(client(store, BUCKET), large, images(large, small)))
    (data / "filled").touch()


def _side_by_side(stage: Stage, held: Mix) -> list[Row]:
    copied = {each: metered(stage, partial(rclone, stage, each)) for each in TRANSFERS}
    best = min(copied, key=lambda each: copied[each].seconds)
    bulk = metered(stage, lambda: run(worker(stage.order(Task.BULK), stage.scratch)))
    checked(bulk)
    final = run(worker(stage.order(Task.FINAL), stage.scratch))
    checked(final)
    objects = bulk.report["progress"]["objects"]
    said = f"{held.bytes / GIB:.3g} GiB in {objects} objects, MinIO to a directory"
    return [
        Row(f"{said}: seconds of the copy / seconds of rclone", bulk.seconds / copied[best].seconds, "", 1.0),
        Row("  CPU of worker and MinIO / CPU of rclone and MinIO", bulk.cpu / copied[best].cpu, ""),
        Row("  copy, each byte hashed, synced", bulk.seconds, "s"),
        Row(f"  `rclone copy`, {best} transfers, and `sync`", copied[best].seconds, "s"),
        Row("  final round with deep verification", final.seconds, "s"),
        Row("  peak memory of the worker that copies", bulk.peak, "MiB", 200),
        Row("  peak memory of the one that verifies", final.peak, "MiB", 200),
    ]


def checked(ran: Ran) -> None:
    if ran.code:
        raise RuntimeError(f"the worker failed: {ran.report.get('reason')}: {ran.report.get('message')}")


def metered(stage: Stage, copy: Callable[[], Ran]) -> Ran:
    """Run a copy into an empty directory, and count what MinIO spends on it."""
    stage.fresh()
    before = cpu(stage.store.pid)
    ran = copy()
    return replace(ran, cpu=ran.cpu + cpu(stage.store.pid) - before)


def rclone(stage: Stage, transfers: int) -> Ran:
    """Run `rclone copy`, until all is on the disk."""
    environ = {
        "RCLONE_CONFIG": str(stage.scratch / "rclone.conf"),
        "RCLONE_CONFIG_M_TYPE": "s3",
        "RCLONE_CONFIG_M_PROVIDER": "Minio",
        "RCLONE_CONFIG_M_ENDPOINT": stage.store.endpoint,
        "RCLONE_CONFIG_M_ACCESS_KEY_ID": stage.store.access_key,
        "RCLONE_CONFIG_M_SECRET_ACCESS_KEY": stage.store.secret_key,
    }
    words = ["--transfers", str(transfers), "--checkers", "16", "--fast-list", "--quiet"]
    command = [str(Path(sys.executable).with_name("rclone")), "copy", f"m:{BUCKET}", str(stage.target), *words]
    ran = run(command, environ)
    if ran.code:
        raise RuntimeError(f"rclone failed with code {ran.code}")
    begin = time.monotonic()
    subprocess.run(["sync", "-f", str(stage.target)], check=True)
    return replace(ran, seconds=ran.seconds + time.monotonic() - begin)


def _killed(stage: Stage, held: Mix) -> list[Row]:
    stage.fresh()
    kill_at(stage, int(held.bytes * SHARE))
    sizes = proved(stage.target)
    missing = sorted(set(blobs(stage, held)) - sizes.keys(), key=lambda each: -blobs(stage, held)[each])
    all_blobs = blobs(stage, held)
    left = sum(all_blobs[digest] for digest in missing)
    flight = all_blobs[missing[0]] if missing else 0
    before = sent(stage.store)
    again = run(worker(stage.order(Task.BULK), stage.scratch))
    checked(again)
    read = sent(stage.store) - before
    done = 100 * (1 - left / sum(all_blobs.values()))
    return [
        Row(f"killed at {done:.0f} %: MiB that MinIO sent to the second run", read / MIB, "MiB", (left + flight) / MIB),
        Row("  MiB of blobs that were not proved", left / MIB, "MiB"),
        Row("  seconds of the second run", again.seconds, "s"),
    ]


def blobs(stage: Stage, held: Mix) -> dict[str, int]:
    """Digest and size of every blob that is in MinIO."""
    file = stage.data.parent / "blobs.json"
    if not file.exists():
        large, small = noises(held)
        found = {one.digest: one.size for one in large}
        for key, body in images(large, small):
            if key.endswith("/data"):
                found[f"sha256:{key.split('/')[-2]}"] = len(body)
        file.write_text(json.dumps(found))
    told: dict[str, int] = json.loads(file.read_text())
    return told


def proved(target: Path) -> dict[str, int]:
    """Digest and size of what the ledger on the target knows."""
    found = {}
    for line in (target / ".pawl/migration-bench/done").read_text().splitlines():
        with contextlib.suppress(ValueError):
            one = json.loads(line)
            found[one["digest"]] = one["size"]
    return found


def kill_at(stage: Stage, count: int) -> None:
    """Run a copy and kill it once so many bytes are proved."""
    where = address()
    process = subprocess.Popen(worker(stage.order(Task.BULK), stage.scratch, where), stdout=subprocess.DEVNULL)
    done = 0
    while done < count:
        if process.poll() is not None:
            raise RuntimeError("the copy ended before it could be killed")
        time.sleep(0.02)
        with contextlib.suppress(OSError), NO_PROXY.open(f"http://{where}/progress", timeout=1) as answer:
            done = json.load(answer).get("progress", {}).get("bytesDone", 0)
    process.kill()
    process.wait()

"""A store of 10,000 tags is judged and verified, on a filesystem and on MinIO, each time by a process of its own."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.registry_parts import Ran, bucket_place, client, minio, run
from bench.registry_tree import KIB, MIB, Noise, Small, fill_bucket, fill_directory, image
from bench.rows import Row
from pawl.decide import layout
from pawl.sandbox.minio import Minio

REPOSITORIES, TAGS = 100, 100
LAYERS = 3
LARGE = 32 * MIB
"""One layer of each repository has these bytes on the filesystem, so that a deep look has something to read."""
COUNT = 16


def plan(scratch: Path) -> list[Row]:
    """Measure plans and verifications."""
    home = scratch / "plan"
    home.mkdir()
    try:
        root = home / "store"
        fill_directory(root, store())
        tags = REPOSITORIES * TAGS
        rows = [_planned(f"collection plan of {tags} tags on a filesystem", ["--path", str(root)], bounded=True)]
        rows += _verified(["--path", str(root)])
        with minio(home / "minio") as bucket:
            bucket.bucket("images")
            asyncio.run(fill_bucket(client(bucket, "images"), (), store()))
            words = _words(bucket, home)
            rows += [_planned(f"collection plan of {tags} tags on MinIO", words, bounded=False)]
        return rows
    finally:
        shutil.rmtree(home)


def store() -> Iterator[Small]:
    """Yield all of a store: each repository has base layers of its own, each tag one layer more."""
    large = [Noise(number, LARGE) for number in range(COUNT)]
    for one in large:
        yield layout.blob_key(one.digest), b"".join(one.pieces())
    for number in range(REPOSITORIES):
        base = [Noise((number << 16) + extra, 4 * KIB) for extra in range(LAYERS - 1)]
        yield from ((layout.blob_key(one.digest), b"".join(one.pieces())) for one in base)
        for tag in range(TAGS):
            own = Noise((number << 16) + 256 + tag, 4 * KIB)
            yield layout.blob_key(own.digest), b"".join(own.pieces())
            layers = [large[number % COUNT], *base, own]
            yield from image(f"team/app-{number}", f"v{tag}", [(one.digest, one.size) for one in layers])


def _words(bucket: Minio, home: Path) -> list[str]:
    place = bucket_place(bucket, "images", home)
    return ["--s3", "s3://images", "--endpoint", place.endpoint, "--credentials", place.credentials]


def _planned(said: str, words: list[str], *, bounded: bool) -> Row:
    ran = pawl("plan-gc", *words, "--keep-last", "80", "-o", "json")
    if ran.code not in {0, 3}:
        raise RuntimeError(f"plan-gc ended with code {ran.code}")
    return Row(f"{said}, start of the process included", ran.seconds, "s", 10 if bounded else None)


def _verified(words: list[str]) -> list[Row]:
    walk, deep = pawl("verify", *words, "-o", "json"), pawl("verify", *words, "--deep", "-o", "json")
    if walk.code or deep.code:
        raise RuntimeError(f"verify ended with codes {walk.code} and {deep.code}")
    blobs, size = deep.report["blobs"], deep.report["bytes"]
    return [
        Row(f"`pawl registry verify` of that store, {blobs} blobs", walk.seconds, "s"),
        Row(f"  with --deep, {size / (1 << 30):.2g} GiB", deep.seconds, "s"),
        Row("  blobs a second, deep", blobs / deep.seconds, ""),
        Row("  GiB a second, deep", size / (1 << 30) / deep.seconds, "GiB/s"),
        Row("  peak memory", max(walk.peak, deep.peak), "MiB"),
    ]


def pawl(*words: str) -> Ran:
    return run([sys.executable, "-m", "pawl", "registry", *words])

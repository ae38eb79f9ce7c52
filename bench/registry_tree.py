"""Bytes of registries for `registry`: random blobs of any size, and the keys and links that make them images.

The bytes are a keystream, which costs less than the disk that takes them and cannot be compressed.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import obstore
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from obstore.store import S3Store

from pawl.decide import layout

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
PIECE = 8 * MIB
PART = 64 * MIB
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
ZEROS = bytes(PIECE)

Small = tuple[str, bytes]


@dataclass(frozen=True)
class Noise:
    """Random bytes, the same for the same number."""

    number: int
    size: int

    def pieces(self) -> Iterator[bytes]:
        stream = Cipher(algorithms.AES(bytes(16)), modes.CTR(self.number.to_bytes(8, "big") + bytes(8))).encryptor()
        for start in range(0, self.size, PIECE):
            yield stream.update(memoryview(ZEROS)[: min(PIECE, self.size - start)])

    @cached_property
    def digest(self) -> str:
        running = hashlib.sha256()
        for piece in self.pieces():
            running.update(piece)
        return f"sha256:{running.hexdigest()}"


@dataclass(frozen=True)
class Mix:
    """What a store holds: `large` blobs and how many `small` ones of 4 KiB."""

    large: tuple[int, ...]
    small: int

    @property
    def bytes(self) -> int:
        return sum(self.large) + self.small * 4 * KIB


def mix(gib: float) -> Mix:
    """Two fifths in one blob, 2,000 of 4 KiB a GiB, the rest in blobs of 1 to 512 MiB."""
    total, small = int(gib * GIB), int(2000 * gib)
    large, left = [total * 2 // 5], total * 3 // 5 - small * 4 * KIB
    sizes = (512, 64, 256, 16, 128, 384, 4, 64, 32, 1, 96, 8)
    while left > 0:
        large.append(min(left, sizes[len(large) % len(sizes)] * MIB))
        left -= large[-1]
    return Mix(tuple(large), small)


def noises(held: Mix) -> tuple[list[Noise], list[Noise]]:
    """Return the large and the small blobs."""
    large = [Noise(number, size) for number, size in enumerate(held.large)]
    return large, [Noise(number + len(large), 4 * KIB) for number in range(held.small)]


def images(large: list[Noise], small: list[Noise], each: int = 40) -> Iterator[Small]:
    """Yield all small objects of images that share the blobs out: `each` small layers, and a large one while they last.

    The large blobs themselves are not among them.
    """
    rest, small_ones = iter(large), iter(small)
    count = max(1, len(large), len(small) // each)
    per = max(1, len(small) // count)
    for number in range(count):
        repository = f"team-{number % 20}/app-{number % 100}"
        mine = list(islice(small_ones, per))
        layers = [*islice(rest, 1), *mine]
        yield from ((layout.blob_key(one.digest), b"".join(one.pieces())) for one in mine)
        yield from image(repository, f"v{number}", [(one.digest, one.size) for one in layers])


def image(repository: str, tag: str, layers: list[tuple[str, int]]) -> Iterator[Small]:
    """Yield config, manifest and links of one image, but not the layers' bytes."""
    config = json.dumps({"architecture": "amd64", "os": "linux", "made": f"{repository}:{tag}"}).encode()
    described = [{"mediaType": LAYER, "digest": digest, "size": size} for digest, size in layers]
    about = {"mediaType": CONFIG, "digest": sha256(config), "size": len(config)}
    document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": about, "layers": described}
    body = json.dumps(document).encode()
    digest = sha256(body)
    yield layout.blob_key(sha256(config)), config
    yield layout.blob_key(digest), body
    for linked in [sha256(config), *(layer for layer, _ in layers)]:
        yield layout.layer_link_key(repository, linked), linked.encode()
    yield layout.revision_link_key(repository, digest), digest.encode()
    yield layout.tag_index_key(repository, tag, digest), digest.encode()
    yield layout.tag_current_key(repository, tag), digest.encode()


def sha256(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def fill_directory(root: Path, objects: Iterable[Small]) -> None:
    for key, body in objects:
        path = root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)


async def fill_bucket(store: S3Store, large: Iterable[Noise], objects: Iterable[Small]) -> None:
    """Write straight into a bucket, past any registry."""
    waiting = iter(objects)

    async def go_on() -> None:
        for key, body in waiting:
            await obstore.put_async(store, key, body, use_multipart=False)

    await asyncio.gather(*(go_on() for _ in range(32)))
    for one in large:
        key = layout.blob_key(one.digest)
        await obstore.put_async(store, key, _stream(one), use_multipart=True, chunk_size=PART, max_concurrency=4)


async def _stream(one: Noise) -> AsyncIterator[bytes]:
    for piece in one.pieces():
        yield piece

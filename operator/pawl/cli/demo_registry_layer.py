"""A large layer that is made as it is read, so that nobody holds it in memory; equal seeds make equal bytes. Pure.

Neighbours: `demo_registry_door` pushes it. Not here: small images (`sandbox.images`).
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from pawl.sandbox.images import CONFIG, LAYER, MANIFEST, Blob, encoded

PIECE: Final = 1 << 20
COUNTER: Final = 8


@dataclass(frozen=True)
class Layer:
    """`pieces` MiB that do not compress: a counter and the same noise in each."""

    seed: int
    pieces: int = 128

    @property
    def size(self) -> int:
        """Bytes."""
        return self.pieces * PIECE

    @cached_property
    def digest(self) -> str:
        """sha256 as registries write it."""
        found = hashlib.sha256()
        for piece in self:
            found.update(piece)
        return f"sha256:{found.hexdigest()}"

    def __iter__(self) -> Iterator[bytes]:
        """The bytes, a MiB at a time."""
        noise = hashlib.shake_256(self.seed.to_bytes(COUNTER, "big")).digest(PIECE - COUNTER)
        for number in range(self.pieces):
            yield number.to_bytes(COUNTER, "big") + noise

    async def stream(self) -> AsyncIterator[bytes]:
        """The bytes for an HTTP client."""
        for piece in self:
            yield piece

    def config(self) -> Blob:
        """The config of an image of this one layer."""
        files = {"type": "layers", "diff_ids": [self.digest]}
        return Blob(CONFIG, encoded({"os": "linux", "architecture": "amd64", "rootfs": files}))

    def manifest(self) -> Blob:
        """Its manifest."""
        layer = {"mediaType": LAYER, "digest": self.digest, "size": self.size}
        body = {"schemaVersion": 2, "mediaType": MANIFEST, "config": self.config().descriptor(), "layers": [layer]}
        return Blob(MANIFEST, encoded(body))

"""What a store can do, whatever it is made of: objects by key, the same keys on every driver of distribution.

A key is relative to the root directory and has no leading slash: `docker/registry/v2/blobs/sha256/ab/<hex>/data`.
Neighbours: `filesystem` and `bucket` are the two stores, `decide.layout` knows what keys mean. Not here: hashing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from pawl.api.errors import PawlError


class StoreError(PawlError):
    """A store could not be read or written; the message names key, cause and way out. Worth another try."""


class StoreRefused(StoreError):
    """The store refuses: wrong credentials, read-only, no such bucket. Another try is of no use until that changes."""


class StoreFull(StoreError):
    """No space, no inodes or no quota left."""


class ObjectMissing(StoreError):
    """There is no such key."""


@dataclass(frozen=True, slots=True)
class Object:
    """One object as a listing tells it. `modified` in seconds since the epoch; `etag` as S3 says it, without quotes."""

    key: str
    size: int
    modified: float
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Space:
    """Room of a store in bytes and inodes; 0 where it has no such bound."""

    capacity: int = 0
    free: int = 0
    inodes: int = 0
    inodes_free: int = 0


class Store(Protocol):
    """Objects by key. Every method raises StoreError and its kinds; none of them blocks the event loop."""

    @property
    def label(self) -> str:
        """What people call it."""
        ...

    def list(self, prefix: str = "") -> AsyncIterator[list[Object]]:
        """Yield what is there under a prefix in pages, in any order, as a stream: a page is bounded, a store is not."""
        ...

    async def stat(self, key: str) -> Object | None:
        """Return what is known of one object, None where there is none."""
        ...

    async def read(self, key: str, limit: int) -> bytes:
        """Return a small object whole. Raises ObjectMissing; StoreError where it is larger than `limit` bytes."""
        ...

    async def write(self, key: str, body: bytes) -> None:
        """Write a small object: afterwards it is there as a whole and survives a power cut, or it is not there."""
        ...

    async def delete(self, key: str) -> None:
        """Take an object away; one that is not there is no error."""
        ...

    async def space(self) -> Space:
        """Return how much room there is."""
        ...

    async def close(self) -> None:
        """Let go of what it holds."""
        ...

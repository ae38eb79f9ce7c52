"""Sets of a million names that fit into little memory: a store is not bounded, a Job is.

Neighbours: `ledger`, `copyscan` and `copyverify` keep what they have seen in these. Not here: input and output.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from typing import Final

_RECORD: Final = 22
_CHUNK: Final = 1 << 16


class Sizes:
    """Name to number, some 25 bytes each: names are kept as 128 bits of their hash, which no two of them share."""

    def __init__(self) -> None:
        self._shelves: dict[bytes, bytearray] = {}
        self._count = 0
        self._total = 0

    def __len__(self) -> int:
        return self._count

    @property
    def total(self) -> int:
        """Return the sum of the numbers."""
        return self._total

    def get(self, name: str) -> int | None:
        """Return the number of a name, None where it was not put in."""
        shelf, at = self._find(name)
        return None if at < 0 or shelf is None else int.from_bytes(shelf[at + 14 : at + _RECORD], "big")

    def __contains__(self, name: str) -> bool:
        return self._find(name)[1] >= 0

    def put(self, name: str, number: int) -> None:
        """Put a name in, or give it another number."""
        found = self._key(name)
        shelf = self._shelves.setdefault(found[:2], bytearray())
        at = _place(shelf, found[2:])
        if at < 0:
            shelf += found[2:] + number.to_bytes(8, "big")
            self._count += 1
        else:
            self._total -= int.from_bytes(shelf[at + 14 : at + _RECORD], "big")
            shelf[at + 14 : at + _RECORD] = number.to_bytes(8, "big")
        self._total += number

    def drop(self, name: str) -> None:
        """Take a name out."""
        shelf, at = self._find(name)
        if shelf is not None and at >= 0:
            self._total -= int.from_bytes(shelf[at + 14 : at + _RECORD], "big")
            del shelf[at : at + _RECORD]
            self._count -= 1

    def _find(self, name: str) -> tuple[bytearray | None, int]:
        found = self._key(name)
        shelf = self._shelves.get(found[:2])
        return shelf, -1 if shelf is None else _place(shelf, found[2:])

    @staticmethod
    def _key(name: str) -> bytes:
        return hashlib.blake2b(name.encode(), digest_size=16).digest()


class Spool:
    """Lines that are written once and read in their order, packed."""

    def __init__(self) -> None:
        self._packer = zlib.compressobj(1)
        self._chunks: list[bytes] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, line: str) -> None:
        """Add a line. Not after the first was read."""
        self._chunks.append(self._packer.compress(line.encode() + b"\n"))
        if not self._chunks[-1]:
            self._chunks.pop()
        self._count += 1

    def __iter__(self) -> Iterator[str]:
        if self._count:
            self._chunks.append(self._packer.flush())
        unpacker, rest = zlib.decompressobj(), b""
        for chunk in self._chunks:
            data = chunk
            while data:
                lines = (rest + unpacker.decompress(data, _CHUNK)).split(b"\n")
                data, rest = unpacker.unconsumed_tail, lines.pop()
                yield from (line.decode() for line in lines)


def _place(shelf: bytearray, key: bytes) -> int:
    at = shelf.find(key)
    while at >= 0 and at % _RECORD:
        at = shelf.find(key, at + 1)
    return at

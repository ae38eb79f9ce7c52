"""What the API server writes in a list and in a watch, taken apart without decoding the objects. Pure.

Neighbours: `watch` follows these lines. Not here: connections, rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from pawl.api.errors import ApiUnavailable, Expired

GONE: Final = 410


class _Meta(msgspec.Struct):
    resource_version: str = msgspec.field(name="resourceVersion", default="")


class _Named(msgspec.Struct):
    """An object, or the Status of an ERROR line."""

    metadata: _Meta = msgspec.field(default_factory=_Meta)
    code: int = 0
    message: str = ""


class _Page(msgspec.Struct):
    metadata: _Meta
    items: list[msgspec.Raw] | None = None


class _Line(msgspec.Struct):
    type: str
    object: msgspec.Raw


_NAMED: Final = msgspec.json.Decoder(_Named)
_PAGE: Final = msgspec.json.Decoder(_Page)
_LINE: Final = msgspec.json.Decoder(_Line)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a watch: ADDED, MODIFIED, DELETED or BOOKMARK, the object's bytes and its version."""

    type: str
    object: msgspec.Raw
    resource_version: str


def parse_page(raw: bytes) -> tuple[str, Sequence[msgspec.Raw]]:
    """Return the version of a list and the bytes of its objects."""
    page = _PAGE.decode(raw)
    return page.metadata.resource_version, page.items or ()


def parse_line(text: bytes) -> Line:
    """Return one line. Raises Expired where the version is too old, ApiUnavailable for any other end or nonsense."""
    try:
        line = _LINE.decode(text)
        named = _NAMED.decode(line.object)
    except msgspec.DecodeError as error:
        raise ApiUnavailable(f"the watch sent a line that cannot be read: {error}") from None
    if line.type == "ERROR":
        kind = Expired if named.code == GONE else ApiUnavailable
        raise kind(f"the server ended the watch: {named.message}", status=named.code)
    return Line(line.type, line.object, named.metadata.resource_version)

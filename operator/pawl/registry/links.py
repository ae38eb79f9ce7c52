"""Reading of Link headers (RFC 8288), by which registries page their tag lists.

Neighbours: `tags` follows them. Not here: any request.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_TARGET = re.compile(r"[\s,]*<([^<>]*)>")
_PARAMETER = re.compile(r'\s*;\s*([A-Za-z0-9*_-]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",;]*)))?')


def next_link(headers: Iterable[str]) -> str | None:
    """The target of the first link whose relation is `next`, as it was written, or None."""
    return next((target for header in headers for target, rel in _links(header) if "next" in rel), None)


def _links(header: str) -> list[tuple[str, list[str]]]:
    links: list[tuple[str, list[str]]] = []
    position = 0
    while match := _TARGET.match(header, position):
        rel, position = _relations(header, match.end())
        links.append((match[1].strip(), rel))
    return links


def _relations(header: str, position: int) -> tuple[list[str], int]:
    relations: list[str] = []
    while match := _PARAMETER.match(header, position):
        if match[1].lower() == "rel":
            relations += (match[2] or match[3] or "").lower().split()
        position = match.end()
    return relations, position

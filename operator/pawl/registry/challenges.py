"""Reading of WWW-Authenticate (RFC 9110, section 11.6.1).

Neighbours: `tokens` acts on what stands here. Not here: I/O and judgement about realms (`realms`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf'\s*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))\s*(?:,|$)')
_SCHEME = re.compile(rf"[\s,]*({_TOKEN})(?=\s|,|$)\s*")
_OPAQUE = re.compile(r"\s*[A-Za-z0-9._~+/-]+=*\s*(?:,|$)")  # the token68 form, such as of Negotiate


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to authenticate. `scheme` is lower case; `realm` and `service` are empty where not given."""

    scheme: str
    realm: str = ""
    service: str = ""


def parse_challenges(headers: Iterable[str]) -> list[Challenge]:
    """The challenges of all WWW-Authenticate headers, in order; what cannot be read ends its header."""
    return [challenge for header in headers for challenge in _parse(header)]


def _parse(header: str) -> Iterator[Challenge]:
    position = 0
    while match := _SCHEME.match(header, position):
        parameters, position = _parameters(header, match.end())
        yield Challenge(match[1].lower(), parameters.get("realm", ""), parameters.get("service", ""))


def _parameters(header: str, position: int) -> tuple[dict[str, str], int]:
    parameters: dict[str, str] = {}
    while match := _PARAMETER.match(header, position):
        quoted = re.sub(r"\\(.)", r"\1", match[2]) if match[2] is not None else match[3]
        parameters.setdefault(match[1].lower(), quoted)
        position = match.end()
    if not parameters and (match := _OPAQUE.match(header, position)):
        position = match.end()
    return parameters, position

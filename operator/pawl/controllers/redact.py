"""Takes secrets out of log entries, by the name of a field and by the look of a text. Pure.

The last line of defence: nobody should log a secret, and a library still may. Better one word too many is hidden than a
password shown. Neighbours: `logs` puts this before the renderer. Not here: log levels, formats.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

HIDDEN: Final = "[redacted]"
MAX_DEPTH: Final = 6
MAX_TEXT: Final = 64 * 1024

_WORDS: Final = r"password|passwd|token|authorization|auths?|secrets?|credentials?|api[-_]?key|private[-_]?key|cookie"
_KEY: Final = re.compile(rf"(?i)(?:{_WORDS})$")
_TEXT: Final = (
    # https://user:password@host; up to the last @ before the path, since a password may hold one
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,30}://)[^\s/?#]*@"), rf"\1{HIDDEN}@"),
    (re.compile(r"(?i)\b(bearer|basic)(\s+|%20|\+)[A-Za-z0-9._~+/=-]+"), rf"\1 {HIDDEN}"),
    # "password": "..." as in a Docker config, and ?token=... as in a URL or a command line
    (re.compile(rf'(?i)("[\w.-]{{0,40}}(?:{_WORDS})"\s*:\s*)"(?:[^"\\]|\\.)*"'), rf'\1"{HIDDEN}"'),
    (re.compile(rf"(?i)\b([\w.-]{{0,40}}(?:{_WORDS})=)[^\s&\"',;]+"), rf"\1{HIDDEN}"),
)


def redact_text(text: str) -> str:
    """Return the text with credentials in it hidden, and cut where it is endless."""
    for pattern, shown in _TEXT:
        text = pattern.sub(shown, text[:MAX_TEXT])
    return text


def redact(value: object, depth: int = 0) -> object:
    """Return the value as plain JSON types with secrets hidden. Bytes are never shown; unknown objects become text."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"[{len(value)} bytes]"
    if depth < MAX_DEPTH:
        if isinstance(value, Mapping):
            return {str(key): redact_field(str(key), item, depth + 1) for key, item in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [redact(item, depth + 1) for item in value]
    return redact_text(str(value))


def redact_field(key: str, value: object, depth: int = 0) -> object:
    """Return the value of a named field: hidden whole where the name ends in a word for a secret."""
    if _KEY.search(key) and not isinstance(value, (bool, type(None))):
        return HIDDEN
    return redact(value, depth)

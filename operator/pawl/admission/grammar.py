"""The grammar of image references as one RE2 constant: what CEL can ask of a text in one step.

It accepts exactly what `decide.reference.parse` accepts, but for the two things that it cannot count: the length of
host and path in normalised form, and 64 hexadecimal characters, which are an image ID. Tests hold both to each other.
Neighbours: `admission.expressions` puts it into CEL. Not here: what a reference means.
"""

from __future__ import annotations

from typing import Final

_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
# A first segment is a host only by a dot, a colon or a capital, and `[ab]` has none of them.
_IPV6: Final = r"\[[0-9A-Fa-f:]*[A-F:][0-9A-Fa-f:]*\](?::[0-9]+)?|\[[0-9a-f]+\]:[0-9]+"
_HOST: Final = rf"{_LABEL}(?:\.{_LABEL})*(?::[0-9]+)?|{_IPV6}"
_ATOM: Final = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_PLAIN: Final = r"[a-z0-9]+(?:(?:__?|-+)[a-z0-9]+)*"
"""A first segment that is no host: with a dot it would be one, and then `_` is not allowed in it."""
_TAG: Final = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
_DIGEST: Final = r"sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}"

REFERENCE: Final = rf"^(?:(?:{_HOST}|{_PLAIN})/{_ATOM}(?:/{_ATOM})*|{_ATOM})(?::{_TAG})?(?:@(?:{_DIGEST}))?$"
"""A reference as people write it, short forms included."""

IMAGE_ID: Final = r"^[0-9a-f]{64}$"
"""No name, though it looks like one."""

HAS_HOST: Final = r"^(?:localhost|[^/]*[.:A-Z][^/]*)/"
"""A reference (see above) whose first segment is a host."""

HUB_SHORT: Final = r"^docker\.io/[^/]+$"
"""A repository that lacks its `library/`."""

CRON_NAME: Final = r"-[0-9]{8,}$"
"""Name of a Job that a CronJob made."""

MAX_TEXT: Final = 600
"""Characters of the longest text that can be a reference, and some: 261 of a name, tag 128, digest 135, separators."""

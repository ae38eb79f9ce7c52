"""Why a tag is no candidate: the words that `pawl choose` shows, declared once.

Neighbours: `decide.tags`, `decide.ranges`, `decide.ordering` and `decide.shortlist` answer with them.
Not here: reasons of conditions (`api.reasons`).
"""

from __future__ import annotations

from typing import Final


class Why:
    """A word is added, never changed. Plain strings and no enum: a scan counts them a hundred thousand times."""

    NOT_A_TAG: Final = "not a tag"
    SIGNATURE: Final = "signature or referrer"
    EXCLUDED: Final = "excluded"
    NOT_INCLUDED: Final = "not included"
    EMPTY_VALUE: Final = "empty value"
    VALUE_TOO_LONG: Final = "value too long"
    NOT_A_VERSION: Final = "not a version"
    NOT_A_NUMBER: Final = "not a number"
    NOT_PRINTABLE: Final = "not printable"
    OTHER_TAG: Final = "not the followed tag"
    OUT_OF_RANGE: Final = "out of range"
    PRERELEASE: Final = "prerelease not asked for"
    BELOW_FLOOR: Final = "below floor"
    BLOCKED: Final = "blocked"

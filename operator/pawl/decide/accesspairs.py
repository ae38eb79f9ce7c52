"""What is to be done about the certificate of a registry at one moment: nothing, sign anew, or change the authority.

Order of a change of authority: the next one is published beside the present one, waits until every client has had time
to read it, and only then signs what is served; the old one stays trusted until its own end. Pure. Neighbours:
`controllers.registryaccess_tls` keeps the state in a Secret and carries this out. Not here: making certificates.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

AUTHORITY_LIFETIME: Final = timedelta(days=5 * 365)
AUTHORITY_BEFORE: Final = timedelta(days=365)
"""An authority is followed by the next one so long before its end: as long as what it signs lives."""
PAIR_LIFETIME: Final = timedelta(days=365)
PAIR_BEFORE: Final = timedelta(days=90)
OVERLAP: Final = timedelta(hours=24)
"""How long an authority is published before anything is signed with it."""


class Act(StrEnum):
    """What to do now."""

    KEEP = "Keep"
    BEGIN = "Begin"
    """Make authority and certificate: there is none that can be used, so nothing can be lost."""
    SIGN = "Sign"
    """Sign a certificate with the present authority: nobody has to trust anything new."""
    PUBLISH = "Publish"
    """Make the next authority and publish it; what is served stays."""
    TURN = "Turn"
    """Serve by the next authority: it has been published long enough, or the present one has ended."""


@dataclass(frozen=True, slots=True)
class PairState:
    """What the Secret holds. A time of None: there is no such thing, or it cannot be used."""

    authority_ends: datetime | None = None
    pair_ends: datetime | None = None
    """Of the certificate that is served."""
    lacks: tuple[str, ...] = ()
    """Names for which it is not good."""
    next_ends: datetime | None = None
    published_at: datetime | None = None


def act(state: PairState, now: datetime, overlap: timedelta = OVERLAP) -> Act:
    """Say what to do now. Asked again after each act but KEEP, it comes to rest."""
    if state.authority_ends is None or state.authority_ends <= now:
        return Act.TURN if _usable(state, now) else Act.BEGIN
    if _usable(state, now) and state.published_at is not None and now >= state.published_at + overlap:
        return Act.TURN
    if state.pair_ends is None or state.lacks or _due(state.pair_ends, state.authority_ends, now):
        return Act.SIGN
    if not _usable(state, now) and now >= state.authority_ends - AUTHORITY_BEFORE:
        return Act.PUBLISH
    return Act.KEEP


def next_look(state: PairState, overlap: timedelta = OVERLAP) -> datetime | None:
    """Return when something changes by time alone, as `act` sees it."""
    if state.authority_ends is None or state.pair_ends is None:
        return None
    if state.published_at is not None and state.next_ends is not None:
        return state.published_at + overlap
    return min(_sign_at(state.pair_ends, state.authority_ends), state.authority_ends - AUTHORITY_BEFORE)


def _usable(state: PairState, now: datetime) -> bool:
    return state.next_ends is not None and state.next_ends > now


def _due(pair_ends: datetime, authority_ends: datetime, now: datetime) -> bool:
    return now >= _sign_at(pair_ends, authority_ends)


def _sign_at(pair_ends: datetime, authority_ends: datetime) -> datetime:
    """A certificate that ends with its authority gains nothing by being signed again: the next authority does it."""
    return pair_ends if pair_ends >= authority_ends - timedelta(hours=1) else pair_ends - PAIR_BEFORE

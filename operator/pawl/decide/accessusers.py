"""Pawl's own user of a registry, and its successor: which one is handed out and which ones may log in at a moment.

A successor may log in before anybody is told of it, for a server reads its file of users with a delay; the one before
may log in until everybody has had time to learn the new password. Pure. Neighbours: `controllers.registryaccess_users`
keeps the state in a Secret. Not here: hashes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

OVERLAP: Final = timedelta(hours=24)
WARM_UP: Final = timedelta(minutes=10)
"""Between the hash of a new password and its use: kubelets bring a changed Secret into Pods within two minutes."""
NAMES: Final = ("pawl-a", "pawl-b")
"""They take turns, so that two passwords hold at once."""
MAX_USERS: Final = 100
MAX_PASSWORD: Final = 72
"""Bytes that bcrypt looks at; what is beyond would be ignored, so it is refused."""
_USER: Final = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")


@dataclass(frozen=True, slots=True)
class User:
    """One that may log in. The password never shows."""

    name: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class OwnUsers:
    """Pawl's own users. `current` is handed out since `since`; `coming` may log in since `coming_since`; `past` until
    `past_until`.
    """

    current: User
    since: datetime
    coming: User | None = None
    coming_since: datetime | None = None
    past: User | None = None
    past_until: datetime | None = None

    @property
    def valid(self) -> tuple[User, ...]:
        """All that may log in."""
        return tuple(each for each in (self.current, self.coming, self.past) if each is not None)


def turned(known: OwnUsers, every: timedelta, now: datetime, fresh: str) -> OwnUsers:
    """Return the users as they are at `now`; `fresh` is the password of a successor, if one is due.

    The same object where nothing changes.
    """
    found = known
    if found.past is not None and (found.past_until is None or now >= found.past_until):
        found = replace(found, past=None, past_until=None)
    if found.coming is not None and found.coming_since is not None and now >= found.coming_since + WARM_UP:
        until = now + _overlap(every)
        found = OwnUsers(current=found.coming, since=now, past=found.current, past_until=until)
    elif found.coming is None and found.past is None and now >= found.since + every:
        found = replace(found, coming=User(_other(found.current.name), fresh), coming_since=now)
    return found


def next_turn(known: OwnUsers, every: timedelta) -> datetime:
    """Return when `turned` has something to do."""
    if known.coming_since is not None:
        return known.coming_since + WARM_UP
    due = known.since + every
    return due if known.past_until is None else known.past_until


def checked(users: Mapping[str, bytes]) -> tuple[tuple[User, ...], str]:
    """Return the users of a Secret, and a sentence where one of them cannot be taken: then there are none."""
    if len(users) > MAX_USERS:
        return (), f"holds {len(users)} users, and {MAX_USERS} are allowed; remove some"
    faults = [_fault(name, password) for name, password in sorted(users.items())]
    fault = next((each for each in faults if each), "")
    if fault:
        return (), fault
    return tuple(User(name, password.decode()) for name, password in sorted(users.items())), ""


def _fault(name: str, password: bytes) -> str:
    if not _USER.match(name):
        return f"names a user {name[:60]!r}; names begin with a letter or digit and hold letters, digits, '.', '_', '-'"
    if name in NAMES:
        return f"names the user {name}, which is Pawl's own; choose another name"
    if not 1 <= len(password) <= MAX_PASSWORD:
        return f"has a password of {len(password)} bytes for user {name}; between 1 and {MAX_PASSWORD} are allowed"
    try:
        text = password.decode()
    except UnicodeDecodeError:
        return f"has a password for user {name} that is not UTF-8"
    if any(character in text for character in "\0\r\n"):
        return f"has a password for user {name} with a line break or a zero byte; write it without a newline at its end"
    return ""


def lines(hashes: Mapping[str, str]) -> str:
    """Return a file of users as the server reads it, the same text for the same users."""
    return "".join(f"{name}:{digest}\n" for name, digest in sorted(hashes.items()))


def parsed(text: str) -> dict[str, str]:
    """Read what `lines` wrote; what has another form is passed over."""
    rows = (line.partition(":") for line in text.splitlines() if ":" in line and not line.startswith("#"))
    return {name: digest for name, _, digest in rows}


def _other(name: str) -> str:
    return NAMES[1] if name == NAMES[0] else NAMES[0]


def _overlap(every: timedelta) -> timedelta:
    """A day, but no longer than until the next successor: two names, two passwords."""
    return min(OVERLAP, every)

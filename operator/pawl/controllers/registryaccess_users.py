"""Who may log in to a registry: Pawl's own user with its successor, the users of a Secret, and their file of hashes.

The file is written again only when a name or a password changed. A Secret of users that is gone or broken locks nobody
out who could log in before. Neighbours: `decide.accessusers` says who is valid when. Not here: pull Secrets.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import bcrypt

from pawl.api.errors import Invalid
from pawl.api.registrystorage import RegistryStorageSpec
from pawl.controllers.registryaccess_secrets import Draft, Held, OwnSecrets
from pawl.decide.accessusers import NAMES, OwnUsers, User, checked, lines, next_turn, parsed, turned
from pawl.decide.durations import parse_duration
from pawl.decide.registrynames import Names
from pawl.decide.storagefacts import Identity

COST: Final = 5
"""The server compares the password at every request: one core answers 470 requests a second at cost 5, 10 at cost 10.
A password of 190 random bits needs no slow hash, and those of users stand in plain text in the Secret beside it.
"""
PASSWORD_BYTES: Final = 24
REMEMBERED: Final = 4096
SPREAD: Final = "spread"
"""Key of the Secret under which the places of copies are kept."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """What came of it. All empty where nobody logs in."""

    users_secret: str = ""
    htpasswd_secret: str = ""
    current: User | None = None
    due: datetime | None = None
    warning: str = ""


class Hashes:
    """Makes and compares hashes in threads. Remembers what it compared, as a digest that nobody can read back."""

    def __init__(self) -> None:
        self._salt = secrets.token_bytes(32)
        self._seen: set[bytes] = set()

    async def same(self, user: User, digest: str) -> bool:
        """Tell whether a hash is that of this password."""
        mark = self._mark(user, digest)
        if mark in self._seen:
            return True
        if not await asyncio.to_thread(_matches, user.password, digest):
            return False
        if len(self._seen) >= REMEMBERED:
            self._seen.clear()
        self._seen.add(mark)
        return True

    async def make(self, user: User) -> str:
        """Return a new hash."""
        raw = await asyncio.to_thread(bcrypt.hashpw, user.password.encode(), bcrypt.gensalt(COST))
        self._seen.add(self._mark(user, raw.decode()))
        return raw.decode()

    def _mark(self, user: User, digest: str) -> bytes:
        return hashlib.sha256(b"\0".join([self._salt, digest.encode(), user.password.encode()])).digest()


class Admitting:
    """Keeps the users of one registry."""

    def __init__(self, store: OwnSecrets, identity: Identity, hashes: Hashes) -> None:
        self._secrets = store
        self._identity = identity
        self._hashes = hashes
        self._names = Names(identity.name)

    async def keep(self, spec: RegistryStorageSpec, now: datetime) -> Admitted:
        """Return who is handed out, after both Secrets are right. Raises Stalled, ClusterError."""
        if spec.access.open_to_all:
            return Admitted()
        every = parse_duration(spec.access.users.rotate_every if spec.access.users else "720h")
        held, file = await self._secrets.own(self._names.users), await self._secrets.own(self._names.htpasswd)
        own = self._due(read_users(held), file, every, now)
        # The state before the hashes: a password that is in use must never be known to nobody.
        await self._secrets.write(_draft(self._names.users, own, held), held)
        given, warning = await self._given(spec)
        await self._write_hashes(own.valid, given, file)
        due = next_turn(own, every)
        return Admitted(self._names.users, self._names.htpasswd, own.current, due, warning)

    def _due(self, known: OwnUsers | None, file: Held, every: timedelta, now: datetime) -> OwnUsers:
        if known is None:
            return OwnUsers(User(NAMES[0], _password()), now)
        if known.coming is not None and known.coming.name not in parsed(file.text("htpasswd")):
            # Nobody could log in with it so far: its time begins now.
            return replace(known, coming_since=now)
        return turned(known, every, now, _password())

    async def _given(self, spec: RegistryStorageSpec) -> tuple[tuple[User, ...] | None, str]:
        """Return the users of the spec's Secret; None where they are not known, and why."""
        ref = spec.access.users.secret_ref if spec.access.users else None
        if ref is None:
            return (), ""
        where = f"Secret {self._identity.namespace}/{ref.name}"
        try:
            held = await self._secrets.read(ref.name)
        except Invalid as error:
            return None, str(error)
        if held is None:
            return None, f"{where} does not exist; create it with a key for each user, or remove access.users.secretRef"
        users, fault = checked(held.values)
        return (None, f"{where} {fault}") if fault else (users, "")

    async def _write_hashes(self, own: Iterable[User], given: tuple[User, ...] | None, file: Held) -> None:
        known = parsed(file.text("htpasswd"))
        users = (*own, *(given or ()))
        hashes = {user.name: await self._hash_of(user, known.get(user.name, "")) for user in users}
        if given is None:
            hashes |= {name: digest for name, digest in known.items() if name not in hashes and name not in NAMES}
        draft = Draft(self._names.htpasswd, {"htpasswd": lines(hashes).encode()})
        await self._secrets.write(draft, file)

    async def _hash_of(self, user: User, known: str) -> str:
        return known if known and await self._hashes.same(user, known) else await self._hashes.make(user)


def read_users(held: Held) -> OwnUsers | None:
    """Read what `Admitting` wrote; None where there is nothing that can be used."""
    current, since = _user(held, ""), _moment(held, "since")
    if current is None or since is None:
        return None
    coming, coming_since = _user(held, "next"), _moment(held, "nextSince")
    past, past_until = _user(held, "previous"), _moment(held, "previousUntil")
    found = OwnUsers(current, since)
    if coming is not None and coming_since is not None:
        found = replace(found, coming=coming, coming_since=coming_since)
    if past is not None and past_until is not None:
        found = replace(found, past=past, past_until=past_until)
    return found


def _draft(name: str, own: OwnUsers, held: Held) -> Draft:
    values: dict[str, bytes] = {**_written("", own.current), "since": _text(own.since)}
    if own.coming is not None and own.coming_since is not None:
        values |= {**_written("next", own.coming), "nextSince": _text(own.coming_since)}
    if own.past is not None and own.past_until is not None:
        values |= {**_written("previous", own.past), "previousUntil": _text(own.past_until)}
    kept: Mapping[str, bytes] = {SPREAD: held.values[SPREAD]} if SPREAD in held.values else {}
    return Draft(name, {**values, **kept})


def _written(prefix: str, user: User) -> dict[str, bytes]:
    return {_key(prefix, "username"): user.name.encode(), _key(prefix, "password"): user.password.encode()}


def _key(prefix: str, word: str) -> str:
    return f"{prefix}{word.capitalize()}" if prefix else word


def _user(held: Held, prefix: str) -> User | None:
    name, password = held.text(_key(prefix, "username")), held.text(_key(prefix, "password"))
    return User(name, password) if name in NAMES and password else None


def _moment(held: Held, key: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(held.text(key))
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _text(moment: datetime) -> bytes:
    return moment.astimezone(UTC).isoformat().encode()


def _password() -> str:
    return secrets.token_urlsafe(PASSWORD_BYTES)


def _matches(password: str, digest: str) -> bool:
    try:
        return bcrypt.checkpw(password.encode(), digest.encode())
    except ValueError:
        return False

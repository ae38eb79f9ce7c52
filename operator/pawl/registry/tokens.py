"""Authorization headers: which one a request carries, and where a token comes from.

What a 401 taught is remembered for (registry, credentials, repository), so that the next request carries its header
at once: the second scan of a repository is one request, not three. A token is reused for 80 % of its life.
Neighbours: `exchange` asks before each request and after each 401; `realms` says which realm may be asked.
Not here: parsing of Secrets.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

import msgspec

from pawl.api.errors import BadAnswer, Missing, Unauthorized
from pawl.registry.answers import decode, refusal
from pawl.registry.budgets import Budget
from pawl.registry.caches import Bounded, Flights
from pawl.registry.challenges import Challenge
from pawl.registry.realms import realm_url
from pawl.registry.targets import Access, Url
from pawl.registry.wire import Answer, Header, Outgoing, Wire

MAX_TOKEN_BYTES = 64 * 1024
"""Bound of a token server's answer in bytes."""

_REMEMBERED = 10_000  # (registry, credentials, repository)
_DEFAULT_LIFE = 60.0  # seconds, where the server says nothing (distribution: docs/spec/auth/token)
_LONGEST_LIFE = 24 * 3600.0
_USED_PART = 0.8
_WORD = re.compile(r"[\x21-\x7e]+")
_CLIENT = "pawl"


@dataclass(frozen=True, slots=True)
class _Grant:
    header: bytes = field(repr=False)
    until: float  # monotonic seconds
    challenge: Challenge


class _Token(msgspec.Struct):
    token: str | None = None
    access_token: str | None = None
    expires_in: float | None = None


class TokenBroker:
    """Hands out Authorization headers and remembers them. One for a process."""

    def __init__(self, wire: Wire, clock: Callable[[], float]) -> None:
        self._wire = wire
        self._clock = clock
        self._grants: Bounded[tuple[str, str], _Grant] = Bounded(_REMEMBERED)
        self._basic: Bounded[str, bool] = Bounded(_REMEMBERED)
        self._flights: Flights[tuple[str, str], _Grant] = Flights()

    async def known(self, access: Access, path: str) -> bytes | None:
        """The header to send without being asked, or None. An expired token is renewed where the realm is known."""
        if access.credentials.registry_token:
            return b"Bearer " + _word(access.credentials.registry_token, access)
        grant = self._grants.get((access.realm_key, path))
        if grant is None:
            return _basic(access) if self._basic.get(access.realm_key) else None
        if grant.until <= self._clock():
            grant = await self._renew(access, path, grant.challenge)
        return grant.header

    async def after_401(
        self, access: Access, path: str, challenges: Sequence[Challenge], refused: bytes | None
    ) -> bytes | None:
        """The header that answers a challenge; None if there is nothing (better) to show.

        Raises:
            ForeignRealm: the realm may not see these credentials, nor be asked at all.
            Unauthorized: the token server refuses, or the challenge wants a password and there is none.

        """
        if access.credentials.registry_token:
            return None
        key = (access.realm_key, path)
        challenge = _choose(challenges, access)
        grant = self._grants.get(key)
        if grant is not None and grant.header == refused:
            self._grants.drop(key)
            grant = None
        if challenge.scheme == "basic":
            self._basic.put(access.realm_key, True)
            return None if refused == _basic(access) else _basic(access)
        self._basic.drop(access.realm_key)
        if grant is None or grant.until <= self._clock():  # else somebody renewed it while we were refused
            grant = await self._renew(access, path, challenge)
        return grant.header

    async def _renew(self, access: Access, path: str, challenge: Challenge) -> _Grant:
        key = (access.realm_key, path)
        return await self._flights.join(key, lambda: self._fetch(access, path, challenge))

    async def _fetch(self, access: Access, path: str, challenge: Challenge) -> _Grant:
        realm = realm_url(access.endpoint, challenge.realm)
        budget = Budget(access.endpoint.timeout, "spec.timeout")
        answer = await self._wire.send(_token_request(access, path, challenge, realm), budget)
        token, life = _read_token(answer, realm, access)
        grant = _Grant(b"Bearer " + token, self._clock() + _USED_PART * life, challenge)
        self._grants.put((access.realm_key, path), grant)
        return grant

    async def aclose(self) -> None:
        """Stop fetching."""
        await self._flights.aclose()


def _choose(challenges: Sequence[Challenge], access: Access) -> Challenge:
    """Bearer before Basic; Basic only where there is a password."""
    credentials = access.credentials
    for challenge in challenges:
        if challenge.scheme == "bearer" and challenge.realm:
            return challenge
    offered = {challenge.scheme for challenge in challenges}
    if "basic" not in offered:
        raise BadAnswer(f"{access.endpoint.host} answers 401 and names no way to authenticate that Pawl knows")
    if credentials.username or credentials.password:
        return Challenge("basic")
    raise Unauthorized(
        f"{access.endpoint.host} wants a username and password: name a Secret in spec.access.pullSecretRef", status=401
    )


def _basic(access: Access) -> bytes:
    pair = f"{access.credentials.username}:{access.credentials.password}"
    return b"Basic " + base64.b64encode(pair.encode())


def _token_request(access: Access, path: str, challenge: Challenge, realm: Url) -> Outgoing:
    credentials = access.credentials
    # Pull only, and only this repository, whatever scope the challenge names.
    fields = {"service": challenge.service, "scope": f"repository:{path}:pull" if path else ""}
    if credentials.identity_token:
        fields |= {"grant_type": "refresh_token", "client_id": _CLIENT, "refresh_token": credentials.identity_token}
        headers: tuple[Header, ...] = ((b"Content-Type", b"application/x-www-form-urlencoded"),)
        return Outgoing("POST", realm, access.endpoint, MAX_TOKEN_BYTES, headers, _form(fields).encode())
    separator = "&" if "?" in realm.target else "?"
    url = Url(realm.origin, f"{realm.target}{separator}{_form(fields)}")
    headers = () if credentials.anonymous else ((b"Authorization", _basic(access)),)
    return Outgoing("GET", url, access.endpoint, MAX_TOKEN_BYTES, headers)


def _form(fields: dict[str, str]) -> str:
    return urlencode({name: value for name, value in fields.items() if value})


def _read_token(answer: Answer, realm: Url, access: Access) -> tuple[bytes, float]:
    """The token as header bytes, and its life in seconds."""
    what = f"token for {access.endpoint.host} from {realm.origin.authority}"
    if answer.status == 400:
        raise Unauthorized(f"{what}: the request was refused; check the credentials in spec.access.pullSecretRef")
    error = refusal(answer, what, access)
    if isinstance(error, Missing):
        raise BadAnswer(f"{what}: there is no token server at the realm that the registry names", status=404)
    if error is not None:
        raise Unauthorized(str(error), status=answer.status) if answer.status in {401, 403} else error
    said = decode(answer, _Token, what)
    token = said.token or said.access_token
    if not token:
        raise BadAnswer(f"{what}: the answer holds no token")
    life = said.expires_in if said.expires_in and said.expires_in > 0 else _DEFAULT_LIFE
    return _word(token, access), min(life, _LONGEST_LIFE)


def _word(token: str, access: Access) -> bytes:
    if not _WORD.fullmatch(token):
        raise BadAnswer(f"the token for {access.endpoint.host} cannot stand in a header")
    return token.encode()

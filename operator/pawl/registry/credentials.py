"""Credentials for registries, read from the dockerconfigjson of a pull Secret.

Neighbours: controllers read the Secret and hand over its bytes; `tokens` turns credentials into headers.
Not here: Kubernetes, credential helpers (`credsStore` and `credHelpers` name programs; they are ignored).

Matching is the kubelet's (pkg/credentialprovider/keyring.go: host parts may be globs, ports must be equal, the path
is a prefix), so that what a Pod may pull and what Pawl may see agree; stricter in one thing: a path ends at a segment
border, so that `corp.io/shop` says nothing about `corp.io/shopping`.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import msgspec

MAX_CONFIG_BYTES = 1024 * 1024
"""Bound of a dockerconfigjson in bytes: a Secret cannot hold more."""

_PROCESS_KEY = secrets.token_bytes(32)  # fingerprints mean nothing outside this process, so they cannot be guessed at
_HUB_HOSTS = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_FIRST_PARTS = re.compile(r"/v[12](?=/|$)")


def opaque(*parts: str) -> str:
    """A keyed hash of `parts`, good as a key in this process only."""
    return hmac.new(_PROCESS_KEY, msgspec.json.encode(parts), "sha256").hexdigest()


@dataclass(frozen=True, repr=False)
class Credentials:
    """Who asks: a username with a password, an identity (refresh) token, a ready registry token, or nobody."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""

    @property
    def anonymous(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.password or self.username or self.identity_token or self.registry_token)

    def fingerprint(self) -> str:
        """Opaque key for caches. Never logged."""
        return opaque(self.username, self.password, self.identity_token, self.registry_token)

    def __repr__(self) -> str:
        return f"Credentials({'anonymous' if self.anonymous else 'hidden'})"


ANONYMOUS = Credentials()


@dataclass(frozen=True, slots=True)
class _Entry:
    labels: tuple[str, ...]  # host parts, each may be a glob
    port: str
    path: tuple[str, ...]
    credentials: Credentials

    @property
    def rank(self) -> tuple[bool, int, int]:
        """Exact hosts before globs, then long paths before short ones, then long hosts."""
        return not any("*" in label or "?" in label for label in self.labels), len(self.path), len(self.labels)

    def fits(self, labels: tuple[str, ...], port: str, path: tuple[str, ...]) -> bool:
        if port != self.port or len(labels) != len(self.labels) or path[: len(self.path)] != self.path:
            return False
        # Brackets are those of an IPv6 address, not of a character class.
        pairs = zip(labels, self.labels, strict=True)
        return all(fnmatchcase(label, pattern.replace("[", "[[]")) for label, pattern in pairs)


class Keyring:
    """The entries of one or more dockerconfigjson, most specific first."""

    __slots__ = ("_entries",)

    def __init__(self, entries: tuple[_Entry, ...] = ()) -> None:
        self._entries = tuple(sorted(entries, key=lambda entry: entry.rank, reverse=True))

    def lookup(self, host: str, path: str) -> Credentials | None:
        """The credentials for a repository, or None if no entry fits. `host` and `path` are normalised."""
        labels, port = _split_host(host)
        segments = tuple(path.split("/"))
        return next((e.credentials for e in self._entries if e.fits(labels, port, segments)), None)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"Keyring({len(self._entries)} entries)"


class _Auth(msgspec.Struct):
    auth: str | None = None
    username: str | None = None
    password: str | None = None
    identitytoken: str | None = None
    registrytoken: str | None = None


class _Config(msgspec.Struct):
    auths: dict[str, _Auth] | None = None


def parse_dockerconfigjson(raw: bytes) -> Keyring:
    """Read the value of `.dockerconfigjson`.

    Raises:
        ValueError: too large, not JSON of that shape, or an `auth` that is not base64 of username:password.
            The message names the entry and never holds a secret.

    """
    if len(raw) > MAX_CONFIG_BYTES:
        raise ValueError(f".dockerconfigjson has {len(raw)} bytes, more than {MAX_CONFIG_BYTES}")
    try:
        config = msgspec.json.decode(raw, type=_Config)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ValueError('.dockerconfigjson is not JSON of the form {"auths": {"<registry>": {...}}}') from None
    found = (_entry(location, auth) for location, auth in (config.auths or {}).items())
    return Keyring(tuple(entry for entry in found if entry is not None))


def _entry(location: str, auth: _Auth) -> _Entry | None:
    host, _, path = _strip_scheme(location).partition("/")
    credentials = _credentials(host, auth)
    if not host or credentials.anonymous:
        return None  # docker writes empty entries for hosts whose password a helper keeps
    labels, port = _split_host(host)
    path = _FIRST_PARTS.sub("", f"/{path}", count=1).strip("/")
    return _Entry(labels, port, tuple(path.split("/")) if path else (), credentials)


def _credentials(host: str, auth: _Auth) -> Credentials:
    username, password = _decode_auth(host, auth.auth) if auth.auth else (auth.username or "", auth.password or "")
    return Credentials(username, password, auth.identitytoken or "", auth.registrytoken or "")


def _decode_auth(host: str, encoded: str) -> tuple[str, str]:
    try:
        text = base64.b64decode(_padded(encoded.strip()), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        text = ""
    username, colon, password = text.partition(":")
    if not colon:
        shown = host.rpartition("@")[2][:253]
        raise ValueError(f'.dockerconfigjson: "auth" of {shown!r} is not base64 of username:password')
    return username, password.rstrip("\x00")


def _padded(encoded: str) -> str:
    return encoded + "=" * (-len(encoded) % 4)  # docker writes padding, other tools leave it out


def _strip_scheme(location: str) -> str:
    return re.sub(r"^https?://", "", location.strip(), count=1, flags=re.IGNORECASE)


def _split_host(host: str) -> tuple[tuple[str, ...], str]:
    name, colon, port = host.lower().rpartition(":")
    if not colon or not port.isdigit():
        name, port = host.lower(), ""
    if name in _HUB_HOSTS:
        name = "docker.io"
    return tuple(name.split(".")), port


def merge(keyrings: list[Keyring]) -> Keyring:
    """One keyring of several Secrets; between equal matches the earlier Secret wins."""
    merged: list[Any] = [entry for ring in keyrings for entry in ring._entries]  # noqa: SLF001 - same module
    return Keyring(tuple(merged))

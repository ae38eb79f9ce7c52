"""The certificate of a registry, in four ways: Pawl's own, a Secret of the user's, cert-manager's, or none.

Pawl's own is kept with its authority in one Secret; Pods mount the two keys that they serve with and no other.
Neighbours: `decide.accesspairs` says what is due, `cluster.certificates` makes it. Not here: who is to trust it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from pawl.api.errors import Invalid, NotFound, Stalled
from pawl.api.reasons import Reason
from pawl.api.registrystorage import RegistryStorageSpec
from pawl.cluster.certificates import Pair, alive, fits, is_pem, new_authority, new_pair
from pawl.cluster.client import Cluster
from pawl.cluster.resources import CERTIFICATES, CONFIG_MAPS
from pawl.controllers.registryaccess_secrets import Draft, Held, OwnSecrets
from pawl.decide.access import ServiceSeen, certified, host_of
from pawl.decide.accesspairs import AUTHORITY_LIFETIME, OVERLAP, PAIR_LIFETIME, Act, PairState, act, next_look
from pawl.decide.registrynames import Names
from pawl.decide.serverobjects_front import certificate
from pawl.decide.storagefacts import Identity

TLS_TYPE: Final = "kubernetes.io/tls"
ACTS: Final = 4
"""More are never due at once."""
TRUSTED: Final = 5
"""Authorities that are published at most."""


@dataclass(frozen=True, slots=True)
class Served:
    """What the server speaks TLS with; all empty for plain HTTP."""

    secret: str = ""
    version: str = ""
    ca: str = ""
    due: datetime | None = None
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Own:
    """A certificate of Pawl's own, its authority, the next one, and all that are trusted."""

    authority: Pair | None = None
    pair: Pair | None = None
    coming: Pair | None = None
    published_at: datetime | None = None
    trusted: bytes = b""

    def state(self, hosts: Iterable[str]) -> PairState:
        """Return what is decided by."""
        good = self.pair is not None and self.authority is not None and self.pair.is_from(self.authority.certificate)
        return PairState(
            authority_ends=None if self.authority is None else self.authority.ends,
            pair_ends=self.pair.ends if good and self.pair is not None else None,
            lacks=self.pair.lacks(tuple(hosts)) if good and self.pair is not None else (),
            next_ends=None if self.coming is None else self.coming.ends,
            published_at=self.published_at,
        )


class Certifying:
    """Keeps the certificate of one registry. `overlap`: how long an authority is published before it signs."""

    def __init__(self, cluster: Cluster, identity: Identity, overlap: timedelta = OVERLAP) -> None:
        self._cluster = cluster
        self._identity = identity
        self._overlap = overlap
        self._secrets = OwnSecrets(cluster, identity)
        self._names = Names(identity.name)

    async def keep(self, spec: RegistryStorageSpec, seen: ServiceSeen, now: datetime) -> Served:
        """Return what to serve with, made or renewed where it is Pawl's own. Raises Stalled, ClusterError."""
        tls = spec.access.tls
        if tls.disabled:
            return Served()
        if tls.secret_ref is not None:
            found = await self._given(tls.secret_ref.name)
            return self._checked(spec, tls.secret_ref.name, found)
        if tls.issuer_ref is not None:
            return self._checked(spec, self._names.tls, await self._issued(spec))
        return await self._own(certified(spec.access, self._names.hosts(self._identity.namespace), seen), now)

    async def _given(self, name: str) -> Held:
        where = f"Secret {self._identity.namespace}/{name}"
        try:
            found = await self._secrets.read(name)
        except Invalid as error:
            raise Stalled(Reason.SECRET_INVALID, str(error)) from None
        if found is None:
            text = f"{where} does not exist; create it with tls.crt and tls.key, or change access.tls"
            raise Stalled(Reason.SECRET_NOT_FOUND, text)
        return found

    async def _issued(self, spec: RegistryStorageSpec) -> Held:
        found = await self._secrets.read(self._names.tls)
        if found is not None and found.values.get("tls.crt"):
            return found
        await self._ask(spec)
        where = f"{self._identity.namespace}/{self._names.tls}"
        text = f"cert-manager has not made Secret {where} yet; look at Certificate {where} and its issuer"
        raise Stalled(Reason.SECRET_NOT_FOUND, text)

    async def _ask(self, spec: RegistryStorageSpec) -> None:
        body = certificate(spec, self._identity)
        try:
            await self._cluster.apply(CERTIFICATES, self._identity.namespace, self._names.tls, body)
        except NotFound:
            text = "access.tls.issuerRef needs cert-manager, which is not there; install it, or use selfSigned"
            raise Stalled(Reason.REFUSED, text) from None

    def _checked(self, spec: RegistryStorageSpec, name: str, found: Held) -> Served:
        where = f"Secret {self._identity.namespace}/{name}"
        pair, ca = _pair(found, "tls.crt", "tls.key"), found.values.get("ca.crt", b"")
        if pair is None:
            raise Stalled(
                Reason.SECRET_INVALID, f"{where} holds no key with its certificate (tls.crt, tls.key); mend it"
            )
        if ca and not is_pem(ca):
            raise Stalled(Reason.SECRET_INVALID, f"{where}: ca.crt is no certificate in PEM; mend or remove it")
        return Served(name, _version(pair), ca.decode(), warning=_unfit(spec, pair, where))

    async def _own(self, hosts: tuple[str, ...], now: datetime) -> Served:
        held = await self._secrets.own(self._names.tls)
        own = read_own(held)
        for _ in range(ACTS):
            due = act(own.state(hosts), now, self._overlap)
            if due is Act.KEEP:
                break
            if due is Act.TURN and not await self._is_published(own, now):
                # Whoever was to publish it did not live to: clients get their time from now on.
                own = replace(own, published_at=now)
                break
            own = carried_out(due, own, hosts, now)
        await self._secrets.write(_draft(self._names.tls, own, now), held)
        if own.pair is None:
            raise AssertionError("every act but KEEP leaves a certificate")
        later = next_look(own.state(hosts), self._overlap)
        return Served(self._names.tls, _version(own.pair), trusted(own, now).decode(), later)

    async def _is_published(self, own: Own, now: datetime) -> bool:
        """Look whether clients can have read the next authority; where the present one has ended nothing is lost."""
        if own.authority is None or own.coming is None or own.authority.ends <= now:
            return True
        try:
            raw = await self._cluster.get(CONFIG_MAPS, self._identity.namespace, self._names.ca)
        except NotFound:
            return False
        live = msgspec.json.decode(raw, type=_ConfigMap).data or {}
        return own.coming.certificate.decode().strip() in live.get("ca.crt", "")


class _ConfigMap(msgspec.Struct):
    data: dict[str, str] | None = None


def read_own(held: Held) -> Own:
    """Read what `Certifying` wrote; what somebody broke is not there."""
    bundle = held.values.get("ca.crt", b"")
    return Own(
        authority=_pair(held, "authority.crt", "authority.key"),
        pair=_pair(held, "tls.crt", "tls.key"),
        coming=_pair(held, "next.crt", "next.key"),
        published_at=_moment(held.text("publishedAt")),
        trusted=bundle if is_pem(bundle) else b"",
    )


def carried_out(due: Act, own: Own, hosts: tuple[str, ...], now: datetime) -> Own:
    """Return what comes of one act."""
    if due is Act.PUBLISH:
        coming = new_authority(_name(now), now, AUTHORITY_LIFETIME)
        return Own(own.authority, own.pair, coming, now, own.trusted)
    known = own.authority if due is Act.SIGN else own.coming if due is Act.TURN else None
    authority = known or new_authority(_name(now), now, AUTHORITY_LIFETIME)
    waits = due is Act.SIGN
    return Own(
        authority=authority,
        pair=new_pair(authority, hosts, now, PAIR_LIFETIME),
        coming=own.coming if waits else None,
        published_at=own.published_at if waits else None,
        trusted=own.trusted,
    )


def trusted(own: Own, now: datetime) -> bytes:
    """Return all authorities that clients trust: the present one, the next, and those that have not ended."""
    named = [each.certificate for each in (own.authority, own.coming) if each is not None]
    return b"".join(list(dict.fromkeys([*named, *alive(own.trusted, now)]))[:TRUSTED])


def _draft(name: str, own: Own, now: datetime) -> Draft:
    values = {"ca.crt": trusted(own, now)}
    pairs = (("tls", own.pair), ("authority", own.authority), ("next", own.coming))
    for key, pair in pairs:
        if pair is not None:
            values |= {f"{key}.crt": pair.certificate, f"{key}.key": pair.key}
    if own.coming is not None and own.published_at is not None:
        values["publishedAt"] = own.published_at.astimezone(UTC).isoformat().encode()
    return Draft(name, values, TLS_TYPE)


def _pair(held: Held, certificate_key: str, key: str) -> Pair | None:
    pair = Pair(held.values.get(certificate_key, b""), held.values.get(key, b""))
    return pair if fits(pair) else None


def _version(pair: Pair) -> str:
    return hashlib.sha256(pair.certificate).hexdigest()[:16]


def _unfit(spec: RegistryStorageSpec, pair: Pair, where: str) -> str:
    host = host_of(spec.access.host or "")
    wide = f"*.{host.partition('.')[2]}"
    if not host or not pair.lacks((host,)) or not pair.lacks((wide,)):
        return ""
    return f"{where}: the certificate is not good for {host}, the host of access.host; put one with that name there"


def _name(now: datetime) -> str:
    """Two authorities of one registry differ by name, so that people can tell them apart."""
    return f"pawl-registry-ca-{now.astimezone(UTC):%Y%m%d%H%M%S}"


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)

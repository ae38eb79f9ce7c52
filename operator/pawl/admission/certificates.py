"""Certificates of the webhook: an authority of Pawl's own and what it signs, kept in one Secret for all replicas.

Whoever comes first makes the Secret, the others read it; a pair is renewed long before it ends, and the authority with
it, while the old one is trusted on until its own end. Where something else writes the Secret, it is only read.
Neighbours: `admission.webhook` serves with it, `admission.trust` says when, `admission.webhookconfig` hands the
authorities to the API server, `cluster.certificates` makes them. Not here: certificates of users.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import msgspec

from pawl.api.errors import Conflict, NotFound, Stalled
from pawl.api.reasons import Reason
from pawl.cluster.certificates import Pair, alive, fits, is_pem, issuers, new_authority, new_pair
from pawl.cluster.client import Cluster
from pawl.cluster.resources import SECRETS

SECRET_NAME: Final = "pawl-webhook"
LIFETIME: Final = timedelta(days=365)
RENEW_BEFORE: Final = timedelta(days=90)
"""Replicas look every few minutes; a quarter of a year is enough for any that was away."""
TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class Bundle:
    """What the Secret holds, as PEM. `authorities` is what clients trust: the signer, and the one before it."""

    authorities: bytes
    certificate: bytes
    key: bytes = field(repr=False)

    @property
    def pair(self) -> Pair:
        """The serving certificate and its key."""
        return Pair(self.certificate, self.key)

    @property
    def ends(self) -> datetime:
        """When the serving certificate ends, in UTC."""
        return self.pair.ends

    def serves(self, hosts: Sequence[str], now: datetime) -> bool:
        """Tell whether it is good for these names and not due to be renewed."""
        return now < self.ends - RENEW_BEFORE and not self.lacks(hosts)

    def lacks(self, hosts: Sequence[str]) -> tuple[str, ...]:
        """Return the names that it is not good for."""
        return self.pair.lacks(hosts)


class _Data(msgspec.Struct):
    ca: bytes = msgspec.field(name="ca.crt", default=b"")
    certificate: bytes = msgspec.field(name="tls.crt", default=b"")
    key: bytes = msgspec.field(name="tls.key", default=b"")


class _Meta(msgspec.Struct, rename="camel"):
    resource_version: str = ""


class _Secret(msgspec.Struct):
    metadata: _Meta
    data: _Data = msgspec.field(default_factory=_Data)


_DECODER: Final = msgspec.json.Decoder(_Secret)


def new_bundle(hosts: Sequence[str], now: datetime, trusted: bytes = b"") -> Bundle:
    """Make an authority and a serving certificate for `hosts` (names and addresses); ECDSA P-256.

    The authority's key is thrown away: each renewal makes a new one. `trusted` are authorities that hold on.
    """
    authority = new_authority("pawl-webhook-ca", now, LIFETIME)
    pair = new_pair(authority, hosts, now, LIFETIME, "pawl-webhook")
    before = b"".join(alive(trusted, now)[:1])
    return Bundle(authority.certificate + before, pair.certificate, pair.key)


async def ensure_bundle(cluster: Cluster, namespace: str, hosts: Sequence[str], now: datetime) -> Bundle:
    """Return the certificates of the Secret `pawl-webhook`, made or renewed where needed.

    Raises ClusterError; Conflict only if others kept writing.
    """
    for _ in range(TRIES):
        try:
            return await _ensure_once(cluster, namespace, hosts, now)
        except Conflict:
            continue  # another replica was quicker: read what it wrote
    raise Conflict(f"Secret {namespace}/{SECRET_NAME} is written again and again by others; remove one of the writers")


async def read_bundle(cluster: Cluster, namespace: str) -> Bundle:
    """Return the certificates of the Secret `pawl-webhook` as somebody else wrote them.

    Without `ca.crt` the chain behind the certificate is trusted, and without a chain the certificate itself.
    Raises Stalled where there is none that can be used, ClusterError.
    """
    try:
        data = _DECODER.decode(await cluster.get(SECRETS, namespace, SECRET_NAME)).data
    except NotFound as error:
        text = f"Secret {namespace}/{SECRET_NAME} does not exist; make it, or run with --webhook-certificates Pawl"
        raise Stalled(Reason.SECRET_NOT_FOUND, text) from error
    found = _read(msgspec.structs.replace(data, ca=data.ca or issuers(data.certificate)))
    if found is None:
        text = f"Secret {namespace}/{SECRET_NAME} holds no key with its certificate (tls.key, tls.crt, ca.crt); mend it"
        raise Stalled(Reason.SECRET_INVALID, text)
    return found


async def _ensure_once(cluster: Cluster, namespace: str, hosts: Sequence[str], now: datetime) -> Bundle:
    try:
        stored = _DECODER.decode(await cluster.get(SECRETS, namespace, SECRET_NAME))
    except NotFound:
        bundle = new_bundle(hosts, now)
        await cluster.create(SECRETS, namespace, _body(namespace, bundle, None))
        return bundle
    known = _read(stored.data)
    if known is not None and known.serves(hosts, now):
        return known
    bundle = new_bundle(hosts, now, known.authorities if known is not None else b"")
    await cluster.replace(SECRETS, namespace, SECRET_NAME, _body(namespace, bundle, stored.metadata.resource_version))
    return bundle


def _read(data: _Data) -> Bundle | None:
    """Read what the Secret holds; None for what somebody broke."""
    bundle = Bundle(data.ca, data.certificate, data.key)
    return bundle if fits(bundle.pair) and is_pem(bundle.authorities) else None


def _body(namespace: str, bundle: Bundle, version: str | None) -> dict[str, object]:
    metadata = {"name": SECRET_NAME, "namespace": namespace, "labels": {"app.kubernetes.io/name": "pawl"}}
    data = {"ca.crt": bundle.authorities, "tls.crt": bundle.certificate, "tls.key": bundle.key}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata | ({} if version is None else {"resourceVersion": version}),
        "type": "kubernetes.io/tls",
        "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
    }

"""How a registry is reached, kept in order: its Service's address, certificate, users, pull Secrets, and what changes.

`keep` makes what is missing and returns names, versions and addresses; secrets stay behind `repr`. It is asked at every
look, writes nothing where nothing changed, and says when it must be asked again at the latest.
Neighbours: `registryaccess_tls`, `_users` and `_spread` do one thing each, `decide.serverobjects` makes objects of what
comes out. Not here: those objects, but the Service and the request to cert-manager, which the rest waits for.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import msgspec

from pawl.api.errors import Forbidden, Invalid, NotFound, Stalled
from pawl.api.meta import Condition
from pawl.api.reasons import ConditionType, Reason
from pawl.api.registrystorage import RegistryStorage
from pawl.api.registrystorage_status import StoreRef
from pawl.cluster.client import Cluster
from pawl.cluster.resources import SECRETS, SERVICES, Resource
from pawl.controllers.registryaccess_secrets import Draft, OwnSecrets
from pawl.controllers.registryaccess_spread import Believed, Offer, Spread, Spreading
from pawl.controllers.registryaccess_tls import Certifying, Served
from pawl.controllers.registryaccess_users import Admitted, Admitting, Hashes
from pawl.decide.access import AccessFacts, ServiceSeen, addresses, hint, host_of, joined, missing_secret
from pawl.decide.accesspairs import OVERLAP
from pawl.decide.registrynames import Names
from pawl.decide.serverobjects_front import service
from pawl.decide.storagefacts import Identity, Notice

MESSAGE: Final = 1024
_BYTES: Final = 32


class _Ingress(msgspec.Struct):
    ip: str = ""
    hostname: str = ""


class _Balancer(msgspec.Struct):
    ingress: list[_Ingress] | None = None


class _ServiceStatus(msgspec.Struct):
    balancer: _Balancer = msgspec.field(name="loadBalancer", default_factory=_Balancer)


class _ServiceSpec(msgspec.Struct):
    cluster_ip: str = msgspec.field(name="clusterIP", default="")


class _Service(msgspec.Struct):
    spec: _ServiceSpec
    status: _ServiceStatus = msgspec.field(default_factory=_ServiceStatus)


class _Meta(msgspec.Struct):
    version: str = msgspec.field(name="resourceVersion", default="")


class _Row(msgspec.Struct):
    metadata: _Meta


@dataclass(frozen=True, slots=True)
class _Internal:
    version: str
    token: str = field(repr=False)


@dataclass(slots=True)
class _Made:
    """What is there, as far as it came."""

    address: str
    anonymous: str
    also: tuple[str, ...]
    versions: dict[str, str]
    missing: tuple[str, ...]
    internal: _Internal = _Internal("", "")
    admitted: Admitted = field(default_factory=Admitted)
    spread: Spread = field(default_factory=Spread)
    served: Served = field(default_factory=Served)
    blocked: str = ""


class AccessKeeper:
    """Keeps the access of all registries. One for a term."""

    def __init__(self, cluster: Cluster, overlap: timedelta = OVERLAP, believed: Believed | None = None) -> None:
        self._cluster = cluster
        self._overlap = overlap
        self._hashes = Hashes()
        self._believed = believed or Believed()

    async def keep(self, storage: RegistryStorage, now: datetime) -> AccessFacts:
        """Return what is known once everything that can be made is made. Raises ClusterError."""
        return await _Keeping(self._cluster, storage, now, self._overlap).keep(self._hashes, self._believed)

    async def release(self, storage: RegistryStorage) -> tuple[str, ...]:
        """Take the pull Secrets out of other namespaces, as the registry goes; return what failed.

        What is in its own namespace goes with it. Raises ClusterError.
        """
        return await Spreading(self._cluster, identity_of(storage), self._believed).release()


def identity_of(storage: RegistryStorage) -> Identity:
    """Return which one it is."""
    head = storage.metadata
    return Identity(head.namespace, head.name, head.uid, head.generation)


class _Keeping:
    def __init__(self, cluster: Cluster, storage: RegistryStorage, now: datetime, overlap: timedelta) -> None:
        self._cluster = cluster
        self._storage = storage
        self._spec = storage.spec
        self._now = now
        self._identity = identity_of(storage)
        self._names = Names(storage.metadata.name)
        self._secrets = OwnSecrets(cluster, self._identity)
        self._certifying = Certifying(cluster, self._identity, overlap)

    async def keep(self, hashes: Hashes, believed: Believed) -> AccessFacts:
        seen = await self._service()
        versions, missing = await self._store_versions()
        address, anonymous = addresses(self._spec.access, seen)
        made = _Made(address, anonymous, self._also(address, seen), versions, missing)
        try:
            made.internal = await self._internal()
            made.admitted = await Admitting(self._secrets, self._identity, hashes).keep(self._spec, self._now)
            made.spread = await self._spread(made.admitted, (made.address, *made.also), believed)
            made.served = await self._certifying.keep(self._spec, seen, self._now)
        except Stalled as error:
            made.blocked = error.message
        return self._facts(made)

    def _facts(self, made: _Made) -> AccessFacts:
        served, admitted, user = made.served, made.admitted, made.admitted.current
        return AccessFacts(
            address=made.address,
            also=made.also,
            anonymous_address=made.anonymous,
            server_name=self._server_name(),
            ca=served.ca,
            tls_secret=served.secret,
            tls_version=served.version,
            internal_secret=self._names.internal,
            internal_version=made.internal.version,
            users_secret=admitted.users_secret,
            htpasswd_secret=admitted.htpasswd_secret,
            pull_secret=made.spread.pull_secret,
            store_versions=made.versions,
            missing=made.missing,
            conditions=self._conditions(made.spread),
            notices=self._notices(),
            warning=" ".join(each for each in (served.warning, admitted.warning) if each)[:MESSAGE],
            blocked=made.blocked or self._missing_now(made.missing),
            due=min((each for each in (served.due, admitted.due) if each is not None), default=None),
            username=user.name if user else "",
            password=user.password if user else "",
            token=made.internal.token,
        )

    async def _service(self) -> ServiceSeen:
        """Return the Service's addresses; it is made first, for its address stands in the certificate."""
        place = (SERVICES, self._identity.namespace, self._names.server)
        try:
            raw = await self._cluster.get(*place)
        except NotFound:
            raw = await self._serve(place)
        found = msgspec.json.decode(raw, type=_Service)
        ip = found.spec.cluster_ip
        shown = [each.ip or each.hostname for each in found.status.balancer.ingress or ()]
        return ServiceSeen("" if ip == "None" else ip, tuple(each for each in shown if each))

    async def _serve(self, place: tuple[Resource, str, str]) -> bytes:
        """Make the Service. Raises Stalled where the API server does not take it: its port may be somebody else's."""
        try:
            return await self._cluster.apply(*place, service(self._spec, self._identity))
        except Invalid as error:
            raise Stalled(Reason.REFUSED, f"{error}; change spec.access.service") from None

    async def _internal(self) -> _Internal:
        """Return what the Pods share; it is made once, and again only if somebody emptied it."""
        held = await self._secrets.own(self._names.internal)
        values = {key: held.values.get(key) or secrets.token_hex(_BYTES).encode() for key in ("httpSecret", "token")}
        await self._secrets.write(Draft(self._names.internal, values), held)
        whole = b"".join(values[key] for key in sorted(values))
        return _Internal(hashlib.sha256(whole).hexdigest()[:16], values["token"].decode())

    async def _spread(self, admitted: Admitted, hosts: tuple[str, ...], believed: Believed) -> Spread:
        if admitted.current is not None and not hosts[0]:
            return Spread()
        offer = None if admitted.current is None else Offer(tuple(dict.fromkeys(hosts)), admitted.current)
        return await Spreading(self._cluster, self._identity, believed).keep(self._spec, offer)

    def _also(self, address: str, seen: ServiceSeen) -> tuple[str, ...]:
        """Return the addresses by which images are named already, whatever `access.host` says now."""
        names = (seen.cluster_ip, self._names.hosts(self._identity.namespace)[2])
        inside = (joined(name, self._spec.access.service.port) for name in names if name)
        status = self._storage.status
        found = dict.fromkeys((*inside, status.address, *status.former_addresses))
        return tuple(each for each in found if each not in {"", address})

    async def _store_versions(self) -> tuple[dict[str, str], tuple[str, ...]]:
        """Return the versions of all Secrets that stores name, and a sentence for each that is not there."""
        versions: dict[str, str] = {}
        missing: list[str] = []
        for name in sorted(self._store_secrets()):
            try:
                raw = await self._cluster.get(SECRETS, self._identity.namespace, name, metadata_only=True)
                versions[name] = msgspec.json.decode(raw, type=_Row).metadata.version
            except NotFound:
                missing.append(missing_secret(self._identity.namespace, name))
            except Forbidden as error:
                missing.append(missing_secret(self._identity.namespace, name, str(error)))
        return versions, tuple(missing)

    def _store_secrets(self) -> set[str]:
        status, wanted = self._storage.status, self._spec.storage.s3
        moves = (status.migration.source, status.migration.target) if status.migration is not None else ()
        refs = (wanted.credentials_secret_ref, wanted.ca_secret_ref) if wanted is not None else ()
        return {
            *(ref.name for ref in refs if ref is not None),
            *_secrets_of(each for each in (status.store, status.held, *moves) if each is not None),
        }

    def _missing_now(self, missing: Iterable[str]) -> str:
        """Only a Secret of the store that is served, or is the first to be, keeps the server from running."""
        store, wanted = self._storage.status.store, self._spec.storage.s3
        refs = (wanted.credentials_secret_ref, wanted.ca_secret_ref) if wanted is not None and store is None else ()
        names = {ref.name for ref in refs if ref is not None} | (_secrets_of([store]) if store is not None else set())
        needed = tuple(f"Secret {self._identity.namespace}/{name}" for name in names)
        return next((text for text in missing if any(text.startswith((f"{each} ", f"{each}:")) for each in needed)), "")

    def _server_name(self) -> str:
        host = self._spec.access.host
        given = self._spec.access.tls.secret_ref is not None
        return host_of(host) if host and given else self._names.hosts(self._identity.namespace)[2]

    def _notices(self) -> tuple[Notice, ...]:
        text = hint(self._spec.access)
        return (Notice(Reason.NOT_PROVED, text, warning=True),) if text else ()

    def _conditions(self, spread: Spread) -> tuple[Condition, ...]:
        """Say whether the chosen namespaces have the pull Secret; nothing where none were chosen."""
        if not spread.failed and (self._spec.access.pull_secrets is None or not spread.pull_secret):
            return ()
        kind = ConditionType.CREDENTIALS_SPREAD.value
        before = next((each for each in self._storage.status.conditions if each.type == kind), None)
        same = before is not None and (before.status == "True") is (not spread.failed)
        return (
            Condition(
                type=kind,
                status="False" if spread.failed else "True",
                observed_generation=self._identity.generation,
                last_transition_time=before.last_transition_time if before is not None and same else self._now,
                reason=spread.reason if spread.failed else Reason.SPREAD.value,
                message=spread.sentence[:MESSAGE],
            ),
        )


def _secrets_of(stores: Iterable[StoreRef]) -> set[str]:
    return {name for each in stores for name in (each.credentials_secret, each.ca_secret) if name}

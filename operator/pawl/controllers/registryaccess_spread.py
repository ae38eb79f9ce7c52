"""The pull Secret of a registry: one in its own namespace, and copies in the namespaces that the spec chooses.

Places are noted before anything is written there, so that a copy is found again when its namespace leaves the choice;
Secrets are never listed. Neighbours: `secretcopies` makes and removes copies, and never overwrites what is not Pawl's.
Not here: users and passwords.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from pawl.api.errors import Conflict, Forbidden, Stalled
from pawl.api.reasons import Reason
from pawl.api.registrystorage import RegistryStorageSpec
from pawl.cluster.client import Cluster
from pawl.cluster.resources import NAMESPACES
from pawl.controllers.access import CONFIG_KEY
from pawl.controllers.pullkeys import CONFIG_TYPE
from pawl.controllers.registryaccess_secrets import Draft, Held, OwnSecrets
from pawl.controllers.registryaccess_users import SPREAD
from pawl.controllers.secretcopies import CopyResult, SecretCopies
from pawl.controllers.secretcopies_marks import CopyWish
from pawl.decide.accessusers import User
from pawl.decide.objects import ALLOW_COPY_TO
from pawl.decide.registrynames import Names
from pawl.decide.selectors import selects
from pawl.decide.storagefacts import Identity

BELIEVED: Final = 300.0
"""Seconds for which a copy that was right is not read again."""
AT_ONCE: Final = 8

Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Spread:
    """What came of it. `chosen` counts namespaces; `reason` and `message` are of the first that failed."""

    pull_secret: str = ""
    chosen: int = 0
    failed: int = 0
    reason: str = ""
    message: str = ""

    @property
    def sentence(self) -> str:
        """What a condition says."""
        if not self.failed:
            return f"{self.chosen} namespaces have pull Secret {self.pull_secret}"
        return self.message + (f" (and {self.failed - 1} more)" if self.failed > 1 else "")


@dataclass(frozen=True, slots=True)
class Offer:
    """What a pull Secret says: hosts, and the user for all of them."""

    hosts: tuple[str, ...]
    user: User

    def config(self) -> bytes:
        """Return it in the form that kubelets read."""
        auth = base64.b64encode(f"{self.user.name}:{self.user.password}".encode()).decode()
        entry = {"username": self.user.name, "password": self.user.password, "auth": auth}
        return msgspec.json.encode({"auths": dict.fromkeys(self.hosts, entry)})


class _Meta(msgspec.Struct):
    name: str
    labels: dict[str, str] = field(default_factory=dict)
    ending: str = msgspec.field(name="deletionTimestamp", default="")


class _Row(msgspec.Struct):
    metadata: _Meta


class _Rows(msgspec.Struct):
    items: list[_Row] | None = None


_ROWS: Final = msgspec.json.Decoder(_Rows)


async def namespace_labels(cluster: Cluster) -> dict[str, dict[str, str]]:
    """Return the labels of all namespaces that are not about to go."""
    found: dict[str, dict[str, str]] = {}
    async for page in cluster.list_pages(NAMESPACES, None, metadata_only=True):
        rows = _ROWS.decode(page).items or ()
        found |= {row.metadata.name: row.metadata.labels for row in rows if not row.metadata.ending}
    return found


class Believed:
    """Copies that were right a short while ago, of all registries. `clock` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._right: dict[CopyWish, tuple[bytes, float]] = {}

    def knows(self, wish: CopyWish, mark: bytes) -> bool:
        """Whether this copy need not be read now."""
        known, at = self._right.get(wish, (b"", -BELIEVED))
        return known == mark and self._clock() - at < BELIEVED

    def add(self, wish: CopyWish, mark: bytes) -> None:
        """Note a copy that is right."""
        self._right[wish] = (mark, self._clock())

    def forget(self, label: str) -> None:
        """Forget all copies of one registry."""
        self._right = {wish: each for wish, each in self._right.items() if wish.override != label}


class Spreading:
    """Keeps the pull Secret of one registry and its copies, once: make another for the next time."""

    def __init__(self, cluster: Cluster, identity: Identity, believed: Believed) -> None:
        self._cluster = cluster
        self._identity = identity
        self._copies = SecretCopies(cluster)  # a new one, so that no source that was read before is copied
        self._believed = believed
        self._secrets = OwnSecrets(cluster, identity)
        self._names = Names(identity.name)

    @property
    def label(self) -> str:
        """How copies are marked."""
        return f"RegistryStorage/{self._identity.namespace}/{self._identity.name}"

    async def keep(self, spec: RegistryStorageSpec, offer: Offer | None) -> Spread:
        """Make Secret and copies right; without an offer they go. Raises ClusterError where its own notes fail."""
        if offer is None:
            await self._let_go(keep=frozenset(), name="")
            return Spread()
        name = (spec.access.pull_secrets.name if spec.access.pull_secrets else None) or self._names.pull
        try:
            chosen = await self._chosen(spec)
            wanted = {(namespace, name) for namespace in chosen}
            await self._note(wanted | {(self._identity.namespace, name)})
            mark = await self._source(name, offer, chosen)
        except Stalled as error:
            return Spread(failed=1, reason=error.reason, message=error.message)
        results = await self._made(name, sorted(chosen), mark)
        left = await self._let_go(keep=frozenset(wanted), name=name)
        return _told(name, len(chosen), (*(each for each in results if not each.ok), *left))

    async def release(self) -> tuple[str, ...]:
        """Take all copies away, since the registry goes; return what failed."""
        self._believed.forget(self.label)
        places = await self._noted()
        if not places:
            # The note went first, as when dependents are deleted before their owner: look everywhere.
            known = await namespace_labels(self._cluster)
            places = {(namespace, self._names.pull) for namespace in known}
        others = [place for place in sorted(places) if place[0] != self._identity.namespace]
        return (await self._copies.release(self.label, others)).failures

    async def _chosen(self, spec: RegistryStorageSpec) -> set[str]:
        """Return the namespaces of copies; its own has the Secret itself."""
        if spec.access.pull_secrets is None:
            return set()
        try:
            known = await namespace_labels(self._cluster)
        except Forbidden as error:
            text = f"access.pullSecrets: {error}; grant it, or remove access.pullSecrets"
            raise Stalled(Reason.MISSING_RIGHT, text) from error
        chooser = spec.access.pull_secrets.namespace_selector
        return {name for name, labels in known.items() if selects(chooser, labels)} - {self._identity.namespace}

    async def _source(self, name: str, offer: Offer, chosen: Iterable[str]) -> bytes:
        """Keep the Secret that the copies are made of; it grants itself to the chosen namespaces and to no other."""
        held = await self._secrets.own(name)
        config = offer.config()
        draft = Draft(name, {CONFIG_KEY: config}, CONFIG_TYPE, {ALLOW_COPY_TO: ",".join(sorted(chosen))})
        await self._secrets.write(draft, held)
        return hashlib.sha256(config).digest()

    async def _made(self, name: str, chosen: Iterable[str], mark: bytes) -> list[CopyResult]:
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(namespace: str) -> CopyResult:
            wish = CopyWish(self._identity.namespace, name, namespace, name, self.label)
            if self._believed.knows(wish, mark):
                return CopyResult(ok=True)
            async with gate:
                result = await self._copies.ensure(wish)
            if result.ok:
                self._believed.add(wish, mark)
            return result

        return list(await asyncio.gather(*(one(namespace) for namespace in chosen)))

    async def _let_go(self, *, keep: frozenset[Place], name: str) -> list[CopyResult]:
        """Take away what is noted and no longer wanted, and then its note."""
        noted = await self._noted()
        here = self._identity.namespace
        gone = {place for place in noted - keep if place != (here, name)}
        if not gone:
            return []
        self._believed.forget(self.label)
        for _, old in sorted(place for place in gone if place[0] == here):
            await self._secrets.remove(old, await self._secrets.read(old) or Held())
        others = [place for place in sorted(gone) if place[0] != here]
        failures = (await self._copies.release(self.label, others)).failures
        if not failures:
            await self._write_note(noted - gone)
        return [CopyResult(ok=False, reason=Reason.UNREACHABLE, message=text) for text in failures]

    async def _note(self, places: set[Place]) -> None:
        noted = await self._noted()
        if not places <= noted:
            await self._write_note(noted | places)

    async def _noted(self) -> set[Place]:
        return _places((await self._secrets.read(self._names.users) or Held()).values)

    async def _write_note(self, places: set[Place]) -> None:
        held = await self._secrets.own(self._names.users)
        if not held.version:
            raise Conflict(f"Secret {self._identity.namespace}/{self._names.users} was deleted meanwhile")
        note = msgspec.json.encode(sorted("/".join(place) for place in places))
        await self._secrets.write(Draft(self._names.users, {**held.values, SPREAD: note}), held)


def _places(values: Mapping[str, bytes]) -> set[Place]:
    try:
        rows = msgspec.json.decode(values.get(SPREAD, b"[]"), type=list[str])
    except msgspec.DecodeError:
        return set()
    pairs = (row.partition("/") for row in rows)
    return {(namespace, name) for namespace, _, name in pairs if namespace and name}


def _told(name: str, chosen: int, failed: Iterable[CopyResult]) -> Spread:
    faults = tuple(failed)
    first = faults[0] if faults else CopyResult(ok=True)
    return Spread(name, chosen, len(faults), first.reason, first.message)

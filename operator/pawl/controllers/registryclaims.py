"""Claims of a registry: made once, grown when told, deleted only by an explicit field, and never anything else.

Neighbours: `decide.serverobjects_claims` makes manifests, `decide.expansion` says how large. Not here: claims of users,
which are never written to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import structlog

from pawl.api.errors import ClusterError, Conflict
from pawl.api.registrystorage_status import StoreRef
from pawl.cluster.client import Cluster
from pawl.cluster.resources import CLAIMS
from pawl.controllers.registryapply import Applier, Done, Guard
from pawl.controllers.registryfacts import Gathered
from pawl.decide.registrynames import MANAGED_BY, REGISTRY, Names
from pawl.decide.registryview import ending
from pawl.decide.storagefacts import Claim, Want

Json = Mapping[str, Any]

KIND: Final = "PersistentVolumeClaim"

log = structlog.get_logger(__name__)


class Claims:
    """Writes claims. One for a term."""

    def __init__(self, cluster: Cluster, applier: Applier, guard: Guard) -> None:
        self._cluster = cluster
        self._applier = applier
        self._guard = guard

    async def keep(self, gathered: Gathered, wanted: Iterable[Json], want: Want, done: Done) -> None:
        """Make claims that are missing, grow those that are to grow, drop those that are to go."""
        for each in wanted:
            try:
                await self._make(gathered, each, done)
            except ClusterError as error:
                done.refuse(error, f"claim {each['metadata']['name']}")
        for name, size in want.grow.items():
            claim = gathered.facts.claims.get(name)
            if claim is not None and claim.own and claim.requested < size:
                await self._grow(gathered, claim, size, done)
        for store in want.drop:
            await self._drop(gathered, store, want, done)

    async def _make(self, gathered: Gathered, wanted: Json, done: Done) -> None:
        namespace, name = gathered.facts.identity.namespace, wanted["metadata"]["name"]
        found = gathered.live.get(KIND, name)
        if found is not None and ending(found):
            done.waiting = f"claim {name} is being deleted"
            return
        labels = wanted["metadata"]["labels"]
        if found is not None and all(found["metadata"]["labels"].get(key) == value for key, value in labels.items()):
            return
        self._guard()
        if found is not None or name in gathered.facts.claims:  # its labels were edited: its name says whose it is
            await self._cluster.merge_patch(CLAIMS, namespace, name, {"metadata": {"labels": labels}})
        else:
            try:
                await self._cluster.create(CLAIMS, namespace, wanted)
            except Conflict:
                return
        done.written += 1
        log.info("claim kept", claim=f"{namespace}/{name}", new=found is None)

    async def _grow(self, gathered: Gathered, claim: Claim, size: int, done: Done) -> None:
        namespace = gathered.facts.identity.namespace
        self._guard()
        try:
            body = {"spec": {"resources": {"requests": {"storage": str(size)}}}}
            await self._cluster.merge_patch(CLAIMS, namespace, claim.name, body)
        except ClusterError as error:
            done.refuse(error, f"claim {claim.name}")
            return
        done.written += 1
        log.info("claim grows", claim=f"{namespace}/{claim.name}", bytes=size)

    async def _drop(self, gathered: Gathered, store: StoreRef, want: Want, done: Done) -> None:
        """Delete the claim of an old store: one that Pawl made for this registry, and that nothing is served from."""
        names = Names(gathered.facts.identity.name)
        name = names.claim(store)
        found, served = gathered.live.get(KIND, name), {names.claim(each) for each in (want.store, *want.claims)}
        if found is None or not store.own_claim or name in served or ending(found):
            return
        labels = found["metadata"]["labels"]
        if labels.get(REGISTRY) == gathered.facts.identity.name and labels.get(MANAGED_BY) == "pawl":
            await self._applier.delete(KIND, found, done)

"""Makes objects of a registry so: applies what differs, deletes what is wanted no longer, touches nobody else's.

An object that says all that is wanted, and was last applied from the same, is not written: a steady state is silent.
What somebody else made under a name that is needed is left alone and named. Neighbours: `decide.serverobjects` says
what is wanted, `registryacts` calls. Not here: Jobs (`registryjobs`), claims (`registryclaims`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import structlog

from pawl.api.errors import ApiUnavailable, ClusterError, Conflict, Forbidden, NotFound
from pawl.api.reasons import Reason
from pawl.cluster.client import Cluster
from pawl.cluster.registryobjects import KINDS, Live, RegistryObjects
from pawl.decide.registrynames import METER, PART, SERVER, TRUST
from pawl.decide.registryview import ending
from pawl.decide.storagefacts import Identity
from pawl.decide.subset import covers

Json = dict[str, Any]
Guard = Callable[[], int]

APPLIED: Final = "pawl.dev/applied"
"""Hash of what was last applied: fields that are wanted no longer show in nothing else."""
KEPT: Final = ("Deployment", "DaemonSet", "Service", "Ingress", "PodDisruptionBudget", "ConfigMap", "Certificate")
PARTS: Final = frozenset({SERVER, METER, TRUST})
GOING: Final = "going"
"""An object that is being deleted, or of an earlier RegistryStorage of this name and will be."""
FOREIGN: Final = "foreign"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that a person must mend."""

    reason: Reason
    message: str


@dataclass(slots=True)
class Done:
    """What came of a round of writes. `waiting`: something must go before something else can come."""

    written: int = 0
    waiting: str = ""
    refused: list[Refusal] = field(default_factory=list)

    def refuse(self, error: ClusterError, what: str) -> None:
        """Note what the API server refused; what it could not answer is raised, and tried again."""
        if isinstance(error, (ApiUnavailable, Conflict)):
            raise error
        reason = Reason.MISSING_RIGHT if isinstance(error, Forbidden) else Reason.REFUSED
        text = str(error) if what in str(error) else f"{what}: {error}"
        self.refused.append(Refusal(reason, text))


class Applier:
    """Writes objects of one namespace. One for a term."""

    def __init__(self, cluster: Cluster, objects: RegistryObjects, guard: Guard) -> None:
        self._cluster = cluster
        self._objects = objects
        self._guard = guard

    async def apply(self, identity: Identity, wanted: Sequence[Json], live: Live, done: Done) -> None:
        """Apply in the given order. Raises Conflict and ApiUnavailable; what is refused is in `done`."""
        for each in wanted:
            named = f"{each['kind']} {each['metadata']['name']}"
            try:
                await self._put(identity, marked(each), live, done)
            except ClusterError as error:
                done.refuse(error, named)

    async def drop(
        self, identity: Identity, wanted: Iterable[Json], live: Live, done: Done, parts: Iterable[str]
    ) -> None:
        """Delete objects of these parts that are ours and not among `wanted`."""
        kept, ours = {(each["kind"], each["metadata"]["name"]) for each in wanted}, frozenset(parts)
        for kind in KEPT:
            for each in live.of(kind):
                meta = each["metadata"]
                if (kind, meta["name"]) in kept or ending(each) or meta["labels"].get(PART) not in ours:
                    continue
                if controller(each) == identity.uid:
                    await self.delete(kind, each, done)

    async def delete(self, kind: str, found: Mapping[str, Any], done: Done, propagation: str = "Background") -> None:
        """Delete exactly this object; one that is gone already is no error."""
        meta = found["metadata"]
        self._guard()
        try:
            await self._cluster.delete(
                KINDS[kind], meta["namespace"], meta["name"], uid=meta["uid"], propagation=propagation
            )
        except (NotFound, Conflict):
            return
        except ClusterError as error:
            done.refuse(error, f"{kind} {meta['name']}")
            return
        done.written += 1
        log.info("deleted", kind=kind, object=f"{meta['namespace']}/{meta['name']}")

    async def _put(self, identity: Identity, wanted: Json, live: Live, done: Done) -> None:
        kind, name = wanted["kind"], wanted["metadata"]["name"]
        found = live.get(kind, name)
        if found is None:  # without our label: somebody else's, or ours with the label taken off
            found = await self._objects.read(kind, identity.namespace, name)
        if found is not None and is_so(found, wanted) and not ending(found):
            return
        obstacle = _obstacle(found, identity) if found is not None else None
        if obstacle == FOREIGN:
            done.refused.append(Refusal(Reason.REFUSED, _taken(kind, name)))
        if obstacle is not None:
            done.waiting = f"{kind} {name} must go first"
            return
        self._guard()
        await self._cluster.apply(KINDS[kind], identity.namespace, name, wanted)
        done.written += 1
        log.info("applied", kind=kind, object=f"{identity.namespace}/{name}", new=found is None)


def _obstacle(found: Mapping[str, Any], identity: Identity) -> str | None:
    """Say what keeps an object from being ours: it is going, or somebody else's."""
    uid, former = controller(found), _of_this_name(found, identity)
    orphan = not uid and APPLIED in notes(found)
    if (uid == identity.uid or orphan) and not ending(found):
        return None
    return GOING if ending(found) or (uid and former) else FOREIGN


def marked(wanted: Mapping[str, Any]) -> Json:
    """Return an object with the hash of all that it says."""
    digest = hashlib.sha256(msgspec.json.encode(wanted, order="deterministic")).hexdigest()[:16]
    meta = wanted["metadata"]
    return {**wanted, "metadata": {**meta, "annotations": {**meta.get("annotations", {}), APPLIED: digest}}}


def is_so(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether an object says all that is wanted: with its hash, by which what is wanted no longer shows."""
    said = {key: each for key, each in wanted.items() if key not in {"apiVersion", "kind"}}  # not in a list's items
    return covers(found, said)


def notes(found: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the annotations of an object."""
    return found["metadata"].get("annotations") or {}


def controller(found: Mapping[str, Any]) -> str:
    """Return the uid of what an object belongs to, empty where it belongs to nothing."""
    owners = found["metadata"].get("ownerReferences") or ()
    return next((str(each["uid"]) for each in owners if each.get("controller")), "")


def _of_this_name(found: Mapping[str, Any], identity: Identity) -> bool:
    owners = found["metadata"].get("ownerReferences") or ()
    return any(each.get("kind") == "RegistryStorage" and each.get("name") == identity.name for each in owners)


def _taken(kind: str, name: str) -> str:
    return f"{kind} {name} is there and not Pawl's: rename or delete it, or give this RegistryStorage another name"

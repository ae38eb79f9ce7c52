"""Every object that must exist for a registry, from what it wants and how it is reached. Pure; applied by controllers.

The parts are `serverobjects_server`, `_front`, `_meter`, `_trust` and `_claims`, on the pieces of `_pod`. Neighbours:
`workobjects` makes Jobs, `subset` tells whether an object is as it should be. Not here: Secrets (`controllers`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pawl.api.registrystorage_spec import RegistryStorageSpec
from pawl.decide.access import AccessFacts
from pawl.decide.serverobjects_claims import claim_parts
from pawl.decide.serverobjects_front import front_parts
from pawl.decide.serverobjects_meter import meter_parts
from pawl.decide.serverobjects_server import ServerPlan, server_parts
from pawl.decide.serverobjects_trust import trust_parts
from pawl.decide.storagefacts import Identity, Want

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ServerAbout:
    """What the cluster adds: Pawl's own image and the Secrets to pull it with, and the bytes that claims ask for.

    `meter_apart`: the meter runs on another node than the server, and keeps the claim's volume there.
    """

    image: str
    pull_secrets: tuple[str, ...] = ()
    requested: Mapping[str, int] = field(default_factory=dict)
    meter_apart: bool = False


def server_objects(
    spec: RegistryStorageSpec, identity: Identity, want: Want, access: AccessFacts, about: ServerAbout
) -> tuple[Json, ...]:
    """Return the objects in the order in which they are applied: what a Pod mounts comes before the Pod."""
    plan = ServerPlan(spec, identity, want, access, about.pull_secrets)
    return (
        *claim_parts(identity, want, about.requested),
        *front_parts(spec, identity, access),
        *server_parts(plan),
        *meter_parts(plan, about.image, apart=about.meter_apart),
        *trust_parts(plan, about.image),
    )


def checksum(spec: RegistryStorageSpec, identity: Identity, want: Want, access: AccessFacts) -> str:
    """Return the annotation `pawl.dev/config` that the server's Pods have once they run all this."""
    return ServerPlan(spec, identity, want, access).checksum

"""What is known of one RegistryStorage at one moment, and what is to be done: the two ends of its judgement.

`Facts` go into `decide.storagemachine.step`, a `Step` comes out. Everything here is frozen. Neighbours:
`decide.storagemachine` and its parts judge, `decide.serverobjects` makes Kubernetes objects of a `Want`,
`controllers.registryfacts` gathers. Not here: judgement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pawl.api.meta import Condition
from pawl.api.registrystorage import RegistryStorageSpec, RegistryStorageStatus
from pawl.api.registrystorage_status import (
    CollectionStatus,
    Freeze,
    MigrationStatus,
    StoreRef,
)
from pawl.api.registrywork import Meter, Plan, Report, Task, Use


@dataclass(frozen=True, slots=True)
class Identity:
    """Which RegistryStorage it is about."""

    namespace: str
    name: str
    uid: str
    generation: int


@dataclass(frozen=True, slots=True)
class Memory:
    """What must survive every crash: kept in the status and in a ledger, and the greater revision counts."""

    revision: int = 0
    store: StoreRef | None = None
    held: StoreRef | None = None
    freeze: Freeze | None = None
    migration: MigrationStatus | None = None
    collection: CollectionStatus | None = None


@dataclass(frozen=True, slots=True)
class ServerPod:
    """One Pod of the server. `store` and `read_only` are what it was started with.

    `takes_pushes`: what it answered to the start of an upload: False for 405, None where it was not asked or is away.
    """

    name: str
    address: str
    node: str
    ready: bool
    ending: bool
    store: str
    read_only: bool
    config: str
    takes_pushes: bool | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """The Deployment and its Pods. `rolled`: all Pods run its newest template, and none is missing or ending."""

    exists: bool = False
    rolled: bool = False
    scale: int = 0
    config: str = ""
    pods: tuple[ServerPod, ...] = ()
    trouble: str = ""
    """Why a Pod does not come up, in a sentence."""
    store: str = ""
    """Id of the store that its newest template is of."""

    def proved(self, store: str, *, read_only: bool) -> bool:
        """Whether every Pod serves this store and, if `read_only`, has refused an upload just now."""
        alike = [pod.store == store and pod.read_only == read_only and pod.ready for pod in self.pods]
        refused = not read_only or all(pod.takes_pushes is False for pod in self.pods)
        return self.rolled and bool(self.pods) and all(alike) and refused


@dataclass(frozen=True, slots=True)
class Work:
    """One Job. `order` names what it was made for: `<id>/<phase>/<attempt>`. `report` is the newest that is known."""

    task: Task
    order: str
    name: str
    active: bool
    succeeded: bool
    failed: bool
    report: Report | None = None
    trouble: str = ""
    """Why its Pod does not start, in a sentence."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A PersistentVolumeClaim. Sizes in bytes; `grows` None where the class could not be read."""

    name: str
    bound: bool
    requested: int
    capacity: int
    grows: bool | None
    resizing: bool
    own: bool
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that is known."""

    now: datetime
    identity: Identity
    spec: RegistryStorageSpec
    status: RegistryStorageStatus
    memory: Memory
    server: Server = Server()
    works: Mapping[Task, Work] = field(default_factory=dict)
    stray: tuple[str, ...] = ()
    """Pods of deleted Jobs that did not end yet: they may still write to a store."""
    claims: Mapping[str, Claim] = field(default_factory=dict)
    meter: Meter | None = None
    plan: Plan | None = None
    """What a collection would do now, if the meter was asked."""
    partial_view: bool = False
    """Whether some namespaces cannot be seen, so that uses may be missing."""
    uses: tuple[Use, ...] = ()
    collect_due: bool = False
    """Whether the schedule names a time since the last collection."""
    collect_requested: bool = False
    """Whether the annotation collect.pawl.dev/requestedAt has a value for which no collection began yet."""
    retry_requested: bool = False
    """Whether the annotation reconcile.pawl.dev/requestedAt has a value that was not acted on yet."""
    conditions: tuple[Condition, ...] = ()
    """Of access and connectivity, as other parts found them; they pass into the status."""
    blocked: str = ""
    """A sentence if something outside keeps the server from being made: a Secret that is missing, a right."""
    target_missing: str = ""
    """A sentence if a Secret of the store that the spec names is not there."""


@dataclass(frozen=True, slots=True)
class WorkWant:
    """A Job that must be there. `order` as in `Work`; a Job with another order of the same task is deleted first."""

    task: Task
    order: str
    source: StoreRef | None = None
    target: StoreRef | None = None


@dataclass(frozen=True, slots=True)
class Want:
    """What the cluster must look like."""

    store: StoreRef
    read_only: bool
    scale: int
    works: tuple[WorkWant, ...] = ()
    claims: tuple[StoreRef, ...] = ()
    """Stores whose claims must exist: the one that is served, and the target of a migration."""
    grow: Mapping[str, int] = field(default_factory=dict)
    """Claim and the bytes to ask for."""
    drop: tuple[StoreRef, ...] = ()
    """Claims of old stores that the user told to delete."""
    ask_plan: bool = False
    """Whether the meter is to be asked for a plan before the next look."""


@dataclass(frozen=True, slots=True)
class Notice:
    """An event."""

    reason: str
    message: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """What comes of one look: the memory is stored first, then `want` is made so."""

    memory: Memory
    want: Want | None
    conditions: tuple[Condition, ...]
    phase: str
    notices: tuple[Notice, ...] = ()
    wait: float = 30.0
    """Seconds until the next look."""

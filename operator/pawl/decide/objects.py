"""What Pawl keeps of the cluster's own objects: rows of a few fields, made by `cluster.rows`, judged by `decide`.

Strings and tuples of equal Pods are shared by whoever makes the rows, so that ten thousand Pods fit into a few MiB.
Times are seconds since the epoch. Not here: whole objects, our own kinds.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Group = Literal["containers", "initContainers", "ephemeralContainers", "volumes"]
"""Where an image stands in a Pod spec. Sidecars are initContainers; `volumes` are image volumes."""

Labels = tuple[tuple[str, str], ...]
"""Labels, sorted by key."""


class ImageAt(msgspec.Struct, frozen=True, gc=False):
    """One image place of a Pod spec: the group, the name of the container or volume, and the reference as written."""

    group: Group
    name: str
    image: str


class Owner(msgspec.Struct, frozen=True, gc=False):
    """One ownerReference."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool = False


class ContainerState(msgspec.Struct, frozen=True, gc=False):
    """What the kubelet says of one container. `started` is true if it ever ran, now or before a restart."""

    name: str
    image_id: str = ""
    waiting: str = ""
    started: bool = False


class NodeTerm(msgspec.Struct, frozen=True, gc=False):
    """One comparison with the labels of a node; the operators of the core API, `Gt` and `Lt` among them."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


class Placement(msgspec.Struct, frozen=True, gc=False):
    """On which nodes a Pod may run: `selector` holds as a whole, and one of the lists in `terms`, if there are any."""

    selector: Labels = ()
    terms: tuple[tuple[NodeTerm, ...], ...] = ()


class PodSpec(msgspec.Struct, frozen=True, gc=False):
    """The part of a Pod spec or of a Pod template that Pawl looks at. Equal templates share one of these."""

    images: tuple[ImageAt, ...] = ()
    pull_secrets: tuple[str, ...] = ()
    account: str = "default"
    placement: Placement = Placement()
    labels: Labels = ()
    ignored: bool = False
    """The label pawl.dev/ignore is "true"."""


class PodRow(msgspec.Struct, frozen=True, gc=False):
    """One Pod. `owners` are all its ownerReferences."""

    namespace: str
    name: str
    uid: str
    version: str
    spec: PodSpec
    created: float = 0.0
    owners: tuple[Owner, ...] = ()
    node: str = ""
    phase: str = ""
    deleting: bool = False
    mirror: bool = False
    """A static Pod that the kubelet mirrors; it is never touched."""
    ready_since: float | None = None
    """Since when the condition Ready is True; None if it is not."""
    states: tuple[ContainerState, ...] = ()
    """Of containers, init containers and ephemeral containers."""

    @property
    def live(self) -> bool:
        """Whether the Pod runs or is going to."""
        return not self.deleting and self.phase not in ("Succeeded", "Failed")


class JobState(msgspec.Struct, frozen=True, gc=False):
    """What only Jobs have."""

    active: int = 0
    succeeded: int = 0
    finished: bool = False
    suspended: bool = False
    manual_selector: bool = False
    recreated_from: str = ""
    """uid of the Job that Pawl made this one from (annotation pawl.dev/recreated-from)."""


class WorkloadRow(msgspec.Struct, frozen=True, gc=False):
    """A Deployment, StatefulSet, DaemonSet, ReplicaSet, Job or CronJob. `spec` is its template.

    `wanted` is the number of Pods that it wants (for a DaemonSet: desiredNumberScheduled), `updated`, `ready` and
    `total` what its status counts; `settled` says that its controller has seen the newest generation and all Pods are
    of the newest template.
    """

    kind: str
    namespace: str
    name: str
    uid: str
    version: str
    spec: PodSpec
    generation: int = 0
    observed: int = 0
    created: float = 0.0
    owners: tuple[Owner, ...] = ()
    wanted: int = 0
    updated: int = 0
    ready: int = 0
    total: int = 0
    paused: bool = False
    on_delete: bool = False
    partition: int = 0
    hook: bool = False
    """A hook of Helm or Argo CD; never made anew."""
    deleting: bool = False
    rollout: str = ""
    """Annotation pawl.dev/rollout of the template."""
    restart: str = ""
    """Annotation pawl.dev/restart of the template."""
    original: str = ""
    """Annotation pawl.dev/original of the object: JSON of what stood there before Pawl wrote."""
    job: JobState | None = None
    owned: tuple[str, ...] = ()
    """Names of containers that only manager `pawl` owns in the stored template: rests of containers renamed since."""
    reverter: str = ""
    """The field manager that wrote the template's images last, if it is not pawl."""

    @property
    def key(self) -> str:
        """How it is written in messages, plans and findings: `DaemonSet rook-ceph/discover`."""
        return f"{self.kind} {self.namespace}/{self.name}"

    @property
    def settled(self) -> bool:
        """Whether all its Pods are of the newest template, as far as partition and strategy let them."""
        due = self.wanted - self.partition if self.kind == "StatefulSet" else self.wanted
        return self.observed >= self.generation and self.updated >= due and self.total <= max(self.wanted, self.updated)


class NodeRow(msgspec.Struct, frozen=True, gc=False):
    """One node. `platform` is os/arch as the kubelet says it."""

    name: str
    platform: str
    labels: Labels = ()
    ready: bool = True


class NamespaceRow(msgspec.Struct, frozen=True, gc=False):
    """One namespace."""

    name: str
    labels: Labels = ()
    terminating: bool = False
    ignored: bool = False
    """The label pawl.dev/ignore is "true"."""


ROLLOUT: Final = "pawl.dev/rollout"
"""Template annotation: hash of the wanted images. A new value makes new Pods, an equal one changes nothing."""
RESTART: Final = "pawl.dev/restart"
"""Template annotation: hash of what a parent was restarted for."""
ORIGINAL: Final = "pawl.dev/original"
"""Object annotation: what the template said before Pawl wrote it."""
RECREATED_FROM: Final = "pawl.dev/recreated-from"
"""Job annotation: uid of the Job that this one stands for."""
ALLOW_COPY_TO: Final = "pawl.dev/allow-copy-to"
"""Secret annotation, set by its owner: names or globs of namespaces that may have a copy, with commas between."""
COPIED_FROM: Final = "pawl.dev/copied-from"
"""Secret annotation on a copy: namespace/name of the source."""
COPIED_FOR: Final = "pawl.dev/copied-for"
"""Secret annotation on a copy: the overrides that want it, with commas between."""
COPIES: Final = "pawl.dev/copies"
"""Annotation of an override: names that copies for it have or had, with commas between."""
IGNORE: Final = "pawl.dev/ignore"
"""Label of a namespace, Pod or template that Pawl leaves alone if it is "true"."""
FINALIZER: Final = "pawl.dev/restore"
"""Finalizer of overrides."""
MANAGER: Final = "pawl"
"""Field manager of everything that Pawl applies."""
SYSTEM_NAMESPACES: Final = frozenset({"kube-system", "kube-node-lease"})
"""Never rewritten, beside Pawl's own namespace."""

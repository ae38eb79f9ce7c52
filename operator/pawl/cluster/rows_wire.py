"""The fields that Pawl reads of the cluster's own objects, as the API server writes them; the rest is never decoded.

A list may be absent or null, and a number absent where it is 0 (Go's `omitempty`).
Neighbours: `rows` makes rows of these, `rows_wire_workloads` goes on. Not here: meaning.
"""

from __future__ import annotations

from datetime import datetime

import msgspec


class Wire(msgspec.Struct, rename="camel", gc=False):
    """Base: camelCase outside."""


class OwnerReference(Wire):
    """One owner."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool | None = None


class Meta(Wire):
    """Metadata without annotations, of which each kind reads others."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    labels: dict[str, str] | None = None
    owner_references: list[OwnerReference] | None = None


class PodAnnotations(Wire):
    """The one annotation of Pods that counts: the kubelet sets it on mirrors of static Pods."""

    mirror: str | None = msgspec.field(name="kubernetes.io/config.mirror", default=None)


class PodMeta(Meta):
    """Metadata of a Pod."""

    annotations: PodAnnotations | None = None


class Named(Wire):
    """An object of which the name is read, or only that it is there."""

    name: str = ""


class Container(Wire):
    """A container of any group."""

    name: str
    image: str = ""


class ImageVolume(Wire):
    """Source of an image volume."""

    reference: str = ""


class Volume(Wire):
    """A volume."""

    name: str
    image: ImageVolume | None = None


class Expression(Wire):
    """One comparison of a node selector."""

    key: str
    operator: str
    values: list[str] | None = None


class SelectorTerm(Wire):
    """Comparisons that hold together."""

    match_expressions: list[Expression] | None = None
    match_fields: list[Expression] | None = None


class NodeSelector(Wire):
    """Terms of which one must hold."""

    node_selector_terms: list[SelectorTerm] | None = None


class NodeAffinity(Wire):
    """Which nodes are required."""

    required: NodeSelector | None = msgspec.field(name="requiredDuringSchedulingIgnoredDuringExecution", default=None)


class Affinity(Wire):
    """The part of an affinity that is about nodes."""

    node_affinity: NodeAffinity | None = None


class WirePodSpec(Wire):
    """A Pod spec, of a Pod or of a template."""

    containers: list[Container] | None = None
    init_containers: list[Container] | None = None
    ephemeral_containers: list[Container] | None = None
    volumes: list[Volume] | None = None
    image_pull_secrets: list[Named] | None = None
    service_account_name: str = ""
    node_selector: dict[str, str] | None = None
    affinity: Affinity | None = None
    node_name: str = ""


class Waiting(Wire):
    """Why a container waits."""

    reason: str = ""


class StateOf(Wire):
    """`running` and `terminated` are looked at for their presence alone."""

    waiting: Waiting | None = None
    running: Named | None = None
    terminated: Named | None = None


class ContainerStatus(Wire):
    """What the kubelet says of a container."""

    name: str
    image_id: str = msgspec.field(name="imageID", default="")
    state: StateOf | None = None
    last_state: StateOf | None = None
    restart_count: int = 0


class Condition(Wire):
    """A condition of a Pod, Job or node."""

    type: str
    status: str
    last_transition_time: datetime | None = None


class PodStatus(Wire):
    """Status of a Pod."""

    phase: str = ""
    conditions: list[Condition] | None = None
    container_statuses: list[ContainerStatus] | None = None
    init_container_statuses: list[ContainerStatus] | None = None
    ephemeral_container_statuses: list[ContainerStatus] | None = None


class WirePod(Wire):
    """A Pod."""

    metadata: PodMeta
    spec: WirePodSpec
    status: PodStatus = msgspec.field(default_factory=PodStatus)


class NodeInfo(Wire):
    """What the kubelet says of its machine."""

    operating_system: str = ""
    architecture: str = ""


class NodeStatus(Wire):
    """Status of a node."""

    node_info: NodeInfo = msgspec.field(default_factory=NodeInfo)
    conditions: list[Condition] | None = None


class WireNode(Wire):
    """A node."""

    metadata: Meta
    status: NodeStatus = msgspec.field(default_factory=NodeStatus)


class WireNamespace(Wire):
    """A namespace."""

    metadata: Meta

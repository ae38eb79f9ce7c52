"""What the cluster runs, may run again, or is told to hold: listed once when a collection is planned or begun.

Pods and what their nodes say, templates of all workloads, the history that a rollback would go back to, selections and
histories of policies, and what overrides resolved. Nothing is watched for it and nothing kept.
Neighbours: `decide.registryuses` maps images to a registry, `registryplans` asks. Not here: what is kept.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec
import structlog

from pawl.api.errors import Forbidden, NotFound, Stalled
from pawl.api.imageoverride_spec import Target
from pawl.api.imagepolicy import ImagePolicy
from pawl.api.registrystorage import RegistryStorage
from pawl.api.registrywork import Use
from pawl.cluster.client import Cluster
from pawl.cluster.resources import (
    CRON_JOBS,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    PODS,
    REPLICA_SETS,
    REVISIONS,
    STATEFUL_SETS,
    Resource,
)
from pawl.controllers.overridestore import OverrideStore, label_of
from pawl.controllers.store import PolicyStore, read_policy
from pawl.decide.registryuses import Uses, hosts_of

LISTED: Final = (
    ("Pod", PODS),
    ("Deployment", DEPLOYMENTS),
    ("StatefulSet", STATEFUL_SETS),
    ("DaemonSet", DAEMON_SETS),
    ("CronJob", CRON_JOBS),
    ("Job", JOBS),
    ("ReplicaSet", REPLICA_SETS),
    ("ControllerRevision", REVISIONS),
)

log = structlog.get_logger(__name__)


class _Named(msgspec.Struct):
    name: str
    namespace: str = ""


class _Container(msgspec.Struct):
    image: str = ""


class _ImageVolume(msgspec.Struct):
    reference: str = ""


class _Volume(msgspec.Struct):
    image: _ImageVolume | None = None


class _PodSpec(msgspec.Struct, rename="camel"):
    containers: list[_Container] | None = None
    init_containers: list[_Container] | None = None
    ephemeral_containers: list[_Container] | None = None
    volumes: list[_Volume] | None = None

    def images(self) -> Iterator[str]:
        """Every image that it names."""
        for group in (self.containers, self.init_containers, self.ephemeral_containers):
            yield from (each.image for each in group or ())
        yield from (each.image.reference for each in self.volumes or () if each.image is not None)


class _Template(msgspec.Struct):
    spec: _PodSpec | None = None


class _JobSpec(msgspec.Struct):
    template: _Template | None = None


class _JobTemplate(msgspec.Struct):
    spec: _JobSpec | None = None


class _Spec(_PodSpec, rename="camel"):
    """Of a Pod, or of anything that makes Pods: what it is not has none of these."""

    template: _Template | None = None
    job_template: _JobTemplate | None = None

    def all_images(self) -> Iterator[str]:
        """Every image that it names, or that Pods of it will."""
        yield from self.images()
        job = self.job_template.spec if self.job_template is not None else None
        for template in (self.template, job.template if job is not None else None):
            if template is not None and template.spec is not None:
                yield from template.spec.images()


class _Data(msgspec.Struct):
    spec: _Spec | None = None


class _ContainerStatus(msgspec.Struct):
    image_id: str = msgspec.field(name="imageID", default="")


class _Status(msgspec.Struct, rename="camel"):
    container_statuses: list[_ContainerStatus] | None = None
    init_container_statuses: list[_ContainerStatus] | None = None
    ephemeral_container_statuses: list[_ContainerStatus] | None = None


class _Object(msgspec.Struct):
    metadata: _Named
    spec: _Spec | None = None
    data: _Data | None = None
    status: _Status | None = None


class _Page(msgspec.Struct):
    items: list[_Object] | None = None


_PAGE: Final = msgspec.json.Decoder(_Page)


@dataclass(frozen=True, slots=True)
class Seen:
    """What is used. `partial`: why something may be missing, in a sentence, or empty."""

    uses: tuple[Use, ...] = ()
    partial: str = ""


class UsesReader:
    """Lists. `namespaces`: only these are seen; empty means all."""

    def __init__(
        self,
        cluster: Cluster,
        policies: PolicyStore,
        overrides: OverrideStore,
        namespaces: Sequence[str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._cluster = cluster
        self._clock = clock
        self._policies = policies
        self._overrides = overrides
        self._namespaces = tuple(namespaces)

    @property
    def partial(self) -> bool:
        """Whether only some namespaces are seen."""
        return bool(self._namespaces)

    def now(self) -> datetime:
        """Return the time for which a plan is made."""
        return datetime.fromtimestamp(self._clock(), UTC)

    async def read(self, storage: RegistryStorage) -> Seen:
        """Return what uses images of a registry. Raises ClusterError where it could not be found out."""
        uses, partial = Uses(hosts_of(storage)), "only some namespaces are watched" if self._namespaces else ""
        partial = self._policies_of(uses) or self._overrides_of(uses) or partial
        for kind, resource in LISTED:
            for namespace in self._namespaces or (None,):
                try:
                    await self._list(uses, kind, resource, namespace)
                except (Forbidden, NotFound) as error:
                    log.warning("uses of images are not all seen", kind=kind, error=str(error))
                    partial = partial or str(error)
        return Seen(tuple(uses.all()), partial)

    async def _list(self, uses: Uses, kind: str, resource: Resource, namespace: str | None) -> None:
        async for page in self._cluster.list_pages(resource, namespace):
            for found in _PAGE.decode(page).items or ():
                _note(uses, kind, found)
            await asyncio.sleep(0)  # a page of Pods is decoded in one piece: others get a turn between two

    def _policies_of(self, uses: Uses) -> str:
        """Note what policies hold and held; say which cannot be read."""
        unread = ""
        for key in self._policies:
            row = self._policies.row(key)
            try:
                policy = read_policy(row.raw) if row is not None else None
            except Stalled as error:
                unread = f"{key}: {error.message}"
                continue
            if policy is not None:
                for point, by in _points(policy, str(key)):
                    uses.image(f"{policy.spec.image}:{point.rstrip('@')}", by)
        return unread

    def _overrides_of(self, uses: Uses) -> str:
        for override in self._overrides.readable():
            by = f"{override.kind} {label_of(override)}"
            for rule in override.spec.rules:
                uses.image(_named(rule.target), by)
            for resolved in override.status.resolved:
                uses.image(resolved.reference, by)
                for digest in (resolved.digest, *(each.digest for each in resolved.platforms)):
                    uses.digest(digest, by)
        unread = sorted(self._overrides.unreadable())
        return f"override {unread[0]} is not understood by this version of Pawl" if unread else ""


def _points(policy: ImagePolicy, by: str) -> Iterator[tuple[str, str]]:
    """Yield tag@digest of what a policy holds and held, and who says so."""
    held = policy.status.selection
    if held is not None:
        yield f"{held.tag}@{held.digest}", by
    for entry in policy.status.history:
        for point in (entry.from_, entry.to):
            if point:
                yield point, f"{by} (history)"


def _named(target: Target) -> str:
    """Return the one image that a rule names; empty for one that names a prefix."""
    if not (target.repository and (target.tag or target.digest)):
        return ""
    tag, digest = f":{target.tag}" if target.tag else "", f"@{target.digest}" if target.digest else ""
    return f"{target.repository}{tag}{digest}"


def _note(uses: Uses, kind: str, found: _Object) -> None:
    by = f"{kind} {found.metadata.namespace}/{found.metadata.name}"
    for spec in (found.spec, found.data.spec if found.data is not None else None):
        for image in spec.all_images() if spec is not None else ():
            uses.image(image, by)
    status = found.status or _Status()
    for group in (
        status.container_statuses,
        status.init_container_statuses,
        status.ephemeral_container_statuses,
    ):
        for each in group or ():
            uses.image_id(each.image_id, by)

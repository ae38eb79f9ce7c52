"""What a decision about running workloads asks to be done: one frozen type for each write, all of them idempotent.

The order in a decision is the order of the work. A writer that finds the object gone or changed (404, 409) does nothing
and lets the world be read again. Neighbours: `decide.stages` makes them, `cluster` writes. Not here: writing.
"""

from __future__ import annotations

import msgspec

from pawl.decide.objects import ImageAt, PodRow, WorkloadRow


class Restart(msgspec.Struct, frozen=True, tag=True):
    """Annotate the template of a parent with `pawl.dev/restart: value`. `hash` is the part that this override adds."""

    workload: WorkloadRow
    hash: str
    value: str


class Roll(msgspec.Struct, frozen=True, tag=True):
    """Annotate the template with `pawl.dev/rollout: hash`, and with `pawl.dev/restart: restart` if that is not empty.

    `restart` is set for a parent that is stale itself: its rollout is its restart, and one write says both.
    """

    workload: WorkloadRow
    hash: str
    restart: str = ""


class RewriteTemplate(msgspec.Struct, frozen=True, tag=True):
    """Write images and annotations into the stored template, in one write.

    `images` are all places that manager `pawl` is to hold, also those that are right already and those of other
    overrides: an apply with fewer gives the others up. `hash` is `""` for a CronJob, whose template gets images only.
    """

    workload: WorkloadRow
    images: tuple[ImageAt, ...]
    hash: str
    restart: str = ""


class DropZombies(msgspec.Struct, frozen=True, tag=True):
    """Drop the containers that only manager `pawl` owns: their owner renamed them after Pawl wrote."""

    workload: WorkloadRow
    names: tuple[str, ...]


class DeleteJob(msgspec.Struct, frozen=True, tag=True):
    """Delete a Job that never started; its owner makes it anew. Preconditions: uid and resourceVersion."""

    job: WorkloadRow


class RecreateJob(msgspec.Struct, frozen=True, tag=True):
    """Save a standalone Job that never started, delete it and make it again under its name."""

    job: WorkloadRow


class Evict(msgspec.Struct, frozen=True, tag=True):
    """Evict one Pod (never delete past its disruption budgets). `why` is a sentence."""

    pod: PodRow
    why: str


class RewriteField(msgspec.Struct, frozen=True, tag=True):
    """Rewrite the images at a path of one custom resource; `images` are pairs of what stands there and is wanted."""

    api_version: str
    kind: str
    namespace: str
    name: str
    path: str
    images: tuple[tuple[str, str], ...]

    @property
    def key(self) -> str:
        """How it is written in plans and findings."""
        return f"{self.kind} {self.namespace}/{self.name}"


class Prepull(msgspec.Struct, frozen=True, tag=True):
    """Pull one image onto one node, in a namespace, with the Secrets that its Pods will have."""

    node: str
    image: str
    namespace: str
    pull_secrets: tuple[str, ...] = ()
    account: str = "default"


Action = Restart | Roll | RewriteTemplate | DropZombies | DeleteJob | RecreateJob | Evict | RewriteField | Prepull
"""What is to be done next."""

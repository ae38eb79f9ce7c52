"""To whom an entry of a table applies: what a Pod belongs to, its labels, its owners.

Neighbours: `decide.selectors` compares labels, `decide.tables` asks before it applies an entry; the gate's CEL says
the same. Not here: images.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from pawl.api.imageoverride_spec import Requirement, WorkloadKind
from pawl.api.imagerules import Conditions
from pawl.decide.objects import ImageAt, Labels, Owner
from pawl.decide.patterns import Pattern, compile_pattern
from pawl.decide.selectors import holds

CRON_NAME: Final = re.compile(r"-[0-9]{8,}$")
"""How a CronJob names its Jobs: its own name and the minutes since the epoch."""

_KINDS: Final = {
    ("apps", "ReplicaSet"): WorkloadKind.DEPLOYMENT,
    ("apps", "Deployment"): WorkloadKind.DEPLOYMENT,
    ("apps", "StatefulSet"): WorkloadKind.STATEFUL_SET,
    ("apps", "DaemonSet"): WorkloadKind.DAEMON_SET,
    ("batch", "CronJob"): WorkloadKind.CRON_JOB,
}


class Subject(msgspec.Struct, frozen=True):
    """A Pod, or the Pods of a template. CRON_JOB is a Job too; `owner_uids` are those of all ownerReferences."""

    kind: WorkloadKind
    labels: Mapping[str, str]
    owner_uids: frozenset[str] = frozenset()


class Guard(msgspec.Struct, frozen=True):
    """The conditions of an entry, compiled. None holds always."""

    containers: Pattern | None
    kinds: frozenset[WorkloadKind] | None
    labels: tuple[Requirement, ...]

    @classmethod
    def of(cls, conditions: Conditions) -> Guard:
        """Compile conditions. Raises Stalled(InvalidPattern) for a pattern that RE2 does not take."""
        pattern = None if conditions.containers is None else compile_pattern(conditions.containers, capture=False)
        return cls(pattern, _kinds(conditions.kinds), tuple(conditions.labels or ()))

    @property
    def always(self) -> bool:
        """Whether it holds for every image of every Pod."""
        return self.containers is None and self.kinds is None and not self.labels

    def holds(self, subject: Subject, place: ImageAt) -> bool:
        """Tell whether the entry applies to this image of this Pod."""
        if self.kinds is not None and subject.kind not in self.kinds:
            return False
        if self.containers is not None and not self._names(place):
            return False
        return all(holds(requirement, subject.labels) for requirement in self.labels)

    def _names(self, place: ImageAt) -> bool:
        pattern = self.containers
        return place.group != "volumes" and pattern is not None and pattern.is_whole(place.name.encode())


def subject_of(owners: Sequence[Owner], labels: Mapping[str, str] | Labels) -> Subject:
    """Tell what a Pod belongs to: its controller decides, and only kinds of the groups apps and batch count."""
    controller = next((owner for owner in owners if owner.controller), None)
    kind = WorkloadKind.POD if controller is None else kind_of(controller.api_version, controller.kind, controller.name)
    return Subject(kind, dict(labels), frozenset(owner.uid for owner in owners))


def kind_of(api_version: str, kind: str, name: str) -> WorkloadKind:
    """Tell what Pods of an object of this kind and name belong to. POD stands for everything else."""
    group = api_version.partition("/")[0]
    if (group, kind) == ("batch", "Job"):
        return WorkloadKind.CRON_JOB if CRON_NAME.search(name) else WorkloadKind.JOB
    return _KINDS.get((group, kind), WorkloadKind.POD)


def _kinds(kinds: Sequence[WorkloadKind] | None) -> frozenset[WorkloadKind] | None:
    if kinds is None:
        return None
    also = {WorkloadKind.CRON_JOB} if WorkloadKind.JOB in kinds else set()
    return frozenset(kinds) | also

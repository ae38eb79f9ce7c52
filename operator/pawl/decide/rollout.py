"""Facts and decisions about what runs already under one override: the types that gathering, deciding and acting share.

`decide.assess` makes one `Assessment` a workload from the world (no clock in it: callers keep it while the world, the
table and what is resolved stay the same); `decide.stages` makes a `RolloutDecision` from `RolloutFacts` and now.
Times are seconds since the epoch. Neighbours: `decide.rollout_actions` holds the actions. Not here: judging.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from pawl.api.imageoverride import OverrideSpec, Plan, Verdict, WorkloadCounts
from pawl.api.reasons import ConditionType
from pawl.decide.digests import Ask
from pawl.decide.objects import ImageAt, NodeRow, PodRow, WorkloadRow
from pawl.decide.rollout_actions import Action, RewriteField
from pawl.decide.wanted import WantedImage


class ContainerVerdict(msgspec.Struct, frozen=True, gc=False):
    """What is known of one image of one Pod. `reason` is a word of `api.reasons`, `message` one line."""

    pod: str
    container: str
    verdict: Verdict
    reason: str
    message: str = ""


class StuckPod(msgspec.Struct, frozen=True):
    """A live Pod with a container that waits for something that does not come by itself.

    `waiting` is the kubelet's word; `new`: its images are the wanted ones; `secretless`: it lacks a pull Secret that
    the gate would add now; `started`: it has begun its work (`decide.assess.worked`).
    """

    pod: PodRow
    container: str
    waiting: str
    new: bool
    secretless: bool
    started: bool


class PodState(msgspec.Struct, frozen=True):
    """What is known of one live Pod. `held`: its workload keeps it as it is (`held_by` is the reason)."""

    pod: PodRow
    stale: bool
    verdicts: tuple[ContainerVerdict, ...] = ()
    stuck: StuckPod | None = None
    held_by: str = ""
    outdated: bool = False
    """It differs only at places that its maker or a template can mend: the gate does not know its images as sources."""

    @property
    def held(self) -> bool:
        """Whether nothing is to be expected of this Pod."""
        return bool(self.held_by)


class Assessment(msgspec.Struct, frozen=True):
    """What one workload, or one bare Pod, is under one override.

    `wanted` holds the places that a rule of the override decides, `images` all places of its template after rewriting,
    and `hash` is theirs. `stored` are the places that Pawl is to hold in the stored template, for all overrides that
    write templates: an apply with fewer would give up the others. `notes` tell of places that a rule matched and left
    alone, as verdicts of no Pod.
    """

    row: WorkloadRow | PodRow
    wanted: tuple[WantedImage, ...] = ()
    images: tuple[ImageAt, ...] = ()
    stored: tuple[ImageAt, ...] = ()
    hash: str = ""
    pods: tuple[PodState, ...] = ()
    asks: tuple[Ask, ...] = ()
    notes: tuple[ContainerVerdict, ...] = ()
    started: bool = False
    """For a Job: one of its containers ever ran, or a Pod of it succeeded."""
    mine: bool = False
    """Pawl wrote its stored template (annotation pawl.dev/original), so that outdated places are mended too."""

    @property
    def key(self) -> str:
        """How it is written in messages, plans and findings."""
        row = self.row
        return row.key if isinstance(row, WorkloadRow) else f"Pod {row.namespace}/{row.name}"

    @property
    def matched(self) -> bool:
        """Whether a rule of the override matches an image of its template, or one that a Pod has besides."""
        return bool(self.wanted or self.notes or self.pods)

    @property
    def drift(self) -> tuple[ImageAt, ...]:
        """The places of the stored template that the override would write otherwise."""
        written = (place for place in self.wanted if place.written != place.wanted)
        return tuple(ImageAt(p.group, p.name, p.wanted) for p in written if self.mine or not p.outdated)

    @property
    def stale(self) -> tuple[PodRow, ...]:
        """Its live Pods whose images are not the wanted ones and that are not held."""
        return tuple(state.pod for state in self.pods if state.stale and not state.held)

    @property
    def stuck(self) -> tuple[StuckPod, ...]:
        """Its live Pods that wait in vain."""
        return tuple(state.stuck for state in self.pods if state.stuck is not None)

    @property
    def rolling(self) -> bool:
        """Whether its controller is still replacing Pods."""
        return isinstance(self.row, WorkloadRow) and not self.row.settled


class Gate(msgspec.Struct, frozen=True):
    """Whether the table of this override is in force: a dry-run Pod came back rewritten.

    `since`: when the table last changed, by the world and not by memory (its object's time of last write): a Pod made
    before it may have passed a gate that knew less. `reason` and `message` say why not: GateMissing, GateNotRewriting.
    """

    in_force: bool
    since: float = 0.0
    reason: str = ""
    message: str = ""


class PullState(StrEnum):
    """How far one prepull is."""

    PULLING = "Pulling"
    PODLESS = "Podless"
    """Its Job has no Pod: it is new, or something of the namespace refuses the Pod."""
    DONE = "Done"
    FAILED = "Failed"


class Pulls(msgspec.Struct, frozen=True):
    """Prepulls that exist, by (node, image), and how many may run at once."""

    states: Mapping[tuple[str, str], PullState] = {}
    parallel: int = 4


class RolloutFacts(msgspec.Struct, frozen=True):
    """All that is known for one decision.

    `override` is the key as in tables (`name`, or `namespace/name`). `assessments`: every workload and bare Pod of its
    namespaces, Jobs of CronJobs as Jobs. `parents`: uid of a workload or bare Pod to the workloads above it;
    `explicit`: the workloads of spec.enforcement.parents; `parent_pods`: live Pods of each of both, by uid. `fields`:
    what differs in custom resources. `contested`: uids (workloads, owners of Pods) that Pawl stepped back from,
    `churned` those among them whose Pods are not rewritten any more.
    `begun`: uid to when this process first saw the workload with its present hash in the annotation; a crash forgets
    it, which only lengthens a deadline. `blocked`: uid to (reason, message) of workloads that must wait for something
    outside, such as preflight. `sees_nodes`: whether nodes may be listed; if not, that there are none says nothing.
    """

    override: str
    uid: str
    spec: OverrideSpec
    assessments: tuple[Assessment, ...]
    gate: Gate
    parents: Mapping[str, tuple[WorkloadRow, ...]] = {}
    explicit: tuple[WorkloadRow, ...] = ()
    parent_pods: Mapping[str, tuple[PodRow, ...]] = {}
    fields: tuple[RewriteField, ...] = ()
    contested: frozenset[str] = frozenset()
    churned: frozenset[str] = frozenset()
    begun: Mapping[str, float] = {}
    blocked: Mapping[str, tuple[str, str]] = {}
    nodes: tuple[NodeRow, ...] = ()
    sees_nodes: bool = True
    pulls: Pulls = Pulls()


class Stage(StrEnum):
    """What a rollout is at."""

    GATE = "Gate"
    SUSPENDED = "Suspended"
    ADMISSION_ONLY = "AdmissionOnly"
    APPROVAL = "Approval"
    PAUSED = "Paused"
    WINDOW = "Window"
    INVALID = "Invalid"
    PREPULL = "Prepull"
    PARENTS = "Parents"
    CHILDREN = "Children"
    FAILED = "Failed"
    PODS = "Pods"
    JOBS = "Jobs"
    FIELDS = "Fields"
    VERIFY = "Verify"
    DONE = "Done"


class Spotted(msgspec.Struct, frozen=True, order=True):
    """One thing that needs eyes, before it gets its `since` (`decide.overridefindings`)."""

    kind: str
    namespace: str
    name: str
    verdict: Verdict
    reason: str
    message: str = ""
    pod: str = ""
    container: str = ""


class Said(msgspec.Struct, frozen=True):
    """One condition, before it gets its time."""

    type: ConditionType
    status: str
    reason: str
    message: str


class RolloutDecision(msgspec.Struct, frozen=True):
    """What to do now, what is known, and when to look again.

    `wait`: seconds after which time alone may change the decision; None: only a change of the world does. `conditions`:
    RolledOut, Verified, Contested, Paused, Prepulled as far as they say something. `invalid`: why the spec cannot be
    carried out (reason and message), or None.
    """

    stage: Stage
    actions: tuple[Action, ...] = ()
    plan: Plan | None = None
    batch: str = ""
    counts: WorkloadCounts = WorkloadCounts()
    spotted: tuple[Spotted, ...] = ()
    conditions: tuple[Said, ...] = ()
    wait: float | None = None
    invalid: tuple[str, str] | None = None

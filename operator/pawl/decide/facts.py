"""The facts that one decision about an ImagePolicy rests on, gathered beforehand, frozen.

Neighbours: `controllers.gather` fills them; `decide.moves` and `decide.findings` read them.
None means "not known this time", which is never the same as "no": negative facts never act.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pawl.api.errors import Outcome
from pawl.api.imagepolicy import ImagePolicySpec, ImagePolicyStatus, Selection
from pawl.decide.memory import Memory
from pawl.decide.shortlist import Candidate, Rules


@dataclass(frozen=True, slots=True)
class Subject:
    """The resource as read: what is wanted, what was reported, who asks and when."""

    spec: ImagePolicySpec
    status: ImagePolicyStatus
    generation: int
    memory: Memory
    now: datetime
    who: str = ""
    requested_at: str | None = None


@dataclass(frozen=True, slots=True)
class Lookup:
    """What the registry answered for one tag or digest. `lacking` names wanted platforms that the image has not."""

    found: bool
    digest: str = ""
    lacking: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scan:
    """One answer to the question for all tags. `confirmed`: the scan before saw the same list."""

    revision: str
    tags: int
    complete: bool
    candidates: tuple[Candidate, ...]
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Selected:
    """What was found out about the selection held: tag listed, what the tag points at, digest still served."""

    listed: bool | None = None
    tag_now: Lookup | None = None
    served: bool | None = None


@dataclass(frozen=True, slots=True)
class LiveImage:
    """An image of this repository that a Pod of the namespace runs."""

    tag: str
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a decision may look at."""

    subject: Subject
    rules: Rules
    scan: Scan | None = None
    failure: Outcome | None = None
    selected: Selected = field(default_factory=Selected)
    lookups: Mapping[str, Lookup] = field(default_factory=dict)
    live: tuple[LiveImage, ...] = ()

    @property
    def spec(self) -> ImagePolicySpec:
        """The wish."""
        return self.subject.spec

    @property
    def memory(self) -> Memory:
        """The joined memory."""
        return self.subject.memory

    @property
    def selection(self) -> Selection | None:
        """The selection held now, from the joined memory."""
        return self.subject.memory.selection

    @property
    def blocked(self) -> frozenset[str]:
        """Tags that are never chosen: by the spec and by accepted rollbacks."""
        return frozenset(self.spec.blocked) | frozenset(self.memory.blocked)

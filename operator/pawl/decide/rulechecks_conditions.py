"""When two rules may hold for one image: container globs, kinds, labels and namespaces compared with each other.

Neighbours: `decide.rulechecks_comparisons` asks, keeps and counts. Not here: whether a rule holds for one Pod
(`decide.subjects`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pawl.api.imageoverride_spec import Requirement, WorkloadKind
from pawl.decide.patterns import compile_pattern


@dataclass(frozen=True, slots=True)
class Terms:
    """The conditions of a rule. `globs` None is any container, and image volumes; `kinds` None is any kind."""

    globs: tuple[str, ...] | None = None
    kinds: frozenset[WorkloadKind] | None = None
    labels: tuple[Requirement, ...] = ()
    where: tuple[Requirement, ...] = ()

    @classmethod
    def of(
        cls,
        kinds: Sequence[WorkloadKind],
        labels: tuple[Requirement, ...] = (),
        where: tuple[Requirement, ...] = (),
    ) -> Terms:
        """Make terms for any container; a rule for Jobs holds for those of CronJobs too, and no kinds are all kinds."""
        also = {WorkloadKind.CRON_JOB} if WorkloadKind.JOB in kinds else set()
        return cls(None, frozenset(kinds) | also if kinds else None, labels, where)

    @property
    def always(self) -> bool:
        """Whether the rule holds for every image where its override holds."""
        return self.globs is None and self.kinds is None and not self.labels


def kinds_meet(one: Terms, other: Terms) -> bool:
    """Tell whether some kind of workload is under both."""
    return one.kinds is None or other.kinds is None or not one.kinds.isdisjoint(other.kinds)


def common_kinds(one: Terms, other: Terms) -> frozenset[WorkloadKind]:
    """Return the kinds of workloads that are under both."""
    kinds = frozenset(WorkloadKind)
    for terms in (one, other):
        kinds &= terms.kinds if terms.kinds is not None else kinds
    return kinds


def globs_meet(one: tuple[str, ...] | None, other: tuple[str, ...] | None) -> bool:
    """Tell whether some container has a name under both; None is every name."""
    if one is None or other is None or not set(one).isdisjoint(other):
        return True
    return any(globs_overlap(left, right) for left in one for right in other)


def glob_pattern(globs: Iterable[str]) -> str:
    """Write globs as one RE2 pattern for a whole name."""
    return f"^(?:{'|'.join(_glob(glob) for glob in globs)})$"


def compile_globs(globs: Sequence[str] | None) -> None:
    """See whether RE2 takes the pattern of these globs. Raises Stalled(InvalidPattern)."""
    if globs:
        compile_pattern(glob_pattern(globs), capture=False)


def globs_overlap(one: str, other: str) -> bool:
    """Tell whether two globs (`*` any text, `?` one character) match a common text: both are walked side by side."""
    waiting, seen = [(0, 0)], {(0, 0)}
    while waiting:
        left, right = waiting.pop()
        if (left, right) == (len(one), len(other)):
            return True
        for step in _steps(one[left : left + 1], other[right : right + 1]):
            state = (left + step[0], right + step[1])
            if state not in seen:
                seen.add(state)
                waiting.append(state)
    return False


def _steps(one: str, other: str) -> list[tuple[int, int]]:
    if one == "*" or other == "*":
        moves = [(1, 0)] if one == "*" else []
        moves += [(0, 1)] if other == "*" else []
        # A star takes one character of the other side and stays.
        moves += [(0, 1)] if one == "*" and other else []
        return moves + ([(1, 0)] if other == "*" and one else [])
    same = one and other and (one == other or "?" in (one, other))
    return [(1, 1)] if same else []


def _glob(glob: str) -> str:
    return "".join({"*": ".*", "?": "."}.get(sign, sign) for sign in glob)

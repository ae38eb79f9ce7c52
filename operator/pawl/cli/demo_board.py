"""How far each workload of a namespace is, from its Pods alone: what they name, and what they run by imageID. Pure.

It takes nobody's word: not that of the override's status, with which the demo compares it in the end.
Neighbours: `demo_rook_stage` asks the API server for the objects, `demo_screen_board` shows the rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pawl.cli.demo_rook_objects import Json

GROUPS: Final = ("initContainers", "containers")
STATES: Final = ("initContainerStatuses", "containerStatuses")
IN_VAIN: Final = frozenset({"ErrImagePull", "ImagePullBackOff"})
"""Why a container waits that will not come up by itself."""


class State(StrEnum):
    """How far a workload is; the first two only while nothing is wanted yet."""

    STARTS = "starts"
    RUNS = "runs"
    STUCK = "stuck"
    """A Pod waits in vain for an old image."""
    STALE = "stale"
    ROLLING = "rolling"
    VERIFIED = "verified"
    """Every Pod names a wanted image in all containers, and what it runs has the digest of that name."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A row: `good` of `pods` Pods are proved, or up while nothing is wanted.

    `image` is the one that needs eyes, or else the main one.
    """

    name: str
    image: str
    state: State
    good: int
    pods: int

    @property
    def proved(self) -> str:
        """The Pods as they are shown."""
        return f"{self.good}/{self.pods}"


@dataclass(frozen=True, slots=True)
class Family:
    """A workload or bare Pod with the Pods that belong to it. `due` is how many there should be.

    `written` says that Pawl wrote to its template.
    """

    name: str
    pods: Sequence[Json]
    due: int = 1
    written: bool = False


def rows(families: Iterable[Family], wanted: Collection[str] = ()) -> list[Workload]:
    """Judge each family against the images that may run; where none are named, say what runs."""
    return [_row(family, wanted) for family in families]


def _row(family: Family, wanted: Collection[str]) -> Workload:
    staying = [pod for pod in family.pods if "deletionTimestamp" not in pod["metadata"]]
    good = sum(is_proved(pod, wanted) if wanted else is_up(pod) for pod in staying)
    whole = good == len(family.pods) == family.due
    state = _state(family, staying, wanted) if wanted else _plain_state(staying)
    done = State.VERIFIED if wanted else State.RUNS
    return Workload(family.name, _image(staying, wanted), done if whole else state, good, family.due)


def _plain_state(staying: Sequence[Json]) -> State:
    return State.STUCK if any(is_stuck(pod) for pod in staying) else State.STARTS


def _state(family: Family, staying: Sequence[Json], wanted: Collection[str]) -> State:
    old = [pod for pod in staying if not _names_wanted(pod, wanted)]
    if family.written or len(old) < len(staying) or not staying:
        return State.ROLLING
    return State.STUCK if any(is_stuck(pod) for pod in old) else State.STALE


def _image(pods: Sequence[Json], wanted: Collection[str]) -> str:
    """Take one that is waited for in vain, or else one that is not wanted, or else that of the main container."""
    waited = [image for pod in pods for image in _waited_for(pod)]
    named = [image for pod in pods for image in images(pod)]
    old = [image for image in named if wanted and image not in wanted]
    return next(iter((*waited, *old, *reversed(named))), "")


def images(pod: Json) -> list[str]:
    """The images that a Pod names, those of init containers first."""
    return [str(each["image"]) for each in _containers(pod)]


def _containers(pod: Json) -> list[Json]:
    return [each for group in GROUPS for each in pod["spec"].get(group, [])]


def _names_wanted(pod: Json, wanted: Collection[str]) -> bool:
    return all(image in wanted for image in images(pod))


def is_proved(pod: Json, wanted: Collection[str]) -> bool:
    """Whether a Pod names wanted images only, came up, and every imageID has the digest of its name."""
    status = pod.get("status", {})
    ran = {each["name"]: str(each.get("imageID", "")) for group in STATES for each in status.get(group, [])}
    named = {each["name"]: str(each["image"]) for each in _containers(pod)}
    same = all(ran.get(name, "").endswith(image.partition("@")[2] or " ") for name, image in named.items())
    return same and _names_wanted(pod, wanted) and is_up(pod)


def is_up(pod: Json) -> bool:
    """Whether a Pod is Ready, or has done its work."""
    status = pod.get("status", {})
    conditions = {each["type"]: each["status"] for each in status.get("conditions", [])}
    return status.get("phase") == "Succeeded" or conditions.get("Ready") == "True"


def is_stuck(pod: Json) -> bool:
    """Whether a container of a Pod waits for its image in vain."""
    return bool(_waited_for(pod))


def _waited_for(pod: Json) -> list[str]:
    states = (each for group in STATES for each in pod.get("status", {}).get(group, []))
    waiting = {each["name"]: each.get("state", {}).get("waiting", {}).get("reason") for each in states}
    return [str(each["image"]) for each in _containers(pod) if waiting.get(each["name"]) in IN_VAIN]


def short(image: str) -> str:
    """An image as people read it: of a digest only its beginning."""
    name, at, digest = image.partition("@")
    return f"{name}@{digest[:15]}…" if at else name

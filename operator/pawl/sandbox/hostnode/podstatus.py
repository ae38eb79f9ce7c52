"""What a Pod's status says, from the states of its containers. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pawl.sandbox.hostnode.objects import stamp

Json = dict[str, Any]

OURS = ("Initialized", "Ready", "ContainersReady", "PodReadyToStartContainers")


@dataclass
class Seen:
    """What is known of one container."""

    name: str
    image: str
    image_id: str = ""
    restarts: int = 0
    ready: bool = False
    started: bool = False
    pid: int = 0
    state: Json = field(default_factory=lambda: waiting("PodInitializing"))
    last: Json = field(default_factory=dict)

    @property
    def exit_code(self) -> int | None:
        """Exit code of a container that has ended; None otherwise."""
        ended = self.state.get("terminated")
        return ended["exitCode"] if ended else None


def waiting(reason: str, message: str = "") -> Json:
    """A container that does not run yet."""
    return {"waiting": {"reason": reason, **({"message": message} if message else {})}}


def running(now: datetime) -> Json:
    """A container that runs."""
    return {"running": {"startedAt": stamp(now)}}


def terminated(code: int, reason: str, message: str, started: datetime, now: datetime) -> Json:
    """A container that has ended."""
    said = {"message": message} if message else {}
    times = {"startedAt": stamp(started), "finishedAt": stamp(now)}
    return {"terminated": {"exitCode": code, "reason": reason, **said, **times}}


@dataclass(frozen=True)
class Told:
    """What a status is made of beside the containers."""

    address: str
    now: datetime
    started: datetime
    ending: bool
    policy: str
    init: Sequence[Seen]
    main: Sequence[Seen]


def status(told: Told, before: Json) -> Json:
    """The status; conditions of others in `before` are kept, times of equal conditions too."""
    initialized = all(seen.exit_code == 0 for seen in told.init)
    ready = bool(told.main) and not told.ending and all(seen.ready for seen in told.main)
    said = {
        "PodReadyToStartContainers": True,
        "Initialized": initialized,
        "ContainersReady": ready,
        "Ready": ready,
    }
    old = {each["type"]: each for each in before.get("conditions") or ()}
    kept = [each for kind, each in old.items() if kind not in OURS]
    return {
        "phase": phase(told),
        "hostIP": "127.0.0.1",
        "hostIPs": [{"ip": "127.0.0.1"}],
        "podIP": told.address,
        "podIPs": [{"ip": told.address}],
        "startTime": stamp(told.started),
        "conditions": [
            *kept,
            *(_condition(kind, told.now, holds=holds, old=old.get(kind)) for kind, holds in said.items()),
        ],
        "initContainerStatuses": [_container(seen) for seen in told.init],
        "containerStatuses": [_container(seen) for seen in told.main],
    }


def phase(told: Told) -> str:
    """The Pod's phase. A container that is between two runs has not ended."""
    if any(seen.exit_code not in {0, None} for seen in told.init) and told.policy == "Never":
        return "Failed"
    codes = [seen.exit_code for seen in told.main]
    if codes and all(code is not None for code in codes):
        return "Succeeded" if not any(codes) else "Failed"
    begun = any("running" in seen.state or seen.restarts or seen.exit_code is not None for seen in told.main)
    return "Running" if begun else "Pending"


def _condition(kind: str, now: datetime, *, holds: bool, old: Json | None) -> Json:
    value = "True" if holds else "False"
    if old and old["status"] == value:
        return old
    return {"type": kind, "status": value, "lastTransitionTime": stamp(now)}


def _container(seen: Seen) -> Json:
    return {
        "name": seen.name,
        "image": seen.image,
        "imageID": seen.image_id,
        "restartCount": seen.restarts,
        "ready": seen.ready,
        "started": seen.started,
        "state": seen.state,
        "lastState": seen.last,
        **({"containerID": f"host://{seen.pid}"} if seen.pid else {}),
    }

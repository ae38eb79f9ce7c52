"""When a registry's connectivity is proved anew, and what the proofs say as conditions. Pure.

A probe logs in and pushes a small image from a Pod, then a Pod on another node pulls it: after every change of how the
registry is reached, once a day, and again a while after a failure. All that is remembered is the Jobs themselves.
Neighbours: `controllers.registryproofs` runs them, `jobs.probe` proves. Not here: whether the server runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Literal

from pawl.api.meta import Condition
from pawl.api.reasons import ConditionType, Reason
from pawl.api.registrystorage import RegistryStorage
from pawl.api.registrywork import Report
from pawl.decide.access import AccessFacts
from pawl.decide.registryview import cut, pod_trouble

Json = Mapping[str, Any]
Truth = Literal["True", "False", "Unknown"]

DAY: Final = 86400
AGAIN: Final = 600
"""Seconds after a failed proof until the next; twice as long after each further one of the same day."""
DOUBLINGS: Final = 6
PATIENCE: Final = 120
"""Seconds for a Pod that pulls to find a node."""
TRIES: Final = 30
"""Seconds in which a kubelet may try a pull again: a node is told whom to trust at the same time, or a moment later."""
PULL_FAILS: Final = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "RegistryUnavailable"})
STARTED: Final = frozenset({"StartError", "ContainerCannotRun", "RunContainerError", "CreateContainerError"})
"""What becomes of a container without a program once its image is there."""
STEPS: Final = MappingProxyType(
    {
        "DNS": ConditionType.NAME_RESOLVED,
        "TCP": ConditionType.REACHABLE,
        "TLS": ConditionType.TRUSTED,
        "API": ConditionType.API_ANSWERS,
        "Auth": ConditionType.AUTHENTICATED,
        "Push": ConditionType.PUSH_PROVED,
    }
)
PROOFS: Final = (*STEPS.values(), ConditionType.PULL_PROVED)


@dataclass(frozen=True, slots=True)
class Said:
    """One condition before it has a time."""

    type: ConditionType
    status: Truth
    reason: Reason
    message: str


def fingerprint(storage: RegistryStorage, access: AccessFacts) -> str:
    """Return what changes with the way by which a registry is reached."""
    parts = (storage.spec.access.model_dump_json(), access.address, access.ca, access.users_secret, access.server_name)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]


def probe_order(seen: str, uid: str, now: datetime, last: str, *, failed_since: datetime | None) -> str:
    """Return the order of the probe that must have been run by now; the same as `last` where none is due.

    `last` is that of the newest probe, `failed_since` when it ended without success.
    """
    spread = int(hashlib.sha256(uid.encode()).hexdigest()[:8], 16) % DAY
    day = (int(now.timestamp()) + spread) // DAY
    first = f"probe/{seen}/{day}/0"
    if last.rpartition("/")[0] != first.rpartition("/")[0]:
        return first
    head, _, count = last.rpartition("/")
    tries = int(count) if count.isdecimal() else 0
    if failed_since is not None and (now - failed_since).total_seconds() >= AGAIN << min(tries, DOUBLINGS):
        return f"{head}/{tries + 1}"
    return last


def passed(report: Report) -> bool:
    """Whether all that a probe tried went well."""
    return bool(report.steps) and all(step.ok for step in report.steps)


def of_probe(report: Report) -> list[Said]:
    """Return what a probe proved."""
    found = []
    for step in report.steps:
        kind = STEPS.get(step.name)
        if kind is None:
            continue
        if step.ok:
            found.append(Said(kind, "True", Reason.PROVED, cut(step.message)))
        elif step.message == NOT_TRIED:
            found.append(Said(kind, "Unknown", Reason.NOT_PROVED, "not tried: an earlier proof failed"))
        else:
            found.append(Said(kind, "False", Reason.NOT_PROVED, cut(step.message)))
    return found


NOT_TRIED: Final = "not tried"


def of_pull(pods: Sequence[Json], now: datetime, since: datetime, *, alone: bool) -> Said | None:
    """Return what the Pod that pulls proved, None while it is not known. `alone`: there is no other node."""
    for pod in pods:
        for state in (pod.get("status") or {}).get("containerStatuses") or ():
            waiting = (state.get("state") or {}).get("waiting") or {}
            if waiting.get("reason") in PULL_FAILS:
                if (now - since).total_seconds() < TRIES:
                    return None
                return _pull("False", Reason.NOT_PROVED, f"{cut(waiting.get('message') or waiting['reason'])}: {WAY}")
            if state.get("imageID") or _came(state.get("state") or {}):
                node = (pod.get("spec") or {}).get("nodeName", "")
                if alone:
                    text = f"node {node} pulled what was pushed; there is no other node, or none that may be seen"
                    return _pull("True", Reason.SINGLE_NODE, text)
                return _pull("True", Reason.PROVED, f"node {node}, which is not the server's, pulled what was pushed")
    if (now - since).total_seconds() < PATIENCE:
        return None
    trouble = next((text for pod in pods if (text := pod_trouble(pod))), "no Pod was made; see the events of its Job")
    return _pull("Unknown", Reason.NOT_PROVED, f"the pull could not be tried: {trouble}")


def _came(state: Json) -> bool:
    """Whether a container got as far as being started: a Pod that was ended before proves nothing."""
    return any((state.get(kind) or {}).get("reason") in STARTED for kind in ("waiting", "terminated"))


WAY: Final = (
    "see that nodes resolve the host (spec.access.host), trust its certificate (spec.access.nodeTrust, or the "
    "authority on each node) and have the credentials (spec.access.pullSecrets)"
)


def written(said: Iterable[Said], before: Iterable[Condition], generation: int, now: datetime) -> list[Condition]:
    """Return conditions with their times; what is not said now keeps its last word."""
    known = {one.type: one for one in before if one.type in _TYPES}
    for each in said:
        old = known.get(each.type)
        same = old is not None and old.status == each.status
        known[each.type] = Condition(
            type=each.type.value,
            status=each.status,
            observed_generation=generation,
            last_transition_time=old.last_transition_time if old and same else now.replace(microsecond=0),
            reason=each.reason.value,
            message=each.message[:1024],
        )
    return [known[kind] for kind in _TYPES if kind in known]


_TYPES: Final = tuple(kind.value for kind in PROOFS)


def _pull(status: Truth, reason: Reason, message: str) -> Said:
    return Said(ConditionType.PULL_PROVED, status, reason, message)

"""Judges any status of an ImagePolicy from the outside: kstatus, the contract's conditions, and what must agree.

Written from the contract and not from the code, so that the two can be compared. Neighbours: `operators` passes every
status that a test looks at through here. Not here: transitions from one status to the next (`ratchet.allowed`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from pawl.api.reasons import ConditionType, Reason

Json = dict[str, Any]

KSTATUS = ("Ready", "Reconciling", "Stalled")
MAY_BE_FALSE = frozenset({"Ready", "ScanComplete"})


def condition(policy: Json, kind: str) -> Json | None:
    """The condition of this type, or None."""
    found = [one for one in policy.get("status", {}).get("conditions", []) if one["type"] == kind]
    return found[0] if found else None


def says(policy: Json, kind: str) -> tuple[str, str] | None:
    """Status and reason of a condition, or None."""
    found = condition(policy, kind)
    return (found["status"], found["reason"]) if found else None


def true_types(policy: Json) -> set[str]:
    """The conditions that are True."""
    return {one["type"] for one in policy.get("status", {}).get("conditions", []) if one["status"] == "True"}


def incoherent(policy: Json) -> list[str]:
    """Everything that is wrong with a status; empty for a good one."""
    status = policy.get("status", {})
    if status.get("observedGeneration", -1) == -1:
        return [] if not status.get("conditions") else ["conditions before the first look"]
    return [fault for rule in RULES for fault in rule(policy, status)]


def _forms(_policy: Json, status: Json) -> Iterator[str]:
    kinds = [one["type"] for one in status["conditions"]]
    if len(set(kinds)) != len(kinds):
        yield f"a type stands twice: {kinds}"
    for one in status["conditions"]:
        if one["type"] not in set(ConditionType):
            yield f"unknown condition type {one['type']}"
        if one["reason"] not in set(Reason):
            yield f"{one['type']}: unknown reason {one['reason']}"
        if one["status"] not in ({"True", "False"} if one["type"] in MAY_BE_FALSE else {"True"}):
            yield f"{one['type']} stands while it is {one['status']}"
        if not one["message"] or "\n" in one["message"] or len(one["message"]) > 1024:
            yield f"{one['type']}: the message is no single line: {one['message']!r}"
        datetime.strptime(one["lastTransitionTime"], "%Y-%m-%dT%H:%M:%SZ")  # noqa: DTZ007 - only its form


def _generations(policy: Json, status: Json) -> Iterator[str]:
    seen = status["observedGeneration"]
    if seen > policy["metadata"]["generation"]:
        yield f"generation {seen} was observed before it was written"
    for one in status["conditions"]:
        if one.get("observedGeneration", -1) > seen:
            yield f"{one['type']} observed a later generation than the status"
        if one["type"] in KSTATUS and one.get("observedGeneration") != seen:
            yield f"{one['type']} observed {one.get('observedGeneration')}, the status {seen}"


def _kstatus(policy: Json, status: Json) -> Iterator[str]:
    held, ready = status.get("selection"), says(policy, "Ready")
    if ready is None:
        yield "no Ready"
    elif (ready[0] == "True") != (held is not None):
        yield f"Ready is {ready[0]} with selection {held}"
    if {"Reconciling", "Stalled"} <= true_types(policy):
        yield "Reconciling and Stalled at once"
    if held is None and status.get("history"):
        yield "a history without a selection"


def _selection(policy: Json, status: Json) -> Iterator[str]:
    held = status.get("selection")
    if held is None:
        return
    suffix = f":{held['tag']}" + (f"@{held['digest']}" if held["digest"] else "")
    if not held["reference"].endswith(suffix):
        yield f"reference {held['reference']} does not end with {suffix}"
    settled = status["observedGeneration"] == policy["metadata"]["generation"]
    same = settled and held["ordering"] == status.get("ordering")
    if same and held["reference"] != policy["spec"]["image"] + suffix:
        yield f"reference {held['reference']} is of another image"
    if not held["sortKey"].endswith(f" {held['tag']}") or len(held["sortKey"].encode()) > 512:
        yield f"sortKey {held['sortKey']!r}"
    if ("Bootstrapped" in true_types(policy)) != (held["cause"] == "Bootstrap"):
        yield f"Bootstrapped does not agree with cause {held['cause']}"
    last = (status.get("history") or [{}])[-1]
    if (last.get("epoch"), last.get("sequence")) != (held["epoch"], held["sequence"]):
        yield f"the last decision of the history is not the selection: {last}"
    numbers = [entry["sequence"] for entry in status.get("history", [])]
    if numbers != sorted(set(numbers)):
        yield f"the history is out of order: {numbers}"


def _findings(policy: Json, status: Json) -> Iterator[str]:
    said = true_types(policy)
    if ("RollbackActive" in said) != ("rollback" in status):
        yield "RollbackActive does not agree with status.rollback"
    if "pending" in status and "Pending" not in said:
        yield "something is pending and no condition says so"
    if "RateLimited" in said and says(policy, "ScanComplete") != ("False", "RateLimited"):
        yield "RateLimited beside a complete scan"
    if "TagMutated" in said and status.get("selection") is None:
        yield "TagMutated without a selection"


RULES: tuple[Callable[[Json, Json], Iterator[str]], ...] = (_forms, _generations, _kstatus, _selection, _findings)

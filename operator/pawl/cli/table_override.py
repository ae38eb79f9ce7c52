"""Overrides of both kinds as rows: what `pawl status` shows of each, for people and for scripts. Pure.

Neighbours: `table_override_detail` shows one, `table_policies` does the same for ImagePolicies, `status` reads.
Not here: the cluster.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError
from rich.table import Table
from rich.text import Text

from pawl.api.imageoverride import ClusterImageOverride, ImageOverride, Mode, Override
from pawl.api.meta import Condition
from pawl.api.reasons import ConditionType
from pawl.cli.status_print import rows
from pawl.cli.table_policies import NONE

NO_GATE: Final = "none"
"""Stands for the gate where nothing rewrites Pods."""

_COUNTS: Final = ("MATCHED", "VERIFIED", "DRIFTED", "CONTESTED", "SKIPPED")
_MORE: Final = ("MISMATCHED", "UNVERIFIABLE", "PRIORITY", "MODE", "PLAN")


@dataclass(frozen=True, slots=True)
class UnreadableOverride:
    """An override that this version of Pawl cannot read, most likely written for a newer one."""

    kind: str
    namespace: str
    name: str
    fault: str


SeenOverride = Override | UnreadableOverride


def read_override(document: Mapping[str, Any], kind: str) -> SeenOverride:
    """Read one object of a list of this kind, or say why it cannot be read."""
    model: type[ImageOverride | ClusterImageOverride]
    model = ImageOverride if kind == "ImageOverride" else ClusterImageOverride
    try:
        return model.model_validate({**document, "kind": kind})
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, fault["loc"])) or "object"
        meta = document.get("metadata") or {}
        return UnreadableOverride(kind, meta.get("namespace", ""), meta.get("name", ""), f"{where}: {fault['msg']}")


def place_of(seen: SeenOverride) -> tuple[str, str]:
    """Return namespace ("" for a cluster-wide one) and name."""
    if isinstance(seen, UnreadableOverride):
        return seen.namespace, seen.name
    return seen.metadata.namespace, seen.metadata.name


def condition_of(seen: SeenOverride, kind: ConditionType) -> Condition | None:
    """Return what is said of one thing, None where nothing is."""
    if isinstance(seen, UnreadableOverride):
        return None
    return next((said for said in seen.status.conditions if said.type == kind), None)


def ready_override(seen: SeenOverride) -> str:
    """The status of the condition Ready: True, False, or Unknown where there is none yet."""
    said = condition_of(seen, ConditionType.READY)
    return said.status if said is not None else "Unknown"


def reason_of(seen: SeenOverride) -> str:
    """The reason that says most: why it is stalled, else why it is Ready or not; "" before the first look."""
    stalled = condition_of(seen, ConditionType.STALLED)
    said = stalled if stalled is not None and stalled.status == "True" else condition_of(seen, ConditionType.READY)
    return said.reason if said is not None else ""


def gates(seen: Iterable[SeenOverride]) -> str:
    """Name what rewrites Pods, as the operator told it to overrides: MutatingAdmissionPolicy, Webhook or `none`."""
    told = {one.status.gate for one in seen if not isinstance(one, UnreadableOverride)} - {""}
    return ", ".join(sorted(told)) or NO_GATE


def awaits(seen: SeenOverride) -> str:
    """Return the hash that is to be approved before anything is done, "" where nothing waits for it."""
    if isinstance(seen, UnreadableOverride) or seen.spec.rollout.mode is not Mode.PLAN or seen.status.plan is None:
        return ""
    found = seen.status.plan.hash
    return "" if found == seen.spec.rollout.approved_plan else found


def override_table(overrides: Sequence[SeenOverride], *, wide: bool = False) -> Table:
    """Return the table; `wide` adds what is rare. A cluster-wide override has no namespace."""
    made = rows("NAMESPACE", "OVERRIDE", "READY", "REASON", *_COUNTS, "BATCH", "GATE", *(_MORE if wide else ()))
    for seen in sorted(overrides, key=place_of):
        made.add_row(*_row(seen, wide=wide))
    return made


def ready_text(seen: SeenOverride) -> Text:
    """Ready as a coloured word."""
    word = ready_override(seen)
    return Text(word, {"True": "green", "False": "red"}.get(word, "yellow"))


def _row(seen: SeenOverride, *, wide: bool) -> list[Text]:
    namespace, name = place_of(seen)
    first = [Text(namespace or NONE), Text(name), ready_text(seen)]
    if isinstance(seen, UnreadableOverride):
        return [*first, Text(f"cannot be read: {seen.fault}", "yellow")]
    words = [*_counts(seen), seen.status.batch or NONE, seen.status.gate or NO_GATE]
    if wide:
        counted, spec = seen.status.workloads, seen.spec
        words += [str(counted.mismatched), str(counted.unverifiable), str(spec.priority), spec.rollout.mode.value]
        words.append(seen.status.plan.hash if seen.status.plan is not None else NONE)
    return [*first, _reason(seen), *map(Text, words)]


def _reason(seen: Override) -> Text:
    suspended = "suspended, " if seen.spec.suspend else ""
    return Text(suspended + (reason_of(seen) or NONE), "" if ready_override(seen) == "True" else "yellow")


def _counts(seen: Override) -> list[str]:
    counted = seen.status.workloads
    found = (counted.matched, counted.compliant, counted.drifted, counted.contested, counted.skipped)
    return [str(count) for count in found]


def override_document(seen: SeenOverride) -> dict[str, Any]:
    """Return what scripts read of one override: stable names, absent things null or empty."""
    namespace, name = place_of(seen)
    made: dict[str, Any] = {"kind": seen.kind, "namespace": namespace, "name": name, "ready": ready_override(seen)}
    if isinstance(seen, UnreadableOverride):
        return {**made, "unreadable": seen.fault}
    status = seen.status
    return {
        **made,
        "reason": reason_of(seen),
        "suspended": seen.spec.suspend,
        "mode": seen.spec.rollout.mode.value,
        "gate": status.gate,
        "workloads": {
            "matched": status.workloads.matched,
            "verified": status.workloads.compliant,
            "drifted": status.workloads.drifted,
            "contested": status.workloads.contested,
            "skipped": status.workloads.skipped,
            "mismatched": status.workloads.mismatched,
            "unverifiable": status.workloads.unverifiable,
        },
        "batch": status.batch,
        "plan": status.plan.wire() if status.plan is not None else None,
        "awaitsApproval": awaits(seen),
        "findings": [finding.wire() for finding in status.findings],
        "contests": [contest.wire() for contest in status.contests],
        "resolved": [found.wire() for found in status.resolved],
        "conditions": [said.wire() for said in status.conditions],
    }

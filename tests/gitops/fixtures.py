"""Whole objects with the statuses that the operator wrote, committed so that health checks are tested on real ones.

`EXPECTED` says what tools are to make of each. Their times, uids, hosts and namespaces are made alike; everything else
is as it was read from the API server. They are renewed by

    PAWL_WRITE_FIXTURES=1 .venv/bin/python -m pytest tests/gitops/test_fixtures_{machine,live}.py

Those of registries are written by the machine that judges them, without a cluster.
Neighbours: `policy_scenes`, `override_scenes` and `registry_scenes` bring them about. Not here: health checks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from tests.gitops.argolua import GROUP

Json = dict[str, Any]

HOME: Final = GROUP / "_/testdata"
MOMENT: Final = "2026-01-02T03:04:05Z"
NAMESPACE: Final = "shop"
HOST: Final = "registry.example.com"


@dataclass(frozen=True)
class Expected:
    """What Argo CD and what kstatus are to say."""

    argo: str
    kstatus: str


_NEW: Final = Expected("Progressing", "InProgress")
_GOOD: Final = Expected("Healthy", "Current")
_WORKING: Final = Expected("Progressing", "InProgress")
_FAILED: Final = Expected("Degraded", "Failed")
_WAITS: Final = Expected("Suspended", "InProgress")

EXPECTED: Final[Mapping[str, Expected]] = {
    "imagepolicy-new": _NEW,
    "imagepolicy-selected": _GOOD,
    "imagepolicy-below-high-water": _GOOD,
    "imagepolicy-ordering-changed": _GOOD,
    "imagepolicy-pending": _GOOD,
    "imagepolicy-rolled-back": _GOOD,
    "imagepolicy-scan-failed": _GOOD,
    "imagepolicy-no-tags": _WORKING,
    "imagepolicy-unreachable": _WORKING,
    "imagepolicy-repository-not-found": _FAILED,
    "imagepolicy-awaits-approval": _WAITS,
    "imagepolicy-suspended": Expected("Suspended", "Current"),
    "imageoverride-new": _NEW,
    "imageoverride-verified": _GOOD,
    "imageoverride-admission-only": _GOOD,
    "imageoverride-rolling": _WORKING,
    "imageoverride-image-missing": _WORKING,
    "imageoverride-not-idempotent": _FAILED,
    "imageoverride-contested": Expected("Degraded", "InProgress"),
    "imageoverride-drifted": Expected("Degraded", "InProgress"),
    "imageoverride-awaits-approval": _WAITS,
    "imageoverride-paused": _WAITS,
    "imageoverride-suspended": _WAITS,
    "clusterimageoverride-verified": _GOOD,
    "clusterimageoverride-image-missing": _WORKING,
    "clusterimageoverride-not-idempotent": _FAILED,
    "clusterimageoverride-awaits-approval": _WAITS,
    "clusterimageoverride-suspended": _WAITS,
    "registrystorage-new": _NEW,
    "registrystorage-serving": _GOOD,
    "registrystorage-not-proved": _GOOD,
    "registrystorage-starting": _WORKING,
    "registrystorage-pod-failing": _WORKING,
    "registrystorage-migrating": _WORKING,
    "registrystorage-migrating-final": _WORKING,
    "registrystorage-holding": _GOOD,
    "registrystorage-no-space": _FAILED,
    "registrystorage-source-corrupt": _FAILED,
    "registrystorage-collecting": _WORKING,
    "registrystorage-collected": _GOOD,
    "registrystorage-dry-run": _GOOD,
    "registrystorage-cap-exceeded": _GOOD,
    "registrystorage-full": _FAILED,
    "registrystorage-cannot-expand": _GOOD,
    "registrystorage-claim-missing": _FAILED,
    "registrystorage-suspended": Expected("Suspended", "Current"),
}


def load(stem: str) -> Json:
    """One fixture."""
    found: Json = yaml.load((HOME / f"{stem}.yaml").read_text(), Loader=yaml.CSafeLoader)
    return found


def save(path: Path, obj: Json) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(obj, sort_keys=True, width=1000))


def normalised(obj: Json, **same: str) -> Json:
    """Make alike what differs from run to run; `same` maps what a scene used to what a reader is to see."""
    body = {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key != "managedFields"}}
    body["metadata"] |= {"uid": "11111111-2222-4333-8444-555555555555", "resourceVersion": "1000"}
    text = json.dumps(body)
    for found in sorted(same, key=len, reverse=True):
        text = text.replace(found, same[found])
    text = re.sub(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", MOMENT, text)
    told: Json = json.loads(re.sub(r"\b(?:127\.0\.0\.1|localhost):\d+", HOST, text))
    for entry in told.get("status", {}).get("history", []):
        entry["who"] = entry["who"] if entry["cause"] == "Rollback" else "pawl-0"
    return told


def shape(obj: Json) -> Json:
    """What a health check can see of an object: its conditions without words, and which fields it has."""
    conditions = [[one["type"], one["status"], one["reason"]] for one in obj["status"].get("conditions", [])]
    rest = {key: value for key, value in obj["status"].items() if key != "conditions"}
    return {
        "conditions": conditions,
        "seen": obj["status"]["observedGeneration"] == obj["metadata"]["generation"],
        "status": sorted(set(_paths(rest))),
        "spec": sorted(set(_paths(obj["spec"]))),
        "metadata": sorted(obj["metadata"]),
    }


def _paths(value: Any, above: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _paths(one, f"{above}.{key}")
    elif isinstance(value, list):
        for one in value:
            yield from _paths(one, f"{above}[]")
    else:
        yield above

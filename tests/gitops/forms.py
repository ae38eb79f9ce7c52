"""The tests that Argo CD's own project runs over a contribution: health_test.yaml, action_test.yaml and what they name.

Made of the fixtures and of what is expected of them, and committed beside the scripts. What an action changes stands in
`ACTS` as plain data, so that the scripts are held against something that is not Lua. Written again together with the
fixtures. Neighbours: `fixtures`. Not here: the scripts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from tests.gitops.argolua import GROUP, health
from tests.gitops.fixtures import EXPECTED, load

Json = dict[str, Any]


@dataclass(frozen=True)
class Act:
    """One action on one fixture, and the fields of the spec that it sets."""

    name: str
    stem: str
    spec: Json


def _policy(stem: str) -> Json:
    found: Json = load(f"imagepolicy-{stem}")
    return found


def _rollback() -> Json:
    selected = _policy("selected")["status"]
    was = selected["history"][-1]["from"].split("@")
    return {
        "nonce": "argocd-2",
        "from": {key: selected["selection"][key] for key in ("tag", "digest")},
        "to": {"tag": was[0], "digest": was[1]},
        "reason": "rolled back to the previous image in Argo CD",
        "requestedBy": "Argo CD",
    }


def _approved() -> list[Json]:
    policy = _policy("pending")
    return [*policy["spec"]["approved"], {key: policy["status"]["pending"][key] for key in ("tag", "digest")}]


def acts() -> tuple[Act, ...]:
    """Every action whose result is known beforehand; `reconcile` and `collect` write the time."""
    plan = load("imageoverride-awaits-approval")
    rollout = plan["spec"]["rollout"] | {"approvedPlan": plan["status"]["plan"]["hash"]}
    return (
        Act("suspend", "imagepolicy-selected", {"suspend": True}),
        Act("resume", "imagepolicy-suspended", {"suspend": False}),
        Act("approve", "imagepolicy-pending", {"approved": _approved()}),
        Act("accept-ordering", "imagepolicy-ordering-changed", _ordering()),
        Act("rollback", "imagepolicy-selected", {"rollback": _rollback()}),
        Act("suspend", "imageoverride-verified", {"suspend": True}),
        Act("resume", "imageoverride-suspended", {"suspend": False}),
        Act("approve-plan", "imageoverride-awaits-approval", {"rollout": rollout}),
        Act("suspend", "registrystorage-serving", {"suspend": True}),
        Act("resume", "registrystorage-suspended", {"suspend": False}),
    )


def _ordering() -> Json:
    return {"acceptOrdering": _policy("ordering-changed")["status"]["ordering"]}


def after(act: Act) -> Json:
    """The whole object after an action."""
    obj = load(act.stem)
    return {**obj, "spec": obj["spec"] | act.spec}


POLICY: Final[Mapping[str, str]] = {
    "reconcile": "Reconcile",
    "suspend": "Suspend",
    "resume": "Resume",
    "approve": "Approve pending",
    "accept-ordering": "Accept ordering",
    "rollback": "Roll back to previous",
}
OVERRIDE: Final[Mapping[str, str]] = {
    "reconcile": "Reconcile",
    "suspend": "Suspend",
    "resume": "Resume",
    "approve-plan": "Approve plan",
}
REGISTRY: Final[Mapping[str, str]] = {
    "reconcile": "Reconcile",
    "suspend": "Suspend",
    "resume": "Resume",
    "collect": "Collect garbage",
}
ACTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "ImagePolicy": POLICY,
    "ImageOverride": OVERRIDE,
    "ClusterImageOverride": OVERRIDE,
    "RegistryStorage": REGISTRY,
}
"""What each kind offers."""
ICONS: Final[Mapping[str, str]] = {
    "reconcile": "fa-sync",
    "suspend": "fa-pause",
    "resume": "fa-play",
    "approve": "fa-check",
    "accept-ordering": "fa-sort",
    "rollback": "fa-undo",
    "approve-plan": "fa-check",
    "collect": "fa-recycle",
}

_WORKS: Final = {"reconcile", "suspend"}
ENABLED: Final[Mapping[str, set[str]]] = {
    "imagepolicy-new": _WORKS,
    "imagepolicy-selected": {*_WORKS, "rollback"},
    "imagepolicy-below-high-water": {*_WORKS, "rollback"},
    "imagepolicy-ordering-changed": {*_WORKS, "accept-ordering"},
    "imagepolicy-pending": {*_WORKS, "approve"},
    "imagepolicy-rolled-back": _WORKS,
    "imagepolicy-scan-failed": _WORKS,
    "imagepolicy-no-tags": _WORKS,
    "imagepolicy-unreachable": _WORKS,
    "imagepolicy-repository-not-found": _WORKS,
    "imagepolicy-awaits-approval": {*_WORKS, "approve"},
    "imagepolicy-suspended": {"resume"},
    "imageoverride-new": {"resume"},
    "imageoverride-verified": _WORKS,
    "imageoverride-admission-only": _WORKS,
    "imageoverride-rolling": _WORKS,
    "imageoverride-image-missing": _WORKS,
    "imageoverride-not-idempotent": _WORKS,
    "imageoverride-contested": _WORKS,
    "imageoverride-drifted": _WORKS,
    "imageoverride-awaits-approval": {*_WORKS, "approve-plan"},
    "imageoverride-paused": _WORKS,
    "imageoverride-suspended": {"resume"},
    "clusterimageoverride-verified": _WORKS,
    "clusterimageoverride-image-missing": _WORKS,
    "clusterimageoverride-not-idempotent": _WORKS,
    "clusterimageoverride-awaits-approval": {*_WORKS, "approve-plan"},
    "clusterimageoverride-suspended": {"resume"},
    "registrystorage-new": _WORKS,
    "registrystorage-serving": {*_WORKS, "collect"},
    "registrystorage-not-proved": {*_WORKS, "collect"},
    "registrystorage-starting": {*_WORKS, "collect"},
    "registrystorage-pod-failing": {*_WORKS, "collect"},
    "registrystorage-migrating": _WORKS,
    "registrystorage-migrating-final": _WORKS,
    "registrystorage-holding": {*_WORKS, "collect"},
    "registrystorage-no-space": {*_WORKS, "collect"},
    "registrystorage-source-corrupt": {*_WORKS, "collect"},
    "registrystorage-collecting": _WORKS,
    "registrystorage-collected": {*_WORKS, "collect"},
    "registrystorage-dry-run": {*_WORKS, "collect"},
    "registrystorage-cap-exceeded": {*_WORKS, "collect"},
    "registrystorage-full": {*_WORKS, "collect"},
    "registrystorage-cannot-expand": {*_WORKS, "collect"},
    "registrystorage-claim-missing": {*_WORKS, "collect"},
    "registrystorage-suspended": {"resume"},
}
"""Which actions a user may take on each fixture."""


def offered(stem: str) -> list[Json]:
    """The actions of a fixture as Argo CD lists them."""
    names = ACTIONS[load(stem)["kind"]]
    return [
        {
            "name": name,
            "disabled": name not in ENABLED[stem],
            "iconClass": f"fa fa-fw {ICONS[name]}",
            "displayName": shown,
        }
        for name, shown in names.items()
    ]


def forms() -> dict[Path, Json]:
    """Every file by its path."""
    made: dict[Path, Json] = {GROUP / "_/health_test.yaml": {"tests": [_health_test(stem) for stem in EXPECTED]}}
    for kind in ("ImagePolicy", "ImageOverride", "RegistryStorage"):
        folder, mine = GROUP / kind / "actions", f"{kind.lower()}-"
        chosen = [act for act in acts() if act.stem.startswith(mine)]
        discovery = [
            {"inputPath": f"../../_/testdata/{stem}.yaml", "result": offered(stem)}
            for stem in EXPECTED
            if stem.startswith(mine)
        ]
        tests = {"discoveryTests": discovery, "actionTests": [_action_test(act) for act in chosen]}
        made[folder / "action_test.yaml"] = tests
        made |= {folder / f"testdata/{act.name}.yaml": after(act) for act in chosen}
    return made


def _health_test(stem: str) -> Json:
    told = {"status": EXPECTED[stem].argo, "message": health(load(stem))["message"]}
    return {"healthStatus": told, "inputPath": f"testdata/{stem}.yaml"}


def _action_test(act: Act) -> Json:
    return {
        "action": act.name,
        "inputPath": f"../../_/testdata/{act.stem}.yaml",
        "expectedOutputPath": f"testdata/{act.name}.yaml",
    }


def read(path: Path) -> Json:
    found: Json = yaml.safe_load(path.read_text())
    return found

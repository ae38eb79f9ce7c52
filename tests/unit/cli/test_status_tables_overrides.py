"""What `pawl status` shows of overrides, as functions of them: rows, documents, the one view, the next step."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console, RenderableType
from tests.unit.cli.policies import NOW, A, Json, ago, condition

from pawl.api.imageoverride import Override
from pawl.cli.table_override import (
    UnreadableOverride,
    awaits,
    gates,
    override_document,
    override_table,
    read_override,
    ready_override,
    reason_of,
)
from pawl.cli.table_override_detail import approval, counted, override_detail, title_of

HASH = "0123456789abcdef"
COUNTS = {"matched": 9, "compliant": 5, "drifted": 2, "contested": 1, "skipped": 1}


def shown(content: RenderableType, *, color: bool = False) -> str:
    stream = io.StringIO()
    Console(
        file=stream, width=240, color_system="standard" if color else None, force_terminal=color, highlight=False
    ).print(content)
    return stream.getvalue()


def document(*conditions: Json, namespace: str = "shop", **status: Any) -> Json:
    """An override as the API server would return it; cluster-wide without a namespace."""
    ready = condition("Ready", "False", "Progressing", "2 of 9 are verified")
    metadata = {"name": "rook", "uid": "u-1", "generation": 2} | ({"namespace": namespace} if namespace else {})
    spec = {"rules": [{"source": "docker.io/rook", "target": {"repository": "registry.corp:5000/rook"}}]}
    said = {
        "observedGeneration": 2,
        "gate": "MutatingAdmissionPolicy",
        "workloads": COUNTS,
        "batch": "2/3",
        "conditions": [ready, *conditions],
    }
    return {"apiVersion": "pawl.dev/v1alpha1", "metadata": metadata, "spec": spec, "status": said | status}


def override(*conditions: Json, namespace: str = "shop", spec: Json | None = None, **status: Any) -> Override:
    made = document(*conditions, namespace=namespace, **status)
    made["spec"] |= spec or {}
    seen = read_override(made, "ImageOverride" if namespace else "ClusterImageOverride")
    assert not isinstance(seen, UnreadableOverride)
    return seen


def plan(**counts: int) -> Json:
    steps = [{"action": "Roll", "object": "Deployment shop/web", "why": "app: registry.corp:5000/rook"}]
    return {"hash": HASH, "counts": counts, "steps": steps}


def test_a_row() -> None:
    head, row = shown(override_table([override()])).splitlines()
    assert head.split()[:9] == [
        "NAMESPACE", "OVERRIDE", "READY", "REASON", "MATCHED", "VERIFIED", "DRIFTED", "CONTESTED", "SKIPPED",
    ]  # fmt: skip
    assert row.split() == [
        "shop", "rook", "False", "Progressing", "9", "5", "2", "1", "1", "2/3", "MutatingAdmissionPolicy",
    ]  # fmt: skip


def test_rows_are_sorted_and_cluster_wide_ones_come_first() -> None:
    lines = shown(
        override_table([override(namespace="b"), override(namespace="a"), override(namespace="")])
    ).splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["-", "a", "b"]


def test_wide_adds_what_is_rare() -> None:
    head, row = shown(override_table([override(plan=plan())], wide=True)).splitlines()
    assert head.split()[-5:] == ["MISMATCHED", "UNVERIFIABLE", "PRIORITY", "MODE", "PLAN"]
    assert row.split()[-5:] == ["0", "0", "0", "Enforce", HASH]


def test_a_stall_says_more_than_ready() -> None:
    stalled = condition("Stalled", reason="InvalidSource", message="rule 0: no host")
    assert reason_of(override(stalled)) == "InvalidSource"
    assert reason_of(override(condition("Stalled", "False"))) == "Progressing"
    assert reason_of(override(conditions=[])) == ""
    assert ready_override(override(conditions=[])) == "Unknown"


def test_a_suspended_one_says_so() -> None:
    assert "suspended, Progressing" in shown(override_table([override(spec={"suspend": True})]))


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (["Webhook"], "Webhook"),
        (["", "Webhook", "Webhook"], "Webhook"),
        ([""], "none"),
        ([], "none"),
        (["Webhook", "MutatingAdmissionPolicy"], "MutatingAdmissionPolicy, Webhook"),
    ],
)
def test_the_gate(told: list[str], words: str) -> None:
    assert gates([override(gate=gate) for gate in told]) == words


def test_an_override_of_a_newer_pawl_is_a_row_and_no_failure() -> None:
    made = document()
    made["spec"]["teleport"] = True
    seen = read_override(made, "ImageOverride")
    assert isinstance(seen, UnreadableOverride)
    assert "cannot be read: spec.teleport" in shown(override_table([seen, override()]))
    assert "cannot be read: spec.teleport" in shown(override_detail(seen, NOW))
    assert override_document(seen)["unreadable"].startswith("spec.teleport")
    assert (ready_override(seen), awaits(seen), gates([seen])) == ("Unknown", "", "none")


@pytest.mark.parametrize(
    ("mode", "approved", "waits"),
    [("Plan", "", HASH), ("Plan", "f" * 16, HASH), ("Plan", HASH, ""), ("Enforce", "", "")],
)
def test_a_plan_waits_until_its_hash_is_approved(mode: str, approved: str, waits: str) -> None:
    spec = {"rollout": {"mode": mode, "approvedPlan": approved}}
    assert awaits(override(spec=spec, plan=plan())) == waits
    assert awaits(override(spec=spec)) == ""


def test_the_command_that_approves_can_be_pasted() -> None:
    local, wide = override(), override(namespace="")
    patch = '\'{"spec":{"rollout":{"approvedPlan":"0123456789abcdef"}}}\''
    assert approval(local, HASH) == f"kubectl patch imageoverride rook -n shop --type merge -p {patch}"
    assert approval(wide, HASH) == f"kubectl patch clusterimageoverride rook --type merge -p {patch}"
    assert json.loads(patch.strip("'"))["spec"]["rollout"]["approvedPlan"] == HASH


def test_counts_in_words() -> None:
    told = override(plan=plan(restarts=1, rollouts=4, jobs=2, fields=3, evictions=5, left=6)).status.plan
    none = override(plan=plan()).status.plan
    assert told is not None
    assert none is not None
    assert counted(told) == (
        "1 restarts of operators, 4 rollouts, 2 Jobs made anew, 3 fields, 5 evictions, 6 left alone"
    )
    assert counted(none) == "nothing to do"


FINDING = {
    "kind": "DaemonSet", "namespace": "rook-ceph", "name": "discover", "pod": "discover-x", "container": "app",
    "verdict": "Stuck", "reason": "PodStuck", "message": "[red]waits[/red] in ImagePullBackOff", "since": ago(120),
}  # fmt: skip
CONTEST = {
    "object": "Deployment shop/web", "uid": "u", "reason": "FieldReverted", "manager": "helm", "generation": 2,
    "since": ago(3600),
}  # fmt: skip
RESOLVED = {
    "reference": "registry.corp:5000/rook/ceph:v1", "digest": A,
    "platforms": [{"platform": "linux/amd64", "digest": A}, {"platform": "linux/arm64", "digest": A}],
}  # fmt: skip


def full(**changes: Any) -> str:
    preflight = condition("Preflight", "False", "ImageMissing", "registry.corp:5000/rook/osd:v1 is missing")
    status = {"plan": plan(rollouts=1), "findings": [FINDING], "contests": [CONTEST], "resolved": [RESOLVED]}
    return shown(override_detail(override(preflight, **(status | changes)), NOW))


def test_the_one_view_has_all_of_it() -> None:
    text = full()
    for word in (
        "ImageOverride shop/rook  ready: False",
        "docker.io/rook",
        "MutatingAdmissionPolicy",
        "Enforce, templates Off, priority 0",
        "9 matched, 5 verified, 2 drifted, 1 contested, 1 skipped, 0 mismatched, 0 unverifiable",
        "2/3",
        f"{HASH}: 1 rollouts",
        "registry.corp:5000/rook/osd:v1 is missing",
        "DaemonSet rook-ceph/discover",
        "discover-x",
        "[red]waits[/red] in ImagePullBackOff",
        "2m ago",
        "Deployment shop/web",
        "helm",
        "1h ago",
        "registry.corp:5000/rook/ceph:v1",
        "linux/amd64, linux/arm64",
        "See to the findings",
    ):
        assert word in text, word


def test_what_is_empty_has_no_headline() -> None:
    text = full(findings=[], contests=[], resolved=[])
    assert not {"Findings", "Contests", "Targets"} & set(text.replace(",", " ").split())


@pytest.mark.parametrize(
    ("seen", "sentence"),
    [
        (override(conditions=[]), "No replica of Pawl has looked"),
        (override(condition("Stalled", reason="InvalidSource", message="rule 0: no")), "InvalidSource: rule 0: no."),
        (override(spec={"rollout": {"mode": "Plan"}}, plan=plan()), f'"approvedPlan":"{HASH}"'),
        (override(spec={"rollout": {"mode": "Plan"}}, plan=plan()), "`pawl plan rook -n shop`"),
        (override(namespace="", spec={"rollout": {"mode": "Plan"}}, plan=plan()), "`pawl plan rook`"),
        (override(gate=""), "none: nothing rewrites Pods"),
        (override(spec={"suspend": True}), "nothing else is touched"),
        (override(), "Nothing."),
    ],
)
def test_what_is_to_be_done(seen: Override, sentence: str) -> None:
    assert sentence in shown(override_detail(seen, NOW))


def test_titles() -> None:
    assert title_of(override(namespace="")) == "ClusterImageOverride rook"


def test_the_document_for_scripts() -> None:
    made = override_document(override(plan=plan(rollouts=1), findings=[FINDING], contests=[CONTEST]))
    assert json.loads(json.dumps(made)) == made
    assert list(made) == [
        "kind", "namespace", "name", "ready", "reason", "suspended", "mode", "gate", "workloads", "batch", "plan",
        "awaitsApproval", "findings", "contests", "resolved", "conditions",
    ]  # fmt: skip
    assert made["workloads"]["verified"] == 5
    assert made["plan"]["hash"] == HASH
    assert made["findings"][0]["pod"] == "discover-x"


def test_colours_where_there_is_a_terminal_only() -> None:
    assert "\x1b[" in shown(override_table([override()]), color=True)
    assert "\x1b[" not in shown(override_table([override()]))

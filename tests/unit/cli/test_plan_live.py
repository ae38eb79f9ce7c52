"""Plans of overrides over a world filled by hand: steps, what stays, notes, files among live ones. Nothing is asked."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console, RenderableType
from tests.unit.cli.policies import A, Json
from tests.unit.cluster.memory_api import MemoryApi
from tests.unit.decide.rulebook_samples import cluster as wide
from tests.unit.decide.rulebook_samples import local

from pawl.api.errors import InputError
from pawl.api.imageoverride import Override, OverrideStatus
from pawl.api.imagerules import Table
from pawl.cli.plan import Wish, merged, read_overrides
from pawl.cli.plan_live import Ground, Planned, Seen, planned, standing_of
from pawl.cli.plan_table import needs_approval, plan_document, plan_view
from pawl.cluster.ruletables import CLUSTER, StoredTable
from pawl.cluster.world import World
from pawl.controllers.overridestore import label_of
from pawl.controllers.store import PolicyStore
from pawl.decide.digests import Content
from pawl.decide.objects import ContainerState, ImageAt, NamespaceRow, NodeRow, Owner, PodRow, PodSpec, WorkloadRow

OLD, NEW = "docker.io/rook/ceph:v1", "registry.corp:5000/rook/ceph:v1"
ROOK = ("docker.io/rook", "registry.corp:5000/rook")
NOW = 5000.0
RECONCILE: dict[str, Any] = {"enforcement": {"templates": "Reconcile"}}
EXCLUDED = frozenset({"kube-system", "pawl-system"})


def spec(image: str) -> PodSpec:
    return PodSpec(images=(ImageAt("containers", "app", image),))


def deployment(name: str, image: str = OLD, namespace: str = "shop", **more: Any) -> WorkloadRow:
    uid = f"u-{namespace}-{name}"
    return WorkloadRow("Deployment", namespace, name, uid, "1", spec(image), wanted=1, updated=1, total=1, **more)


def bare(name: str, image: str = OLD, owner: Owner | None = None, waiting: str = "") -> PodRow:
    state = ContainerState("app", "" if waiting else f"x@{A}", waiting, started=not waiting)
    owners = (owner,) if owner else ()
    ready = None if waiting else 100.0
    row = PodRow("shop", name, f"u-{name}", "1", spec(image), created=100.0, node="n1", ready_since=ready)
    return msgspec.structs.replace(row, states=(state,), owners=owners, phase="Running")


def ground(*overrides: Override, rows: Any = (), stored: dict[str, StoredTable] | None = None) -> Ground:
    cluster = MemoryApi(("shop",)).cluster()
    world = World(cluster)
    spaces = (NamespaceRow("shop"), NamespaceRow("bank"), NamespaceRow("kube-system"))
    for row in (*spaces, NodeRow("n1", "linux/amd64"), *rows):
        world.put(row)
    return Ground(cluster, world, overrides, PolicyStore(lambda _: ""), stored or {}, EXCLUDED, NOW)


async def plan_of(one: Override, held: Ground | None = None, *, rows: Any = (), seen: Seen | None = None) -> Planned:
    found = held or ground(one, rows=rows)
    return await planned(one, found, standing_of(found, seen), seen)


def steps(found: Planned) -> list[tuple[str, str]]:
    return [(step.action, step.object) for step in found.steps]


async def test_stored_templates_are_rewritten_where_the_override_does() -> None:
    rows = (deployment("web"), deployment("other", "nginx"), deployment("web", namespace="bank"))
    found = await plan_of(local("shop", "rook", [ROOK], **RECONCILE), rows=rows)
    assert steps(found) == [("Rewrite", "Deployment shop/web")]
    assert found.steps[0].why == f"app: {NEW}"
    assert found.namespaces == ("shop",)


async def test_a_cluster_wide_override_covers_all_but_what_is_never_rewritten() -> None:
    rows = (deployment("web"), deployment("web", namespace="bank"), deployment("web", namespace="kube-system"))
    found = await plan_of(wide("rook", [ROOK], **RECONCILE), rows=rows)
    assert steps(found) == [("Rewrite", "Deployment bank/web"), ("Rewrite", "Deployment shop/web")]
    assert found.namespaces == ("bank", "shop")


async def test_all_steps_and_not_the_first_fifty() -> None:
    rows = tuple(deployment(f"web-{at:03}") for at in range(70))
    found = await plan_of(local("shop", "rook", [ROOK], **RECONCILE), rows=rows)
    assert len(found.steps) == 70
    assert found.plan is not None
    assert len(found.plan.steps) == 50
    assert found.plan.counts.rollouts == 70


async def test_a_bare_pod_stays_and_one_that_waits_in_vain_is_evicted() -> None:
    owner = Owner("arroyo.dev/v1", "Pipeline", "p", "u-p", controller=True)
    rows = (bare("alone"), bare("stuck", owner=owner, waiting="ImagePullBackOff"))
    found = await plan_of(local("shop", "rook", [ROOK]), rows=rows)
    assert steps(found) == [("Evict", "Pod shop/stuck")]
    assert ("BarePod", "Pod shop/alone") in [(one.action, one.object) for one in found.left]


async def test_what_pawl_stepped_back_from_is_left() -> None:
    one = local("shop", "rook", [ROOK], **RECONCILE)
    contest = {
        "object": "Deployment shop/web", "uid": "u-shop-web", "reason": "FieldReverted", "generation": 0,
        "since": "2026-11-21T03:00:00Z",
    }  # fmt: skip
    held = one.model_copy(update={"status": OverrideStatus.model_validate({"contests": [contest]})})
    found = await plan_of(held, rows=(deployment("web", reverter="helm"),))
    assert steps(found) == []
    (left,) = found.left
    assert (left.action, left.object) == ("FieldReverted", "Deployment shop/web")
    assert "helm" in left.why


async def test_what_the_stored_table_holds_back_stays_held_back() -> None:
    one = local("shop", "rook", [ROOK], **RECONCILE)
    table = Table.model_validate({"held": {NEW: "ImageMissing: it is not there"}})
    stored = {"shop": StoredTable("shop", "pawl", "u", "1", table, 10.0)}
    found = await plan_of(one, ground(one, rows=(deployment("web"),), stored=stored))
    assert steps(found) == []
    assert [(left.action, left.object) for left in found.left] == [("ImageMissing", "Deployment shop/web")]


async def test_what_a_look_refuses_is_held_back_and_told() -> None:
    one = local("shop", "rook", [ROOK], **RECONCILE)
    seen = Seen(held={CLUSTER: {NEW: "Unauthorized: no"}}, refused={label_of(one): (f"held back: {NEW}",)})
    found = await plan_of(one, rows=(deployment("web"),), seen=seen)
    assert steps(found) == []
    assert found.notes == (f"held back: {NEW}",)


async def test_what_was_seen_proves_pods() -> None:
    one = local("shop", "rook", [ROOK])
    seen = Seen({("shop", NEW): Content(NEW, A)})
    found = await plan_of(one, rows=(bare("new", NEW),), seen=seen)
    assert (found.steps, found.left) == ((), ())


async def test_a_chain_has_no_plan() -> None:
    chain = [("docker.io/rook", "ghcr.io/rook"), ("ghcr.io/rook", "quay.io/rook")]
    found = await plan_of(local("shop", "rook", chain), rows=(deployment("web"),))
    assert found.plan is None
    assert "not in force: NotIdempotent" in shown(plan_view(found))
    assert plan_document(found)["refused"].startswith("not in force")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"suspend": True}, "spec.suspend is set"),
        ({"rollout": {"mode": "AdmissionOnly"}}, "AdmissionOnly"),
        ({"rollout": {"paused": True}}, "spec.rollout.paused"),
        ({"rollout": {"window": {"schedule": "0 22 * * *", "duration": "4h"}}}, "window 0 22 * * * (UTC) for 4h"),
        ({"rules": [{"source": "docker.io/a", "target": {"policyRef": {"name": "no"}}}]}, "is not there"),
    ],
)
async def test_notes(changes: Json, words: str) -> None:
    rules = changes.pop("rules", [ROOK])
    found = await plan_of(local("shop", "rook", rules, **changes))
    assert words in found.notes[0]
    assert words in shown(plan_view(found))


async def test_a_conflict_is_told_to_both() -> None:
    one, other = local("shop", "a", [ROOK]), local("shop", "b", [("docker.io/rook", "ghcr.io/rook")])
    held = ground(one, other)
    for each in (one, other):
        assert "docker.io/rook" in (await plan_of(each, held)).notes[0]


async def test_the_hash_is_what_can_be_approved() -> None:
    asks = local("shop", "rook", [ROOK], rollout={"mode": "Plan"})
    found = await plan_of(asks, rows=(deployment("web"),))
    assert found.plan is not None
    assert needs_approval(found)
    approved = local("shop", "rook", [ROOK], rollout={"mode": "Plan", "approvedPlan": found.plan.hash})
    again = await plan_of(approved, rows=(deployment("web"),))
    assert not needs_approval(again)
    assert "To approve it" in shown(plan_view(found))
    assert "To approve it" not in shown(plan_view(again))


async def test_nothing_is_sent() -> None:
    api = MemoryApi(("shop",))
    one = local("shop", "rook", [ROOK], **RECONCILE)
    held = ground(one, rows=(deployment("web"),))
    await plan_of(one, Ground(api.cluster(), held.world, held.overrides, held.policies, {}, EXCLUDED, NOW))
    assert api.requests == []


# what is asked for


def wish(name: str = "", *given: Override) -> Wish:
    return Wish(name, "shop", given, preflight=False, plain_http="", operator="pawl-system")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("", ["shop/rook", "shop/web", "rook"]),
        ("rook", ["shop/rook", "rook"]),
        ("iov/rook", ["shop/rook"]),
        ("ImageOverride/rook", ["shop/rook"]),
        ("ciov/rook", ["rook"]),
        ("clusterimageoverride/rook", ["rook"]),
        ("web", ["shop/web"]),
        ("dog/rook", []),
    ],
)
def test_names(name: str, found: list[str]) -> None:
    live = [local("shop", "rook", [ROOK]), local("shop", "web", [ROOK]), local("bank", "rook", [ROOK])]
    asked = [label_of(each) for each in (*live, wide("rook", [ROOK])) if wish(name).concerns(each)]
    assert asked == found
    assert not wish("", live[0]).concerns(live[0])


def test_a_file_replaces_its_namesake_or_is_the_youngest() -> None:
    old = local("shop", "rook", [ROOK], created="2020-01-01T00:00:00Z")
    found = merged([old], [local("shop", "rook", [ROOK], priority=3), wide("rook", [ROOK])], datetime.now(UTC))
    assert [(label_of(each), each.spec.priority) for each in found] == [("shop/rook", 3), ("rook", 0)]
    assert found[0].metadata.creation_timestamp == "2020-01-01T00:00:00Z"
    assert found[1].metadata.creation_timestamp > "2026-11-01"
    assert found[0].metadata.generation == old.metadata.generation + 1


def test_overrides_of_a_file(tmp_path: Path) -> None:
    source = tmp_path / "o.json"
    rules = {"rules": [{"source": "docker.io/rook", "target": {"repository": "r.corp/rook"}}]}
    body = {"apiVersion": "pawl.dev/v1alpha1", "kind": "ImageOverride", "metadata": {"name": "a"}, "spec": rules}
    source.write_text(json.dumps(body))
    assert label_of(read_overrides(str(source), "shop")[0]) == "shop/a"
    source.write_text(json.dumps({**body, "metadata": {"name": "a", "namespace": "bank"}}))
    assert label_of(read_overrides(str(source), "shop")[0]) == "bank/a"
    source.write_text(json.dumps({**body, "kind": "ClusterImageOverride"}))
    assert label_of(read_overrides(str(source), "shop")[0]) == "a"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no ImageOverride"),
        ("kind: Pod", "Pod is no override"),
        ("{kind: ImageOverride, metadata: {name: a}, spec: {rules: [], teleport: 1}}", "teleport"),
        ("{kind: ImageOverride}", "metadata"),
    ],
)
def test_files_that_are_wrong(tmp_path: Path, text: str, words: str) -> None:
    source = tmp_path / "o.yaml"
    source.write_text(text)
    with pytest.raises(InputError, match=words):
        read_overrides(str(source), "shop")


# what is shown


def shown(content: RenderableType) -> str:
    stream = io.StringIO()
    Console(file=stream, width=240, color_system=None, highlight=False).print(content)
    return stream.getvalue()


async def test_the_view() -> None:
    found = await plan_of(local("shop", "rook", [ROOK], **RECONCILE), rows=(deployment("web"), bare("alone")))
    text = shown(plan_view(found))
    assert found.plan is not None
    for word in (
        "ImageOverride shop/rook",
        f"plan {found.plan.hash}: 1 rollouts",
        "holds in namespace shop",
        "Deployment shop/web",
        f"app: {NEW}",
        "Left alone",
        "BarePod",
        "Pod shop/alone",
    ):
        assert word in text, word


async def test_the_document() -> None:
    found = await plan_of(local("shop", "rook", [ROOK], **RECONCILE), rows=(deployment("web"),))
    made = plan_document(found)
    assert json.loads(json.dumps(made)) == made
    assert list(made) == [
        "kind", "namespace", "name", "refused", "hash", "awaitsApproval", "counts", "namespaces", "notes", "steps",
        "left",
    ]  # fmt: skip
    assert made["counts"]["rollouts"] == 1


async def test_a_namespace_that_is_not_there_yet() -> None:
    found = await plan_of(local("later", "rook", [ROOK]))
    assert "no namespace yet" in shown(plan_view(found))
    assert "nothing to do" in shown(plan_view(found))

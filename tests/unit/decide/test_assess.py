"""What one workload is under one override: decided places, stale and stuck Pods, what is held, and at what price."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.unit.decide.rollout_world import OVERRIDE, content, digest, entry, table

from pawl.decide.assess import Judge, assess, ordinal
from pawl.decide.objects import ContainerState, ImageAt, NodeRow, Owner, PodRow, PodSpec, WorkloadRow
from pawl.decide.rollout import Assessment
from pawl.decide.verdicts import Evidence
from pawl.decide.wanted import images_hash

OLD = "rook/ceph:v1"
NEW = "registry.corp:5000/rook/ceph:v1"
NODES = {"n1": NodeRow("n1", "linux/amd64"), "down": NodeRow("down", "linux/amd64", ready=False)}


def row(image: str = OLD, **changes: Any) -> WorkloadRow:
    spec = changes.pop("spec", None) or PodSpec(images=(ImageAt("containers", "app", image),))
    base: dict[str, Any] = {"kind": "StatefulSet", "namespace": "rook", "name": "mon", "uid": "u", "version": "1"}
    return WorkloadRow(**(base | {"spec": spec} | changes))


def pod(image: str = OLD, name: str = "mon-0", **changes: Any) -> PodRow:
    spec = changes.pop("spec", None) or PodSpec(images=(ImageAt("containers", "app", image),))
    owner = Owner("apps/v1", "StatefulSet", "mon", "u", controller=True)
    state = ContainerState("app", f"x@{digest(image)}", "", started=True)
    base: dict[str, Any] = {"namespace": "rook", "name": name, "uid": name, "version": "1", "owners": (owner,)}
    return PodRow(**(base | {"spec": spec, "node": "n1", "ready_since": 1.0, "states": (state,)} | changes))


def judge(**changes: Any) -> Judge:
    evidence = Evidence({("", image): content(image) for image in (OLD, NEW, "registry.corp:5000/rook/ceph:v2")})
    base: dict[str, Any] = {"table": table(), "override": OVERRIDE, "nodes": NODES, "evidence": evidence}
    return Judge(**(base | changes))


def reasons(found: Assessment) -> list[str]:
    return [str(verdict.reason) for state in found.pods for verdict in state.verdicts]


def test_a_stale_pod_and_a_right_one() -> None:
    found = assess(row(), [pod(), pod(NEW, "mon-1")], judge())
    assert [one.name for one in found.stale] == ["mon-0"]
    assert reasons(found) == ["Drifted", "Verified"]
    assert [(image.written, image.wanted) for image in found.wanted] == [(OLD, NEW)]
    assert found.hash == images_hash([ImageAt("containers", "app", NEW)])
    assert found.drift == (ImageAt("containers", "app", NEW),)


def test_what_no_rule_touches_is_not_matched() -> None:
    assert not assess(row("quay.io/x:1"), [pod("quay.io/x:1")], judge()).matched
    assert not assess(row(), [pod()], judge(override="other")).matched
    assert not assess(row(deleting=True), [pod()], judge()).matched


def test_two_overrides_over_one_workload_share_the_hash() -> None:
    two = table({"docker.io/rook": [entry()], "quay.io": [entry(to="registry.corp:5000/q", override="b")]})
    images = (ImageAt("containers", "app", OLD), ImageAt("initContainers", "init", "quay.io/x:1"))
    both = row(spec=PodSpec(images=images))
    mine, other = (assess(both, [], judge(table=two, override=key)) for key in (OVERRIDE, "b"))
    assert mine.hash == other.hash
    assert [image.name for image in mine.wanted] == ["app"]
    assert [image.name for image in other.wanted] == ["init"]


def test_a_child_that_arrives_rewritten_is_decided_by_its_target() -> None:
    found = assess(row(NEW), [pod(NEW)], judge())
    assert [image.by_target for image in found.wanted] == [True]
    assert reasons(found) == ["Verified"]


def test_a_child_that_read_an_older_target_is_held_unless_pawl_wrote_it() -> None:
    newer = table({"docker.io/rook/ceph": [entry(to="registry.corp:5000/rook/ceph", tag="v2", templates=True)]})
    found = assess(row(NEW), [pod(NEW)], judge(table=newer))
    assert (found.stale, found.drift, reasons(found)) == ((), (), ["StaleTarget"])
    assert [(state.outdated, state.held_by) for state in found.pods] == [(True, "StaleTarget")]
    ours = assess(row(NEW, original="{}"), [pod(NEW)], judge(table=newer, reconcile=True))
    assert [image.image for image in ours.drift] == ["registry.corp:5000/rook/ceph:v2"]
    assert len(ours.stale) == 1
    assert ours.stored == ours.drift


def test_pods_that_are_not_live_are_not_judged() -> None:
    gone = [pod(deleting=True), pod(phase="Succeeded"), pod(phase="Failed"), pod(mirror=True)]
    assert assess(row(), gone, judge()).pods == ()


def test_a_place_that_no_template_names_is_judged_by_itself() -> None:
    images = (ImageAt("containers", "app", NEW), ImageAt("containers", "sidecar", OLD))
    found = assess(row(), [pod(spec=PodSpec(images=images))], judge())
    assert [one.name for one in found.stale] == ["mon-0"]
    debug = (ImageAt("containers", "app", NEW), ImageAt("ephemeralContainers", "debug", OLD))
    assert assess(row(), [pod(spec=PodSpec(images=debug))], judge()).stale == ()


HELD = [
    (row(paused=True), {}, pod(), "RolloutPaused"),
    (row(on_delete=True), {}, pod(), "OnDelete"),
    (row(on_delete=True), {"evict_on_delete": True}, pod(), ""),
    (row(partition=1), {}, pod(), "HeldByPartition"),
    (row(partition=1), {}, pod(name="mon-1"), ""),
    (row(paused=True), {}, pod(NEW), ""),
    (row(), {}, pod(node="down"), "NodeNotReady"),
    (row(), {}, pod(NEW, node="down", ready_since=None), "NodeNotReady"),
    (row(), {}, pod(NEW, node="down"), ""),
]


@pytest.mark.parametrize(("given", "changes", "one", "held"), HELD)
def test_what_holds_a_pod(given: WorkloadRow, changes: dict[str, Any], one: PodRow, held: str) -> None:
    found = assess(given, [one], judge(**changes))
    assert [state.held_by for state in found.pods] == [held]


def test_stuck_pods_say_if_they_are_new_and_lack_a_secret() -> None:
    waiting = (ContainerState("app", "", "ImagePullBackOff"),)
    secret = table({"docker.io/rook": [entry()]}, secrets={"registry.corp:5000/rook": [{"names": ["regcred"]}]})
    found = assess(row(), [pod(NEW, states=waiting), pod(name="mon-1", states=waiting)], judge(table=secret))
    assert [(one.new, one.secretless, one.started) for one in found.stuck] == [
        (True, True, False),
        (False, True, False),
    ]


def test_what_is_held_back_says_why() -> None:
    held = assess(row(), [], judge(table=table(held={NEW: "Unauthorized: registry.corp says 401"})))
    assert [(note.reason, note.verdict) for note in held.notes] == [("Unauthorized", "Skipped")]
    exempt = assess(row(), [pod()], judge(table=table(exempt={"u": "o@1"})))
    assert [note.reason for note in exempt.notes] == ["PodChurn"]
    assert exempt.stale == ()


def test_a_bare_pod_is_judged_by_its_own_rewrite() -> None:
    bare = pod(owners=())
    found = assess(bare, [bare], judge())
    assert (found.key, len(found.stale)) == ("Pod rook/mon-0", 1)


def test_containers_that_only_pawl_holds_do_not_count() -> None:
    images = (ImageAt("containers", "app", NEW), ImageAt("containers", "old", OLD))
    found = assess(row(spec=PodSpec(images=images), owned=("old",)), [], judge())
    assert [image.name for image in found.wanted] == ["app"]


def test_equal_pods_share_the_comparison() -> None:
    shared = pod(NEW)
    pods = [msgspec.structs.replace(shared, name=f"mon-{n}", uid=f"p{n}") for n in range(50)]
    assert len(assess(row(), pods, judge()).pods) == 50


@pytest.mark.parametrize(("name", "wanted"), [("mon-12", 12), ("mon", -1), ("mon-x1", -1), ("mon-²", -1)])
def test_ordinals(name: str, wanted: int) -> None:
    assert ordinal(name) == wanted

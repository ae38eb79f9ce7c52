"""Why an image is what it is, as a function of a table and a Pod: every outcome, every verdict, every note."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console, RenderableType
from tests.unit.cli.policies import A, B, Json, policy
from tests.unit.decide.rulebook_samples import local

from pawl.api.imageoverride import Override, OverrideStatus
from pawl.api.imageoverride_spec import WorkloadKind
from pawl.api.imagepolicy import ImagePolicy
from pawl.api.imagerules import Table
from pawl.cli.table_why import ground_line, image_document, image_view, pod_document, pod_view
from pawl.cli.why_live import originals_of
from pawl.cli.why_trace import Ground, Secrets, Traced, Written, contents_of, secrets_of, trace_image, trace_pod
from pawl.decide.objects import (
    ContainerState,
    Group,
    ImageAt,
    NamespaceRow,
    NodeRow,
    Owner,
    PodRow,
    PodSpec,
    WorkloadRow,
)
from pawl.decide.rulebook import Stock, compile_rulebook
from pawl.decide.tables import CompiledTable, Subject

OLD, NEW = "docker.io/rook/ceph:v1", "registry.corp:5000/rook/ceph:v1"
C = "sha256:" + "c" * 64
POD = Subject(WorkloadKind.POD, {})
ROOK = ("docker.io/rook", "registry.corp:5000/rook")


def override(name: str = "rook", rules: Any = (ROOK,), status: Json | None = None, **spec: Any) -> Override:
    made = local("shop", name, rules, **spec)
    found = OverrideStatus.model_validate(status or {})
    return made.model_copy(update={"status": found})


def ground(*overrides: Override, **changes: Any) -> Ground:
    book = compile_rulebook(Stock(overrides, namespaces=[NamespaceRow("shop")]))
    raw = book.namespaces["shop"].wire()
    raw |= {key: changes.pop(key) for key in ("held", "exempt") if key in changes}
    return Ground(CompiledTable.of(Table.model_validate(raw)), "ImageRules shop/pawl", overrides=overrides, **changes)


def traced(held: Ground, image: str = OLD, **changes: Any) -> Traced:
    return trace_image(held, changes.get("subject", POD), ImageAt("containers", "app", image), "here")


def pod(image: str = NEW, image_id: str = f"any@{A}", waiting: str = "", **changes: Any) -> PodRow:
    states = (ContainerState("app", image_id, waiting, started=bool(image_id)),)
    spec = changes.pop("spec", PodSpec(images=(ImageAt("containers", "app", image),)))
    return PodRow("shop", "web-0", "u-1", "1", spec, created=100.0, node="n1", states=states, **changes)


def judged(held: Ground, row: PodRow, original: str = OLD) -> Traced:
    places: dict[tuple[Group, str], Written] = {("containers", "app"): Written(original, "the template")}
    (found,) = trace_pod(held, row, NodeRow("n1", "linux/amd64"), places)
    return found


def seen(reference: str = NEW, digest: str = A, manifest: str = B, generation: int = 0) -> Json:
    platforms = [{"platform": "linux/amd64", "digest": manifest}]
    resolved = [{"reference": reference, "digest": digest, "platforms": platforms}]
    return {"observedGeneration": generation, "resolved": resolved}


# what becomes of an image


def test_the_rule_that_decides() -> None:
    found = traced(ground(override()))
    assert (found.outcome, found.override, found.rule, found.wanted) == ("Rewritten", "shop/rook", 0, NEW)
    assert [rule.why for rule in found.rules] == ["is the only rule that matches"]


def test_all_rules_that_matched_in_their_order() -> None:
    wide = override("wide", [("docker.io", "mirror.corp")])
    first = override("first", priority=5)
    found = traced(ground(override(), wide, first))
    assert [(rule.override, rule.wins) for rule in found.rules] == [
        ("shop/first", True),
        ("shop/rook", False),
        ("shop/wide", False),
    ]
    assert [rule.why for rule in found.rules] == [
        "decides",
        "priority 5 stands above 0",
        "docker.io/rook is more specific than docker.io",
    ]


@pytest.mark.parametrize(
    ("image", "changes", "outcome", "said"),
    [
        ("nginx", {}, "Unmatched", "no rule matches this image"),
        ("NO image", {}, "Unparsable", "lower-case"),
        (OLD, {"held": {NEW: "ImageMissing: it is gone"}}, "Held", "it is gone"),
        (OLD, {"left_alone": "images of namespace x are never rewritten"}, "Ignored", "never rewritten"),
        (NEW, {}, "Target", "under the target of this rule already"),
    ],
)
def test_what_is_not_rewritten(image: str, changes: Json, outcome: str, said: str) -> None:
    found = traced(ground(override(), **changes), image)
    assert found.outcome == outcome
    assert said in found.message


def test_without_a_table_nothing_holds() -> None:
    found = traced(Ground(None))
    assert (found.outcome, found.wanted) == ("NoTable", "")
    assert ground_line(Ground(None)) == "no table holds here"


def test_an_exempt_owner() -> None:
    held = ground(override(), exempt={"u-9": "shop/rook@2"})
    found = traced(held, subject=Subject(WorkloadKind.POD, {}, frozenset({"u-9"})))
    assert (found.outcome, found.message) == ("Exempt", "shop/rook@2")


def test_a_layer_that_is_off() -> None:
    held = ground(override(enforcement={"pods": False}))
    found = traced(held)
    assert found.outcome == "Off"
    assert "spec.enforcement" in found.message


def test_a_stale_target_is_renewed() -> None:
    held = ground(override(rules=[("docker.io/rook", {"repository": "registry.corp:5000/rook", "tag": "v2"})]))
    found = traced(held, NEW)
    assert (found.outcome, found.wanted) == ("Target", "registry.corp:5000/rook/ceph:v2")


# policies


def by_policy(sequence: int = 2) -> Ground:
    mark = {"namespace": "shop", "name": "ceph", "image": "r.corp/ceph", "epoch": 1, "sequence": sequence}
    entry = {"to": "r.corp/ceph", "tag": "v2", "policy": mark, "override": "shop/rook", "rule": 0}
    return Ground(CompiledTable.of(Table.model_validate({"rules": {"docker.io/rook/ceph": [entry]}})))


def with_policy(found: ImagePolicy, sequence: int = 2) -> Ground:
    held = by_policy(sequence)
    return Ground(held.table, policies={("shop", "ceph"): found})


HISTORY = {"time": "2026-11-21T03:00:00Z", "cause": "Rollback", "epoch": 1, "sequence": 1, "to": f"v2@{A}"}


def test_the_selection_and_its_cause() -> None:
    selected = traced(with_policy(policy())).selected
    assert selected is not None
    assert (selected.policy, selected.epoch, selected.sequence) == ("ImagePolicy shop/ceph", 1, 2)
    assert (selected.cause, selected.note) == ("Newer", "")


def test_an_older_selection_is_told_from_the_history() -> None:
    history = [HISTORY | {"who": "ann", "reason": "it burns"}]
    selected = traced(with_policy(policy(status={"history": history}), sequence=1)).selected
    assert selected is not None
    assert selected.cause == "Rollback"
    assert selected.note == "ann: it burns; the policy is at sequence 2 now"


def test_a_policy_that_forgot() -> None:
    selected = traced(with_policy(policy(held=False), sequence=1)).selected
    assert selected is not None
    assert selected.cause == ""


def test_a_policy_that_is_gone() -> None:
    selected = traced(by_policy()).selected
    assert selected is not None
    assert "the table remembers it" in selected.note


# verdicts


@pytest.mark.parametrize(
    ("row", "status", "verdict", "said"),
    [
        (pod(), seen(), "Verified", ""),
        (pod(image_id=f"docker-pullable://any@{B}"), seen(), "Verified", ""),
        (pod(image_id=f"any@{C}"), seen(), "Unverifiable", "only the registry can prove it"),
        (pod(), {}, "Unverifiable", "was not seen in its registry"),
        (pod(), seen(generation=7), "Unverifiable", "was not seen in its registry"),
        (pod(image_id=""), seen(), "Pending", "has not started"),
        (pod(image_id="", waiting="ImagePullBackOff"), seen(), "Stuck", "ImagePullBackOff"),
        (pod(OLD), seen(), "Drifted", f"says {OLD} instead of {NEW}"),
    ],
)
def test_verdicts_without_a_registry(row: PodRow, status: Json, verdict: str, said: str) -> None:
    found = judged(ground(override(status=status)), row)
    assert found.verdict == verdict
    assert said in found.message
    assert found.in_spec == row.spec.images[0].image


def test_what_the_operator_found_says_more() -> None:
    finding = {
        "kind": "Deployment", "namespace": "shop", "name": "web", "pod": "web-0", "container": "app",
        "verdict": "Mismatch", "reason": "Mismatch", "message": "it runs other content", "since": HISTORY["time"],
    }  # fmt: skip
    found = judged(ground(override(status={"findings": [finding]})), pod())
    assert found.message == "status says Mismatch: it runs other content"
    other = judged(ground(override(status={"findings": [finding | {"pod": "web-1"}]})), pod())
    assert "status says" not in other.message


@pytest.mark.parametrize(("since", "older"), [(99.0, False), (101.0, True)])
def test_a_pod_older_than_the_table(since: float, *, older: bool) -> None:
    assert ("older than the table" in judged(ground(override(), since=since), pod(OLD)).message) is older


def test_what_no_rule_decides_has_no_verdict() -> None:
    found = judged(ground(override()), pod("nginx"), "nginx")
    assert (found.verdict, found.wanted, found.in_spec) == ("", "", "nginx")


def test_an_ignored_pod() -> None:
    spec = PodSpec(images=(ImageAt("containers", "app", OLD),), ignored=True)
    found = judged(ground(override()), pod(spec=spec))
    assert found.outcome == "Ignored"
    assert "pawl.dev/ignore" in found.message


def test_a_container_that_no_template_names() -> None:
    (found,) = trace_pod(ground(override()), pod(OLD), None, {})
    assert found.original == Written(OLD, "the Pod itself")


def test_contents_are_those_of_the_generation() -> None:
    assert set(contents_of([override(status=seen()), override("b", status=seen("x", generation=3))])) == {("", NEW)}


# secrets


@pytest.mark.parametrize(
    ("listed", "template", "added", "missing"),
    [
        ((), None, (), ("regcred",)),
        (("regcred",), None, ("regcred",), ()),
        (("own", "regcred"), PodSpec(pull_secrets=("own",)), ("regcred",), ()),
        (("regcred",), PodSpec(pull_secrets=("regcred",)), (), ()),
    ],
)
def test_pull_secrets(
    listed: tuple[str, ...], template: PodSpec | None, added: tuple[str, ...], missing: tuple[str, ...]
) -> None:
    held = ground(override(pullSecrets=[{"name": "regcred"}]))
    row = pod(spec=PodSpec(images=(ImageAt("containers", "app", NEW),), pull_secrets=listed))
    assert secrets_of(held, row, template) == Secrets(added, missing)
    assert secrets_of(Ground(None), row, template) == Secrets()


# originals


def row_of(kind: str, image: str, original: str = "") -> WorkloadRow:
    spec = PodSpec(images=(ImageAt("containers", "app", image),))
    return WorkloadRow(kind, "shop", "web", f"u-{kind}", "1", spec, original=original)


def test_the_nearest_template_says_what_was_written() -> None:
    found = originals_of([row_of("ReplicaSet", "a:1"), row_of("Deployment", "a:2")])
    assert found["containers", "app"] == Written("a:1", "the template of ReplicaSet shop/web")
    assert originals_of([]) == {}


def test_a_template_that_pawl_wrote_has_a_note() -> None:
    note = json.dumps({"containers/app": {"from": OLD, "to": NEW}})
    found = originals_of([row_of("ReplicaSet", NEW), row_of("Deployment", NEW, note)])
    assert found["containers", "app"] == Written(OLD, "pawl.dev/original of Deployment shop/web")
    edited = originals_of([row_of("ReplicaSet", "a:2"), row_of("Deployment", "a:2", note)])
    assert edited["containers", "app"].image == "a:2"


# what is shown


def shown(content: RenderableType) -> str:
    stream = io.StringIO()
    Console(file=stream, width=240, color_system=None, highlight=False).print(content)
    return stream.getvalue()


def test_the_view_of_a_pod() -> None:
    held = ground(override(), override("wide", [("docker.io", "mirror.corp")]))
    owner = (Owner("apps/v1", "ReplicaSet", "web", "u", controller=True),)
    row = pod(OLD, owners=owner)
    places: dict[tuple[Group, str], Written] = {("containers", "app"): Written("docker.io/rook/[red]x", "there")}
    found = trace_pod(held, row, None, places | {("containers", "app"): Written(OLD, "the [b]template[/b]")})
    text = shown(pod_view(row, [row_of("ReplicaSet", OLD)], found, Secrets(("regcred",), ("other",))))
    for word in (
        "Pod shop/web-0  on n1",
        "made by ReplicaSet shop/web",
        "containers/app",
        f"{OLD}  (the [b]template[/b])",
        "shop/rook, rule 0: docker.io/rook → registry.corp:5000/rook/ceph:v1; decides",
        "docker.io/rook is more specific than docker.io",
        NEW,
        f"any@{A}",
        "Drifted",
        "added by the gate: regcred",
        "missing: other",
    ):
        assert word in text, word


def test_the_view_of_an_image_without_a_pod() -> None:
    text = shown(image_view(traced(with_policy(policy()))))
    assert "ImagePolicy shop/ceph: epoch 1, sequence 2, cause Newer" in text
    assert "Pod's spec" not in text
    assert "outcome" in shown(image_view(traced(Ground(None))))


def test_documents_have_stable_names() -> None:
    held, row = ground(override()), pod()
    found = trace_pod(held, row, None, {})
    made = pod_document(row, [], held, (found, Secrets()))
    assert json.loads(json.dumps(made)) == made
    assert list(made) == ["namespace", "pod", "node", "owners", "table", "images", "pullSecrets"]
    assert list(image_document(found[0])) == [
        "place", "container", "original", "rules", "outcome", "override", "rule", "policy", "wanted", "inSpec",
        "imageID", "verdict", "reason", "message",
    ]  # fmt: skip

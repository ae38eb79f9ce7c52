"""Images by a table: every sentence about references, targets, precedence and conditions, as one row."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.decide.rulebook_samples import DIGEST, OTHER_DIGEST, POD, container, entry, table

from pawl.api.errors import Stalled
from pawl.api.imageoverride_spec import WorkloadKind
from pawl.api.imagerules import Table
from pawl.decide.objects import ImageAt, Owner
from pawl.decide.reference import parse
from pawl.decide.tables import CompiledTable, Subject, claims, matches, rewrite_image, subject_of

# sources with targets (a pair adds fields of the entry), image, result; no result: left alone as Unmatched
ROWS: tuple[tuple[dict[str, Any], str, str | None], ...] = (
    # defaults of Docker Hub, in normalised form
    ({"docker.io": "r.corp:5000"}, "nginx", "r.corp:5000/library/nginx"),
    ({"docker.io": "r.corp:5000"}, "rook/ceph:v1", "r.corp:5000/rook/ceph:v1"),
    ({"docker.io": "r.corp"}, "index.docker.io/rook/ceph", "r.corp/rook/ceph"),
    ({"docker.io": "r.corp"}, "Docker.IO/rook/ceph", "r.corp/rook/ceph"),
    # `docker.io/nginx` is that path, `docker.io/library/nginx` the image
    ({"docker.io/nginx": "r.corp/x"}, "nginx", None),
    ({"docker.io/nginx": "r.corp/x"}, "nginx/agent:1", "r.corp/x/agent:1"),
    ({"docker.io/library/nginx": "r.corp/x"}, "nginx:1", "r.corp/x:1"),
    # segment borders
    ({"quay.io/lib": "r.corp/lib"}, "quay.io/libpod/a", None),
    ({"quay.io/lib": "r.corp/lib"}, "quay.io/lib", "r.corp/lib"),
    ({"quay.io/lib": "r.corp/lib"}, "quay.io/lib/pod", "r.corp/lib/pod"),
    # ports, localhost, addresses
    ({"r.x:5000": "q.x"}, "r.x/a", None),
    ({"r.x": "q.x"}, "r.x:5000/a", None),
    ({"r.x:5000": "q.x:6000"}, "r.x:5000/a:1", "q.x:6000/a:1"),
    ({"localhost": "q.x"}, "localhost/a", "q.x/a"),
    ({"[fd00::1]:5000": "q.x"}, "[FD00::1]:5000/a", "q.x/a"),
    ({"docker.io/a": "[::1]:5000/a"}, "a/b", "[::1]:5000/a/b"),
    # the ladder of wildcards
    ({"*.corp": "q.x"}, "a.b.corp/c", "q.x/c"),
    ({"*.corp": "q.x"}, "a.corp:5000/c", "q.x/c"),
    ({"*.corp": "q.x/m"}, "a.corp:5000/c:1", "q.x/m/c:1"),
    ({"*.corp": "q.x"}, "corp.x/c", None),
    ({"*.corp": "q.x", "*.b.corp": "long.x"}, "a.b.corp/c", "long.x/c"),
    ({"*.corp": "q.x", "a.corp": "exact.x"}, "a.corp/c", "exact.x/c"),
    ({"*.corp": "q.x", "a.corp:5000": "exact.x"}, "a.corp/c", "q.x/c"),
    # the longest source wins
    (
        {"docker.io": "a.x", "docker.io/rook": "b.x/rook", "docker.io/rook/ceph": "c.x/ceph"},
        "rook/ceph:1",
        "c.x/ceph:1",
    ),
    (
        {"docker.io": "a.x", "docker.io/rook": "b.x/rook", "docker.io/rook/ceph": "c.x/ceph"},
        "rook/nfs:1",
        "b.x/rook/nfs:1",
    ),
    # tag and digest
    ({"quay.io": "q.x"}, f"quay.io/a:1@{DIGEST}", f"q.x/a:1@{DIGEST}"),
    ({"quay.io": ("q.x", {"tag": "v2"})}, f"quay.io/a:1@{DIGEST}", "q.x/a:v2"),
    ({"quay.io": ("q.x", {"tag": "v2"})}, "quay.io/a/b", "q.x/a/b:v2"),
    ({"quay.io": ("q.x", {"digest": OTHER_DIGEST})}, f"quay.io/a:1@{DIGEST}", f"q.x/a@{OTHER_DIGEST}"),
    ({"quay.io": ("q.x", {"tag": "v2", "digest": OTHER_DIGEST})}, "quay.io/a", f"q.x/a:v2@{OTHER_DIGEST}"),
    ({"quay.io": "q.x"}, "quay.io/a", "q.x/a"),
    # results on Docker Hub are written as they are read
    ({"quay.io": "docker.io"}, "quay.io/nginx:1", "docker.io/library/nginx:1"),
    ({"quay.io": "docker.io"}, "quay.io/a/nginx:1", "docker.io/a/nginx:1"),
)


def compiled(rules: dict[str, Any]) -> CompiledTable:
    pairs = {key: value if isinstance(value, tuple) else (value, {}) for key, value in rules.items()}
    return table({key: [entry(to, **more)] for key, (to, more) in pairs.items()})


@pytest.mark.parametrize(("rules", "image", "result"), ROWS)
def test_what_becomes_of_an_image(rules: dict[str, Any], image: str, result: str | None) -> None:
    ruling = rewrite_image(compiled(rules), POD, container(image))
    assert (ruling.outcome, ruling.image) == (("Unmatched", image) if result is None else ("Rewritten", result))


@pytest.mark.parametrize(("rules", "image", "result"), [row for row in ROWS if row[2]])
def test_every_result_is_in_normalised_form(rules: dict[str, Any], image: str, result: str) -> None:
    del rules, image
    assert str(parse(result)) == result


@pytest.mark.parametrize("image", ["nginx", "docker.io/library/nginx", "index.docker.io/nginx"])
def test_a_rule_onto_itself_leaves_the_text_as_it_was(image: str) -> None:
    held = compiled({"docker.io": "q.x", "docker.io/library": "docker.io/library"})
    ruling = rewrite_image(held, POD, container(image))
    assert (ruling.outcome, ruling.image, ruling.source) == ("Same", image, "docker.io/library")


@pytest.mark.parametrize("image", ["", "UPPER/Case", "a@sha256:1", "f" * 64, "a b"])
def test_what_is_no_reference_is_left_alone(image: str) -> None:
    ruling = rewrite_image(compiled({"docker.io": "q.x"}), POD, container(image))
    assert (ruling.outcome, ruling.image) == ("Unparsable", image)
    assert ruling.reason


def test_a_result_may_have_255_characters_and_no_more() -> None:
    held = compiled({"docker.io/a": "q.x/" + "b" * 100})
    fits, long = "a/" + "c" * 150, "a/" + "c" * 151
    assert len(rewrite_image(held, POD, container(fits)).image) == 255
    ruling = rewrite_image(held, POD, container(long))
    assert (ruling.outcome, ruling.image) == ("TooLong", long)
    assert "256 characters" in ruling.reason


def test_held_results_are_named_with_their_suffix() -> None:
    rules = {"docker.io": [entry("q.x")]}
    held = table(rules, held={"q.x/library/nginx:1": "q.x has no such image"})
    ruling = rewrite_image(held, POD, container("nginx:1"))
    assert (ruling.outcome, ruling.image, ruling.reason) == ("Held", "nginx:1", "q.x has no such image")
    assert rewrite_image(held, POD, container("nginx:2")).outcome == "Rewritten"


def test_pods_of_exempt_owners_are_left_alone() -> None:
    held = table({"docker.io": [entry("q.x")]}, exempt={"u1": "o@3"})
    stepped_back = Subject(WorkloadKind.POD, {}, frozenset({"u0", "u1"}))
    ruling = rewrite_image(held, stepped_back, container("nginx"))
    assert (ruling.outcome, ruling.image, ruling.reason) == ("Exempt", "nginx", "o@3")
    assert rewrite_image(held, POD, container("nginx")).outcome == "Rewritten"


def test_what_is_there_already_is_the_same_also_for_an_exempt_owner() -> None:
    held = table({"docker.io": [entry("docker.io")]}, exempt={"u": "o@3"})
    ruling = rewrite_image(held, Subject(WorkloadKind.POD, {}, frozenset("u")), container("nginx"))
    assert (ruling.outcome, ruling.reason) == ("Same", "")


def test_flags_say_where_an_entry_acts_and_not_which_one_decides() -> None:
    held = table({"docker.io": [entry("q.x", pods=False, templates=True), entry("z.x")]})
    assert rewrite_image(held, POD, container("nginx"), "pods").outcome == "Off"
    assert rewrite_image(held, POD, container("nginx"), "templates").image == "q.x/library/nginx"


def test_mandatory_entries_stand_above_more_specific_ones() -> None:
    held = table({"docker.io/rook/ceph": [entry("q.x/c")]}, mandatory={"docker.io": [entry("m.x")]})
    assert rewrite_image(held, POD, container("rook/ceph")).image == "m.x/rook/ceph"
    assert [match.mandatory for match in matches(held, POD, container("rook/ceph"))] == [True, False]


def test_the_first_entry_whose_conditions_hold_decides_also_further_up_the_ladder() -> None:
    held = table(
        {
            "docker.io/rook": [entry("a.x", kinds=["Job"]), entry("b.x", labels=[{"key": "t", "operator": "Exists"}])],
            "docker.io": [entry("c.x")],
        }
    )
    job, labelled = Subject(WorkloadKind.JOB, {"t": ""}), Subject(WorkloadKind.POD, {"t": ""})
    images = [rewrite_image(held, subject, container("rook/ceph")).image for subject in (job, labelled, POD)]
    assert images == ["a.x/ceph", "b.x/ceph", "c.x/rook/ceph"]


@pytest.mark.parametrize(
    ("pattern", "name", "group", "holds"),
    [
        (None, "app", "containers", True),
        (None, "data", "volumes", True),
        ("^(?:app)$", "app", "containers", True),
        ("app", "app", "initContainers", True),
        ("app", "app", "ephemeralContainers", True),
        ("app", "my-app", "containers", False),
        ("app", "app2", "containers", False),
        ("a|b", "b", "containers", True),
        (".*", "data", "volumes", False),
    ],
)
def test_container_patterns_are_whole_names_and_leave_image_volumes(
    pattern: str | None, name: str, group: Any, holds: object
) -> None:
    held = table({"docker.io": [entry("q.x", containers=pattern)]})
    outcome = rewrite_image(held, POD, ImageAt(group, name, "nginx")).outcome
    assert outcome == ("Rewritten" if holds else "Unmatched")


def test_a_pattern_that_re2_does_not_take_is_refused_as_the_table_is_compiled() -> None:
    with pytest.raises(Stalled, match="no look-around"):
        table({"docker.io": [entry("q.x", containers="(?=a)")]})


def owned(version: str, kind: str, name: str = "x") -> list[Owner]:
    return [Owner("v1", "Node", "n", "u0"), Owner(version, kind, name, "u1", controller=True)]


@pytest.mark.parametrize(
    ("owners", "kind"),
    [
        ([], "Pod"),
        ([Owner("apps/v1", "ReplicaSet", "x", "u")], "Pod"),
        (owned("apps/v1", "ReplicaSet"), "Deployment"),
        (owned("apps/v1", "StatefulSet"), "StatefulSet"),
        (owned("apps/v1", "DaemonSet"), "DaemonSet"),
        (owned("batch/v1", "Job", "prepare"), "Job"),
        (owned("batch/v1", "Job", "prepare-1234567"), "Job"),
        (owned("batch/v1", "Job", "prepare-12345678"), "CronJob"),
        (owned("batch/v1", "Job", "prepare-12345678-x"), "Job"),
        (owned("apps.kruise.io/v1", "StatefulSet"), "Pod"),
        (owned("batch.volcano.sh/v1alpha1", "Job"), "Pod"),
        (owned("v1", "ReplicationController"), "Pod"),
    ],
)
def test_the_controller_says_what_a_pod_belongs_to(owners: list[Owner], kind: str) -> None:
    subject = subject_of(owners, (("a", "1"),))
    assert (subject.kind.value, subject.labels["a"]) == (kind, "1")
    assert subject.owner_uids == {owner.uid for owner in owners}


@pytest.mark.parametrize(
    ("kinds", "job", "cron"), [(["Job"], True, True), (["CronJob"], False, True), (["Pod"], False, False)]
)
def test_an_entry_for_jobs_holds_for_those_of_cronjobs(kinds: list[str], job: object, cron: object) -> None:
    held = table({"docker.io": [entry("q.x", kinds=kinds)]})
    subjects = [Subject(kind, {}) for kind in (WorkloadKind.JOB, WorkloadKind.CRON_JOB)]
    assert [rewrite_image(held, one, container("nginx")).outcome == "Rewritten" for one in subjects] == [job, cron]


@pytest.mark.parametrize(
    ("image", "to", "stale"),
    [
        ("q.x/rook/ceph:v1", "q.x/rook/ceph", False),
        ("q.x/rook/ceph:v0", "q.x/rook/ceph", True),
        (f"q.x/rook/ceph:v1@{DIGEST}", "q.x/rook/ceph", True),
        ("q.x/other:v0", "q.x", False),
        ("z.x/other:v0", None, None),
        ("no reference", None, None),
        ("nginx:1", "docker.io/nginx", False),
    ],
)
def test_a_rewritten_image_is_claimed_by_the_most_specific_target(image: str, to: str | None, stale: object) -> None:
    rules = {
        "quay.io": [entry("q.x")],
        "quay.io/ceph": [entry("q.x/rook/ceph", tag="v1")],
        "e.x/n": [entry("docker.io/nginx")],
    }
    claim = claims(table(rules), POD, container(image))
    assert (claim and claim.entry.to, claim and claim.stale) == (to, stale)


def test_of_entries_with_one_target_the_one_that_fits_claims() -> None:
    rules = {
        "quay.io/a": [entry("q.x", tag="v1")],
        "quay.io/b": [entry("q.x", tag="v2")],
        "quay.io/c": [entry("q.x", kinds=["Job"])],
    }
    held = table(rules)
    for tag in ("v1", "v2"):
        claim = claims(held, POD, container(f"q.x/c:{tag}"))
        assert claim is not None
        assert (claim.entry.tag, claim.stale) == (tag, False)


texts = st.lists(st.sampled_from(["a", "b", "a.x", "docker.io", "library", "*.x", "A"]), min_size=1, max_size=4).map(
    "/".join
)


@given(st.dictionaries(texts, st.sampled_from(["q.x", "docker.io", "a.x/b"]), max_size=4), texts)
def test_no_table_and_no_image_raise(rules: dict[str, str], image: str) -> None:
    held = CompiledTable.of(Table.model_validate({"rules": {key: [entry(to)] for key, to in rules.items()}}))
    ruling = rewrite_image(held, POD, container(image))
    assert (ruling.outcome == "Rewritten") == (ruling.image != image)

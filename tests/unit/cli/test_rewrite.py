"""`pawl rewrite` as scripts meet it: what comes out, in which order, with which exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.cli.rewrite_samples import CONFIG, HUB, POD, WEB, Files, override, policy
from tests.unit.cli.run_pawl import Ended, pawl


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def shown(ended: Ended) -> list[Any]:
    assert ended.code == 0, ended.err
    return list(yaml.safe_load_all(ended.out))


def listed(ended: Ended) -> list[Any]:
    assert ended.code == 0, ended.err
    changes: list[Any] = json.loads(ended.out)
    return changes


def test_documents_keep_their_order_and_what_is_not_an_image(files: Files) -> None:
    documents = shown(files.rewrite([HUB], [CONFIG, POD, WEB]))
    assert [document["kind"] for document in documents] == ["ConfigMap", "Pod", "Deployment"]
    assert documents[0] == CONFIG
    assert documents[1]["spec"] == {
        "imagePullSecrets": [{"name": "own"}, {"name": "reg"}],
        "containers": [{"name": "app", "image": "r.corp:5000/library/nginx:1"}],
    }
    template = documents[2]["spec"]["template"]["spec"]
    assert [one["image"] for one in template["containers"]] == ["r.corp:5000/library/nginx", "quay.io/b"]
    assert "imagePullSecrets" not in template
    assert list(documents[2]) == list(WEB)


def test_the_list_of_changes(files: Files) -> None:
    rules = [HUB, override("own", [("ghcr.io", "g.x"), ("quay.io", "q.x")], "shop")]
    assert listed(files.rewrite(rules, [CONFIG, WEB], "-o", "json")) == [
        {
            "kind": "Deployment",
            "namespace": "shop",
            "name": "web",
            "path": "spec.template.spec.containers[app].image",
            "from": "nginx",
            "to": "r.corp:5000/library/nginx",
            "override": "hub",
            "rule": 0,
        },
        {
            "kind": "Deployment",
            "namespace": "shop",
            "name": "web",
            "path": "spec.template.spec.containers[b].image",
            "from": "quay.io/b",
            "to": "q.x/b",
            "override": "own",
            "rule": 1,
        },
    ]


def test_all_inputs_are_read_first(files: Files) -> None:
    selecting = override("o", [("docker.io", "q.x")], namespaces={"selector": {"matchLabels": {"team": "a"}}})
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"team": "a"}}}
    first, second, third = files.write(WEB), files.write(POD), files.write(namespace)
    documents = shown(pawl("rewrite", "-f", files.write(selecting), first, second, third))
    images = [
        documents[0]["spec"]["template"]["spec"]["containers"][0]["image"],
        documents[1]["spec"]["containers"][0]["image"],
    ]
    assert images == ["q.x/library/nginx", "nginx:1"]
    assert documents[2] == namespace


def test_namespace_labels_also_come_from_the_files_of_the_rules_and_from_the_name(files: Files) -> None:
    by_name = override(
        "o", [("docker.io", "q.x")], namespaces={"selector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}
    )
    assert [one["name"] for one in listed(files.rewrite([by_name], [WEB, POD], "-o", "json"))] == ["web"]
    by_label = override("o", [("docker.io", "q.x")], namespaces={"selector": {"matchLabels": {"team": "a"}}})
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default", "labels": {"team": "a"}}}
    assert [one["name"] for one in listed(files.rewrite([by_label, namespace], [WEB, POD], "-o", "json"))] == ["p"]


@pytest.mark.parametrize("kind", ["List", "PodList"])
def test_lists_go_through(files: Files, kind: str) -> None:
    given = {
        "apiVersion": "v1",
        "kind": kind,
        "items": [POD, {**POD, "metadata": {"name": "q", "namespace": "kube-system"}}],
    }
    (document,) = shown(files.rewrite([HUB], [given]))
    images = [item["spec"]["containers"][0]["image"] for item in document["items"]]
    assert (document["kind"], images) == (kind, ["r.corp:5000/library/nginx:1", "nginx:1"])


def test_standard_input_and_json_are_read(files: Files) -> None:
    command = [sys.executable, "-m", "pawl", "rewrite", "-f", files.write(HUB), "-"]
    done = subprocess.run(command, input=json.dumps(POD).encode(), capture_output=True, check=True)
    (document,) = yaml.safe_load_all(done.stdout)
    assert document["spec"]["containers"][0]["image"] == "r.corp:5000/library/nginx:1"


@pytest.mark.parametrize(
    ("enforcement", "pod", "template"),
    [({}, True, True), ({"templates": "Admission"}, True, True), ({"pods": False}, False, False)],
)
def test_the_images_that_would_run_are_shown(files: Files, enforcement: Any, pod: object, template: object) -> None:
    rules = override("o", [("docker.io", "q.x")], enforcement=enforcement)
    ended = files.rewrite([rules], [POD, WEB], "-o", "json")
    kinds = {one["kind"] for one in listed(ended)}
    assert ("Pod" in kinds, "Deployment" in kinds) == (pod, template)


def test_kinds_of_workloads(files: Files) -> None:
    job = {**WEB, "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "prepare"}}
    cron = {**WEB, "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "backup-28000000"}}
    for kinds, names in (
        (["Job"], ["prepare", "backup-28000000"]),
        (["CronJob"], ["backup-28000000"]),
        (["Pod"], ["p"]),
    ):
        rules = override("o", [("docker.io", "q.x")], workloads={"kinds": kinds})
        assert [one["name"] for one in listed(files.rewrite([rules], [job, cron, POD], "-o", "json"))] == names


def test_a_policy_among_the_files_gives_its_selection(files: Files) -> None:
    selection = {
        "epoch": 1,
        "sequence": 1,
        "tag": "1.2.3",
        "digest": "sha256:" + "a" * 64,
        "reference": "r.corp/web:1.2.3",
        "sortKey": "1 1.2.3",
        "ordering": "0" * 32,
        "selectedAt": "2026-01-01T00:00:00Z",
        "cause": "Newer",
    }
    rules = override("o", [("docker.io/library/nginx", {"policyRef": {"name": "web"}})], "default")
    (change,) = listed(files.rewrite([rules, policy({"selection": selection})], [POD], "-o", "json"))
    assert change["to"] == f"r.corp/web:1.2.3@sha256:{'a' * 64}"


@pytest.mark.parametrize("policies", [[], [policy({})]])
def test_a_rule_without_a_selection_is_inactive_with_a_warning(files: Files, policies: list[Any]) -> None:
    rules = override("o", [("docker.io/library/nginx", {"policyRef": {"name": "web"}})], "default")
    ended = files.rewrite([rules, *policies], [POD])
    assert shown(ended) == [POD]
    assert "pawl: ImageOverride default/o: rule 0 is inactive" in ended.err
    assert "ImagePolicy default/web" in ended.err


def test_a_conflict_that_decides_an_image_ends_with_3_and_shows_the_winner(files: Files) -> None:
    rules = [override("a", [("docker.io", "a.x")]), override("b", [("docker.io", "b.x")])]
    for order in (rules, rules[::-1]):
        ended = files.rewrite(order, [POD])
        assert ended.code == 3
        assert "rule 0 of a and rule 0 of b give different targets for docker.io" in ended.err
        assert next(yaml.safe_load_all(ended.out))["spec"]["containers"][0]["image"] == "a.x/library/nginx:1"


@pytest.mark.parametrize(
    ("rules", "title"),
    [
        ([override("a", [("quay.io", "a.x")]), override("b", [("quay.io", "b.x")])], "no image is below the source"),
        (
            [
                override("a", [("docker.io", "a.x")]),
                override("b", [("docker.io", "b.x")]),
                override("c", [("docker.io/library", "c.x")]),
            ],
            "a more specific rule decides",
        ),
        (
            [override("a", [("docker.io", {"tag": "1"})]), override("b", [("docker.io", "docker.io")])],
            "both give what is there",
        ),
    ],
)
def test_a_conflict_that_decides_nothing_ends_with_0(files: Files, rules: list[Any], title: str) -> None:
    assert files.rewrite(rules, [POD]).code == 0, title


@pytest.mark.parametrize("image", ["UPPER/Case", "a" * 250])
def test_what_cannot_be_rewritten_stays_with_a_warning(files: Files, image: str) -> None:
    pod = {**POD, "spec": {"containers": [{"name": "app", "image": image}]}}
    ended = files.rewrite([HUB], [pod])
    assert shown(ended)[0]["spec"]["containers"] == pod["spec"]["containers"]
    assert "Pod default/p: spec.containers[app].image" in ended.err
    assert "is left alone" in ended.err


def test_ignored_pods_and_namespaces_stay(files: Files) -> None:
    ignored = {"labels": {"pawl.dev/ignore": "true"}}
    pod = {**POD, "metadata": {"name": "p", **ignored}}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", **ignored}}
    ended = files.rewrite([HUB], [pod, WEB, namespace])
    assert (shown(ended), ended.err) == ([pod, WEB, namespace], "")


def test_fields_of_custom_resources_follow_the_override_that_names_them(files: Files) -> None:
    paths = [
        {"apiVersion": "ceph.rook.io/v1", "kind": "CephCluster", "path": "spec.cephVersion.image"},
        {"apiVersion": "ceph.rook.io/v1", "kind": "CephCluster", "path": "spec.more[*].image"},
    ]
    rook = override("rook", [("quay.io/ceph", "r.corp/ceph")], enforcement={"paths": paths})
    spec = {
        "cephVersion": {"image": "quay.io/ceph/ceph:v18"},
        "more": [{"image": "quay.io/ceph/nfs"}, {"image": "nginx"}, {}, "odd"],
        "other": {"image": "quay.io/ceph/ceph:v18"},
    }
    ceph = {"apiVersion": "ceph.rook.io/v1", "kind": "CephCluster", "metadata": {"name": "c"}, "spec": spec}
    other = {**ceph, "apiVersion": "ceph.rook.io/v2"}
    changes = listed(files.rewrite([rook, HUB], [ceph, other], "-o", "json"))
    assert [(one["path"], one["to"], one["override"]) for one in changes] == [
        ("spec.cephVersion.image", "r.corp/ceph/ceph:v18", "rook"),
        ("spec.more[0].image", "r.corp/ceph/nfs", "rook"),
    ]
    (written, same) = shown(files.rewrite([rook, HUB], [ceph, other]))
    assert written["spec"]["cephVersion"]["image"] == "r.corp/ceph/ceph:v18"
    assert (written["spec"]["more"][1:], written["spec"]["other"]) == (spec["more"][1:], spec["other"])
    assert same == other

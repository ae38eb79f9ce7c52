"""One content under two names: what counts, what is proposed, and that the proposal compiles and unifies."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.decide.rulebook_samples import POD

from pawl.api.imageoverride import ClusterImageOverride, ImageOverride, Override
from pawl.decide.duplicates import Duplicate, Run, duplicates, proposal, runs_of
from pawl.decide.objects import ContainerState, ImageAt, NamespaceRow, Owner, PodRow, PodSpec
from pawl.decide.reference import parse
from pawl.decide.rulebook import Stock, compile_rulebook, override_key
from pawl.decide.tables import CompiledTable, rewrite_image

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
CONTROLLER, WORKER = "ghcr.io/arroyo/arroyo-single:0.10", "docker.io/arroyo/arroyo-worker:0.10"


def pod(
    name: str, *images: str, digest: str = A, node: str = "n1", namespace: str = "shop", phase: str = "Running"
) -> PodRow:
    places = tuple(ImageAt("containers", f"c{at}", image) for at, image in enumerate(images))
    states = tuple(ContainerState(at.name, f"registry.corp/any@{digest}", started=True) for at in places)
    spec = PodSpec(images=places)
    return PodRow(namespace, name, f"u-{namespace}-{name}", "1", spec, node=node, phase=phase, states=states)


def found_in(*pods: PodRow, same: dict[str, str] | None = None) -> tuple[Duplicate, ...]:
    return duplicates(runs_of(pods, lambda one: f"Pod {one.namespace}/{one.name}"), same)


def names(one: Duplicate) -> list[str]:
    return [name.name for name in one.names]


def test_two_repositories_on_one_node() -> None:
    (one,) = found_in(pod("controller", CONTROLLER), pod("worker", WORKER), pod("other", "docker.io/a/b:1", digest=B))
    assert names(one) == [WORKER, CONTROLLER]
    assert (one.nodes, one.digests) == (("n1",), (A,))
    assert one.names[0].pods == ("shop/worker",)
    assert one.names[0].workloads == ("Pod shop/worker",)


def test_two_containers_of_one_pod() -> None:
    (one,) = found_in(pod("both", CONTROLLER, WORKER))
    assert len(one.names) == 2


@pytest.mark.parametrize(
    "pods",
    [
        [pod("a", CONTROLLER), pod("b", CONTROLLER)],
        [pod("a", "nginx:1"), pod("b", "docker.io/library/nginx:1"), pod("c", "index.docker.io/nginx:1")],
        [pod("a", "nginx:1"), pod("b", f"nginx:1@{A}")],
        [pod("a", CONTROLLER, node="n1"), pod("b", WORKER, node="n2")],
        [pod("a", CONTROLLER), pod("b", WORKER, phase="Succeeded")],
        [pod("a", CONTROLLER), pod("b", WORKER, node="")],
        [pod("a", CONTROLLER), pod("b", "NO reference")],
        [pod("a", CONTROLLER), pod("b", WORKER, digest=B)],
        [],
    ],
    ids=["equal", "spelled", "pinned", "nodes", "ended", "unplaced", "unparsable", "content", "none"],
)
def test_what_is_no_duplicate(pods: list[PodRow]) -> None:
    assert found_in(*pods) == ()


def test_tags_of_one_repository_are_two_names() -> None:
    (one,) = found_in(pod("a", "nginx:1"), pod("b", "nginx:1.27"))
    assert names(one) == ["docker.io/library/nginx:1", "docker.io/library/nginx:1.27"]


def test_what_the_kubelet_does_not_know_counts_not() -> None:
    silent = PodRow("shop", "b", "u", "1", PodSpec(images=(ImageAt("containers", "c0", WORKER),)), node="n1")
    assert found_in(pod("a", CONTROLLER), silent) == ()


def test_equal_configs_are_one_content() -> None:
    both = (pod("a", CONTROLLER, digest=A), pod("b", WORKER, digest=B))
    (one,) = found_in(*both, same={A: C, B: C})
    assert one.digests == (A, B)
    assert found_in(*both, same={A: C}) == ()


def test_the_one_on_most_nodes_comes_first() -> None:
    few = (pod("a", CONTROLLER), pod("b", WORKER))
    many = tuple(
        pod(f"{image[0]}-{node}", f"{image}:1", digest=B, node=node)
        for image in ("x/a", "y/a")
        for node in ("n1", "n2")
    )
    assert [len(one.nodes) for one in found_in(*few, *many)] == [2, 1]


def test_the_name_of_most_pods_stays() -> None:
    (one,) = found_in(pod("a", CONTROLLER), pod("b", WORKER), pod("c", WORKER))
    made = proposal(one)
    assert made is not None
    assert made.keeps == WORKER
    assert made.manifest == {
        "apiVersion": "pawl.dev/v1alpha1",
        "kind": "ImageOverride",
        "metadata": {"name": "one-arroyo-worker", "namespace": "shop"},
        "spec": {
            "rules": [
                {"source": "ghcr.io/arroyo/arroyo-single", "target": {"repository": "docker.io/arroyo/arroyo-worker"}}
            ]
        },
    }
    assert made.caution == ""


def test_names_in_many_namespaces_need_a_cluster_wide_override() -> None:
    (one,) = found_in(
        pod("a", CONTROLLER, namespace="x"),
        pod("b", CONTROLLER, namespace="y"),
        pod("c", WORKER),
        pod("d", WORKER),
        pod("e", WORKER),
    )
    made = proposal(one)
    assert made is not None
    assert made.manifest["kind"] == "ClusterImageOverride"
    assert "namespace" not in str(made.manifest["metadata"])


def test_what_is_never_rewritten_stays() -> None:
    (one,) = found_in(pod("a", CONTROLLER, namespace="kube-system"), pod("b", WORKER), pod("c", WORKER))
    made = proposal(one)
    assert made is not None
    assert made.keeps == CONTROLLER
    system = found_in(pod("a", CONTROLLER, namespace="kube-system"), pod("b", WORKER, namespace="kube-system"))
    assert proposal(system[0]) is None


def test_a_tag_is_set_only_in_the_containers_that_differ() -> None:
    (one,) = found_in(pod("a", "x/a:1"), pod("b", "x/a:1"), pod("c", "other:1", "x/a:2"))
    made = proposal(one)
    assert made is not None
    (rules,) = made.manifest["spec"].values()  # type: ignore[attr-defined]
    tagged = next(rule for rule in rules if rule["source"] == "docker.io/x/a")
    assert tagged == {
        "source": "docker.io/x/a",
        "target": {"repository": "docker.io/x/a", "tag": "1"},
        "containers": ["c1"],
    }
    assert "docker.io/x/a" in made.caution


def test_within_one_repository_a_rule_needs_two_tags() -> None:
    (one,) = found_in(pod("a", "x/a:1"), pod("b", f"x/a@{A}"))
    assert proposal(one) is None


def test_what_would_be_a_chain_is_not_proposed() -> None:
    (one,) = found_in(pod("a", "r.corp/app/worker:1"), pod("b", "r.corp/app/worker:1"), pod("c", "r.corp/app:1"))
    assert proposal(one) is None


def test_the_next_name_stays_where_the_first_cannot() -> None:
    worker, app, other = "r.corp/app/worker:1", "r.corp/app:1", "ghcr.io/app:1"
    (one,) = found_in(pod("a", worker), pod("b", worker), pod("c", app), pod("d", other))
    made = proposal(one)
    assert made is not None
    assert made.keeps == other


REPOSITORIES = st.sampled_from(
    ["docker.io/a/b", "docker.io/a", "docker.io/library/nginx", "r.corp:5000/a/b", "r.corp:5000/a/b/c", "ghcr.io/x_y/z"]
)
IMAGES = st.builds(
    lambda name, tag: f"{name}{tag}", REPOSITORIES, st.sampled_from([":1", ":2", "", f"@{A}", f":1@{A}"])
)
PODS = st.lists(st.tuples(IMAGES, st.sampled_from(["n1", "n2"]), st.sampled_from(["shop", "bank"])), max_size=8)


@given(PODS)
def test_proposals_compile_and_unify(drawn: Sequence[tuple[str, str, str]]) -> None:
    pods = [pod(f"p{at}", image, node=node, namespace=space) for at, (image, node, space) in enumerate(drawn)]
    for one in found_in(*pods):
        made = proposal(one)
        if made is None:
            continue
        kept = parse(made.keeps)
        for run in runs_of(pods, lambda one: one.name):
            after = parse(unified(run, made.manifest))
            if (kept.repository, kept.tag) != (run.reference.repository, run.reference.tag):
                movable = run.reference.repository != kept.repository
                assert not movable or after.repository == kept.repository
                tagged = run.reference.tag is not None and kept.tag is not None
                assert not tagged or after.tag == kept.tag
            else:
                assert (after.repository, after.tag) == (run.reference.repository, run.reference.tag)


def unified(run: Run, manifest: dict[str, object]) -> str:
    model = ImageOverride if manifest["kind"] == "ImageOverride" else ClusterImageOverride
    override: Override = model.model_validate(manifest)
    book = compile_rulebook(Stock([override], namespaces=[NamespaceRow("shop"), NamespaceRow("bank")]))
    assert book.judged[override_key(override)].accepted, book.judged
    table = book.table(run.namespace)
    assert table is not None
    return rewrite_image(CompiledTable.of(table), POD, ImageAt("containers", run.container, str(run.reference))).image


def test_workloads_name_the_rows() -> None:
    owner = Owner("apps/v1", "ReplicaSet", "web-1", "u", controller=True)
    row = PodRow(
        "shop", "a", "u", "1", pod("a", WORKER).spec, owners=(owner,), node="n1", states=pod("a", WORKER).states
    )
    (run,) = runs_of([row], lambda one: one.owners[0].name)
    assert (run.workload, run.container, run.name) == ("web-1", "c0", WORKER)

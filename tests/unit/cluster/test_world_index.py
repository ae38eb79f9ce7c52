"""What the index answers, in tables and against a model that looks at all rows anew for every question."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pawl.cluster.index import MAX_DEPTH, Index
from pawl.decide.objects import ImageAt, NamespaceRow, NodeRow, Owner, PodRow, PodSpec, WorkloadRow
from pawl.decide.reference import Repository


def spec(*images: str) -> PodSpec:
    return PodSpec(images=tuple(ImageAt("containers", f"c{number}", image) for number, image in enumerate(images)))


def owner(uid: str, *, controller: bool = True, kind: str = "ReplicaSet") -> Owner:
    return Owner("apps/v1", kind, uid, uid, controller)


def workload(
    uid: str, *owners: Owner, kind: str = "Deployment", version: str = "1", images: str = "a:1"
) -> WorkloadRow:
    return WorkloadRow(kind, "ns", uid, uid, version, spec(images), owners=owners)


def pod(uid: str, *owners: Owner, version: str = "1", images: str = "a:1", namespace: str = "ns") -> PodRow:
    return PodRow(namespace, uid, uid, version, spec(images), owners=owners)


def filled(*rows: WorkloadRow | PodRow) -> Index:
    index = Index()
    for row in rows:
        index.put(row)
    return index


def uids(rows: Sequence[WorkloadRow | PodRow]) -> list[str]:
    return sorted(row.uid for row in rows)


DEPLOYMENT = (workload("d"), workload("rs", owner("d", kind="Deployment"), kind="ReplicaSet"), pod("p", owner("rs")))


def test_a_pod_belongs_to_the_deployment_above_its_replica_set() -> None:
    index = filled(*DEPLOYMENT)
    assert index.root_of(DEPLOYMENT[2]) == DEPLOYMENT[0]
    assert uids(index.pods_of("d")) == uids(index.pods_of("rs")) == ["p"]
    assert uids(index.workloads()) == ["d"]
    assert index.workload("rs") == DEPLOYMENT[1]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1)])
def test_the_order_of_arrival_does_not_matter(order: tuple[int, ...]) -> None:
    index = filled(*(DEPLOYMENT[each] for each in order))
    assert uids(index.pods_of("d")) == ["p"]
    assert index.root_of(DEPLOYMENT[2]) == DEPLOYMENT[0]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1)])
def test_a_judgement_of_before_the_last_arrival_is_out_of_date(order: tuple[int, ...]) -> None:
    index = filled(*(DEPLOYMENT[each] for each in order[:2]))
    before = index.stamp("d")
    index.put(DEPLOYMENT[order[2]])
    assert index.stamp("d") > before


def test_roots_that_are_no_workload() -> None:
    lone = workload("lone", kind="ReplicaSet")
    foreign = workload("rollout", owner("cr", kind="Rollout"), kind="ReplicaSet")
    index = filled(lone, foreign)
    assert index.root_of(pod("p")) is None
    assert index.root_of(pod("p", owner("cr", controller=False))) is None
    assert index.root_of(pod("p", owner("cr"))) == owner("cr")
    assert index.root_of(pod("p", owner("lone"))) == lone
    assert index.root_of(pod("p", owner("rollout"))) == owner("cr", kind="Rollout")


@pytest.mark.parametrize("kind", ["Deployment", "CronJob"])
def test_a_pod_right_under_what_makes_no_pods_is_its_own_root(kind: str) -> None:
    above = owner("d", kind=kind)
    for rows in ((workload("d", kind=kind), pod("p", above)), (pod("p", above), workload("d", kind=kind))):
        index = filled(*rows)
        assert index.root_of(pod("p", above)) == above
        assert index.pods_of("d") == ()


def test_only_the_controller_counts_among_owners() -> None:
    index = filled(workload("a", kind="Job"), workload("b", kind="Job"))
    child = pod("p", owner("a", controller=False), owner("b"))
    index.put(child)
    root = index.root_of(child)
    assert isinstance(root, WorkloadRow)
    assert root.uid == "b"
    assert (index.pods_of("a"), uids(index.pods_of("b"))) == ((), ["p"])


def test_jobs_of_a_cron_job_keep_their_pods() -> None:
    job = workload("j", owner("cj", kind="CronJob"), kind="Job")
    index = filled(workload("cj", kind="CronJob"), job, pod("p", owner("j")))
    assert list(index.jobs_of("cj")) == [job]
    assert (index.pods_of("cj"), uids(index.pods_of("j"))) == ((), ["p"])


def test_parents_as_rook_makes_children() -> None:
    operator, replicas, own = DEPLOYMENT
    child = workload("discover", owner("rs", controller=False), kind="DaemonSet")
    index = filled(operator, replicas, own, child)
    assert index.parents_of(child) == (operator,)
    assert index.parents_of(own) == (operator,)
    assert index.parents_of(operator) == ()
    assert index.parents_of(pod("q", owner("discover"))) == (child,)
    assert index.parents_of(workload("x", owner("unknown"))) == ()


def test_parents_over_every_reference() -> None:
    index = filled(workload("a"), workload("b", kind="StatefulSet"))
    child = workload("c", owner("b", controller=False), owner("a", controller=False))
    assert uids(index.parents_of(child)) == ["a", "b"]


def test_cycles_end() -> None:
    one = workload("one", owner("two"), owner("one"), kind="Job")
    index = filled(one, workload("two", owner("one"), kind="Job"))
    assert index.parents_of(one) == ()


@pytest.mark.parametrize(("links", "found"), [(MAX_DEPTH - 1, ["top"]), (MAX_DEPTH, [])])
def test_the_walk_upwards_has_a_depth(links: int, found: list[str]) -> None:
    chain = [workload(f"j{number}", owner(f"j{number + 1}"), kind="Job") for number in range(links - 1)]
    index = filled(*chain, workload(f"j{links - 1}", owner("top"), kind="Job"), workload("top"))
    assert uids(index.parents_of(pod("p", owner("j0")))) == found


def test_repositories_are_found_at_segment_borders() -> None:
    index = filled(
        workload("w", images="rook/ceph:v1"), pod("p", images="docker.io/rook/ceph@sha256:" + "0" * 64), pod("q")
    )
    assert index.with_repository_below("docker.io/rook") == {"w", "p"}
    assert index.with_repository_below("docker.io/rook/") == {"w", "p"}
    assert index.with_repository_below("docker.io/rook/ceph") == {"w", "p"}
    assert index.with_repository_below("docker.io/roo") == set()
    assert index.with_repository_below("docker.io") == {"w", "p", "q"}
    assert set(index.repositories()) == {Repository("docker.io", "rook/ceph"), Repository("docker.io", "library/a")}


def test_images_that_are_no_references_stand_apart() -> None:
    index = filled(pod("p", images="docker.io/UPPER:1"))
    assert index.unparsable() == {"docker.io/UPPER:1": {"p"}}
    assert index.repositories() == {}
    index.put(pod("p", version="2", images="a:2"))
    assert index.unparsable() == {}


def test_equal_rows_tell_nothing_and_move_no_stamp() -> None:
    index = filled(*DEPLOYMENT)
    before = index.stamp("d")
    assert [index.put(row) for row in DEPLOYMENT] == [None, None, None]
    assert index.stamp("d") == before


def test_a_pod_moves_the_stamp_of_its_root_only() -> None:
    index = filled(*DEPLOYMENT, workload("other"))
    before, other = index.stamp("d"), index.stamp("other")
    change = index.put(pod("p", owner("rs"), version="2"))
    assert change is not None
    assert (change.kind, change.uid, change.root_uid, change.deleted) == ("Pod", "p", "d", False)
    assert index.stamp("d") > before
    assert index.stamp("other") == other
    between = index.stamp("d")
    index.remove(DEPLOYMENT[2])
    assert index.stamp("d") > between


def test_stamps_of_what_is_not_watched_go_with_the_last_pod() -> None:
    index = filled(pod("p", owner("cr")), pod("q", owner("cr")), pod("bare"))
    assert index.stamp("cr") > 0
    before = index.stamp("cr")
    index.remove(pod("p", owner("cr")))
    assert index.stamp("cr") > before
    index.remove(pod("q", owner("cr")))
    index.remove(pod("bare"))
    assert (index.stamp("cr"), index.stamp("bare")) == (0, 0)


def test_a_deletion_carries_what_was_seen_last() -> None:
    index = filled(*DEPLOYMENT)
    last = pod("p", owner("rs"), version="9")
    change = index.remove(last)
    assert change is not None
    assert (change.deleted, change.row, change.root_uid) == (True, last, "d")
    assert index.remove(last) is None


def test_nodes_and_namespaces() -> None:
    index = Index()
    node, space = NodeRow("n", "linux/amd64"), NamespaceRow("shop")
    first, second = index.put(node), index.put(space)
    assert first is not None
    assert second is not None
    assert (first.kind, first.namespace, second.kind, second.namespace) == ("Node", "", "Namespace", "shop")
    assert (index.put(node), index.put(space)) == (None, None)
    assert (index.nodes(), index.namespaces()) == ((node,), (space,))
    assert (index.node("n"), index.namespace("shop")) == (node, space)
    assert index.remove(node) is not None
    assert index.remove(space) is not None
    assert (index.remove(node), index.nodes(), index.namespaces()) == (None, (), ())


UIDS = [f"u{number}" for number in range(6)]
IMAGES = ["a:1", "rook/ceph:1", "BAD", "reg.corp:5000/x/y:1"]


class Model(RuleBasedStateMachine):
    """Random rows in and out; every answer is compared with one that is found by looking at all rows."""

    def __init__(self) -> None:
        super().__init__()
        self.index = Index()
        self.pods: dict[str, PodRow] = {}
        self.sets: dict[str, WorkloadRow] = {}
        self.version = 0

    def _owners(self, uid: str | None, *, controller: bool) -> tuple[Owner, ...]:
        return () if uid is None else (owner(uid, controller=controller),)

    @rule(
        uid=st.sampled_from(UIDS[:3]),
        above=st.none() | st.sampled_from([*UIDS, "x"]),
        controller=st.booleans(),
        image=st.sampled_from(IMAGES),
    )
    def put_pod(self, uid: str, above: str | None, controller: bool, image: str) -> None:  # noqa: FBT001
        self.version += 1
        row = pod(f"p{uid}", *self._owners(above, controller=controller), version=str(self.version), images=image)
        self.pods[row.uid] = row
        self.index.put(row)

    @rule(uid=st.sampled_from(UIDS), above=st.none() | st.sampled_from(UIDS), image=st.sampled_from(IMAGES))
    def put_workload(self, uid: str, above: str | None, image: str) -> None:
        self.version += 1
        kind = "ReplicaSet" if uid in UIDS[:3] else "Deployment"
        row = workload(uid, *self._owners(above, controller=True), kind=kind, version=str(self.version), images=image)
        self.sets[uid] = row
        self.index.put(row)

    @rule(uid=st.sampled_from(UIDS))
    def remove(self, uid: str) -> None:
        if (row := self.sets.pop(uid, None)) is not None:
            self.index.remove(row)
        if (gone := self.pods.pop(f"p{uid}", None)) is not None:
            self.index.remove(gone)

    @invariant()
    def pods_of_each_workload_are_those_whose_root_it_is(self) -> None:
        for uid, row in self.sets.items():
            if row.kind == "Deployment":
                wanted = [each for each in self.pods.values() if self.index.root_of(each) == row]
                assert uids(self.index.pods_of(uid)) == uids(wanted)

    @invariant()
    def images_are_those_of_the_rows(self) -> None:
        rows: list[PodRow | WorkloadRow] = [*self.pods.values(), *self.sets.values()]
        assert self.index.with_repository_below("docker.io/rook") == {
            row.uid for row in rows if row.spec.images[0].image == "rook/ceph:1"
        }
        bad = {row.uid for row in rows if row.spec.images[0].image == "BAD"}
        assert self.index.unparsable() == ({"BAD": bad} if bad else {})

    @invariant()
    def lists_are_those_of_the_rows(self) -> None:
        assert uids(self.index.pods("ns")) == uids(self.index.pods()) == sorted(self.pods)
        assert uids(self.index.workloads("ns")) == sorted(u for u, row in self.sets.items() if row.kind == "Deployment")

    @invariant()
    def no_stamp_outlives_what_it_is_about(self) -> None:
        roots = {self.index._root_uid(row) for row in self.pods.values()}
        assert set(self.index._stamps) <= {
            *self.sets,
            *roots,
            *(row.owners[0].uid for row in self.pods.values() if row.owners),
        }
        if not self.pods and not self.sets:
            assert self.index._images._uids == {}
            assert self.index._below._children == self.index._pods_below._children == {}


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=60, stateful_step_count=30)


@given(st.lists(st.sampled_from(UIDS), min_size=1, max_size=6))
def test_any_tangle_of_owners_ends(order: list[str]) -> None:
    links = zip(order, [*order[1:], order[0]], strict=True)
    rows = [workload(uid, owner(above), kind="Job") for uid, above in links]
    assert filled(*rows).parents_of(rows[0]) == ()

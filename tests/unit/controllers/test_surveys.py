"""Which targets are needed: of what is alive, under the table that holds, and looked at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from tests.unit.controllers.override_doubles import (
    Registry,
    Stage,
    body,
    digest,
    pod,
    pod_spec,
    replicas,
    rule,
    workload,
)

from pawl.api.reasons import Reason
from pawl.cluster.ruletables import CLUSTER
from pawl.controllers import surveys
from pawl.controllers.surveys import Believed, Survey
from pawl.controllers.targets import Terms
from pawl.decide.digests import Content
from pawl.decide.objects import JobState, NamespaceRow, NodeRow, Owner, PodRow, WorkloadRow
from pawl.decide.rulebook import Rulebook, Stock, compile_rulebook
from pawl.decide.tables import CompiledTable
from pawl.decide.targets import Needed, Refusal

IMAGE, TARGET = "docker.io/rook/ceph:1", "r.corp/rook/ceph:1"
REPLICAS, OWNER = replicas("web")
FOREIGN = Owner("cnpg.io/v1", "Cluster", "db", "uid-db", controller=True)
PULL = pod_spec(IMAGE, labels=(("pawl.dev/prepull", "true"),))


class Ground:
    def __init__(self, *found: Any) -> None:
        self.stage = Stage("shop", "other", "kube-system")
        self.survey = Survey(self.stage.world, frozenset({"kube-system"}))
        overrides = [self.stage.put(each) for each in found or (body("wide", ""),)]
        self.book: Rulebook = compile_rulebook(Stock(overrides, namespaces=self.stage.world.namespaces()))
        self.tables: Mapping[str, CompiledTable] = {
            name: CompiledTable.of(each) for name, each in {CLUSTER: self.book.cluster, **self.book.namespaces}.items()
        }

    def put(self, row: WorkloadRow | PodRow) -> Ground:
        self.stage.world.put(row)
        return self

    def needed(self) -> set[tuple[str, str]]:
        return {(each.namespace, each.reference) for each in self.survey.needed(self.book, self.tables)}


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        (workload("web", IMAGE), True),
        (workload("web", IMAGE, kind="CronJob"), True),
        (workload("web", IMAGE, "kube-system"), False),
        (workload("web", IMAGE, deleting=True), False),
        (workload("web", IMAGE, kind="Job", job=JobState(active=1)), True),
        (workload("web", IMAGE, kind="Job", job=JobState(finished=True)), False),
        (workload("pull", IMAGE, kind="Job", spec=PULL), False),
        (pod("bare", IMAGE), True),
        (pod("foreign", IMAGE, owners=(FOREIGN,)), True),
        (pod("done", IMAGE, phase="Succeeded"), False),
        (pod("going", IMAGE, deleting=True), False),
        (pod("static", IMAGE, mirror=True), False),
    ],
)
def test_what_needs_its_targets(*, row: WorkloadRow | PodRow, wanted: bool) -> None:
    assert Ground().put(row).needed() == ({(row.namespace, TARGET)} if wanted else set())


def test_a_template_speaks_for_its_pods() -> None:
    ground = Ground().put(workload("web", "docker.io/x:1")).put(REPLICAS).put(pod("web-1", IMAGE, owners=(OWNER,)))
    assert ground.needed() == set()


def test_each_namespace_goes_by_its_own_table() -> None:
    ground = Ground(body("wide", ""), body("one", "shop", rules=[rule("docker.io/rook/ceph", "r.corp/mine")]))
    for namespace in ("shop", "other"):
        ground.put(workload(f"web-{namespace}", IMAGE, namespace))
    assert ground.needed() == {("shop", "r.corp/mine:1"), ("other", TARGET)}


def test_a_namespace_that_goes_or_is_left_alone_needs_nothing() -> None:
    ground = Ground().put(workload("web", IMAGE, "other"))
    ground.stage.world.put(NamespaceRow("other", terminating=True))
    assert ground.needed() == set()
    ground.stage.world.put(NamespaceRow("other", ignored=True))
    ground.book = compile_rulebook(Stock(ground.stage.overrides.readable(), namespaces=ground.stage.world.namespaces()))
    assert ground.needed() == set()


def test_nodes_decide_for_which_platforms() -> None:
    ground = Ground().put(workload("web", IMAGE))
    (one,) = ground.survey.needed(ground.book, ground.tables)
    assert one.platforms == {"linux/amd64"}
    ground.stage.world.put(NodeRow("n2", "linux/arm64"))
    (one,) = ground.survey.needed(ground.book, ground.tables)
    assert one.platforms == {"linux/amd64", "linux/arm64"}


def test_what_did_not_change_is_not_judged_again() -> None:
    ground = Ground()
    for at in range(20):
        ground.put(workload(f"web{at}", f"docker.io/rook/{at}:1"))
    first = ground.survey.needed(ground.book, ground.tables)
    kept = {key: known[2] for key, known in ground.survey._known.items()}
    assert ground.survey.needed(ground.book, ground.tables) == first
    assert all(ground.survey._known[key][2] is known for key, known in kept.items())
    ground.put(workload("web0", "docker.io/rook/0:2", version="2"))
    assert ("shop", "r.corp/rook/0:2") in ground.needed()
    assert len(ground.survey._known) == 20
    for row in ground.stage.world.workloads():
        ground.stage.world.remove(row)
    assert ground.needed() == set()
    assert ground.survey._known == {}


async def test_what_stored_tables_yield() -> None:
    ground = Ground()
    ground.put(workload("web", IMAGE)).put(workload("sys", IMAGE, "kube-system"))
    assert ground.survey.stored(ground.stage.tables) == frozenset()
    await ground.stage.look()
    assert ground.survey.stored(ground.stage.tables) == {("shop", TARGET)}
    ground.stage.registry.fails = {("shop", TARGET): Reason.IMAGE_MISSING}
    await ground.stage.look()
    assert ground.survey.stored(ground.stage.tables) == frozenset()


# What is believed for a while

NEEDED = Needed("shop", TARGET, (), (), "default", frozenset({"linux/amd64"}), "o", 0)


class Asking:
    def __init__(self) -> None:
        self.time, self.registry = 0.0, Registry()
        sightings: Any = self.registry
        self.it = Believed(sightings, lambda: self.time)

    async def asked(self, terms: Terms | None = None, needed: Needed = NEEDED) -> int:
        before = len(self.registry.asked)
        self.seen = await self.it.look([needed], lambda _: terms or Terms())
        return len(self.registry.asked) - before


async def test_what_was_found_is_believed_for_a_while_and_stays_known() -> None:
    asking = Asking()
    assert await asking.asked() == 1
    first = asking.seen
    assert await asking.asked() == 0
    assert asking.seen == first
    asking.time += surveys.BELIEVED
    assert await asking.asked() == 1


@pytest.mark.parametrize(
    "terms",
    [Terms(edition="a new generation"), Terms(ca="PEM"), Terms(fault=Refusal(Reason.SECRET_NOT_FOUND, "no CA"))],
)
async def test_other_terms_are_another_question(terms: Terms) -> None:
    asking = Asking()
    await asking.asked()
    assert await asking.asked(terms) == (0 if terms.fault else 1)
    assert bool(asking.seen.refused) == (terms.fault is not None)


async def test_what_a_status_remembers_is_no_other_question() -> None:
    asking = Asking()
    await asking.asked()
    assert await asking.asked(Terms(resolved={TARGET: Content(TARGET, digest("x"))})) == 0


@pytest.mark.parametrize("reason", [Reason.UNREACHABLE, Reason.IMAGE_MISSING])
async def test_what_was_refused_is_never_believed(reason: Reason) -> None:
    asking = Asking()
    asking.registry.fails = {("", TARGET): reason}
    assert await asking.asked() == await asking.asked() == 1
    asking.registry.fails = {}
    assert await asking.asked() == 1
    assert asking.seen.refused == {}


async def test_what_nobody_needs_any_more_is_forgotten() -> None:
    asking = Asking()
    await asking.asked()
    await asking.it.look([], lambda _: Terms())
    assert asking.it._known == {}

"""What `pawl duplicates` shows, and how it asks registries, with an explainer that the test holds."""

from __future__ import annotations

import io
import json

import pytest
import yaml
from rich.console import Console, RenderableType
from tests.unit.cluster.memory_api import MemoryApi
from tests.unit.decide.test_duplicates import CONTROLLER, WORKER, A, B, C, found_in, pod

from pawl.api.imageoverride import ImageOverride
from pawl.cli.duplicates import configs, puller_of, workload_of
from pawl.cli.table_duplicates import duplicate_document, duplicates_view
from pawl.cluster.world import World
from pawl.controllers.explain import Explanation, Knowledge
from pawl.decide.objects import SYSTEM_NAMESPACES, Owner, PodRow, PodSpec, WorkloadRow

GONE = Explanation(Knowledge.MISSING, message="gone")


def shown(content: RenderableType) -> str:
    stream = io.StringIO()
    Console(file=stream, width=240, color_system=None, highlight=False).print(content)
    return stream.getvalue()


def test_the_view() -> None:
    pods = [
        pod(f"{name}-{node}", image, node=node)
        for node in ("n1", "n2")
        for name, image in (("c", CONTROLLER), ("w", WORKER))
    ]
    text = shown(duplicates_view(found_in(*pods), SYSTEM_NAMESPACES))
    for word in (
        f"2 nodes run {'a' * 12} under 2 names: n1, n2",
        CONTROLLER,
        WORKER,
        "Pod shop/c-n1, Pod shop/c-n2",
        f"To have {WORKER} only",
        "pawl plan -f FILE",
        "source: ghcr.io/arroyo/arroyo-single",
    ):
        assert word in text, word


def test_the_manifest_that_is_shown_can_be_pasted() -> None:
    text = shown(duplicates_view(found_in(pod("c", CONTROLLER), pod("w", WORKER)), SYSTEM_NAMESPACES))
    lines = text[text.index("  apiVersion") :].splitlines()
    pasted = ImageOverride.model_validate(yaml.safe_load("\n".join(line.rstrip() for line in lines)))
    assert pasted.spec.rules[0].source == "ghcr.io/arroyo/arroyo-single"


def test_many_are_cut_for_people_and_whole_for_scripts() -> None:
    pods = [pod(f"c{at}", CONTROLLER) for at in range(5)]
    (one,) = found_in(*pods, pod("w", WORKER))
    assert "Pod shop/c2 and 2 more" in shown(duplicates_view([one], SYSTEM_NAMESPACES))
    made = duplicate_document(one, SYSTEM_NAMESPACES)
    assert json.loads(json.dumps(made)) == made
    assert list(made) == ["digests", "nodes", "names", "keeps", "caution", "override"]
    assert len(made["names"][1]["pods"]) == 5
    assert made["keeps"] == CONTROLLER


def test_what_no_rule_can_unify() -> None:
    (one,) = found_in(pod("a", "x/a:1"), pod("b", f"x/a@{A}"))
    assert "no rule can unify them" in shown(duplicates_view([one], SYSTEM_NAMESPACES))
    assert duplicate_document(one, SYSTEM_NAMESPACES)["override"] is None


def test_a_caution_is_shown() -> None:
    (one,) = found_in(pod("a", "x/a:1"), pod("b", "x/a:2"))
    assert "every tag of docker.io/x/a in these containers becomes 1" in shown(
        duplicates_view([one], SYSTEM_NAMESPACES)
    )


def test_many_groups_are_kept_apart() -> None:
    both = found_in(pod("a", CONTROLLER), pod("b", WORKER), pod("c", "x/a:1", digest=B), pod("d", "y/a:1", digest=B))
    assert shown(duplicates_view(both, SYSTEM_NAMESPACES)).count("under 2 names") == 2


@pytest.mark.parametrize(
    ("answers", "same", "notes"),
    [
        ([(A, Explanation(Knowledge.EXPLAINED, frozenset({C})))], {A: C}, 0),
        ([(A, Explanation(Knowledge.EXPLAINED, frozenset({C, B})))], {A: B}, 0),
        ([(A, Explanation(Knowledge.EXPLAINED))], {}, 0),
        ([(A, Explanation(Knowledge.UNKNOWN, message="registry.corp does not answer"))], {}, 1),
        (
            [
                (A, Explanation(Knowledge.MISSING, message="gone")),
                (A, Explanation(Knowledge.EXPLAINED, frozenset({C}))),
            ],
            {A: C},
            1,
        ),
    ],
)
def test_answers_of_registries(answers: list[tuple[str, Explanation]], same: dict[str, str], notes: int) -> None:
    told: list[str] = []
    assert dict(configs(((("r.corp/x", digest), answer) for digest, answer in answers), told)) == same
    assert len(told) == notes
    assert all(line.startswith("compared by its digest only: ") for line in told)


def test_a_pod_pulls_with_its_own_keys() -> None:
    row = PodRow("shop", "a", "u", "1", PodSpec(pull_secrets=("regcred",), account="builder"))
    puller = puller_of(row)
    assert (puller.namespace, puller.pull_secrets, puller.account) == ("shop", ("regcred",), "builder")


def test_what_a_pod_belongs_to() -> None:
    world = World(MemoryApi().cluster())
    replicas = WorkloadRow("ReplicaSet", "shop", "web-1", "u-rs", "1", PodSpec(), owners=(owner("Deployment", "u-d"),))
    for made in (WorkloadRow("Deployment", "shop", "web", "u-d", "1", PodSpec()), replicas):
        world.put(made)
    rows = [
        PodRow("shop", name, f"u-{name}", "1", PodSpec(), owners=owners)
        for name, owners in (("a", (owner("ReplicaSet", "u-rs"),)), ("b", (owner("Pipeline", "u-p"),)), ("c", ()))
    ]
    for row in rows:
        world.put(row)
    assert [workload_of(world, row) for row in rows] == ["Deployment shop/web", "Pipeline shop/x", "Pod shop/c"]


def owner(kind: str, uid: str) -> Owner:
    return Owner("apps/v1", kind, "x", uid, controller=True)

"""Operators that write templates back, and overrides that contradict each other: Pawl never fights for long.

Neighbours: `test_override_arroyo` has operators that compare Pods, `test_override_git` GitOps tools.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.cluster.api import Api, Json
from tests.cluster.operators import operator_of
from tests.cluster.override_scene import PUBLIC, keeper_of
from tests.cluster.override_stage import Stage, stage_of, wait_for
from tests.cluster.override_stage_recorder import Recorder
from tests.cluster.override_stage_scenes import DISCOVERS, ROOK, RookScene, rook_scene
from tests.cluster.override_stage_specs import enforcement, override, rollout, rule
from tests.cluster.override_stage_workloads import deployment

from pawl.cli.demo_rook_objects import DISCOVER
from pawl.decide.fights import REVERTS
from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(200), pytest.mark.usefixtures("installed")]

BINDINGS = "apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings"
TEMPLATE_GATE = ("pawl-namespace-templates", "pawl-cluster-templates")


@contextmanager
def without_the_template_gate(scene: RookScene) -> Iterator[RookScene]:
    """The same scene under an operator that finds a gate for Pods alone, as whoever shipped the gate left it."""
    stage, api = scene.stage, scene.stage.api
    assert scene.pawl.terminate() == 0
    for name in TEMPLATE_GATE:
        api.delete(f"{BINDINGS}/{name}")
    flags = ("--no-manage-gate", "--plain-http-hosts", stage.registry)
    with operator_of(stage.cluster.kubeconfig, stage.directory, *flags) as running:
        yield RookScene(stage, running)


@pytest.fixture
def scene(api: Api, cluster: Cluster, tmp_path: Path) -> Iterator[RookScene]:
    with keeper_of(cluster, tmp_path) as pawl, rook_scene(api, cluster, tmp_path, pawl) as made:
        scene = made
        scene.wait(lambda: api.get(f"{BINDINGS}/{TEMPLATE_GATE[0]}").ok or made.pawl.lines(), "the operator to run")
        yield scene


def test_an_operator_that_puts_its_template_back_is_left_alone_after_three_times(scene: RookScene) -> None:
    """S8: nothing guards the template, the operator PUTs the old image every second. Pawl writes at most three times,
    says who reverts, and writes no more; new Pods are right all the same, by admission."""
    stage = scene.stage
    stage.apply(scene.wish("nobody"))  # for the gate: an operator applies it with the first override
    scene.wait(lambda: stage.api.get(f"{BINDINGS}/{TEMPLATE_GATE[1]}").ok, "the gate")
    with without_the_template_gate(scene) as alone, stage.rook("--put-loop", "1") as rook, stage.recording() as seen:
        alone.install()
        alone.made()
        stage.apply(alone.wish("rook-discover", templates="Reconcile"))
        alone.until("Contested", "True/FieldReverted")
        written = rewritten(seen, alone)
        rook.until("put", DISCOVERS, times=rook.count("put", DISCOVERS) + 8)
        stage.wait(lambda: stage.settled("daemonsets", DISCOVER), "the DaemonSet's Pods")
        (contest,) = alone.status()["contests"]
        assert rewritten(seen, alone) == written == len(alone.acted("RewriteTemplate")) <= REVERTS
        assert stage.image("daemonsets", DISCOVER) == alone.source(ROOK)
        assert alone.images_of(DISCOVER) == {alone.target(ROOK)}
        alone.wait(lambda: alone.status()["workloads"]["contested"] == 1, "the DaemonSet to count as contested")
    assert (contest["manager"], contest["uid"]) == ("rook", scene.uid("daemonsets", DISCOVER))


def uids(pods: Sequence[Json]) -> set[str]:
    return {pod["metadata"]["uid"] for pod in pods}


def made_for(workload: str, seen: Recorder) -> list[str]:
    """The names of its Pods, also of those that are gone."""
    names = dict.fromkeys(each.body["metadata"]["name"] for each in seen.changes("Pod"))
    return [name for name in names if name.startswith(f"{workload}-")]


def rewritten(seen: Recorder, scene: RookScene) -> int:
    """How often the template got the mirror's image. A PUT changes Pawl's entry in managedFields too, so by image."""
    return seen.images("DaemonSet", DISCOVER).count(scene.target(ROOK))


def test_an_operator_whose_writes_are_rewritten_never_moves_its_template(scene: RookScene) -> None:
    """S9: the same operator where templates are guarded at admission: each PUT of the old image is stored as the new
    one, the generation stands still, and nothing is contested."""
    stage = scene.stage
    with stage.rook("--put-loop", "0.5") as rook, stage.recording() as seen:
        scene.install()
        scene.made()
        stage.apply(scene.wish("rook-discover", templates="Admission"))
        scene.done()
        stage.wait(lambda: stage.settled("daemonsets", DISCOVER), "the DaemonSet's Pods")
        stage.wait(lambda: uids(stage.pods()) <= set(seen.created("Pod")), "the recorder to have seen every Pod")
        generation, pods = scene.generation("daemonsets", DISCOVER), made_for(DISCOVER, seen)
        rook.until("put", DISCOVERS, times=rook.count("put", DISCOVERS) + 12)
        assert scene.generation("daemonsets", DISCOVER) == generation
        assert made_for(DISCOVER, seen) == pods
    assert stage.image("daemonsets", DISCOVER) == scene.target(ROOK)
    assert scene.images_of(DISCOVER) == {scene.target(ROOK)}
    assert "Contested" not in scene.conditions()


def test_of_two_that_contradict_the_older_wins_before_and_after_a_restart(
    api: Api, cluster: Cluster, tmp_path: Path
) -> None:
    """S11: two overrides name other targets for one source. Both say Conflicting; the older decides, whichever name it
    has, every workload is rolled once for it, and a restart of the operator changes nothing."""
    with stage_of(api, cluster, tmp_path) as one, stage_of(api, cluster, tmp_path) as two:
        scenes = [prepared(stage, order) for stage, order in ((one, ("alpha", "beta")), (two, ("beta", "alpha")))]
        with one.recording() as first, two.recording() as second:
            recorders = (first, second)
            for _ in range(2):
                with keeper_of(cluster, tmp_path) as pawl:
                    for stage, winner in scenes:
                        scene = RookScene(stage, pawl)
                        for name in ("alpha", "beta"):
                            scene.until("Conflicting", "True", name)
                        scene.until("Verified", "True", winner)
                        scene.wait(lambda scene=scene: scene.stage.settled("deployments", "web"), "the Pods")  # type: ignore[misc]
                        assert scene.pod_images("web") == [at(stage, winner)]
            for recorder in recorders:
                assert len(recorder.writes("Deployment", "web", "pawl")) == 1
                assert len(recorder.created("Pod")) == 2


def prepared(stage: Stage, order: tuple[str, str]) -> tuple[Stage, str]:
    """A Deployment and two overrides, made in this order, seconds of the API server's clock apart."""
    scene = RookScene(stage, None)  # type: ignore[arg-type]
    for name in order:
        scene.push(f"{name}/web")
    stage.apply(deployment("web", f"{PUBLIC}/web:v1"))
    stage.wait(lambda: stage.settled("deployments", "web"), "the Pod")
    for name in order:
        target = scene.known(f"{name}/web")
        wanted = rule(f"{PUBLIC}/web", target.name, tag="v1", digest=target.digest)
        stage.apply(override(wanted, name=name, enforcement=enforcement(), rollout=rollout()))
        second = int(time.time())
        wait_for(lambda second=second: int(time.time()) > second, 3, "the next second")  # type: ignore[misc]
    return stage, order[0]


def at(stage: Stage, winner: str) -> str:
    return RookScene(stage, None).target(f"{winner}/web")  # type: ignore[arg-type]

"""The end of an override: originals come back byte for byte, what others changed is left, and nothing hangs.

Neighbours: `override_denial` freezes a namespace. Not here: how a template is restored (`test_writers`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.api import POLICIES, Api, Json
from tests.cluster.operators import Operator, good
from tests.cluster.override_denial import frozen
from tests.cluster.override_scene import PUBLIC, Scene, fresh, keeper_of, scene_of
from tests.cluster.override_stage import Stage, stage_of, wait_for
from tests.cluster.override_stage_specs import cluster_override, enforcement, rollout, rule
from tests.cluster.override_stage_workloads import cron_job, daemon_set, deployment, stateful_set

from pawl.cluster.templates_restore import RESTORER
from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240), pytest.mark.usefixtures("installed")]
RECONCILE = enforcement(templates="Reconcile")
SERVERS = frozenset({"deployment.kubernetes.io/revision", "deprecated.daemonset.template.generation"})
"""Annotations that Kubernetes counts rollouts by."""
KINDS = (("deployments", "web"), ("daemonsets", "agent"), ("statefulsets", "db"), ("cronjobs", "tick"))


@pytest.fixture(scope="module")
def pawl(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with keeper_of(cluster, tmp_path_factory.mktemp("pawl")) as running:
        yield running


@pytest.fixture
def scene(api: Api, cluster: Cluster, tmp_path: Path, pawl: Operator) -> Iterator[Scene]:
    with scene_of(api, cluster, tmp_path, pawl) as made:
        yield made


def lasting(body: Json) -> Json:
    """What a user wrote: the spec, and the metadata without what controllers and the API server write."""
    meta = body["metadata"]
    notes = {key: value for key, value in meta.get("annotations", {}).items() if key not in SERVERS}
    managers = sorted({each["manager"] for each in meta["managedFields"] if not each.get("subresource")})
    return {
        "spec": body["spec"],
        "labels": meta.get("labels"),
        "annotations": notes,
        "pawl": "pawl" in managers,
        "finalizers": meta.get("finalizers"),
    }


def gone(scene: Scene, seconds: float = 60) -> None:
    scene.wait(
        lambda: scene.stage.find("imageoverrides", "private") is None, "the override to be gone", "private", seconds
    )


def test_originals_come_back_byte_for_byte(scene: Scene) -> None:
    """Templates were rewritten; the user deletes the override: each is as it was, and its Pods run the old image."""
    scene.push()
    image = scene.source()
    scene.start(deployment("web", image), daemon_set("agent", image), stateful_set("db", image))
    scene.stage.apply(cron_job("tick", image, suspend=True))
    before = {what: lasting(scene.stage.read(*what)) for what in KINDS}
    scene.stage.apply(scene.mirror(enforcement=RECONCILE))
    scene.done()
    for plural, name in KINDS[:3]:
        assert scene.stage.image(plural, name) == scene.target()
    assert lasting(scene.stage.read(*KINDS[3]))["spec"] != before[KINDS[3]]["spec"]
    with scene.stage.recording() as recorder:
        good(scene.stage.delete("imageoverrides", "private"))
        gone(scene)
        scene.wait(
            lambda: all(scene.pod_images(name) == [image] for name in ("web", "agent", "db")), "the old image to run"
        )
        kinds = (("Deployment", "web"), ("DaemonSet", "agent"), ("StatefulSet", "db"), ("CronJob", "tick"))
        assert [len(recorder.writes(kind, name, RESTORER)) for kind, name in kinds] == [1] * 4
    assert {what: lasting(scene.stage.read(*what)) for what in KINDS} == before
    assert scene.stage.find("imagerules", "pawl") is None


def test_pods_come_back_where_only_admission_rewrote(scene: Scene) -> None:
    """Nothing but an annotation had been written: it goes with the override, and the Pods roll to their own image."""
    scene.push()
    scene.start(deployment("web", scene.source()))
    before = lasting(scene.stage.read("deployments", "web"))
    scene.stage.apply(scene.mirror())
    scene.done()
    good(scene.stage.delete("imageoverrides", "private"))
    gone(scene)
    scene.wait(lambda: scene.pod_images("web") == [scene.source()], "the old image to run")
    assert lasting(scene.stage.read("deployments", "web")) == before


def test_what_somebody_else_changed_is_left(scene: Scene) -> None:
    """A third party moved an image elsewhere meanwhile: deleting the override leaves that, and tells it in an Event."""
    scene.push()
    scene.start(deployment("web", scene.source()), deployment("theirs", scene.source()))
    scene.stage.apply(scene.mirror(enforcement=RECONCILE))
    scene.done()
    other = f"elsewhere.example.com/web:v9@{scene.known().digest}"
    scene.stage.set_image("deployments", "theirs", other)
    scene.stage.wait(lambda: scene.pod_images("theirs") == [other], "their Pods")
    good(scene.stage.delete("imageoverrides", "private"))
    gone(scene)
    assert scene.stage.image("deployments", "theirs") == other
    assert scene.stage.image("deployments", "web") == scene.source()
    assert not any("pawl.dev/" in key for key in scene.stage.read("deployments", "theirs")["metadata"]["annotations"])
    scene.stage.wait(lambda: events(scene.stage, "Restoring"), "the Event that tells it")
    assert "theirs" in events(scene.stage, "Restoring")[0]["message"]


def test_leave_leaves(scene: Scene) -> None:
    """deletionPolicy: Leave: the templates keep the mirror's image, and the override goes at once."""
    scene.push()
    scene.start(deployment("web", scene.source()))
    scene.stage.apply(scene.mirror(enforcement=RECONCILE, deletionPolicy="Leave"))
    scene.done()
    generation = scene.stage.read("deployments", "web")["metadata"]["generation"]
    good(scene.stage.delete("imageoverrides", "private"))
    gone(scene)
    assert scene.stage.image("deployments", "web") == scene.target()
    assert scene.stage.read("deployments", "web")["metadata"]["generation"] == generation


def events(stage: Stage, reason: str) -> list[Json]:
    return [each for each in stage.find_all("events") if each["reason"] == reason]


@pytest.fixture
def team(api: Api, cluster: Cluster, tmp_path: Path, pawl: Operator) -> Iterator[tuple[Scene, Scene, str]]:
    """Two namespaces under one ClusterImageOverride, all rolled out, and its name."""
    label, name = fresh("team"), fresh("wide")
    with stage_of(api, cluster, tmp_path, team=label) as one, stage_of(api, cluster, tmp_path, team=label) as two:
        scenes = Scene(one, pawl), Scene(two, pawl)
        rules = []
        for scene in scenes:
            scene.push()
            own = f"{PUBLIC}/{scene.stage.namespace}"
            rules.append(rule(own, scene.place))
            scene.start(deployment("web", own_source(scene)))
        spec: Json = {"enforcement": RECONCILE, "rollout": rollout(), "restoreTimeout": "3s"}
        one.apply_cluster(cluster_override(*rules, namespaces={"team": label}, name=name, **spec))
        yield *scenes, name
        api.delete(f"{POLICIES}/clusterimageoverrides/{name}")


def own_source(scene: Scene) -> str:
    return scene.source().replace(PUBLIC, f"{PUBLIC}/{scene.stage.namespace}")


def wide(scene: Scene, name: str) -> Json | None:
    answer = scene.stage.api.get(f"{POLICIES}/clusterimageoverrides/{name}")
    return answer.body if answer.ok else None


def test_a_frozen_namespace_does_not_hold_the_end_up(team: tuple[Scene, Scene, str]) -> None:
    """One namespace answers 403: the other is restored, and the override is gone when restoreTimeout has passed."""
    one, two, name = team
    wait_for(lambda: all(scene.pod_images("web") == [scene.target()] for scene in (one, two)), what="the rollout")
    for scene in (one, two):
        assert scene.stage.image("deployments", "web") == scene.target()
    with frozen(one.stage, "web"):
        good(one.stage.api.delete(f"{POLICIES}/clusterimageoverrides/{name}"))
        two.wait(lambda: two.stage.image("deployments", "web") == own_source(two), "the other to be restored")
        wait_for(lambda: wide(one, name) is None, 15, "the override to be gone")
        assert one.stage.image("deployments", "web") == one.target()
    lines = one.pawl.lines("override ended")
    ended = next(line for line in reversed(lines) if name in line["override"])
    assert len(ended["failed"]) == 1
    assert one.stage.namespace in ended["failed"][0]


def test_a_frozen_namespace_does_not_hold_the_others_up(
    api: Api, cluster: Cluster, tmp_path: Path, pawl: Operator
) -> None:
    """403 while it rolls: the others go on, the refusal is told with the object, and it goes on when it is lifted."""
    label, name = fresh("team"), fresh("wide")
    with stage_of(api, cluster, tmp_path, team=label) as stage, stage_of(api, cluster, tmp_path, team=label) as other:
        one, two = Scene(stage, pawl), Scene(other, pawl)
        for scene in (one, two):
            scene.push()
            scene.start(deployment("web", own_source(scene)))
        rules = [rule(f"{PUBLIC}/{scene.stage.namespace}", scene.place) for scene in (one, two)]
        body = cluster_override(
            *rules, namespaces={"team": label}, name=name, enforcement=enforcement(), rollout=rollout()
        )
        with frozen(stage, "web"):
            stage.apply_cluster(body)
            wait_for(lambda: two.pod_images("web") == [two.target()], what="the other to roll")
            told = wait_for(lambda: ready(wide(one, name), "False", "frozen"), what="the refusal to be told")
            assert "web" in told
            assert one.pod_images("web") == [own_source(one)]
        wait_for(lambda: one.pod_images("web") == [one.target()], what="it to go on")
        wait_for(lambda: ready(wide(one, name), "True", ""), what="the end")
        good(api.delete(f"{POLICIES}/clusterimageoverrides/{name}"))
        wait_for(lambda: wide(one, name) is None, what="it to be gone")


def ready(found: Json | None, status: str, words: str) -> str:
    """The message of Ready where it has this status and these words."""
    conditions = (found or {}).get("status", {}).get("conditions", [])
    messages = [each["message"] for each in conditions if each["type"] == "Ready" and each["status"] == status]
    return next((str(message) for message in messages if words in message), "")

"""Large, broken and odd input: what cannot be rewritten is left as it is and told, and the rest goes on.

Neighbours: `test_crds_override` for what the API server refuses itself. Not here: tables of the whole cluster.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.api import Api, Json
from tests.cluster.operators import Operator, good
from tests.cluster.override_scene import PUBLIC, Scene, keeper_of, scene_of
from tests.cluster.override_stage_specs import enforcement, override, rollout, rule
from tests.cluster.override_stage_workloads import bare_pod, daemon_set, deployment

from pawl.controllers.prepulls import LABEL
from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240), pytest.mark.usefixtures("installed")]


@pytest.fixture(scope="module")
def pawl(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with keeper_of(cluster, tmp_path_factory.mktemp("pawl")) as running:
        yield running


@pytest.fixture
def scene(api: Api, cluster: Cluster, tmp_path: Path, pawl: Operator) -> Iterator[Scene]:
    with scene_of(api, cluster, tmp_path, pawl) as made:
        yield made


def quiet(*rules: Json, name: str = "private", **spec: object) -> Json:
    """An override that nobody has to look at registries for."""
    wish: Json = {"enforcement": enforcement(), "rollout": rollout(preflight="Skip")} | spec
    return override(*rules, name=name, **wish)


def test_a_thousand_rules(scene: Scene) -> None:
    """As many rules as an override may have: the first and the last hold alike, and nothing else is touched."""
    places = [f"{PUBLIC}/p{number}" for number in range(1000)]
    rules = [rule(place, f"mirror.example.com/{scene.stage.namespace}/p{at}") for at, place in enumerate(places)]
    names = ("p0", "p999", "beside")
    scene.start(*(deployment(name, scene.source(f"{name}/web")) for name in names))
    scene.stage.apply(quiet(*rules))
    scene.until("RolledOut", "True")
    assert scene.message("Accepted") == "1000 rules in force"
    mirror = scene.source().replace(f"{PUBLIC}/web", f"mirror.example.com/{scene.stage.namespace}/{{}}/web")
    digests = {name: scene.known(f"{name}/web").digest for name in names}
    for name in names[:2]:
        assert scene.pod_images(name) == [f"{mirror.format(name).partition('@')[0]}@{digests[name]}"]
    assert scene.pod_images("beside") == [scene.source("beside/web")]


def test_rules_that_nobody_can_compare_stop_nobody_else(scene: Scene, pawl: Operator) -> None:
    """One source a thousand times, each for other containers, takes seconds to refuse; the operator goes on."""
    scene.push()
    scene.start(deployment("web", scene.source("only-b/web")))
    tangled = [{**rule(f"{PUBLIC}/a", tag=f"v{at}"), "containers": [f"c{at}"]} for at in range(1000)]
    scene.stage.apply(quiet(*tangled, name="tangled"))
    said = scene.until("Accepted", "False/RulesTooTangled", "tangled")
    assert "use fewer rules for one source" in said
    scene.stage.apply(quiet(rule_for("b"), name="b"))
    scene.until("Accepted", "True", "b")
    mirrored = scene.source("only-b/web").replace(f"{PUBLIC}/only-b", "mirror.example.com/only-b")
    scene.wait(lambda: scene.pod_images("web")[0].startswith(mirrored.partition("@")[0]), "the other to be in force")
    assert pawl.get("healthz").status_code == 200


@pytest.mark.parametrize("image", ["Web/UPPER:v1", "web:v1@sha256:short", f"{PUBLIC}/web:-bad", "a//b", ":tag"])
def test_an_image_that_is_no_reference_is_left(scene: Scene, image: str) -> None:
    """The API server takes nearly any text as an image: what is no reference stays, and the Pod is made."""
    scene.push()
    scene.start(deployment("web", scene.source()))
    scene.stage.apply(scene.mirror())
    scene.done()
    scene.stage.apply(bare_pod("odd", image))
    assert scene.stage.read("pods", "odd")["spec"]["containers"][0]["image"] == image
    scene.ask("look")
    assert scene.conditions()["Verified"].startswith("True")


def test_a_result_that_is_too_long_leaves_the_image_and_is_told(scene: Scene) -> None:
    """The rule would make a repository of more than 255 characters: that image stays, others of the rule follow."""
    long = scene.source(f"{'x' * 115}/{'x' * 114}")
    scene.start(deployment("long", long), deployment("short", scene.source()))
    scene.stage.apply(quiet(rule(PUBLIC, f"mirror.example.com/{scene.stage.namespace}")))
    scene.wait(lambda: "mirror.example.com" in str(scene.pod_images("short")), "the other to follow")
    (finding,) = scene.wait(lambda: scene.findings("ResultTooLong"), "the finding")
    assert finding["name"] == "long"
    assert scene.pod_images("long") == [long]
    assert not scene.annotated("deployments", "long")


def test_a_table_that_would_be_too_large_refuses_the_last_override(scene: Scene) -> None:
    """Together the overrides make more than an object may hold: the last one is refused, the others go on."""

    def big(name: str) -> Json:
        path = "/".join(("x" * 60,) * 3)
        rules = [rule(f"{PUBLIC}/{name}{at}/{path}", f"mirror.example.com/{name}{at}/{path}") for at in range(999)]
        return quiet(*rules, rule_for(name), name=name)

    names = ("a", "b", "c")
    scene.start(*(deployment(name, f"{PUBLIC}/only-{name}/web:v1") for name in names))
    for name in names[:2]:
        scene.stage.apply(big(name))
        scene.until("Accepted", "True", name)
    scene.stage.apply(big("c"))
    said = scene.until("Accepted", "False/TableTooLarge", "c")
    assert scene.stage.namespace in said
    follow = [[f"mirror.example.com/only-{name}/web:v1"] for name in names]
    scene.wait(lambda: [scene.pod_images(name) for name in names[:2]] == follow[:2], "the others to go on")
    assert scene.pod_images("c") == [f"{PUBLIC}/only-c/web:v1"]
    good(scene.stage.delete("imageoverrides", "a"))
    scene.until("Accepted", "True", "c")
    scene.wait(lambda: scene.pod_images("c") == follow[2], "the last to follow", "c")


def rule_for(name: str) -> Json:
    return rule(f"{PUBLIC}/only-{name}", f"mirror.example.com/only-{name}")


def test_a_namespace_whose_quota_is_full_is_told(scene: Scene) -> None:
    """No Pod fits into the quota, not even a trial: nothing rolls, the message names the quota; then it goes on."""
    scene.push()
    scene.start(deployment("web", scene.source()))
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full"}, "spec": {"hard": {"pods": "1"}}}
    place = f"api/v1/namespaces/{scene.stage.namespace}/resourcequotas"
    good(scene.stage.api.post(place, quota))
    scene.stage.apply(scene.mirror())
    scene.wait(lambda: "exceeded quota: full" in scene.message("RolledOut"), "the quota to be told")
    assert not scene.annotated("deployments", "web")
    good(scene.stage.api.merge(f"{place}/full", {"spec": {"hard": {"pods": "5"}}}))
    scene.done(seconds=90)


def test_fields_of_custom_resources_are_rewritten_and_given_back(scene: Scene) -> None:
    """An operator reads its image from a custom resource: the named field is rewritten in place, and given back."""
    scene.push()
    wish = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ceph"}}
    data = {"image": scene.source(), "other": scene.source("other"), "words": "stay"}
    scene.stage.apply(wish | {"data": data})
    paths = [{"apiVersion": "v1", "kind": "ConfigMap", "path": "data.image"}]
    scene.stage.apply(scene.mirror(enforcement=enforcement(paths=paths)))
    scene.wait(lambda: scene.stage.read("configmaps", "ceph")["data"]["image"] == scene.target(), "the field")
    assert scene.stage.read("configmaps", "ceph")["data"] == data | {"image": scene.target()}
    good(scene.stage.delete("imageoverrides", "private"))
    scene.wait(lambda: scene.stage.find("imageoverrides", "private") is None, "the override to go")
    given = scene.stage.read("configmaps", "ceph")
    assert given["data"] == data
    assert not any("pawl.dev/" in key for key in given["metadata"].get("annotations", {}))


def test_images_are_pulled_before_anything_rolls(scene: Scene) -> None:
    """With prepull each image comes to each node by a Job of its own first; only then the workloads roll."""
    scene.push()
    scene.push("agent")
    scene.start(deployment("web", scene.source(), replicas=2), daemon_set("agent", scene.source("agent")))
    with scene.stage.recording() as recorder:
        scene.stage.apply(scene.mirror(rollout=rollout(prepull=True)))
        scene.done()
        jobs = [change for change in recorder.changes("Job") if change.type == "ADDED"]
        assert sorted(change.image for change in jobs) == sorted([scene.target(), scene.target("agent")])
        assert all(change.body["metadata"]["labels"][LABEL] == "true" for change in jobs)
        rolled = recorder.writes("Deployment", "web", "pawl") + recorder.writes("DaemonSet", "agent", "pawl")
        assert len(rolled) == 2
        assert max(int(change.version) for change in jobs) < min(int(change.version) for change in rolled)
    assert scene.conditions()["Prepulled"].startswith("True")

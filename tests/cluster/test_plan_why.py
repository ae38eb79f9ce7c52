"""`pawl plan`, `pawl why`, `pawl duplicates` and the overrides of `pawl status` against a real API server.

No operator runs here: overrides, tables and statuses are written as it would write them, so every answer is exact.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster.api import Answer, Api, Json
from tests.cluster.conftest import wait_for
from tests.cluster.identities import kubeconfig_of
from tests.cluster.workloads import create, live, manifest, path_of, pod_spec
from tests.unit.cli.run_pawl import Ended, pawl

from pawl.api.imageoverride import ImageOverride
from pawl.api.imagerules import TABLE_NAME
from pawl.decide.objects import NamespaceRow
from pawl.decide.rulebook import Stock, compile_rulebook
from pawl.sandbox import Cluster

pytestmark = pytest.mark.cluster

OURS = "apis/pawl.dev/v1alpha1"
OLD, NEW = "docker.io/rook/ceph:v1", "registry.corp:5000/rook/ceph:v1"
A, B = (f"sha256:{letter * 64}" for letter in "ab")
RULES = [{"source": "docker.io/rook", "target": {"repository": "registry.corp:5000/rook"}}]


@dataclass(frozen=True)
class Scene:
    """A namespace and the command line for it."""

    api: Api
    cluster: Cluster
    namespace: str

    def pawl(self, *arguments: str, kubeconfig: str | None = None) -> Ended:
        return pawl(*arguments, "-n", self.namespace, "--kubeconfig", kubeconfig or str(self.cluster.kubeconfig))

    def document(self, *arguments: str) -> Any:
        ended = self.pawl(*arguments, "-o", "json")
        assert ended.code == 0, ended.err
        return json.loads(ended.out)

    def override(self, name: str = "rook", **spec: Any) -> Json:
        """Create an override and return it as it is stored."""
        body = {"apiVersion": "pawl.dev/v1alpha1", "kind": "ImageOverride", "metadata": {"name": name}}
        made = self.api.post(self.path("imageoverrides"), {**body, "spec": {"rules": RULES, **spec}})
        assert made.ok, made.message
        return made.body

    def tell(self, name: str, **status: Any) -> None:
        """Write the status of an override."""
        written = self.api.merge(f"{self.path('imageoverrides', name)}/status", {"status": status})
        assert written.ok, written.message

    def table(self) -> None:
        """Store the table of the namespace, compiled from all that is there."""
        items = self.api.get(self.path("imageoverrides")).body["items"]
        overrides = [ImageOverride.model_validate({**each, "kind": "ImageOverride"}) for each in items]
        book = compile_rulebook(Stock(overrides, namespaces=[NamespaceRow(self.namespace)]))
        table = book.namespaces[self.namespace].wire()
        body = {
            "apiVersion": "pawl.dev/v1alpha1",
            "kind": "ImageRules",
            "metadata": {"name": TABLE_NAME},
            "spec": table,
        }
        made = self.api.post(self.path("imagerules"), body)
        assert made.ok, made.message

    def path(self, plural: str, name: str = "") -> str:
        base = f"{OURS}/namespaces/{self.namespace}/{plural}"
        return f"{base}/{name}" if name else base

    def deployment(self, name: str, **images: str) -> Json:
        return create(self.api, self.namespace, manifest("Deployment", name, pod_spec(**images)))

    def pod(self, name: str, digest: str, **images: str) -> Json:
        """Create a Pod and let its kubelet report a digest."""
        made = create(self.api, self.namespace, manifest("Pod", name, unscheduled(**images)))
        self.report(name, digest, images)
        return made

    def report(self, name: str, digest: str, images: Mapping[str, str]) -> None:
        """Let the kubelet of a Pod that no scheduler sees report a digest for every container."""
        states = [
            {
                "name": each,
                "image": image,
                "imageID": f"any.corp/x@{digest}",
                "ready": True,
                "restartCount": 0,
                "state": {"running": {}},
            }
            for each, image in images.items()
        ]
        status = {"phase": "Running", "containerStatuses": states}
        written = self.api.merge(f"{path_of('Pod', self.namespace, name)}/status", {"status": status})
        assert written.ok, written.message

    def made_by(self, name: str, **images: str) -> str:
        """Create a ReplicaSet of one Pod and return the name of that."""
        body = manifest("ReplicaSet", name, unscheduled(**images))
        body["spec"]["replicas"] = 1
        create(self.api, self.namespace, body)
        path = f"{path_of('Pod', self.namespace)}?labelSelector=app%3D{name}"
        wait_for(lambda: Answer(200 if self.api.get(path).body["items"] else 404, {}))
        found: str = self.api.get(path).body["items"][0]["metadata"]["name"]
        return found

    def specs(self) -> dict[str, Any]:
        """Return what everything in the namespace says that a command could write to; statuses are not ours."""
        paths = [path_of(kind, self.namespace) for kind in ("Deployment", "Pod", "Job")]
        found = [*paths, self.path("imageoverrides"), self.path("imagerules")]
        items = [item for path in found for item in self.api.get(path).body["items"]]
        return {item["metadata"]["uid"]: item["spec"] for item in items}


@pytest.fixture
def scene(api: Api, cluster: Cluster, installed: list[str], namespace: str) -> Iterator[Scene]:
    assert installed
    made = Scene(api, cluster, namespace)
    yield made
    for item in api.get(made.path("imageoverrides")).body["items"]:
        api.delete(made.path("imageoverrides", item["metadata"]["name"]))


def unscheduled(**images: str) -> Json:
    """A Pod spec that no node takes, so that its status stays as the test writes it."""
    return {**pod_spec(**images), "schedulerName": "nobody"}


# plan


def test_a_plan_of_a_live_override(scene: Scene) -> None:
    scene.override()
    scene.deployment("web", app=OLD)
    scene.deployment("api", app="docker.io/library/nginx:1")
    before = scene.specs()
    found = scene.document("plan", "rook")
    assert found["kind"] == "ImageOverride"
    assert len(found["hash"]) == 16
    assert found["namespaces"] == [scene.namespace]
    assert scene.specs() == before


def test_a_plan_shows_every_step_with_its_why(scene: Scene) -> None:
    scene.override(enforcement={"templates": "Reconcile"})
    for at in range(60):
        scene.deployment(f"web-{at:02}", app=OLD)
    found = scene.document("plan", "rook")
    assert found["counts"]["rollouts"] == 60
    steps = found["steps"]
    assert [step["object"] for step in steps] == [f"Deployment {scene.namespace}/web-{at:02}" for at in range(60)]
    assert {(step["action"], step["why"]) for step in steps} == {("Rewrite", f"app: {NEW}")}
    ended = scene.pawl("plan", "rook")
    assert ended.code == 0
    assert f"plan {found['hash']}: 60 rollouts" in ended.out


def test_bare_pods_are_left_alone_and_told(scene: Scene) -> None:
    scene.override()
    scene.pod("bare", A, app=OLD)
    (left,) = scene.document("plan", "rook")["left"]
    assert (left["reason"], left["object"]) == ("BarePod", f"Pod {scene.namespace}/bare")
    assert "does not end Pods that run" in left["why"]


def test_a_file_is_planned_beside_what_lives(scene: Scene, tmp_path: Path) -> None:
    scene.deployment("web", app=OLD)
    scene.override("other", rules=[{"source": "docker.io/rook/osd", "target": {"tag": "v2"}}])
    source = tmp_path / "override.yaml"
    spec = {"rules": RULES, "enforcement": {"templates": "Reconcile"}, "rollout": {"mode": "Plan"}}
    body = {"apiVersion": "pawl.dev/v1alpha1", "kind": "ImageOverride", "metadata": {"name": "rook"}, "spec": spec}
    source.write_text(yaml.safe_dump(body))
    before = scene.specs()
    found = scene.document("plan", "-f", str(source))
    assert (found["name"], found["namespace"]) == ("rook", scene.namespace)
    assert [step["object"] for step in found["steps"]] == [f"Deployment {scene.namespace}/web"]
    assert found["awaitsApproval"]
    assert scene.specs() == before
    assert f'"approvedPlan":"{found["hash"]}"' in scene.pawl("plan", "-f", str(source)).out


def test_a_file_takes_the_place_of_its_namesake(scene: Scene, tmp_path: Path) -> None:
    scene.deployment("web", app=OLD)
    scene.override(enforcement={"templates": "Reconcile"})
    source = tmp_path / "override.yaml"
    rules = [{"source": "docker.io/rook", "target": {"repository": "ghcr.io/rook"}}]
    spec = {"rules": rules, "enforcement": {"templates": "Reconcile"}}
    body = {"apiVersion": "pawl.dev/v1alpha1", "kind": "ImageOverride", "metadata": {"name": "rook"}, "spec": spec}
    source.write_text(yaml.safe_dump(body))
    (step,) = scene.document("plan", "-f", str(source))["steps"]
    assert step["why"] == "app: ghcr.io/rook/ceph:v1"


def test_rules_that_are_no_fixed_point_have_no_plan(scene: Scene) -> None:
    chain = [
        {"source": "docker.io/rook", "target": {"repository": "ghcr.io/rook"}},
        {"source": "ghcr.io/rook", "target": {"repository": "quay.io/rook"}},
    ]
    scene.override(rules=chain)
    found = scene.document("plan", "rook")
    assert found["hash"] is None
    assert found["refused"].startswith("not in force: NotIdempotent")


def test_all_overrides_of_a_namespace(scene: Scene) -> None:
    scene.override("b", rules=[{"source": "docker.io/b", "target": {"tag": "v2"}}])
    scene.override("a", rules=[{"source": "docker.io/a", "target": {"tag": "v2"}}])
    names = [each["name"] for each in scene.document("plan") if each["namespace"] == scene.namespace]
    assert names == ["a", "b"]


@pytest.mark.parametrize("name", ["nothing", "iov/nothing", "ciov/rook"])
def test_an_override_that_is_not_there(scene: Scene, name: str) -> None:
    scene.override()
    ended = scene.pawl("plan", name)
    assert (ended.code, ended.out) == (2, "")
    assert "`pawl status -A` lists all" in ended.err
    assert ended.err.count("\n") == 1


def test_a_look_at_registries_holds_back_what_is_not_there(scene: Scene) -> None:
    missing = f"{scene.cluster.registry}/missing"
    rules = [{"source": "docker.io/rook", "target": {"repository": missing}}]
    scene.override(rules=rules, enforcement={"templates": "Reconcile"})
    scene.deployment("web", app=OLD)
    assert scene.document("plan", "rook")["counts"]["rollouts"] == 1
    found = scene.document("plan", "rook", "--preflight")
    assert (found["steps"], found["left"][0]["reason"]) == ([], "ImageMissing")
    assert f"{missing}/ceph:v1" in found["notes"][0]


# why


def test_a_pod_from_template_to_node(scene: Scene) -> None:
    scene.override()
    scene.override("wide", rules=[{"source": "docker.io", "target": {"repository": "mirror.corp"}}])
    name = scene.made_by("web-1", app=OLD, side="nginx:1")  # before the table: the cluster may have a gate by now
    scene.table()
    place = {"op": "replace", "path": "/spec/containers/0/image", "value": NEW}
    assert scene.api.json_patch(path_of("Pod", scene.namespace, name), place).ok
    scene.report(name, A, {"app": NEW, "side": "nginx:1"})
    resolved = [{"reference": NEW, "digest": A, "platforms": [{"platform": "linux/amd64", "digest": B}]}]
    scene.tell("rook", observedGeneration=1, resolved=resolved)
    found = scene.document("why", name)
    app, side = found["images"]
    assert found["table"] == f"ImageRules {scene.namespace}/pawl"
    assert app["original"] == {"image": OLD, "from": f"the template of ReplicaSet {scene.namespace}/web-1"}
    assert [rule["override"] for rule in app["rules"]] == [f"{scene.namespace}/rook", f"{scene.namespace}/wide"]
    assert app["rules"][1]["why"] == "docker.io/rook is more specific than docker.io"
    assert (app["wanted"], app["inSpec"], app["verdict"]) == (NEW, NEW, "Verified")
    assert app["imageID"] == f"any.corp/x@{A}"
    assert (side["wanted"], side["verdict"]) == ("mirror.corp/library/nginx:1", "Drifted")


def test_a_digest_that_only_the_registry_can_prove(scene: Scene) -> None:
    scene.override()
    scene.table()
    scene.pod("web", B, app=NEW)
    (app,) = scene.document("why", "web")["images"]
    assert (app["outcome"], app["verdict"]) == ("Target", "Unverifiable")
    assert "only the registry can prove it" in app["message"]


def test_pull_secrets_that_a_pod_lacks(scene: Scene) -> None:
    scene.override(pullSecrets=[{"name": "regcred"}])
    scene.pod("web", A, app=OLD)
    scene.table()
    found = scene.document("why", "web")
    assert found["pullSecrets"] == {"added": [], "missing": ["regcred"]}
    assert "missing: regcred" in scene.pawl("why", "web").out


def test_the_selection_that_gave_the_tag(scene: Scene) -> None:
    policy = {"apiVersion": "pawl.dev/v1alpha1", "kind": "ImagePolicy", "metadata": {"name": "ceph"}}
    spec = {"image": "registry.corp:5000/rook/ceph", "select": {"semver": {"range": "*"}}}
    assert scene.api.post(scene.path("imagepolicies"), {**policy, "spec": spec}).ok
    mark = {"namespace": scene.namespace, "name": "ceph", "image": spec["image"], "epoch": 1, "sequence": 2}
    entry = {
        "to": spec["image"], "tag": "v2", "digest": A, "policy": mark,
        "override": f"{scene.namespace}/rook", "rule": 0,
    }  # fmt: skip
    body = {"apiVersion": "pawl.dev/v1alpha1", "kind": "ImageRules", "metadata": {"name": TABLE_NAME}}
    assert scene.api.post(scene.path("imagerules"), {**body, "spec": {"rules": {"docker.io/rook/ceph": [entry]}}}).ok
    held = {
        "epoch": 1, "sequence": 2, "tag": "v2", "digest": A, "sortKey": "k v2", "ordering": "1" * 32, "cause": "Newer",
        "reference": f"{spec['image']}:v2@{A}", "selectedAt": "2026-11-21T03:00:00Z",
    }  # fmt: skip
    written = scene.api.merge(f"{scene.path('imagepolicies', 'ceph')}/status", {"status": {"selection": held}})
    assert written.ok, written.message
    found = scene.document("why", "--image", OLD)
    assert found["wanted"] == f"{spec['image']}:v2@{A}"
    expected = {
        "policy": f"ImagePolicy {scene.namespace}/ceph",
        "epoch": 1,
        "sequence": 2,
        "cause": "Newer",
        "note": "",
    }
    assert found["policy"] == expected


def test_an_image_without_a_pod(scene: Scene) -> None:
    scene.override(workloads={"kinds": ["DaemonSet"], "selector": {"matchLabels": {"app": "rook"}}})
    scene.table()
    labelled = ("-l", "app=rook")
    assert scene.document("why", "--image", OLD, "--kind", "daemonset", *labelled)["wanted"] == NEW
    assert scene.document("why", "--image", OLD, "--kind", "Job", *labelled)["wanted"] is None
    assert scene.document("why", "--image", OLD, "--kind", "DaemonSet")["outcome"] == "Unmatched"
    assert "no rule matches this image" in scene.pawl("why", "--image", "nginx").out


def test_a_pod_that_is_not_there(scene: Scene) -> None:
    ended = scene.pawl("why", "web")
    assert (ended.code, ended.out) == (2, "")
    assert f"`kubectl get pods -n {scene.namespace}`" in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [(), ("web", "--image", "nginx"), ("web", "--kind", "Job"), ("--image", "x", "-l", "y")]
)
def test_what_does_not_go_together(scene: Scene, arguments: tuple[str, ...]) -> None:
    ended = scene.pawl("why", *arguments)
    assert ended.code == 2
    assert ended.err.count("\n") == 1


# duplicates


def test_one_content_under_two_names(scene: Scene) -> None:
    node = scene.api.get("api/v1/nodes").body["items"][0]["metadata"]["name"]
    images = {
        "controller": f"ghcr.io/arroyo/controller:1@{A}",
        "worker": f"docker.io/arroyo/worker:1@{A}",
        "other": f"docker.io/arroyo/other:1@{B}",
    }
    for name, image in images.items():
        create(scene.api, scene.namespace, manifest("Pod", name, {**pod_spec(app=image), "nodeName": node}))
    wait_for(lambda: Answer(200 if all(reported(scene, name) for name in images) else 404, {}))
    (found,) = scene.document("duplicates")
    assert [each["name"] for each in found["names"]] == ["docker.io/arroyo/worker:1", "ghcr.io/arroyo/controller:1"]
    assert found["nodes"] == [node]
    assert found["override"]["metadata"]["namespace"] == scene.namespace
    proposed = scene.api.post(scene.path("imageoverrides"), found["override"])
    assert proposed.ok, proposed.message
    assert "source: ghcr.io/arroyo/controller" in scene.pawl("duplicates").out


def test_registries_are_asked_only_if_told_to(scene: Scene) -> None:
    registry = scene.cluster.registry
    node = scene.api.get("api/v1/nodes").body["items"][0]["metadata"]["name"]
    for name, digest in (("one", A), ("two", B)):
        spec = {**pod_spec(app=f"{registry}/{name}:1@{digest}"), "nodeName": node}
        create(scene.api, scene.namespace, manifest("Pod", name, spec))
    wait_for(lambda: Answer(200 if all(reported(scene, name) for name in ("one", "two")) else 404, {}))
    assert scene.pawl("duplicates").err.count("\n") == 1
    ended = scene.pawl("duplicates", "--registry")
    assert ended.code == 0
    assert ended.err.count("compared by its digest only") == 2


def reported(scene: Scene, name: str) -> str:
    """The digest that the node of a Pod reports: the sandbox's nodes take it from a pinned reference."""
    states = live(scene.api, "Pod", scene.namespace, name).get("status", {}).get("containerStatuses", [])
    return str(states[0].get("imageID", "")) if states else ""


def test_no_duplicates(scene: Scene) -> None:
    ended = scene.pawl("duplicates")
    assert (ended.code, ended.out) == (0, "")
    assert "-A looks in all" in ended.err


# status


def test_status_shows_overrides_and_the_gate(scene: Scene) -> None:
    scene.override()
    scene.tell("rook", gate="Webhook", batch="1/3", workloads={"matched": 4})
    ended = scene.pawl("status")
    assert ended.code == 0
    assert ended.out.startswith("gate: ")
    row = next(line for line in ended.out.splitlines() if line.startswith(scene.namespace))
    assert row.split()[:5] == [scene.namespace, "rook", "Unknown", "-", "4"]
    assert "ImageOverride " + scene.namespace in scene.pawl("status", "rook").out
    assert scene.document("status", "iov/rook")["workloads"]["matched"] == 4
    assert scene.pawl("status", "rook", "--check").code == 1
    assert scene.pawl("status", "dog/rook").code == 2


@pytest.fixture
async def tenant(cluster: Cluster, namespace: str, tmp_path: Path) -> str:
    """A kubeconfig that may read one namespace, and nothing of the cluster."""
    everything: dict[str, object] = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]}
    return await kubeconfig_of(cluster, namespace, "tenant", tmp_path, [everything])


def test_rights_to_one_namespace_are_enough(scene: Scene, tenant: str) -> None:
    scene.override()
    scene.table()
    scene.pod("web", A, app=OLD)
    for command in (("why", "web"), ("why", "--image", OLD), ("duplicates",)):
        ended = scene.pawl(*command, kubeconfig=tenant)
        assert ended.code == 0, ended.err
    shown = scene.pawl("status", kubeconfig=tenant)
    assert shown.code == 0
    assert "ClusterImageOverrides are not shown" in shown.err
    assert f"{scene.namespace} " in shown.out


@pytest.fixture
async def nobody(cluster: Cluster, namespace: str, tmp_path: Path) -> str:
    """A kubeconfig without any right."""
    return await kubeconfig_of(cluster, namespace, "nobody", tmp_path)


@pytest.mark.parametrize("command", [("plan",), ("plan", "rook"), ("why", "web"), ("duplicates",)])
def test_a_missing_right_is_named(scene: Scene, nobody: str, command: tuple[str, ...]) -> None:
    scene.override()
    ended = scene.pawl(*command, kubeconfig=nobody)
    assert ended.code == 1
    assert "grant" in ended.err
    assert ended.err.count("\n") == 1

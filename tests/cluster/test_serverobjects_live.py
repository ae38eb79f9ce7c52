"""The objects of a registry in a real API server: taken as they are, by Pod Security too, and at rest once there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from tests.cluster.api import Api
from tests.cluster.installed import wait_for
from tests.support.registryobjects import BUCKET, DISK, SHARED, identity, objects, one, pod_of, want, work

from pawl.api.registrywork import Task
from pawl.cluster.client import Cluster
from pawl.cluster.resources import PODS
from pawl.decide.storagefacts import Identity
from pawl.decide.subset import covers
from pawl.sandbox import Cluster as Sandbox

pytestmark = pytest.mark.cluster
Json = dict[str, Any]

PATHS = {
    "Service": "api/v1",
    "ConfigMap": "api/v1",
    "PersistentVolumeClaim": "api/v1",
    "Deployment": "apis/apps/v1",
    "DaemonSet": "apis/apps/v1",
    "Job": "apis/batch/v1",
    "PodDisruptionBudget": "apis/policy/v1",
    "Ingress": "apis/networking.k8s.io/v1",
}
PLURALS = {"Ingress": "ingresses"}
ACCESS: Json = {
    "anonymousPull": True,
    "nodeTrust": True,
    "host": "images.corp",
    "service": {"type": "Ingress", "annotations": {"a": "b"}, "ingress": {"className": "nginx"}},
}
SERVER: Json = {
    "resources": {"requests": {"cpu": "0.5", "memory": "1024Mi"}, "limits": {"memory": "2Gi"}},
    "tolerations": [{"key": "disk", "operator": "Exists"}],
    "nodeSelector": {"disk": "fast"},
    "pullSecrets": [{"name": "own"}],
}


@pytest.fixture
def strict(api: Api) -> Iterator[str]:
    """A namespace that takes restricted Pods only."""
    name = f"p-{uuid4().hex[:10]}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    head = {"name": name, "labels": labels}
    assert api.post("api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": head}).ok
    wait_for(lambda: api.get(f"api/v1/namespaces/{name}/serviceaccounts/default"))
    yield name
    api.delete(f"api/v1/namespaces/{name}")


@pytest.fixture
def who(api: Api, strict: str) -> Identity:
    """An owner that is there, or the garbage collector takes all away."""
    head = {"name": "main", "namespace": strict}
    answer = api.post(
        f"{PATHS['ConfigMap']}/namespaces/{strict}/configmaps",
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": head},
    )
    assert answer.ok, answer.message
    return identity(strict, answer.body["metadata"]["uid"])


def path(made: Json, *, name: bool = True) -> str:
    head, kind = made["metadata"], made["kind"]
    plural = PLURALS.get(kind, f"{kind.lower()}s")
    return f"{PATHS[kind]}/namespaces/{head['namespace']}/{plural}" + (f"/{head['name']}" if name else "")


def unowned(made: Json) -> Json:
    """Without its owner, which this server does not know and would take as gone."""
    return {**made, "metadata": {key: each for key, each in made["metadata"].items() if key != "ownerReferences"}}


def everything(who: Identity) -> list[Json]:
    found = [*objects(want(DISK), who=who, access=ACCESS, server=SERVER)]
    for task in Task:
        if task not in (Task.METER, Task.TRUST):
            found.extend(work(task, DISK, BUCKET, who=who, server=SERVER))
    return [unowned(each) for each in found]


def test_every_object_is_taken_strictly_and_is_at_rest_once_it_is_there(api: Api, who: Identity) -> None:
    for made in everything(who):
        answer = api.post(path(made, name=False), made)
        assert answer.ok, f"{made['kind']} {made['metadata']['name']}: {answer.message}"
        live = api.get(path(made)).body
        assert covers(live, made), f"{made['kind']} {made['metadata']['name']} would be written again"
        again = api.apply(path(made), made, "pawl")
        assert again.ok, again.message
        assert covers(again.body, made)


async def test_every_pod_passes_the_restricted_profile_but_the_nodes_own(cluster: Sandbox, who: Identity) -> None:
    def pod(name: str, spec: Json) -> Json:
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}

    made = everything(who)
    async with await Cluster.connect(str(cluster.kubeconfig)) as client:
        for each in (each for each in made if each["kind"] in ("Deployment", "Job")):
            await client.create(PODS, who.namespace, pod(each["metadata"]["name"], pod_of(each)), dry_run=True)
        with pytest.raises(Exception, match="hostPath"):
            await client.create(PODS, who.namespace, pod("trust", pod_of(one(made, "DaemonSet"))), dry_run=True)


def test_a_change_by_hand_is_seen_and_undone(api: Api, who: Identity) -> None:
    made = unowned(one(objects(want(SHARED), who=who, server=SERVER), "Deployment", "main-registry"))
    assert api.apply(path(made), made, "pawl").ok
    changes: list[Json] = [
        {"spec": {"replicas": 3}},
        {"spec": {"paused": True}},
        {"spec": {"template": {"metadata": {"annotations": {"pawl.dev/read-only": "true"}}}}},
        {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 5}}}},
        {"metadata": {"labels": {"pawl.dev/part": "other"}}},
    ]
    for change in changes:
        assert api.merge(path(made), change).ok
        assert not covers(api.get(path(made)).body, made), change
        assert covers(api.apply(path(made), made, "pawl").body, made), change


def test_a_server_goes_from_replicas_to_one_claim(api: Api, who: Identity) -> None:
    for wanted in (want(BUCKET, scale=2), want(DISK), want(BUCKET, scale=2)):
        made = unowned(one(objects(wanted, who=who), "Deployment", "main-registry"))
        answer = api.apply(path(made), made, "pawl")
        assert answer.ok, answer.message
        assert covers(answer.body, made)
        assert answer.body["spec"]["strategy"]["type"] == ("Recreate" if wanted.store is DISK else "RollingUpdate")
        names = {volume["name"] for volume in pod_of(answer.body)["volumes"]}
        assert ("store" in names) is (wanted.store is DISK)

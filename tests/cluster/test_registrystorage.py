"""A RegistryStorage on a real API server, its Pods as processes: it serves, mends what is edited, and is silent else.

One world for all: making one takes most of the time. Neighbours: `test_registry_migration` and `_collection` move and
clean; `tests.support.storageworld` is the world. Not here: the objects themselves (`test_serverobjects_live`).
"""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx
import pytest
from tests.cluster.api import Api, Json
from tests.storage.registry_world import KINDS as MADE
from tests.support.storageworld import World, is_true, lone_cluster, storage_world

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]

NAME = "main"
SERVER = f"{NAME}-registry"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
KINDS = (*MADE, ("pawl.dev/v1alpha1", "registrystorages"))


@dataclass(frozen=True)
class Registry:
    """One RegistryStorage that is Ready."""

    world: World
    host: str

    def now(self) -> Json:
        return self.world.registry(NAME)

    def get(self, group: str, kind: str, name: str) -> Json:
        return next(each for each in self.world.items(group, kind) if each["metadata"]["name"] == name)

    def edit(self, group: str, kind: str, name: str, change: Json) -> None:
        root = f"api/{group}" if group == "v1" else f"apis/{group}"
        answer = self.world.api.merge(f"{root}/namespaces/{self.world.namespace}/{kind}/{name}", change)
        assert answer.ok, answer.message

    def user(self) -> tuple[str, str]:
        data = self.get("v1", "secrets", f"{SERVER}-users")["data"]
        name, password = (base64.b64decode(data[key]).decode() for key in ("username", "password"))
        return name, password

    def client(self, user: tuple[str, str] | None) -> httpx.Client:
        """A client that trusts what the ConfigMap for clients says, and nothing else."""
        authorities = self.get("v1", "configmaps", f"{SERVER}-ca")["data"]["ca.crt"]
        trust = ssl.create_default_context(cadata=authorities)
        return httpx.Client(base_url=f"https://{self.host}", auth=user, verify=trust, trust_env=False, timeout=10)

    def versions(self) -> dict[tuple[str, str], str]:
        """The resourceVersion of everything in the namespace."""
        return {
            (kind, each["metadata"]["name"]): each["metadata"]["resourceVersion"]
            for group, kind in KINDS
            for each in self.world.items(group, kind)
        }

    def condition(self, kind: str) -> Json:
        found = self.now().get("status", {}).get("conditions", [])
        return next((each for each in found if each["type"] == kind), {})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("world")
    with lone_cluster("rgs") as cluster:
        api = Api(cluster.kubeconfig)
        with storage_world(api, cluster, directory) as found:
            yield found
        api.close()


@pytest.fixture(scope="module")
def registry(world: World) -> Registry:
    spec = world.spec(storage={"filesystem": {"size": "1Gi"}})
    access = {**spec["access"], "nodeTrust": True}
    # The disk of this machine may be as full as it is: nothing here is about that.
    pressure = {"expandAt": 98, "collectAt": 99, "readOnlyAt": 100}
    world.declare(NAME, {**spec, "access": access, "pressure": pressure})
    world.until(NAME, settled, 60)
    return Registry(world, access["host"])


def settled(found: Json) -> bool:
    """Everything that is asked about a registry has its answer."""
    said = {each["type"]: each["status"] for each in found.get("status", {}).get("conditions", [])}
    whole = is_true(found, "Ready") and "Reconciling" not in said
    return whole and said.get("PullProved") == "True" and said.get("Pressure") == "False"


def soon(holds: Callable[[], object], what: str, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)


def written(world: World) -> dict[str, float]:
    """Writes that the operator asked for, by resource; those that change nothing count too. Its Lease is its own."""
    found: dict[str, float] = {}
    for (name, labels), value in world.operator.metrics().items():
        told = dict(labels)
        asked = name == "pawl_api_requests_total" and told["verb"] not in {"get", "list", "watch"}
        if asked and told["resource"] not in {"leases", "events"}:
            found[told["resource"]] = found.get(told["resource"], 0) + value
    return found


def pushed(client: httpx.Client, repository: str, tag: str) -> str:
    """Push an image with one small layer, and return its digest."""
    config, layer = b'{"architecture":"amd64","os":"linux"}', tag.encode() * 100
    found = []
    for body, kind in ((config, "config.v1+json"), (layer, "layer.v1.tar")):
        begun = client.post(f"/v2/{repository}/blobs/uploads/")
        assert begun.status_code == 202, begun.text
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        place = httpx.URL(begun.headers["location"]).copy_merge_params({"digest": digest})
        assert client.put(place, content=body).status_code == 201
        found.append({"mediaType": f"application/vnd.oci.image.{kind}", "digest": digest, "size": len(body)})
    manifest = {"schemaVersion": 2, "config": found[0], "layers": found[1:]}
    raw = json.dumps({**manifest, "mediaType": MANIFEST}).encode()
    done = client.put(f"/v2/{repository}/manifests/{tag}", content=raw, headers={"Content-Type": MANIFEST})
    assert done.status_code == 201, done.text
    return str(done.headers["docker-content-digest"])


def test_it_serves_pushes_over_tls_to_who_has_the_password_of_the_secret(registry: Registry) -> None:
    with registry.client(registry.user()) as client:
        digest = pushed(client, "shop/web", "v1")
        found = client.head(f"/v2/shop/web/manifests/{digest}", headers={"Accept": MANIFEST})
        assert found.status_code == 200
    for user in (None, (registry.user()[0], "wrong")):
        with registry.client(user) as client:
            assert client.get("/v2/").status_code == 401
    status = registry.now()["status"]
    assert (status["phase"], status["address"]) == ("Serving", registry.host)
    assert status["store"]["claim"] in {
        each["metadata"]["name"] for each in registry.world.items("v1", "persistentvolumeclaims")
    }


def test_every_proof_says_what_it_proved(registry: Registry) -> None:
    proofs = ("NameResolved", "Reachable", "Trusted", "APIAnswers", "Authenticated", "PushProved", "PullProved")
    assert {kind: registry.condition(kind).get("status") for kind in proofs} == dict.fromkeys(proofs, "True")
    assert registry.condition("PullProved")["reason"] == "SingleNode"


def test_no_secret_is_in_the_status_the_log_or_a_configmap(registry: Registry) -> None:
    token = base64.b64decode(registry.get("v1", "secrets", f"{SERVER}-internal")["data"]["token"]).decode()
    for secret in (registry.user()[1], token):
        assert secret not in json.dumps(registry.now())
        assert secret not in registry.world.operator.text
        assert secret not in json.dumps(registry.world.items("v1", "configmaps"))


def test_what_was_edited_by_hand_is_put_back(registry: Registry) -> None:
    before = registry.get("v1", "configmaps", SERVER)["data"]
    registry.edit("apps/v1", "deployments", SERVER, {"spec": {"replicas": 3}})
    registry.edit("v1", "configmaps", SERVER, {"data": {next(iter(before)): "nonsense"}})
    registry.edit("v1", "services", SERVER, {"metadata": {"ownerReferences": None}})
    soon(lambda: registry.get("apps/v1", "deployments", SERVER)["spec"]["replicas"] == 1, "replicas")
    soon(lambda: registry.get("v1", "configmaps", SERVER)["data"] == before, "configuration")
    soon(lambda: registry.get("v1", "services", SERVER)["metadata"].get("ownerReferences"), "owner")
    registry.world.until(NAME, settled)


def test_a_steady_state_is_silent_however_often_it_is_looked_at(registry: Registry) -> None:
    registry.world.until(NAME, settled)
    looks = registry.world.operator.metric("pawl_reconcile_total", kind="RegistryStorage", result="ok")
    writes = written(registry.world)
    for number in range(3):
        # Somebody else's note on an object of ours wakes the controller; nothing of it is ours to mend.
        before = registry.versions()
        registry.edit("v1", "services", SERVER, {"metadata": {"annotations": {"example.com/note": str(number)}}})
        soon(
            lambda seen=looks + number: (
                registry.world.operator.metric("pawl_reconcile_total", kind="RegistryStorage", result="ok") > seen
            ),
            "a look",
        )
        time.sleep(0.5)  # for a write that must not come
        changed = {key for key, version in registry.versions().items() if before.get(key) != version}
        assert changed == {("services", SERVER)}
    assert written(registry.world) == writes


def test_a_field_that_is_wanted_no_longer_goes(registry: Registry) -> None:
    def containers() -> list[str]:
        pod = registry.get("apps/v1", "deployments", SERVER)["spec"]["template"]["spec"]
        return [each["name"] for each in pod["containers"]]

    before = containers()
    for wanted, count in ((True, len(before) + 1), (False, len(before))):
        registry.edit("pawl.dev/v1alpha1", "registrystorages", NAME, {"spec": {"access": {"anonymousPull": wanted}}})
        soon(lambda count=count: len(containers()) == count, f"anonymousPull {wanted}")
    registry.world.until(NAME, settled)


def test_what_somebody_else_made_under_a_needed_name_is_left_alone_and_named(registry: Registry) -> None:
    mine = {"kind": "ConfigMap", "metadata": {"name": "other-registry"}, "data": {"mine": "yes"}}
    registry.world.put("v1", "configmaps", mine)
    registry.world.declare("other", registry.world.spec(storage={"filesystem": {"size": "1Gi"}}))
    found = registry.world.until("other", lambda it: is_true(it, "Stalled"))
    stalled = next(each for each in found["status"]["conditions"] if each["type"] == "Stalled")
    assert stalled["reason"] == "Refused"
    assert "ConfigMap other-registry is there and not Pawl's" in stalled["message"]
    assert registry.get("v1", "configmaps", "other-registry")["data"] == {"mine": "yes"}
    assert registry.world.api.delete(registry.world.path("other")).ok


def test_a_port_that_somebody_else_has_is_named(registry: Registry) -> None:
    world = registry.world
    spec = world.spec(storage={"filesystem": {"size": "1Gi"}})
    taken = registry.now()["spec"]["access"]["service"]["nodePort"]
    spec["access"]["service"]["nodePort"] = taken
    world.declare("second", spec)
    found = world.until("second", lambda it: is_true(it, "Stalled"))
    stalled = next(each for each in found["status"]["conditions"] if each["type"] == "Stalled")
    assert stalled["reason"] == "Refused"
    assert "provided port is already allocated; change spec.access.service" in stalled["message"]
    assert world.api.delete(world.path("second")).ok


def test_another_operator_goes_on_where_one_was_killed(registry: Registry) -> None:
    world = registry.world
    revision = registry.now()["status"]["revision"]
    store = registry.now()["status"]["store"]
    world.operator.kill()
    registry.edit("apps/v1", "deployments", SERVER, {"spec": {"replicas": 0}})
    # The status is lost as well, as after a restore from a backup without it: the ledger knows which store it was.
    gone = {"status": {"store": None, "revision": 0}}
    assert world.api.merge(f"{world.path(NAME)}/status", gone).ok
    lease = f"apis/coordination.k8s.io/v1/namespaces/{world.operator.namespace}/leases/pawl"
    assert world.api.delete(lease).ok  # that it runs out is test_failover's
    world.restart()
    soon(lambda: registry.get("apps/v1", "deployments", SERVER)["spec"]["replicas"] == 1, "replicas", 40)
    found = world.until(NAME, settled)["status"]
    assert (found["revision"], found["store"]) == (revision, store)
    with registry.client(registry.user()) as client:
        assert client.get("/v2/shop/web/tags/list").json()["tags"] == ["v1"]


def test_deleting_it_leaves_the_claim_and_the_ledger(registry: Registry) -> None:
    world = registry.world
    claim = registry.now()["status"]["store"]["claim"]
    assert world.api.delete(world.path(NAME)).ok
    soon(lambda: world.registry(NAME).get("status") in (None, "Failure"), "it is gone")
    claims = {each["metadata"]["name"] for each in world.items("v1", "persistentvolumeclaims")}
    assert claim in claims
    assert registry.get("v1", "configmaps", f"{SERVER}-ledger")["data"]["memory"]

"""The objects of a registry: who may do what, what is restarted by what, and what is never made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from tests.support.registryobjects import (
    ACCESS,
    ALONE,
    BUCKET,
    DISK,
    PLAIN,
    SHARED,
    STORES,
    USERS,
    objects,
    one,
    pod_of,
    spec,
    want,
    work,
)

from pawl.api.registrywork import Order, Task
from pawl.decide.registrynames import CONFIG, READ_ONLY, STORE
from pawl.decide.serverobjects import checksum
from pawl.decide.storagefacts import Identity

Json = dict[str, Any]

EVERYTHING: Json = {
    "access": {
        "anonymousPull": True,
        "nodeTrust": True,
        "host": "images.corp:443",
        "service": {"type": "Ingress", "ingress": {"className": "nginx"}},
    },
    "server": {"tolerations": [{"key": "disk", "operator": "Exists"}], "nodeSelector": {"disk": "fast"}},
}


def workloads(found: tuple[Json, ...]) -> list[Json]:
    return [each for each in found if each["kind"] in ("Deployment", "DaemonSet", "Job")]


def pods() -> list[Json]:
    """Every Pod that is ever made, but the trust DaemonSet's."""
    made = [pod_of(each) for store in STORES.values() for each in workloads(objects(want(store), **EVERYTHING))]
    made += [pod_of(work(task, DISK, BUCKET)[1]) for task in Task if task not in (Task.METER, Task.TRUST)]
    return [pod for pod in made if pod["securityContext"].get("runAsUser") != 0]


def containers(pod: Json) -> list[Json]:
    return [*pod.get("initContainers", ()), *pod["containers"]]


@pytest.mark.parametrize("pod", pods(), ids=lambda pod: pod["containers"][0]["name"])
def test_a_pod_may_do_as_little_as_it_can(pod: Json) -> None:
    security = pod["securityContext"]
    assert (security["runAsNonRoot"], security["runAsUser"], security["fsGroup"]) == (True, 65532, 65532)
    assert security["fsGroupChangePolicy"] == "OnRootMismatch"
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)
    assert not any("hostPath" in volume for volume in pod["volumes"])
    for container in containers(pod):
        own = container["securityContext"]
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert (own["allowPrivilegeEscalation"], own["readOnlyRootFilesystem"]) == (False, True)


@pytest.mark.parametrize("pod", pods(), ids=lambda pod: pod["containers"][0]["name"])
def test_a_pod_stays_below_pawl_and_mounts_what_it_declares(pod: Json) -> None:
    names = [volume["name"] for volume in pod["volumes"]]
    bodies = [{key: each for key, each in volume.items() if key != "name"} for volume in pod["volumes"]]
    mounts = [mount for container in containers(pod) for mount in container["volumeMounts"]]
    assert len(names) == len(set(names))
    assert all(bodies.count(body) == 1 for body in bodies if "emptyDir" not in body)
    assert {mount["name"] for mount in mounts} == set(names)
    assert all(mount["mountPath"].startswith("/pawl/") or mount["mountPath"] == "/tmp" for mount in mounts)


@pytest.mark.parametrize("store", STORES)
def test_every_pod_is_pulled_by_the_secrets_of_the_spec_and_of_the_install(store: str) -> None:
    given = {**EVERYTHING, "server": {"pullSecrets": [{"name": "own"}, {"name": "pawl-pull"}]}}
    made = [*workloads(objects(want(STORES[store]), **given)), work(Task.PREPARE, STORES[store], **given)[1]]
    for each in made:
        assert pod_of(each)["imagePullSecrets"] == [{"name": "own"}, {"name": "pawl-pull"}]


def test_the_trust_pod_is_root_and_sees_one_directory_of_the_node() -> None:
    pod = pod_of(one(objects(want(DISK), **EVERYTHING), "DaemonSet"))
    paths = [volume["hostPath"] for volume in pod["volumes"] if "hostPath" in volume]
    assert paths == [{"path": "/etc/containerd/certs.d", "type": "DirectoryOrCreate"}]
    assert pod["tolerations"] == [{"operator": "Exists"}]
    assert pod["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert "privileged" not in pod["containers"][0]["securityContext"]
    assert "hostNetwork" not in pod


def test_nobody_mounts_the_key_of_an_authority() -> None:
    for pod in pods():
        items = [item for volume in pod["volumes"] for item in volume.get("secret", {}).get("items", ())]
        assert all("secret" not in volume or volume["secret"]["items"] for volume in pod["volumes"])
        assert not {"authority.key", "next.key"} & {item["key"] for item in items}


@pytest.mark.parametrize(("store", "strategy"), [("disk", "Recreate"), ("alone", "Recreate"), ("users", "Recreate")])
def test_a_claim_for_one_node_is_never_mounted_by_two_servers(store: str, strategy: str) -> None:
    assert one(objects(want(STORES[store])), "Deployment", "main-registry")["spec"]["strategy"] == {"type": strategy}


@pytest.mark.parametrize("store", [SHARED, BUCKET])
def test_several_replicas_are_changed_without_a_gap(store: Any) -> None:
    found = objects(want(store, scale=3))
    deployment = one(found, "Deployment", "main-registry")
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert one(found, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    assert pod_of(deployment)["topologySpreadConstraints"]
    assert not [each for each in objects(want(store)) if each["kind"] == "PodDisruptionBudget"]


def test_a_meter_is_beside_its_server_and_never_takes_a_claim_for_one_pod() -> None:
    meter = pod_of(one(objects(want(DISK)), "Deployment", "main-registry-meter"))
    term = meter["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0]
    assert term["labelSelector"]["matchLabels"] == {"pawl.dev/registry": "main", "pawl.dev/part": "server"}
    assert all(mount.get("readOnly") for mount in meter["containers"][0]["volumeMounts"] if mount["name"] == "source")
    assert "affinity" not in pod_of(one(objects(want(BUCKET)), "Deployment", "main-registry-meter"))
    assert [each["metadata"]["name"] for each in objects(want(ALONE)) if each["kind"] == "Deployment"] == [
        "main-registry"
    ]


def test_only_own_claims_are_made_and_they_outlive_the_resource() -> None:
    claim = one(objects(want(DISK)), "PersistentVolumeClaim")
    assert claim["metadata"]["name"] == "main-registry-aaaa1111"
    assert "ownerReferences" not in claim["metadata"]
    assert not [each for each in objects(want(USERS)) if each["kind"] == "PersistentVolumeClaim"]
    others = [each for each in objects(want(DISK), **EVERYTHING) if each["kind"] != "PersistentVolumeClaim"]
    assert all(each["metadata"]["ownerReferences"][0]["uid"] == "u-1" for each in others)


@pytest.mark.parametrize(
    ("grow", "requested", "asked"),
    [({}, {}, "1Gi"), ({}, {"main-registry-aaaa1111": 5}, "5"), ({"main-registry-aaaa1111": 9}, {}, "9")],
)
def test_a_claim_never_asks_for_less_than_it_has(grow: Json, requested: Json, asked: str) -> None:
    claim = one(objects(want(DISK, grow=grow), requested=requested), "PersistentVolumeClaim")
    assert claim["spec"]["resources"]["requests"]["storage"] == asked


def test_what_the_server_reads_once_restarts_it_and_users_do_not() -> None:
    who = Identity("shop", "main", "u-1", 1)

    def mark(access: Any = ACCESS, *, read_only: bool = False, **given: Any) -> str:
        return checksum(spec(**given), who, want(BUCKET, read_only=read_only), access)

    still = mark()
    assert mark(replace(ACCESS, users_secret="other", pull_secret="x", address="y")) == still
    changes = {
        mark(replace(ACCESS, tls_version="next")),
        mark(replace(ACCESS, internal_version="next")),
        mark(replace(ACCESS, store_versions={"keys": "9", "s3-ca": "8"})),
        mark(replace(ACCESS, store_versions={"keys": "7", "s3-ca": "9"})),
        mark(read_only=True),
        mark(server={"drainTimeout": "1m"}),
        mark(storage={"s3": {"bucket": "images", "chunkSize": 32}}),
    }
    assert len(changes | {still}) == 8


def test_the_server_says_what_it_was_started_with() -> None:
    deployment = one(objects(want(DISK, read_only=True)), "Deployment", "main-registry")
    notes = deployment["spec"]["template"]["metadata"]["annotations"]
    who = Identity("shop", "main", "u-1", 1)
    assert (notes[STORE], notes[READ_ONLY]) == ("aaaa1111", "true")
    assert notes[CONFIG] == checksum(spec(), who, want(DISK, read_only=True), ACCESS)


@pytest.mark.parametrize("text", ["1s", "10m", "1h", "1m30.5s"])
def test_a_pod_is_given_longer_than_uploads_are(text: str) -> None:
    seconds = {"1s": 1, "10m": 600, "1h": 3600, "1m30.5s": 90.5}[text]
    pod = pod_of(one(objects(want(DISK), server={"drainTimeout": text}), "Deployment", "main-registry"))
    assert pod["terminationGracePeriodSeconds"] > seconds + 10


def test_keys_of_a_bucket_come_by_environment_and_stand_in_no_text() -> None:
    found = objects(want(BUCKET))
    env = {each["name"]: each for each in pod_of(one(found, "Deployment", "main-registry"))["containers"][0]["env"]}
    ref = env["REGISTRY_STORAGE_S3_SECRETKEY"]["valueFrom"]["secretKeyRef"]
    assert ref == {"name": "keys", "key": "secretKey"}
    assert env["SSL_CERT_FILE"]["value"] == "/pawl/s3-ca/ca.crt"
    assert "keys" not in str(one(found, "ConfigMap", "main-registry")["data"])


def test_anonymous_pulls_have_a_server_of_their_own_that_takes_nothing() -> None:
    found = objects(want(DISK), **EVERYTHING)
    pod = pod_of(one(found, "Deployment", "main-registry"))
    assert [each["ports"][0]["containerPort"] for each in pod["containers"]] == [5000, 5001]
    mounts = {mount["mountPath"]: mount for mount in pod["containers"][1]["volumeMounts"]}
    assert mounts["/pawl/store"]["readOnly"] is True
    assert "/pawl/htpasswd" not in mounts
    ports = [(each["name"], each["port"]) for each in one(found, "Service")["spec"]["ports"]]
    assert ports == [("registry", 5000), ("anonymous", 5001)]


def test_an_ingress_lets_large_uploads_pass_and_the_user_has_the_last_word() -> None:
    given = {"type": "Ingress", "ingress": {"annotations": {"nginx.ingress.kubernetes.io/proxy-body-size": "9g"}}}
    found = one(objects(want(DISK), access={"host": "i.corp", "service": given}), "Ingress")
    notes = {key.split("/")[1]: each for key, each in found["metadata"]["annotations"].items()}
    assert notes["proxy-body-size"] == "9g"
    assert (notes["proxy-request-buffering"], notes["proxy-buffering"], notes["backend-protocol"]) == (
        "off",
        "off",
        "HTTPS",
    )
    assert (notes["proxy-read-timeout"], notes["proxy-send-timeout"]) == ("3600", "3600")
    assert found["spec"]["rules"][0]["host"] == "i.corp"
    assert found["spec"]["tls"][0]["secretName"] == "main-registry-tls"


def test_plain_http_mounts_no_certificate() -> None:
    found = objects(want(DISK), PLAIN)
    text = str(pod_of(one(found, "Deployment", "main-registry")))
    assert "/pawl/tls" not in text
    assert "HTTPS" not in text
    assert not [each for each in found if each["metadata"]["name"] == "main-registry-ca"]


def test_cert_manager_is_asked_for_names_and_no_addresses() -> None:
    tls = {"issuerRef": {"name": "corp", "kind": "ClusterIssuer"}}
    found = one(objects(want(DISK), access={"tls": tls, "host": "i.corp:5000"}), "Certificate")
    assert found["spec"]["dnsNames"] == [
        "main-registry",
        "main-registry.shop",
        "main-registry.shop.svc",
        "main-registry.shop.svc.cluster.local",
        "i.corp",
    ]
    assert found["spec"]["issuerRef"] == {"name": "corp", "kind": "ClusterIssuer", "group": "cert-manager.io"}


@pytest.mark.parametrize("task", [task for task in Task if task not in (Task.METER, Task.TRUST)])
def test_a_job_runs_once_and_leaves_a_report(task: Task) -> None:
    config, job = work(task, DISK, BUCKET)
    assert config["metadata"]["name"] == job["metadata"]["name"]
    assert len(job["metadata"]["name"]) <= 63
    assert job["metadata"]["annotations"]["pawl.dev/order"] == "m-1/Bulk/1"
    assert job["spec"]["backoffLimit"] == 0
    assert "ttlSecondsAfterFinished" not in job["spec"]
    assert job["spec"]["activeDeadlineSeconds"] > 0
    last = pod_of(job)["containers"][0]
    assert last["terminationMessagePath"] == "/pawl/out/report"
    assert last["resources"]["limits"]["memory"] == "256Mi"
    orders = [msgspec.json.decode(text) for text in config["data"].values()]
    assert all(Order.model_validate(order).id == "m-1" for order in orders)


def test_a_copy_cannot_write_where_it_reads() -> None:
    mounts = pod_of(work(Task.BULK, DISK, SHARED)[1])["containers"][0]["volumeMounts"]
    writable = {mount["mountPath"]: not mount.get("readOnly", False) for mount in mounts}
    assert (writable["/pawl/source"], writable["/pawl/target"]) == (False, True)


def test_a_collection_is_three_programs_on_one_claim_and_dead_before_the_thaw() -> None:
    config, job = work(Task.PREPARE, DISK, collection={"thawAfter": "20m"})
    pod = pod_of(job)
    assert [each["name"] for each in containers(pod)] == ["prepare", "collect", "account"]
    collect = pod["initContainers"][1]
    assert (collect["image"], collect["command"]) == ("registry:3.1.1", ["registry"])
    assert collect["args"] == ["garbage-collect", "/pawl/config/config.yml"]
    assert "/pawl/order/account.json" in pod["containers"][0]["args"]
    tasks = {name: msgspec.json.decode(text)["task"] for name, text in config["data"].items()}
    assert tasks == {"order.json": "prepare", "account.json": "account"}
    assert [volume for volume in pod["volumes"] if "persistentVolumeClaim" in volume] == [
        {"name": "source", "persistentVolumeClaim": {"claimName": "main-registry-aaaa1111"}}
    ]
    assert job["spec"]["activeDeadlineSeconds"] <= 20 * 60


def test_a_job_goes_to_the_claims_node_and_anywhere_for_buckets() -> None:
    affinity = pod_of(work(Task.BULK, DISK, BUCKET)[1])["affinity"]["nodeAffinity"]
    term = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"][0]["matchFields"][0]
    assert (term["key"], term["values"]) == ("metadata.name", ["n1"])
    assert "affinity" not in pod_of(work(Task.BULK, BUCKET, SHARED)[1])


def test_only_those_who_log_in_get_a_password() -> None:
    for task in (Task.BULK, Task.FINAL, Task.VERIFY, Task.PREPARE, Task.DELETE):
        assert "main-registry-users" not in str(work(task, DISK, BUCKET)[1])
    for task in (Task.PROBE, Task.SMOKE):
        assert "main-registry-users" in str(work(task, DISK)[1])


def test_the_same_input_makes_the_same_objects() -> None:
    assert objects(want(BUCKET), **EVERYTHING) == objects(want(BUCKET), **EVERYTHING)

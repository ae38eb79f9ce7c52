"""What a sandbox can do once it runs: controllers, simulated nodes, tokens, rights, admission, the registry."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest
from tests.sandbox.support import eventually, kubectl, kubectl_json

from pawl.sandbox import Running

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

DIGEST = "sha256:" + "a" * 64


@pytest.fixture
def env(cluster: Running, request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The environment with a namespace of the test's own as kubectl's default."""
    env = {**os.environ, **cluster.env}
    namespace = "t-" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:8]
    kubectl(env, "create", "namespace", namespace)
    eventually(lambda: "default" in kubectl(env, "-n", namespace, "get", "serviceaccounts", "-o", "name"))
    yield {**env, "NAMESPACE": namespace}
    kubectl(env, "delete", "namespace", namespace, "--wait=false")


def pods(env: Mapping[str, str]) -> list[dict[str, Any]]:
    return list(kubectl_json(env, "-n", env["NAMESPACE"], "get", "pods")["items"])


def run(env: Mapping[str, str], *arguments: str) -> str:
    return kubectl(env, "-n", env["NAMESPACE"], *arguments)


def is_ready(pod: dict[str, Any]) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))


def test_pods_of_a_deployment_become_ready_on_a_simulated_node(env: dict[str, str]) -> None:
    run(env, "create", "deployment", "web", "--image=registry.example.com:5000/web:v1", "--replicas=3")
    run(env, "wait", "--for=condition=Available", "deployment/web", "--timeout=60s")
    assert [pod["spec"]["nodeName"] for pod in pods(env) if is_ready(pod)] == ["node-0"] * 3


def test_the_image_id_is_the_pinned_digest_or_what_the_annotation_says(env: dict[str, str]) -> None:
    run(env, "run", "pinned", f"--image=registry.example.com:5000/team/web:v1@{DIGEST}")
    run(
        env,
        "run",
        "told",
        "--image=example.com/x:1",
        f"--annotations=sandbox.pawl.dev/image-id.told=example.com/x@{DIGEST}",
    )
    run(env, "run", "unknown", "--image=example.com/x:1")
    run(env, "wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s")
    found = {pod["metadata"]["name"]: pod["status"]["containerStatuses"][0]["imageID"] for pod in pods(env)}
    assert found == {
        "pinned": f"registry.example.com:5000/team/web@{DIGEST}",
        "told": f"example.com/x@{DIGEST}",
        "unknown": "",
    }


def test_an_image_on_an_invalid_host_backs_off_until_it_is_replaced(env: dict[str, str]) -> None:
    run(env, "run", "stuck", "--image=registry.invalid:5000/web:v1")

    def reasons() -> list[str]:
        statuses = pods(env)[0]["status"].get("containerStatuses", [])
        return [each["state"].get("waiting", {}).get("reason", "none") for each in statuses]

    eventually(lambda: reasons() == ["ImagePullBackOff"])
    run(env, "set", "image", "pod/stuck", "stuck=registry.example.com/web:v1")
    run(env, "wait", "--for=condition=Ready", "pod/stuck", "--timeout=60s")
    assert reasons() == ["none"]


def test_a_job_completes_and_its_pods_go_with_it(env: dict[str, str]) -> None:
    run(env, "create", "job", "once", "--image=example.com/x:1")
    run(env, "wait", "--for=condition=Complete", "job/once", "--timeout=60s")
    assert [pod["status"]["phase"] for pod in pods(env)] == ["Succeeded"]
    run(env, "delete", "job", "once")
    eventually(lambda: pods(env) == [])


def test_a_delayed_job_is_seen_running(env: dict[str, str]) -> None:
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "slow"},
        "spec": {
            "template": {
                "metadata": {"annotations": {"pod-complete.stage.kwok.x-k8s.io/delay": "1h"}},
                "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "example.com/x:1"}]},
            }
        },
    }
    apply(env, job)
    eventually(lambda: [pod["status"]["phase"] for pod in pods(env)] == ["Running"])


def apply(env: Mapping[str, str], *objects: dict[str, Any]) -> None:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
    command = [env["KUBECTL"], "-n", env["NAMESPACE"], "apply", "-f", "-"]
    answer = subprocess.run(command, env=dict(env), input=text, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


def test_a_deleted_namespace_ends_with_all_that_is_in_it(env: dict[str, str]) -> None:
    kubectl(env, "create", "namespace", "doomed")
    kubectl(env, "-n", "doomed", "create", "configmap", "c")
    kubectl(env, "delete", "namespace", "doomed", "--timeout=60s")
    assert "doomed" not in kubectl(env, "get", "namespaces", "-o", "name")


def test_a_token_is_issued_accepted_and_bound_by_rbac(env: dict[str, str], cluster: Running) -> None:
    token = run(env, "create", "token", "default").strip()
    as_account = [
        "--server",
        cluster.server,
        "--insecure-skip-tls-verify",
        "--token",
        token,
        "--kubeconfig",
        "/dev/null",
    ]
    who = json.loads(kubectl(env, *as_account, "auth", "whoami", "-o", "json"))
    assert who["status"]["userInfo"]["username"] == f"system:serviceaccount:{env['NAMESPACE']}:default"
    refused = subprocess.run(
        [env["KUBECTL"], *as_account, "get", "secrets", "-A"], env=env, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    assert "Forbidden" in refused.stderr


def test_mutating_admission_policies_are_served_and_act(env: dict[str, str]) -> None:
    name = env["NAMESPACE"]
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    patch = 'JSONPatch{op: "add", path: "/metadata/labels", value: {"seen": "yes"}}'
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "reinvocationPolicy": "Never",
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [rule],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}},
            },
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": f"[{patch}]"}}],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name},
    }
    apply(env, policy, binding)
    probe = ["create", "configmap", "probe", "--dry-run=server", "-o", "json"]
    eventually(lambda: json.loads(run(env, *probe))["metadata"].get("labels") == {"seen": "yes"})
    kubectl(env, "delete", "mutatingadmissionpolicybinding,mutatingadmissionpolicy", name)


def push(client: httpx.Client, repository: str, tag: str, content: bytes) -> str:
    """Push an artifact of one blob; its digest."""
    blob = digest(content)
    begun = client.post(f"/v2/{repository}/blobs/uploads/")
    assert begun.status_code == 202
    assert (
        client.put(httpx.URL(begun.headers["Location"]).copy_add_param("digest", blob), content=content).status_code
        == 201
    )
    media = "application/vnd.oci.image.manifest.v1+json"
    part = {"mediaType": "application/octet-stream", "digest": blob, "size": len(content)}
    manifest = json.dumps({"schemaVersion": 2, "mediaType": media, "config": part, "layers": []}).encode()
    answer = client.put(f"/v2/{repository}/manifests/{tag}", content=manifest, headers={"Content-Type": media})
    assert answer.status_code == 201
    return digest(manifest)


def digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def test_the_registry_takes_a_push_and_deletes_one_tag(cluster: Running) -> None:
    media = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
    with httpx.Client(base_url=f"http://{cluster.registry}", headers=media) as client:
        pushed = push(client, "shop/web", "v1", b"content")
        assert push(client, "shop/web", "v2", b"content") == pushed
        assert sorted(client.get("/v2/shop/web/tags/list").json()["tags"]) == ["v1", "v2"]
        assert client.delete("/v2/shop/web/manifests/v1").status_code == 202
        assert client.get("/v2/shop/web/tags/list").json()["tags"] == ["v2"]
        assert client.get(f"/v2/shop/web/manifests/{pushed}").status_code == 200
        assert client.delete(f"/v2/shop/web/manifests/{pushed}").status_code == 202
        assert client.get(f"/v2/shop/web/manifests/{pushed}").status_code == 404

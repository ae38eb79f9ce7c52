"""What real nodes promise: they run what is pushed, names lead to Pods, and nodes are as apart as two machines."""

from __future__ import annotations

import subprocess

from tests.cluster.api import Api, Json
from tests.node.conftest import Push
from tests.node.node_kit import (
    create,
    eventually,
    finished,
    get_pod,
    image_id,
    is_ready,
    kubectl,
    pod,
    pod_spec,
    pods,
    waiting_reason,
)

from pawl.sandbox import Running, images

SERVE = ("serve", ":8080", "hello")


def core(namespace: str, kind: str) -> str:
    return f"/api/v1/namespaces/{namespace}/{kind}"


def serve_on(api: Api, namespace: str, image: str, node: str) -> Json:
    """A Pod that answers on port 8080, and its Service `web` with a port of each node."""
    create(api, core(namespace, "pods"), pod("web", image, *SERVE, node=node))
    ports = [{"port": 80, "targetPort": 8080}]
    spec = {"type": "NodePort", "selector": {"app": "web"}, "ports": ports}
    eventually(lambda: is_ready(get_pod(api, namespace, "web")), what="Pod web is Ready")
    return create(api, core(namespace, "services"), {"metadata": {"name": "web"}, "spec": spec})


def from_here(url: str) -> str:
    argv = ["curl", "--silent", "--show-error", "--max-time", "5", "--retry", "5", "--retry-all-errors", url]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def test_both_nodes_are_ready(api: Api, nodes: Running) -> None:
    found = {each["metadata"]["name"]: is_ready(each) for each in api.get("/api/v1/nodes").body["items"]}
    assert found == {node.name: True for node in nodes.real}
    assert len(found) == 2


def test_a_daemonset_runs_on_both_under_the_true_digest(api: Api, nodes: Running, namespace: str, push: Push) -> None:
    image = push("nodes/daemon", platforms=("linux/amd64", "linux/arm64"))
    labels = {"app": "daemon"}
    tagged = image.partition("@")[0]
    template = {
        "metadata": {"labels": labels},
        "spec": {**pod_spec(tagged, "pause"), "restartPolicy": "Always"},
    }
    body = {"metadata": {"name": "daemon"}, "spec": {"selector": {"matchLabels": labels}, "template": template}}
    create(api, f"/apis/apps/v1/namespaces/{namespace}/daemonsets", body)
    eventually(lambda: [is_ready(each) for each in pods(api, namespace)] == [True, True], what="the DaemonSet")
    found = pods(api, namespace)
    assert {each["spec"]["nodeName"] for each in found} == {node.name for node in nodes.real}
    assert {image_id(each).partition("@")[2] for each in found} == {image.partition("@")[2]}


def test_names_and_services_lead_from_node_to_node(api: Api, nodes: Running, namespace: str, push: Push) -> None:
    image = push("nodes/tool")
    service = serve_on(api, namespace, image, nodes.real[0].name)
    urls = {
        "short": "http://web/",
        "long": f"http://web.{namespace}.svc.cluster.local/",
        "cluster": f"http://{service['spec']['clusterIP']}/",
        "port": f"http://{nodes.real[0].address}:{service['spec']['ports'][0]['nodePort']}/",
    }
    for node in nodes.real:
        for name, url in urls.items():
            caller = f"{name}-{node.name.rpartition('-')[2]}"
            create(api, core(namespace, "pods"), pod(caller, image, "fetch", url, "30", node=node.name))
    for each in pods(api, namespace, "app!=web"):
        caller = each["metadata"]["name"]
        assert finished(api, namespace, caller) == "Succeeded", kubectl(nodes, "logs", "-n", namespace, caller)
        assert kubectl(nodes, "logs", "-n", namespace, caller) == "web hello\n"


def test_a_pod_reaches_itself_by_its_service(api: Api, nodes: Running, namespace: str, push: Push) -> None:
    serve_on(api, namespace, push("nodes/tool"), nodes.real[0].name)
    # In the Pod `web` alone is its own hostname.
    fetch = ("/tool", "fetch", f"http://web.{namespace}/", "30")
    assert kubectl(nodes, "exec", "-n", namespace, "web", "--", *fetch) == "web hello\n"


def test_this_machine_reaches_pods_services_and_node_ports(
    api: Api, nodes: Running, namespace: str, push: Push
) -> None:
    service = serve_on(api, namespace, push("nodes/tool"), nodes.real[1].name)
    port = service["spec"]["ports"][0]["nodePort"]
    address = get_pod(api, namespace, "web")["status"]["podIP"]
    where = [f"{address}:8080", service["spec"]["clusterIP"], *(f"{node.address}:{port}" for node in nodes.real)]
    assert [from_here(f"http://{each}/") for each in where] == ["web hello\n"] * 4


def test_pods_reach_the_api_server_by_its_service(api: Api, nodes: Running, namespace: str, push: Push) -> None:
    # The program knows no CA of the cluster, so a refusal of the certificate is what proves that it got there.
    url = "https://kubernetes.default.svc.cluster.local/readyz"
    create(api, core(namespace, "pods"), pod("caller", push("nodes/tool"), "fetch", url))
    assert finished(api, namespace, "caller") == "Failed"
    assert "certificate signed by unknown authority" in kubectl(nodes, "logs", "-n", namespace, "caller")


def test_nothing_outside_is_reached_and_that_at_once(api: Api, nodes: Running, namespace: str, push: Push) -> None:
    create(api, core(namespace, "pods"), pod("far", push("nodes/tool"), "fetch", "http://192.0.2.1/"))
    create(api, core(namespace, "pods"), pod("named", push("nodes/tool"), "fetch", "http://elsewhere.example/"))
    assert [finished(api, namespace, name) for name in ("far", "named")] == ["Failed", "Failed"]
    assert "no route to host" in kubectl(nodes, "logs", "-n", namespace, "far")
    assert "no such host" in kubectl(nodes, "logs", "-n", namespace, "named")


def test_the_exit_of_a_container_is_told(api: Api, namespace: str, push: Push) -> None:
    create(api, core(namespace, "pods"), pod("failing", push("nodes/tool"), "exit", "7"))
    assert finished(api, namespace, "failing") == "Failed"
    ended = get_pod(api, namespace, "failing")["status"]["containerStatuses"][0]["state"]["terminated"]
    assert ended["exitCode"] == 7


def test_what_one_node_built_another_cannot_run(api: Api, nodes: Running, namespace: str, push: Push) -> None:
    builder, other = nodes.real
    image = push("nodes/built", text="built on one node").partition("@")[0]
    local = "localhost/nodes/built:v1"
    ctr = ["ctr", "--address", str(builder.socket), "--namespace", "k8s.io", "images"]
    subprocess.run([*ctr, "pull", "--plain-http", image], check=True, capture_output=True)
    subprocess.run([*ctr, "tag", image, local], check=True, capture_output=True)
    assert local in images(builder)
    assert local not in images(other)
    for name, node, reference in (
        ("here", builder, local),
        ("there", other, local),
        ("pulled", other, image),
    ):
        create(
            api, core(namespace, "pods"), pod(name, reference, "pause", node=node.name, imagePullPolicy="IfNotPresent")
        )
    eventually(lambda: is_ready(get_pod(api, namespace, "here")), what="the builder runs its own image")
    eventually(lambda: is_ready(get_pod(api, namespace, "pulled")), what="the other runs what was pushed")
    reasons = {"ErrImagePull", "ImagePullBackOff"}
    eventually(lambda: waiting_reason(get_pod(api, namespace, "there")) in reasons, what="the other cannot")

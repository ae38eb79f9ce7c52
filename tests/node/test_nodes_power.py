"""A node whose plug is pulled, and put back: the other goes on, and what was there comes again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.cluster.api import Api, Json
from tests.node.conftest import Push
from tests.node.node_kit import create, eventually, get_pod, is_ready, pod_spec

from pawl.api.errors import InputError
from pawl.sandbox import Running, Runtime, images, start_node, status, stop_node


@pytest.fixture
def unplugged(nodes: Running, nodes_runtime: Runtime) -> Iterator[str]:
    """The second node, stopped; it is started again whatever happens."""
    name = nodes.real[1].name
    stop_node(nodes.name, name, runtime=nodes_runtime)
    yield name
    start_node(nodes.name, name, runtime=nodes_runtime)


def node(api: Api, name: str) -> Json:
    return api.get(f"/api/v1/nodes/{name}").body


def last_word(api: Api, name: str) -> str:
    """When the node's kubelet last wrote its status."""
    return str(
        next(each for each in node(api, name)["status"]["conditions"] if each["type"] == "Ready")["lastHeartbeatTime"]
    )


def always(name: str, image: str, where: str) -> Json:
    spec = {**pod_spec(image, "serve", ":8080", name, node=where), "restartPolicy": "Always"}
    return {"metadata": {"name": name}, "spec": spec}


def test_a_node_dies_alone_and_comes_back_with_its_pods(
    api: Api, nodes: Running, nodes_runtime: Runtime, namespace: str, push: Push
) -> None:
    steady, victim = nodes.real
    image = push("power/pod", text="survives")
    for name, where in (("stays", steady), ("falls", victim)):
        create(api, f"/api/v1/namespaces/{namespace}/pods", always(name, image, where.name))
        eventually(lambda name=name: is_ready(get_pod(api, namespace, name)), what=f"Pod {name}")
    held = images(victim)
    stop_node(nodes.name, victim.name, runtime=nodes_runtime)
    try:
        eventually(lambda: not is_ready(node(api, victim.name)), 90, "the dead node is seen to be dead")
        assert is_ready(node(api, steady.name))
        assert is_ready(get_pod(api, namespace, "stays"))
    finally:
        back = start_node(nodes.name, victim.name, runtime=nodes_runtime)
    assert is_ready(node(api, victim.name))
    assert set(images(back)) >= set(held)
    eventually(lambda: get_pod(api, namespace, "falls")["status"]["containerStatuses"][0]["restartCount"] == 1)
    eventually(lambda: is_ready(get_pod(api, namespace, "falls")), what="the Pod of the dead node runs again")
    assert get_pod(api, namespace, "stays")["status"]["containerStatuses"][0]["restartCount"] == 0


def test_a_stopped_node_is_no_broken_sandbox(nodes: Running, nodes_runtime: Runtime, unplugged: str) -> None:
    (found,) = status(nodes.name, runtime=nodes_runtime)
    assert (found.state, found.dead) == ("running", ())
    assert found.real_nodes == (nodes.real[0].name, f"{unplugged} (stopped)")
    stop_node(nodes.name, unplugged, runtime=nodes_runtime)


def test_a_start_waits_for_the_node_itself(api: Api, nodes: Running, nodes_runtime: Runtime) -> None:
    """Stopped for a moment a Node still counts as Ready: only a new word of its kubelet is the end of the wait."""
    name = nodes.real[1].name
    stop_node(nodes.name, name, runtime=nodes_runtime)
    assert is_ready(node(api, name))
    before = last_word(api, name)
    start_node(nodes.name, name, runtime=nodes_runtime)
    assert is_ready(node(api, name))
    assert last_word(api, name) != before


def test_services_are_still_reached_when_the_first_node_is_off(
    api: Api, nodes: Running, nodes_runtime: Runtime, namespace: str, push: Push
) -> None:
    from tests.node.test_nodes import from_here, serve_on

    first, second = nodes.real
    service = serve_on(api, namespace, push("nodes/tool"), second.name)
    stop_node(nodes.name, first.name, runtime=nodes_runtime)
    try:
        assert from_here(f"http://{service['spec']['clusterIP']}/") == "web hello\n"
    finally:
        start_node(nodes.name, first.name, runtime=nodes_runtime)


def test_a_wrong_name_is_told(nodes: Running, nodes_runtime: Runtime) -> None:
    with pytest.raises(InputError, match=f"has no real node nobody: there are {nodes.real[0].name}, "):
        stop_node(nodes.name, "nobody", runtime=nodes_runtime)

"""What a sandbox with real nodes promises: it runs images, names lead to Pods, nodes fail alone, nothing is left."""

from __future__ import annotations

from tests.cluster.api import Api
from tests.node.node_kit import is_ready

from pawl.sandbox import Running


def test_both_nodes_are_ready(api: Api, nodes: Running) -> None:
    found = {each["metadata"]["name"]: is_ready(each) for each in api.get("/api/v1/nodes").body["items"]}
    assert found == {node.name: True for node in nodes.real}
    assert len(found) == 2

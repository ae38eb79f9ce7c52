"""The Job that proves a pull: away from the server's nodes, and never in the server's way."""

from __future__ import annotations

from tests.support.registryobjects import ACCESS, IMAGE, identity, pod_of, spec

from pawl.api.registrywork import Order, Task
from pawl.decide.workobjects import Json, WorkAbout, pull_job

ABOUT = WorkAbout(IMAGE, Order(task=Task.PROBE, id=""), ACCESS, ())


def affinity(*nodes: str) -> Json:
    job = pull_job(spec(), identity(), "registry.corp/pawl-canary@sha256:1", ABOUT, nodes)
    found: Json = pod_of(job).get("affinity", {})
    return found


def test_it_runs_on_none_of_the_servers_nodes() -> None:
    """The API server takes one name a requirement."""
    terms = affinity("n2", "n1", "n2")["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    fields = [{"key": "metadata.name", "operator": "NotIn", "values": [name]} for name in ("n1", "n2")]
    assert terms == {"nodeSelectorTerms": [{"matchFields": fields}]}


def test_it_keeps_no_server_from_a_node() -> None:
    """An anti-affinity holds both ways: a proof that waits would take the node of a server that is made anew."""
    assert set(affinity("n1")) == {"nodeAffinity"}


def test_without_a_known_node_it_runs_anywhere() -> None:
    assert affinity() == {}

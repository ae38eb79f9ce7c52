"""A registry of Pawl's on real nodes: containerd pulls from it, its Pods and Jobs are Pods of real kubelets.

One registry for all tests of this file, in their order: it comes up, is used, is killed, moves house and back, is
collected, and goes. All but its trust in the nodes runs in a namespace that takes restricted Pods only.
Neighbours: `node_registry_site` is the scene; `tests.cluster` has the same without real nodes, and all faults.
Not here: NetworkPolicies: the sandbox's network enforces none.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.cluster.api import Api, Json
from tests.cluster.operators import tell
from tests.cluster.override_stage import Stage, stage_of
from tests.cluster.override_stage_workloads import deployment
from tests.node.node_images import Placed, Program
from tests.node.node_registry_site import TEAM, Fit, Site, condition, site_of
from tests.node.node_release import Wish, processes, release_of
from tests.node.node_scene import quick
from tests.support.minio import minio

from pawl.decide.digests import digest_of
from pawl.sandbox import Cluster, Running

pytestmark = [pytest.mark.node, pytest.mark.timeout(400)]

PROOFS = ("NameResolved", "Reachable", "Trusted", "APIAnswers", "Authenticated", "PushProved", "PullProved")
MOVED = {"Hold", "Done"}
WEB = Program("shop/web", "v1")


@pytest.fixture(scope="module")
def site(
    api: Api, cluster: Cluster, nodes: Running, tmp_path_factory: pytest.TempPathFactory, pawl_image: str
) -> Iterator[Site]:
    directory, host = tmp_path_factory.mktemp("storage"), str(cluster.registry).partition(":")[0]
    wish = Wish("pawl-registry", pawl_image, {"replicas": 1})
    with (
        minio(directory / "minio", host) as store,
        release_of(api, cluster, directory, wish) as release,
        site_of(api, cluster, directory, Fit(nodes, release.log, store)) as made,
    ):
        made.declare(made.on_claim())
        made.until(condition("Ready"), "the registry to be Ready")
        yield made


@pytest.fixture(scope="module")
def team(api: Api, cluster: Cluster, site: Site) -> Iterator[Stage]:
    """A namespace of other people, who get the pull Secret."""
    with stage_of(api, cluster, site.stage.directory, **{TEAM: site.stage.namespace}) as stage:
        yield stage


@pytest.fixture(scope="module")
def web(site: Site, tool: bytes) -> Placed:
    """The image that the team runs."""
    return site.push(WEB, tool)


def elsewhere(site: Site) -> str:
    """A node that the server is not on."""
    here = site.server()["spec"]["nodeName"]
    return next(name for name in sorted(node.name for node in site.fit.nodes.real) if name != here)


def run(team: Stage, placed: Placed, node: str) -> None:
    """Let a Deployment of the team run an image on a node, and wait until it does."""
    body = deployment(placed.program.tag, placed.tagged)
    team.apply(
        quick(body, nodeSelector={"kubernetes.io/hostname": node}, imagePullSecrets=[{"name": "main-pull"}]),
    )
    team.wait(lambda: team.settled("deployments", placed.program.tag), f"{placed.tagged} to run on {node}")
    (pod,) = team.pods(placed.program.tag)
    shown = digest_of(pod["status"]["containerStatuses"][0]["imageID"])
    assert (pod["spec"]["nodeName"], shown in placed.acceptable) == (node, True)


def moved(site: Site, kind: str) -> bool:
    """Whether the bytes are in a store of this kind, and it is served."""
    status = site.status()
    migration = status.get("migration") or {}
    assert migration.get("phase") != "Failed", migration
    here = (status.get("store") or {}).get("kind") == kind
    return here and migration.get("phase") in MOVED and condition("Ready")(site.read())


def test_it_is_reached_trusted_and_pulled_from_by_containerd(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Each proof holds, the pull by a Pod of another node among them."""
    start = time.monotonic()
    site.until(lambda found: all(condition(each)(found) for each in PROOFS), "all proofs to hold")
    tell(capsys, f"all proofs after {time.monotonic() - start:.1f} s more")
    pulled = site.conditions()["PullProved"]
    assert (pulled["reason"], elsewhere(site) in pulled["message"]) == ("Proved", True)


def test_every_node_is_told_whom_to_trust(site: Site) -> None:
    address = site.status()["address"]
    for node in site.fit.nodes.real:
        files = node.certs / address
        assert f'[host."https://{address}"]' in (files / "hosts.toml").read_text()
        assert "BEGIN CERTIFICATE" in (files / "ca.crt").read_text()


def test_a_deployment_of_another_namespace_runs_from_it(site: Site, team: Stage, web: Placed) -> None:
    """On the other node, with the pull Secret that the namespace was given."""
    team.wait(lambda: team.find("secrets", "main-pull"), "the pull Secret")
    run(team, web, elsewhere(site))


def test_only_trust_needs_more_than_restricted_pods(site: Site) -> None:
    """The API server itself judges the Pods that are there. From now on it takes no others."""
    violation, pods = site.enforce("restricted")
    assert "violate" in violation
    assert pods.startswith("main-registry-trust-")
    assert "(and 1 other pod)" in pods


def test_it_serves_again_after_its_process_is_killed(site: Site, web: Placed, tool: bytes) -> None:
    """kill -9 on its node, and then the whole Pod: nothing that was pushed is lost."""
    before = site.server()
    kill(before)
    site.until(lambda _: restarts(site) > 0, "the kubelet to start it again")
    assert site.server()["metadata"]["uid"] == before["metadata"]["uid"]
    assert site.has(web)
    site.stage.delete("pods", before["metadata"]["name"])
    site.until(lambda _: site.server()["metadata"]["uid"] != before["metadata"]["uid"], "another Pod")
    assert site.has(web)
    assert site.has(site.push(replace(WEB, tag="v2"), tool))


def test_it_moves_to_minio(
    site: Site, team: Stage, web: Placed, tool: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    start = time.monotonic()
    site.declare(site.on_bucket())
    site.until(lambda _: moved(site, "S3"), "the bytes to be in MinIO")
    tell(capsys, f"to MinIO in {time.monotonic() - start:.1f} s")
    assert site.has(web)
    newer = site.push(replace(WEB, tag="v3"), tool)
    run(team, newer, elsewhere(site))


def test_it_moves_back_to_the_volume(
    site: Site, team: Stage, web: Placed, tool: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what was pushed meanwhile."""
    meanwhile = site.push(replace(WEB, tag="v4"), tool)
    start = time.monotonic()
    site.declare(site.on_claim())
    site.until(lambda _: moved(site, "Filesystem"), "the bytes to be on the volume")
    tell(capsys, f"back to the volume in {time.monotonic() - start:.1f} s")
    assert site.has(web)
    run(team, meanwhile, elsewhere(site))


def test_a_collection_deletes_what_no_tag_names(
    site: Site, web: Placed, tool: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """A tag is pushed anew: what it named goes, the rest stays, and pushes are taken again."""
    tag = Program("shop/tool", "latest")
    before, after = (site.push(replace(tag, text=text), tool) for text in ("first", "second"))
    start = time.monotonic()
    site.collect("now")
    done = lambda found: found["status"].get("lastHandledCollectAt") == "now" and collected(found)  # noqa: E731
    site.until(done, "the collection to end")
    tell(capsys, f"collected in {time.monotonic() - start:.1f} s")
    assert site.status()["collection"]["phase"] == "Done"
    assert [site.has(each) for each in (before, after, web)] == [False, True, True]
    assert site.has(site.push(replace(tag, text="third"), tool))


def test_its_bytes_outlive_it_and_nodes_forget_it(site: Site) -> None:
    """The resource is deleted: nothing of it stays on a node but the volume with all blobs."""
    address = site.status()["address"]
    assert site.stage.api.delete(site.path).ok
    site.stage.wait(lambda: not site.stage.find_all("pods"), "its Pods to go")
    assert [node.name for node in site.fit.nodes.real if (node.certs / address).exists()] == []
    assert list(site.volume.glob("docker/registry/v2/blobs/sha256/*/*/data"))


def kill(pod: Json) -> None:
    """kill -9 of a Pod's processes on their node."""
    for pid in processes(pod):
        os.kill(pid, signal.SIGKILL)


def restarts(site: Site) -> int:
    """How often the server's containers were started again; 0 until they are Ready."""
    states = site.server()["status"]["containerStatuses"]
    return sum(int(state["restartCount"]) for state in states)


def collected(found: Json) -> bool:
    return (found["status"].get("collection") or {}).get("phase") in {"Done", "Refused", "Failed"}

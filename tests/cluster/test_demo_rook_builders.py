"""What scenarios are built from: images with known digests, overrides and workloads that the API server takes.

Neighbours: `test_demo_rook_harness` for what watches and applies.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from tests.cluster.api import POLICIES, Api, Json
from tests.cluster.operators import good
from tests.cluster.override_stage import Stage, images_of, plural_of, stage_of
from tests.cluster.override_stage_images import MULTI, Pushed, push, push_pair
from tests.cluster.override_stage_specs import cluster_override, enforcement, override, rollout, rule
from tests.cluster.override_stage_workloads import bare_pod, cron_job, daemon_set, deployment, job, stateful_set

from pawl.cli.demo_rook_objects import OPERATOR
from pawl.sandbox import Cluster
from pawl.sandbox.images import Image

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

WEB = "registry.example.com/shop/web:v1"


@pytest.fixture
def stage(api: Api, cluster: Cluster, tmp_path: Path) -> Iterator[Stage]:
    with stage_of(api, cluster, tmp_path, team="storage") as made:
        yield made


# images and overrides


@pytest.fixture
def source() -> Image:
    return Image(f"rook/ceph-{uuid4().hex[:6]}", "v1.16.4", platforms=MULTI)


def served(image: Pushed, reference: str) -> str:
    """The digest that the registry names for a tag or a digest."""
    accept = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"
    url = f"http://{image.registry}/v2/{image.image.repository}/manifests/{reference}"
    answer = httpx.get(url, headers={"Accept": accept}, trust_env=False)
    assert answer.status_code == 200, answer.text
    return str(answer.headers["Docker-Content-Digest"])


@pytest.mark.parametrize("text", [None, "other content"])
def test_a_mirror_has_the_digests_of_its_source_or_others(stage: Stage, source: Image, text: str | None) -> None:
    one, other = push_pair(stage.registry, source, f"mirror/{source.repository}", text)
    for image in (one, other):
        assert served(image, "v1.16.4") == image.digest
        assert [served(image, digest) for digest in image.platforms.values()] == list(image.platforms.values())
    equal = (one.digest, one.platforms, one.configs) == (other.digest, other.platforms, other.configs)
    assert equal is (text is None)
    assert one.pinned == f"{stage.registry}/{source.repository}:v1.16.4@{one.digest}"


def test_an_image_of_one_platform_is_its_own_manifest(stage: Stage, source: Image) -> None:
    single = push(stage.registry, Image(source.repository, "single"))
    assert single.platforms == {"linux/amd64": single.digest}
    assert served(single, "single") == single.digest


def test_a_simulated_pod_runs_what_a_pinned_reference_says(stage: Stage, source: Image) -> None:
    image = push(stage.registry, source)
    stage.install(image.pinned)
    states = stage.pods(OPERATOR)[0]["status"]["containerStatuses"]
    assert [state["imageID"] for state in states] == [f"{image.name}@{image.digest}"]


@pytest.mark.usefixtures("installed")
def test_the_api_server_takes_what_the_builders_make(stage: Stage, api: Api) -> None:
    rules = (rule("docker.io/rook", "registry.corp:5000/rook", containers=("app", "init-*")), rule("quay.io", tag="v1"))
    body = override(*rules, enforcement=enforcement(jobs="Off"), rollout=rollout(mode="Plan"), priority=3)
    good(api.post(stage.path("imageoverrides"), body))
    wide = cluster_override(*rules, namespaces={"team": "storage"}, name=stage.namespace, mandatory=True)
    good(api.post(f"{POLICIES}/clusterimageoverrides", wide))
    assert stage.read("imageoverrides", "private")["spec"]["rollout"]["mode"] == "Plan"
    good(api.delete(f"{POLICIES}/clusterimageoverrides/{stage.namespace}"))


@pytest.mark.parametrize(
    "body",
    [
        deployment("a", WEB, replicas=2),
        daemon_set("a", WEB, updateStrategy={"type": "OnDelete"}),
        stateful_set("a", WEB, replicas=2, updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}),
        bare_pod("a", WEB),
        job("a", WEB, runs="1h"),
        cron_job("a", WEB, runs="1h", suspend=True),
    ],
    ids=lambda body: body["kind"],
)
def test_workloads_of_every_kind_come_to_run(stage: Stage, body: Json) -> None:
    plural = plural_of(body)
    good(stage.api.post(stage.path(plural), body))
    if plural != "cronjobs":
        stage.wait(lambda: running(stage) == pods_of(body), "its Pods to run")
        assert {image for images in stage.images("a").values() for image in images.values()} == {WEB}
    if plural in ("deployments", "daemonsets", "statefulsets"):
        stage.wait(lambda: stage.settled(plural, "a"), "it to be settled")


def running(stage: Stage) -> int:
    return sum(pod["status"]["phase"] == "Running" for pod in stage.pods("a"))


def pods_of(body: Json) -> int:
    return int(body["spec"].get("replicas", 1))


def test_kinds_are_found_under_their_plurals() -> None:
    kinds = {"Job": "jobs", "ImagePolicy": "imagepolicies", "ImageRules": "imagerules", "DaemonSet": "daemonsets"}
    assert {kind: plural_of({"kind": kind}) for kind in kinds} == kinds


def test_images_of_all_groups_are_named_by_container() -> None:
    spec = {"containers": [{"name": "a", "image": "1"}], "initContainers": [{"name": "b", "image": "2"}]}
    assert images_of(spec) == {"a": "1", "b": "2"}

"""The installed operator where nobody installed admission policies: its webhook, through the cluster's own network.

Pawl's image comes from a private registry here, with the release's pull Secret. Neighbours: `test_node_operator` for
everything else about a release, `tests.cluster.test_gate_equal` for what webhook and policies make of the same Pods.
"""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.cluster.api import Api, Json
from tests.cluster.operators import good
from tests.cluster.override_stage_workloads import bare_pod, deployment
from tests.node.node_images import Place, Program, copy
from tests.node.node_registry import PrivateRegistry, pull_secret
from tests.node.node_release import Release, Wish, name_of, release_of
from tests.node.node_scene import NodeScene, node_scene_of, phases, quick

from pawl.sandbox import Cluster

pytestmark = [pytest.mark.node, pytest.mark.timeout(400)]

ADMISSION = "apis/admissionregistration.k8s.io/v1"
REVIEWS = "pawl_webhook_reviews_total"


@pytest.fixture(scope="module")
def release(
    api: Api, cluster: Cluster, private: PrivateRegistry, pawl_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Release]:
    without_policies(api)
    assert cluster.registry
    built = pawl_image.partition("/")[2]
    name = built.partition(":")[0] + "@" + built.partition("@")[2]
    image = copy(Place(cluster.registry), name, private.place, "infra/pawl")
    secret = pull_secret("regcred", private.host, private.password)
    values = {"plainHTTPHosts": [cluster.registry], "gate": {"policy": "Never"}, "imagePullSecrets": ["regcred"]}
    wish = Wish("pawl-webhook", image, values, before=(secret,), anonymous=False)
    with release_of(api, cluster, tmp_path_factory.mktemp("release"), wish) as made:
        yield made


@pytest.fixture(scope="module")
def scene(
    api: Api, cluster: Cluster, release: Release, tool: bytes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NodeScene]:
    with node_scene_of(api, cluster, tmp_path_factory.mktemp("scene"), release.log, tool) as made:
        yield made


def without_policies(api: Api) -> None:
    """Take away what an operator of another test left."""
    for plural in ("mutatingadmissionpolicybindings", "mutatingadmissionpolicies"):
        for body in good(api.get(f"{ADMISSION}/{plural}")).body["items"]:
            if name_of(body).startswith("pawl-"):
                good(api.delete(f"{ADMISSION}/{plural}/{name_of(body)}"))


def webhooks(api: Api) -> list[Json]:
    found: list[Json] = good(api.get(f"{ADMISSION}/mutatingwebhookconfigurations/pawl")).body.get("webhooks", [])
    return found


def reviews(release: Release) -> float:
    """Requests that the replicas answered, by their own metrics, read at their Pods' addresses."""
    total = 0.0
    for pod in release.pods():
        text = httpx.get(f"http://{pod['status']['podIP']}:8080/metrics", trust_env=False, timeout=5).text
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        total += sum(sample.value for sample in samples if sample.name == REVIEWS)
    return total


def test_the_image_came_from_the_private_registry(release: Release, private: PrivateRegistry) -> None:
    """Every Pod of the release names the Secret, and its node pulled with it."""
    for pod in release.pods():
        assert pod["spec"]["imagePullSecrets"] == [{"name": "regcred"}]
        (state,) = pod["status"]["containerStatuses"]
        assert pod["spec"]["containers"][0]["image"].startswith(f"{private.host}/infra/pawl@")
        assert state["ready"]


def test_pods_are_rewritten_by_the_webhook(scene: NodeScene, release: Release, api: Api) -> None:
    """No policy is there, so the operator fills its webhook configuration, and the API server asks a replica by the
    Service, with the CA that is in it. What runs follows, proved; the NetworkPolicy of the release is in place."""
    public, mirror = scene.both(Program("web"))
    scene.start(quick(deployment("web", public.tagged)))
    scene.stage.apply(scene.mirror())
    scene.done(seconds=120)
    assert scene.pod_images("web") == [mirror.tagged]
    assert scene.image_ids("web")["app"] <= mirror.acceptable
    assert all("service" in each["clientConfig"] and each["clientConfig"]["caBundle"] for each in webhooks(api))
    assert webhooks(api)
    before = reviews(release)
    scene.stage.apply(quick(bare_pod("alone", public.tagged)))
    assert scene.stage.image("pods", "alone") == mirror.tagged
    assert reviews(release) > before
    scene.stage.wait(lambda: phases(scene.stage.pods("alone")) == ["Running"], "the Pod to run")
    assert release.stage.api.get(
        f"apis/networking.k8s.io/v1/namespaces/{release.stage.namespace}/networkpolicies/pawl"
    ).ok


def test_an_upgrade_of_the_release_takes_nothing_away(scene: NodeScene, release: Release, api: Api) -> None:
    """`helm upgrade` renders a configuration without webhooks: what the operator wrote into it stays."""
    before = webhooks(api)
    release.upgrade("--set", "logLevel=debug")
    release.until_settled()
    assert [each["clientConfig"]["caBundle"] for each in webhooks(api)] == [
        each["clientConfig"]["caBundle"] for each in before
    ]
    scene.stage.apply(quick(bare_pod("later", f"{scene.public}/web:v1")))
    assert scene.stage.image("pods", "later") == f"{scene.place}/web:v1"

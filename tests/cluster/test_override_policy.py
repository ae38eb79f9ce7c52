"""A rule whose target is an ImagePolicy: workloads follow its selection forward, and nothing else moves them.

Neighbours: `test_policy_*` for selections themselves. Not here: policies without overrides.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.cluster.api import Api, Json
from tests.cluster.operators import Operator, Shop, good, manifest, operator_of, selected, spec
from tests.cluster.override_registry import registry_of
from tests.cluster.override_scene import PUBLIC, Scene, keeper_of, scene_of
from tests.cluster.override_stage_specs import enforcement, override, rollout
from tests.cluster.override_stage_workloads import deployment
from tests.support.registry import FakeRegistry

from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240), pytest.mark.usefixtures("installed")]


@pytest.fixture(scope="module")
def registry() -> Iterator[FakeRegistry]:
    with registry_of() as running:
        yield running


@pytest.fixture(scope="module")
def pawl(cluster: Cluster, registry: FakeRegistry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with keeper_of(cluster, tmp_path_factory.mktemp("pawl"), plain=[registry.host]) as running:
        yield running


class Policed:
    """A scene whose override takes `web` from the policy `web`."""

    def __init__(self, scene: Scene, registry: FakeRegistry) -> None:
        self.scene, self.registry = scene, registry
        self.shop = Shop(scene.stage.api, scene.stage.namespace, scene.pawl)
        self.repository = f"{scene.stage.namespace}/web"
        self.policy = spec(registry.host, self.repository)

    def release(self, tag: str) -> str:
        """Push a version; the image that Pods run when it is selected."""
        return f"{self.registry.host}/{self.repository}:{tag}@{self.registry.push(self.repository, tag)}"

    def override(self) -> Json:
        follow = {"source": f"{PUBLIC}/web", "target": {"policyRef": {"name": "web"}}}
        return override(follow, enforcement=enforcement(), rollout=rollout())

    def start(self) -> str:
        """Policy, Deployment and override at v1.0.0, all rolled out; the image."""
        image = self.release("v1.0.0")
        self.shop.create(self.policy)
        self.scene.start(deployment("web", f"{PUBLIC}/web:v0"))
        self.scene.stage.apply(self.override())
        self.scene.done()
        self.runs(image)
        return image

    def advance(self, tag: str) -> str:
        """Release a version and wait until the Pods run it."""
        image = self.release(tag)
        self.shop.annotate()
        self.runs(image)
        self.scene.done()
        return image

    def runs(self, image: str) -> None:
        self.scene.wait(lambda: self.scene.pod_images("web") == [image], f"the Pods to run {image}")

    @property
    def generation(self) -> int:
        return int(self.scene.stage.read("deployments", "web")["metadata"]["generation"])


@pytest.fixture
def policed(api: Api, cluster: Cluster, tmp_path: Path, pawl: Operator, registry: FakeRegistry) -> Iterator[Policed]:
    with scene_of(api, cluster, tmp_path, pawl) as scene:
        yield Policed(scene, registry)
    registry.behave()


def test_workloads_follow_the_selection(policed: Policed) -> None:
    """A newer version is released: the policy selects it and the Pods roll to its tag and digest, once."""
    first = policed.start()
    with policed.scene.stage.recording() as recorder:
        before = policed.generation
        second = policed.advance("v1.1.0")
        assert policed.generation == before + 1
        made = [change.image for change in recorder.changes("Pod") if change.type == "ADDED"]
    assert made == [first, second]
    entry = policed.scene.stage.read("imagerules", "pawl")["spec"]["rules"][f"{PUBLIC}/web"][0]
    assert entry["digest"] == selected(policed.shop.read())["digest"]


def test_an_override_waits_for_a_policy_without_a_selection(policed: Policed) -> None:
    """The policy has nothing to select yet: the rule is inactive and says so; with the first version the Pods come."""
    policed.shop.create(policed.policy)
    policed.scene.start(deployment("web", f"{PUBLIC}/web:v0"))
    policed.scene.stage.apply(policed.override())
    policed.scene.until("Accepted", "True/PolicyWithoutSelection")
    assert policed.scene.pod_images("web") == [f"{PUBLIC}/web:v0"]
    image = policed.release("v1.0.0")
    policed.shop.annotate()
    policed.runs(image)
    policed.scene.done()
    assert policed.scene.conditions()["Accepted"] == "True/Accepted"


def test_nothing_moves_while_the_policy_holds(policed: Policed) -> None:
    """The registry answers errors: the policy holds its selection, and no workload moves."""
    image = policed.start()
    before = policed.generation
    policed.registry.behave(fail=503)
    wish = policed.shop.annotate()
    policed.scene.wait(
        lambda: policed.shop.read()["status"].get("lastHandledReconcileAt") == wish, "the policy to have looked"
    )
    policed.scene.ask("again")
    policed.scene.renew("web")
    assert policed.scene.pod_images("web") == [image]
    assert policed.generation == before


def test_nothing_moves_when_the_policy_is_deleted(policed: Policed) -> None:
    """The policy is gone: what it selected last stays in force, for running Pods and for new ones."""
    policed.start()
    image, before = policed.advance("v1.1.0"), policed.generation
    policed.shop.delete()
    policed.scene.ask("again")
    policed.scene.renew("web")
    assert policed.scene.pod_images("web") == [image]
    assert policed.generation == before


def test_a_rollback_rolls_the_workloads_back(policed: Policed) -> None:
    """An accepted rollback is an advance of its own: Pods roll to the older version, by its digest."""
    first = policed.start()
    policed.advance("v1.1.0")
    digest = first.rpartition("@")[2]
    wish = {"nonce": "n1", "from": {"tag": "v1.1.0"}, "to": {"tag": "v1.0.0", "digest": digest}, "reason": "bad"}
    policed.shop.edit(rollback=wish)
    policed.runs(first)
    policed.scene.done()


def test_a_policy_restored_from_an_older_backup_moves_nothing_back(policed: Policed) -> None:
    """Backup tools delete and make anew, with an old status: Pods stay where they were, also those that start then."""
    policed.start()
    backup = policed.shop.read()
    image, before = policed.advance("v1.1.0"), policed.generation
    with policed.scene.stage.recording() as recorder:
        for _ in range(3):
            restore(policed, backup)
            policed.scene.wait(
                lambda: selected(policed.scene.stage.read("imagepolicies", "web")).get("tag") == "v1.1.0",
                "the policy to have its selection back",
            )
            policed.scene.ask(f"again-{policed.shop.annotate()}")
            policed.scene.renew("web")
            assert policed.scene.pod_images("web") == [image]
        made = {change.image for change in recorder.changes("Pod")}
    assert made == {image}
    assert policed.generation == before


def test_an_operator_that_starts_on_an_older_backup_moves_nothing_back(
    api: Api, cluster: Cluster, tmp_path: Path, registry: FakeRegistry
) -> None:
    """The whole backup was restored while no operator ran: the one that comes reads the ledger before it acts."""
    with keeper_of(cluster, tmp_path, plain=[registry.host]) as first, scene_of(api, cluster, tmp_path, first) as scene:
        policed = Policed(scene, registry)
        policed.start()
        backup = policed.shop.read()
        image, before = policed.advance("v1.1.0"), policed.generation
        first.terminate()
        restore(policed, backup)
        with (
            scene.stage.recording() as recorder,
            operator_of(cluster.kubeconfig, tmp_path, "--manage-gate", "--plain-http-hosts", registry.host) as second,
        ):
            late = Policed(Scene(scene.stage, second), registry)
            late.scene.wait(lambda: selected(late.shop.read()).get("tag") == "v1.1.0", "the selection to be back")
            late.scene.ask("again")
            late.scene.renew("web")
            assert late.scene.pod_images("web") == [image]
            assert {change.image for change in recorder.changes("Pod")} == {image}
        assert policed.generation == before


def restore(policed: Policed, backup: Json) -> None:
    """Delete the policy and make it anew with the status that it had then, as Velero does."""
    stage = policed.scene.stage
    policed.shop.delete()
    # Times have seconds only: what was selected in the second of the creation could be a policy's own first choice.
    taken = datetime.fromisoformat(backup["status"]["selection"]["selectedAt"])
    policed.scene.wait(lambda: datetime.now(UTC) > taken + timedelta(seconds=1), "the backup to be of another second")
    good(stage.api.post(stage.path("imagepolicies"), manifest("web", backup["spec"])))
    stage.api.merge(f"{stage.path('imagepolicies', 'web')}/status", {"status": backup["status"]})

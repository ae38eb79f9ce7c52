"""The table of rights is what is asked for: nothing is refused to an operator that has exactly these rights, and there
is no right that it does not use.

One operator goes through everything that Pawl does, as a ServiceAccount under real RBAC, and a proxy notes its
requests. Neighbours: `test_rights_missing` takes rights away. Not here: whether what it does is right.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.cluster.api import POLICIES, Api, Json
from tests.cluster.audit import Audit, Nudge, auditing
from tests.cluster.grants import EVERYWHERE, Account, granted
from tests.cluster.grounds import Ground, ready_on, scenario
from tests.cluster.operators import Operator, Shop, good, operator_of, selected, spec
from tests.cluster.override_scene import Scene
from tests.cluster.override_stage import PATIENCE, Stage, stage_of, wait_for
from tests.cluster.override_stage_specs import cluster_override, enforcement, rollout, rule
from tests.cluster.override_stage_workloads import cron_job, daemon_set, deployment, job, stateful_set
from tests.support.registry import FakeRegistry

from pawl.admission.certificates import ensure_bundle, new_bundle
from pawl.admission.install import ClusterGate, apply_gate
from pawl.admission.webhookconfig import Endpoint
from pawl.cluster.client import Cluster as Client
from pawl.cluster.ledgers import LedgerStore, name_for
from pawl.cluster.rights import RIGHTS, WEBHOOK_NAME, WEBHOOK_SECRET, Right, Where
from pawl.controllers.ledgersweep import LedgerSweep
from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400), pytest.mark.usefixtures("installed")]

ADMISSION = "apis/admissionregistration.k8s.io/v1"
ELSEWHERE = "wide.example.com"
NOWHERE = "mirror.invalid"
LONG_AGO = "2020-01-01T00:00:00Z"


@dataclass(frozen=True)
class Whole:
    """One operator with the rights of the table, and all that it asked for."""

    stage: Stage
    vault: Stage
    account: Account
    audit: Audit
    nudge: Nudge
    pawl: Operator

    @property
    def scene(self) -> Scene:
        return Scene(self.stage, self.pawl)

    def overtake(self, resource: str, name: str) -> None:
        """Let the next write of a status come second."""
        place = "" if resource.startswith("cluster") else f"/namespaces/{self.stage.namespace}"
        self.nudge.due[f"{resource}/status", name] = f"{POLICIES}{place}/{resource}/{name}"


@contextmanager
def whole_on(ground: Ground) -> Iterator[Whole]:
    api, cluster, directory = ground.api, ground.cluster, ground.directory
    with (
        ready_on(ground),
        granted(cluster, api, directory) as account,
        stage_of(api, cluster, directory) as stage,
        stage_of(api, cluster, directory) as vault,
        auditing(account.kubeconfig) as audit,
    ):
        orphan(stage)
        nudge = Nudge(api)
        audit.before = nudge
        flags = ("--no-manage-gate", "--plain-http-hosts", stage.registry)
        with operator_of(account.through(audit.url), directory, *flags, namespace=account.namespace) as pawl:
            yield Whole(stage, vault, account, audit, nudge, pawl)


def orphan(stage: Stage) -> None:
    """A ledger whose policy has been gone for years."""
    notes = {"pawl.dev/policy": "gone", "pawl.dev/orphaned-since": LONG_AGO}
    metadata = {"name": name_for("gone"), "labels": {"pawl.dev/ledger": "imagepolicy"}, "annotations": notes}
    stage.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"ledger": "{}"}})


@scenario(whole_on)()
async def test_what_is_asked_for_is_what_is_granted(whole: Whole) -> None:
    await policies(whole)
    body = wide(whole)
    narrow(whole)
    wide_ends(whole, body)
    narrow_ends(whole)
    assert (whole.pawl.terminate(PATIENCE), whole.nudge.due) == (0, {}), "it ended ill, or was never overtaken"
    await sweep(whole)
    places = (*EVERYWHERE, Where.OWN)
    wanted = [right for right in RIGHTS if right.where in places and not elsewhere(right)]
    assert [str(one) for one in whole.audit.refused] == []
    assert unused(wanted, whole.audit) == []


async def sweep(whole: Whole) -> None:
    """What an operator does once an hour: the ledger of the policy that has been gone for years goes."""
    async with await Client.connect(str(whole.account.through(whole.audit.url))) as client:
        ledgers = LedgerSweep(LedgerStore(client), set, lambda: None, [whole.stage.namespace])
        await ledgers.once(datetime.now(UTC))
    assert whole.stage.find("configmaps", name_for("gone")) is None


def elsewhere(right: Right) -> bool:
    """What an operator on an API server with policies does not need; the tests below do."""
    webhook = right.names == (WEBHOOK_NAME,) and right.where is Where.CLUSTER
    return (right.where is Where.OWN and right.feature == "webhook") or webhook


def unused(wanted: list[Right], audit: Audit) -> list[str]:
    """Return every right that was never used, and every name."""
    missing = [(right, one) for right in wanted for one in right.single if one not in audit.rights]
    found = [f"{right.where}: {verb} {resource}.{group}" for right, (group, resource, verb) in missing]
    asked = {(one.right, one.name) for one in audit.asked}
    named = [(right, one, name) for right in wanted for one in right.single for name in right.names]
    return found + [f"{right.where}: {one} of {name}" for right, one, name in named if (one, name) not in asked]


async def policies(whole: Whole) -> None:
    """Select, advance, tell, be overtaken, and go."""
    stage = whole.stage
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "builder"}}
    stage.apply(account | {"imagePullSecrets": [{"name": "regcred"}]})
    async with FakeRegistry() as registry:
        registry.push("shop/web", "v1.0.0")
        shop = Shop(stage.api, stage.namespace, whole.pawl)
        shop.pull_secret("regcred", registry.host, "robot", "pass")
        whole.overtake("imagepolicies", "web")
        shop.create(spec(registry.host, access={"serviceAccountName": "builder"}))
        assert (await shop.tag("v1.0.0", seconds=PATIENCE))["digest"]
        registry.push("shop/web", "v1.1.0")
        await shop.ask(seconds=PATIENCE)
        assert selected(shop.read())["tag"] == "v1.1.0"
        shop.delete()


def copied(whole: Whole) -> list[Json]:
    return [{"name": "copied", "copyFrom": {"namespace": whole.vault.namespace, "name": "regcred"}}]


def wide(whole: Whole) -> Json:
    """An override for the cluster, with everything that rolls, is copied, pulled and made anew."""
    stage, scene = whole.stage, whole.scene
    scene.push()
    image = f"{ELSEWHERE}/web:v1@{scene.known().digest}"
    Shop(stage.api, whole.vault.namespace, whole.pawl).pull_secret("regcred", "registry.corp", "robot", "pass")
    whole.vault.edit("secrets", "regcred", {"metadata": {"annotations": {"pawl.dev/allow-copy-to": stage.namespace}}})
    scene.start(deployment("web", image), stateful_set("db", image))
    scene.start(daemon_set("agent", image, updateStrategy={"type": "OnDelete"}))
    stage.apply(cron_job("tick", image, suspend=True))
    stage.apply(job("stuck", f"{NOWHERE}/web:v1@{scene.known().digest}", runs="1h"))
    stage.wait(lambda: stage.waiting("stuck") == ["ImagePullBackOff"], "the Job to wait in vain")
    body = cluster_override(
        *(rule(host, scene.place) for host in (ELSEWHERE, NOWHERE)),
        name=f"wide-{stage.namespace}",
        enforcement=enforcement(templates="Reconcile", onDelete="Evict", jobs="RecreateStuck"),
        rollout=rollout(prepull=True),
        pullSecrets=copied(whole),
    )
    whole.overtake("clusterimageoverrides", body["metadata"]["name"])
    stage.apply_cluster(body)
    path = of_cluster(body)
    wait_for(lambda: condition(stage.api, path, "Ready") == "True", 120, "the whole", seen=lambda: told(whole))
    wait_for(lambda: scene.pod_images("agent") == [scene.target()], what="the Pod of OnDelete")
    assert stage.find("secrets", "copied")
    return body


def narrow(whole: Whole) -> None:
    """An override of one namespace, which wants the same copy: its table is made and changed."""
    stage, scene = whole.stage, whole.scene
    scene.start(deployment("site", scene.source()))
    whole.overtake("imageoverrides", "private")
    body = scene.mirror(enforcement=enforcement(templates="Reconcile"), pullSecrets=copied(whole))
    stage.apply(body)
    scene.done()
    body["spec"]["rules"].append(rule("more.example.com", scene.place))
    stage.apply(body)
    scene.wait(lambda: "more.example.com" in str(stage.find("imagerules", "pawl")), "the table to follow")


def wide_ends(whole: Whole, body: Json) -> None:
    """The table of the cluster is changed and deleted, and all is given back."""
    api, path = whole.stage.api, of_cluster(body)
    body["spec"]["rules"].append(rule("more.example.com", whole.scene.place))
    whole.stage.apply_cluster(body)
    table = f"{POLICIES}/clusterimagerules/pawl"
    wait_for(lambda: "more.example.com" in str(api.get(table).body), what="the table to follow")
    good(api.delete(path))
    wait_for(lambda: not api.get(path).ok, what="the override to go", seen=lambda: told(whole))
    assert whole.stage.find("secrets", "copied")


def narrow_ends(whole: Whole) -> None:
    """All is given back, and the copy goes with the last override that wants it."""
    stage, scene = whole.stage, whole.scene
    good(stage.delete("imageoverrides", "private"))
    scene.wait(lambda: stage.find("imageoverrides", "private") is None, "the override to go")
    scene.wait(lambda: stage.find("imagerules", "pawl") is None, "the table to go")
    scene.wait(lambda: stage.find("secrets", "copied") is None, "the copy to go")
    scene.wait(lambda: scene.pod_images("site") == [scene.source()], "the old image to run")


def of_cluster(body: Json) -> str:
    return f"{POLICIES}/clusterimageoverrides/{body['metadata']['name']}"


def condition(api: Api, path: str, kind: str) -> str:
    found = api.get(path).body.get("status", {}).get("conditions", [])
    return next((str(each["status"]) for each in found if each["type"] == kind), "")


def told(whole: Whole) -> str:
    lines = [line for line in whole.pawl.lines() if line["level"] in ("warning", "error")][-5:]
    found = whole.stage.api.get(f"{POLICIES}/clusterimageoverrides").body["items"]
    return str([each.get("status", {}).get("conditions") for each in found] + lines)


def of(*places: Where, feature: str = "") -> list[Right]:
    return [right for right in RIGHTS if right.where in places and feature in ("", right.feature)]


async def test_the_webhook_needs_what_is_granted_for_it(api: Api, cluster: Cluster, tmp_path: Path) -> None:
    """Its certificate is made and renewed, its configuration filled; nothing else is written."""
    now = datetime.now(UTC)
    good(api.post(f"{ADMISSION}/mutatingwebhookconfigurations", {"metadata": {"name": WEBHOOK_NAME}}))
    try:
        with granted(cluster, api, tmp_path) as account, auditing(account.kubeconfig) as audit:
            async with await Client.connect(str(account.through(audit.url))) as client:
                bundle = await ensure_bundle(client, account.namespace, ["127.0.0.1"], now)
                path = f"api/v1/namespaces/{account.namespace}/secrets/{WEBHOOK_SECRET}"
                good(api.merge(path, {"data": {"tls.crt": "bm9uZQ=="}}))
                assert await ensure_bundle(client, account.namespace, ["127.0.0.1"], now) != bundle
                there = Endpoint("https://127.0.0.1:9", bundle.authorities)
                gate = ClusterGate(client, account.namespace, lambda: there)
                without_policies(api)
                assert (await gate.keep(manage=False)).kind == "Webhook"
            assert [str(one) for one in audit.refused] == []
            assert unused([right for right in of(Where.OWN, Where.CLUSTER) if elsewhere(right)], audit) == []
    finally:
        api.delete(f"{ADMISSION}/mutatingwebhookconfigurations/{WEBHOOK_NAME}")


def without_policies(api: Api) -> None:
    for plural in ("mutatingadmissionpolicybindings", "mutatingadmissionpolicies"):
        for each in good(api.get(f"{ADMISSION}/{plural}")).body["items"]:
            good(api.delete(f"{ADMISSION}/{plural}/{each['metadata']['name']}"))


async def test_who_manages_the_gate_needs_what_is_granted_for_it(api: Api, cluster: Cluster, tmp_path: Path) -> None:
    """All of it is made, mended, and the webhook taken away."""
    without_policies(api)
    endpoint = Endpoint("https://127.0.0.1:9", new_bundle(["127.0.0.1"], datetime.now(UTC)).authorities)
    try:
        with (
            granted(cluster, api, tmp_path, more=[Where.MANAGE_GATE]) as account,
            auditing(account.kubeconfig) as audit,
        ):
            async with await Client.connect(str(account.through(audit.url))) as client:
                await apply_gate(client, account.namespace, "webhook", endpoint)
                gate = ClusterGate(client, account.namespace, lambda: endpoint, settle=0.0)
                for _ in range(3):
                    assert (await gate.keep(manage=True)).kind == "MutatingAdmissionPolicy"
            assert [str(one) for one in audit.refused] == []
            asked = [right for right in of(Where.MANAGE_GATE) if right.resource.group != "pawl.dev"]
            made = [right for right in asked if right.verbs != ("create",)]
            assert unused(made, audit) == []
            assert not api.get(f"{ADMISSION}/mutatingwebhookconfigurations/{WEBHOOK_NAME}").ok
    finally:
        api.delete(f"{ADMISSION}/mutatingwebhookconfigurations/{WEBHOOK_NAME}")


IMPLIED = [right for right in of(Where.MANAGE_GATE) if right.verbs in (("create",), ("get",))]
"""What the API server itself asks for when the gate is made: no request has these verbs."""


@pytest.mark.parametrize("right", IMPLIED, ids=lambda right: f"{right.verbs[0]}-{right.named}")
async def test_each_right_that_only_the_api_server_asks_for_is_needed(
    right: Right, api: Api, cluster: Cluster, tmp_path: Path
) -> None:
    without_policies(api)
    endpoint = Endpoint("https://127.0.0.1:9", new_bundle(["127.0.0.1"], datetime.now(UTC)).authorities)
    kind = "webhook" if right.named == "mutatingwebhookconfigurations" else "policy-v1"
    try:
        with granted(cluster, api, tmp_path, more=[Where.MANAGE_GATE], without=set(right.single)) as account:
            async with await Client.connect(str(account.kubeconfig)) as client:
                with pytest.raises(Exception, match=r"may not|must have|cannot"):
                    await apply_gate(client, account.namespace, kind, endpoint)
    finally:
        api.delete(f"{ADMISSION}/mutatingwebhookconfigurations/{WEBHOOK_NAME}")

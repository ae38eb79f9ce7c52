"""Rights that only a ClusterRole grants, and those that no scenario reaches: each taken away once, and named.

Neighbours: `test_rights_missing` takes away what a Role grants. Here too: that both together are the whole table.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from structlog.testing import capture_logs
from tests.cluster.api import POLICIES, Api, Json
from tests.cluster.audit import Asked, auditing
from tests.cluster.grants import EVERYWHERE, granted
from tests.cluster.grounds import Ground, ready_on, scenario
from tests.cluster.operators import Operator, good
from tests.cluster.override_scene import Scene
from tests.cluster.override_stage import Stage, stage_of, wait_for
from tests.cluster.override_stage_specs import cluster_override, enforcement, rollout, rule
from tests.cluster.override_stage_workloads import deployment
from tests.cluster.test_rights_missing import CASES, PAWL, Right, repeated, sentence

from pawl.admission.certificates import ensure_bundle
from pawl.api.errors import Forbidden
from pawl.cluster.client import Cluster as Client
from pawl.cluster.ledgers import LedgerStore, name_for
from pawl.cluster.rights import RIGHTS, WEBHOOK_SECRET, Where
from pawl.controllers.ledgersweep import LedgerSweep
from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(200), pytest.mark.usefixtures("installed")]


def wide(verb: str, *resources: str, group: str = PAWL) -> tuple[Right, ...]:
    return tuple((group, resource, verb) for resource in resources)


WIDE: Final[tuple[tuple[tuple[Right, ...], bool], ...]] = (
    (wide("list", "namespaces", group=""), True),
    (wide("list", "nodes", group=""), True),
    (wide("watch", "namespaces", "nodes", group=""), True),
    (wide("list", "clusterimagerules"), True),
    (wide("watch", "clusterimagerules"), True),
    (wide("create", "clusterimagerules"), True),
    (wide("update", "clusterimagerules"), True),
    (wide("delete", "clusterimagerules"), True),
    (wide("patch", "clusterimageoverrides"), True),
    (wide("patch", "clusterimageoverrides/status"), False),
    (wide("get", "clusterimageoverrides"), False),
    (wide("list", "clusterimageoverrides"), False),
    (wide("watch", "clusterimageoverrides"), False),
)
"""Rights of an install for all namespaces, and whether a condition of the override says so."""


@dataclass(frozen=True)
class Poor:
    """An operator for all namespaces that may not do all of it, and its one override."""

    gone: tuple[Right, ...]
    stage: Stage
    pawl: Operator
    body: Json

    @property
    def path(self) -> str:
        return f"{POLICIES}/clusterimageoverrides/{self.body['metadata']['name']}"

    def status(self) -> Json:
        return dict(self.stage.api.get(self.path).body.get("status", {}))

    def told(self) -> str:
        return " ".join(each["message"] for each in self.status().get("conditions", []))

    def log(self) -> str:
        return self.pawl.text[-3000:]

    def carry_on(self) -> None:
        """Change the table, or let it go, once there is one."""
        scene = Scene(self.stage, self.pawl)
        wait_for(lambda: "Verified" in str(self.status()), what="a first table", seen=self.log)
        wait_for(lambda: scene.pod_images("web") == [scene.target()], what="it to roll", seen=self.told)
        if self.gone[0][2] == "delete":
            good(self.stage.api.delete(self.path))
            return
        rules = [*self.body["spec"]["rules"], rule("more.example.com", scene.place)]
        self.stage.apply_cluster({**self.body, "spec": {**self.body["spec"], "rules": rules}})


@contextmanager
def poor_on(ground: Ground, gone: tuple[Right, ...]) -> Iterator[Poor]:
    api, cluster, directory = ground.api, ground.cluster, ground.directory
    with (
        stage_of(api, cluster, directory) as stage,
        granted(cluster, api, directory, without=set(gone)) as account,
        auditing(account.kubeconfig) as audit,
    ):
        audit.before = lambda asked: nudge(stage, asked, ("get" in gone[0]))
        body = prepared(stage)
        flags = ("--no-manage-gate", "--plain-http-hosts", stage.registry)
        pawl = Operator(account.through(audit.url), directory / "pawl.log", account.namespace, *flags)
        made = Poor(gone, stage, pawl, body)
        try:
            yield made
        finally:
            pawl.kill()
            api.merge(made.path, {"metadata": {"finalizers": []}})
            api.delete(made.path)
            api.delete(f"{POLICIES}/clusterimagerules/pawl")


def prepared(stage: Stage) -> Json:
    """Make a Deployment and an override of the cluster for it."""
    scene = Scene(stage, None)  # type: ignore[arg-type]
    scene.push()
    stage.apply(deployment("web", scene.source()))
    stage.wait(stage.pods, "Pods")
    fields = {"restoreTimeout": "1h", "enforcement": enforcement(), "rollout": rollout()}
    body = cluster_override(rule("quay.example.com", scene.place), name=f"wide-{stage.namespace}", **fields)
    stage.apply_cluster(body)
    return body


@scenario(ready_on)(*WIDE, ids=lambda case: f"{case[0][0][2]}-{case[0][0][1]}-{case[1]}")
def test_a_missing_right_of_the_cluster_is_named(ground: Ground, case: tuple[tuple[Right, ...], bool]) -> None:
    gone, condition = case
    with poor_on(ground, gone) as poor:
        if gone[0][2] in ("update", "delete"):
            poor.carry_on()
        wait_for(lambda: all(sentence(one) in poor.pawl.text for one in gone), what="the log", seen=poor.log)
        if condition:
            wait_for(lambda: any(sentence(one) in poor.told() for one in gone), what="the condition", seen=poor.told)
        assert poor.pawl.process.poll() is None
        assert repeated(poor.pawl) == {}


def nudge(stage: Stage, asked: Asked, on: bool) -> None:  # noqa: FBT001
    if on and asked.resource == "clusterimageoverrides/status":
        note = {"metadata": {"annotations": {"seen": str(datetime.now(UTC))}}}
        stage.api.merge(f"{POLICIES}/clusterimageoverrides/{asked.name}", note)


async def test_old_ledgers_that_may_not_be_deleted_are_named(
    api: Api, cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    notes = {"pawl.dev/policy": "gone", "pawl.dev/orphaned-since": "2020-01-01T00:00:00Z"}
    metadata = {"name": name_for("gone"), "labels": {"pawl.dev/ledger": "imagepolicy"}, "annotations": notes}
    good(api.post(f"api/v1/namespaces/{namespace}/configmaps", {"metadata": metadata}))
    with granted(cluster, api, tmp_path, watched=[namespace], without=[("", "configmaps", "delete")]) as account:
        async with await Client.connect(str(account.kubeconfig)) as client:
            with capture_logs() as logs:
                await LedgerSweep(LedgerStore(client), set, lambda: None, [namespace]).once(datetime.now(UTC))
    assert [sentence(("", "configmaps", "delete")) in line["error"] for line in logs] == [True]


@pytest.mark.parametrize("verb", ["get", "create", "update"])
async def test_the_webhook_names_what_it_may_not_do_with_its_secret(
    verb: str, api: Api, cluster: Cluster, tmp_path: Path
) -> None:
    with granted(cluster, api, tmp_path, watched=[], without=[("", "secrets", verb)]) as account:
        if verb == "update":
            body = {"metadata": {"name": WEBHOOK_SECRET}, "data": {"tls.crt": "bm9uZQ=="}}
            good(api.post(f"api/v1/namespaces/{account.namespace}/secrets", body))
        async with await Client.connect(str(account.kubeconfig)) as client:
            with pytest.raises(Forbidden, match=f"the verb '{verb}' on 'secrets'"):
                await ensure_bundle(client, account.namespace, ["127.0.0.1"], datetime.now(UTC))


def test_every_right_is_taken_away_somewhere() -> None:
    """But for the gate's: without those its kind is unknown, and trial Pods prove it (`test_rights_namespaced`)."""
    taken = {right for this in CASES for right in this.gone} | {right for gone, _ in WIDE for right in gone}
    taken |= {("", "configmaps", "delete"), *(("", "secrets", verb) for verb in ("get", "create", "update"))}
    places = (*EVERYWHERE, Where.NAMESPACED, Where.OWN)
    wanted = {one for right in RIGHTS if right.where in places and right.feature != "gate" for one in right.single}
    assert wanted - taken == set()
    assert taken - wanted == set()

"""One namespace with all that lives through an upgrade: policies with a past, overrides of every mode, workloads.

Neighbours: `crew` runs Pawl, `prober` asks for Pods meanwhile. Not here: what must hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.api import POLICIES, Api, Json
from tests.cluster.operators import good, manifest, spec
from tests.cluster.override_scene import PUBLIC
from tests.cluster.override_stage import Stage, stage_of, wait_for
from tests.cluster.override_stage_images import push
from tests.cluster.override_stage_specs import cluster_override, enforcement, override, rollout, rule
from tests.cluster.override_stage_workloads import cron_job, daemon_set, deployment, job, stateful_set

from pawl.decide.objects import ROLLOUT
from pawl.sandbox import Cluster
from pawl.sandbox.images import Image

KINDS = ("deployments", "daemonsets", "statefulsets", "cronjobs", "jobs")
LIVING = ("plain", "written", "follows")
"""Overrides that are in force and proved."""
DOCKER = "kubernetes.io/dockerconfigjson"
LASTING = ("selection", "history", "rollback", "pending", "blocked", "lastHandledReconcileAt")
"""What a policy's status must keep."""


@dataclass(frozen=True)
class Village:
    """The namespace, and another one that owns a pull Secret."""

    stage: Stage
    vault: Stage

    @property
    def place(self) -> str:
        return f"{self.stage.registry}/{self.stage.namespace}"

    def push(self, name: str, tag: str = "v1") -> str:
        """Push an image; its digest."""
        return push(self.stage.registry, Image(f"{self.stage.namespace}/{name}", tag)).digest

    def source(self, name: str, tag: str = "v1") -> str:
        """Push an image to the mirror; its public reference, by which a simulated node says what runs."""
        return f"{PUBLIC}/{name}:{tag}@{self.push(name, tag)}"

    def rule(self, name: str) -> Json:
        return rule(f"{PUBLIC}/{name}", f"{self.place}/{name}")

    # what lives here

    def settle(self) -> None:
        """Make everything and wait until it stands."""
        self._workloads()
        self._policies()
        self._overrides()
        for name in LIVING:
            self._until("imageoverrides", name, "Ready", "True")
        self._until("imageoverrides", "planned", "Reconciling", "")
        wait_for(lambda: self.stage.read("imageoverrides", "planned")["status"].get("plan"), what="the plan")
        wait_for(self._is_wide, what="the cluster's override", seen=self.stage.images)
        self._restored()
        self.stage.apply(job("once", self.source("plain"), runs="1h"))
        wait_for(lambda: self.stage.pods("once"), what="the Job's Pod")

    def _workloads(self) -> None:
        plain = self.source("plain")
        made = (
            deployment("web", plain, replicas=2),
            daemon_set("agent", plain),
            stateful_set("db", self.source("written")),
            cron_job("tick", self.source("written"), suspend=True),
            deployment("fed", f"{PUBLIC}/follows:v0"),
            deployment("planned", self.source("planned")),
            deployment("wide", self.source("wide")),
            deployment("past", self.source("past")),
        )
        self.stage.apply(*made)
        for body in (*made[:3], *made[4:]):
            plural, name = f"{body['kind'].lower()}s", body["metadata"]["name"]
            self.stage.wait(lambda at=(plural, name): self.stage.settled(*at), f"{plural}/{name}")  # type: ignore[misc]

    def _policies(self) -> None:
        for name in ("follows", "back", "wary"):
            self.push(name, "v1.0.0")
            self._write("imagepolicies", name, manifest(name, spec(self.stage.registry, self._repository(name))))
            self.selected(name, "v1.0.0")
        self.push("follows", "v1.1.0")
        self.push("back", "v1.1.0")
        self.selected("follows", "v1.1.0")
        self.selected("back", "v1.1.0")
        to = {"tag": "v1.0.0", "digest": self.push("back", "v1.0.0")}
        step = {"nonce": "inc-1", "from": {"tag": "v1.1.0"}, "to": to, "reason": "bad build"}
        self.stage.edit("imagepolicies", "back", {"spec": {"rollback": step}})
        self.selected("back", "v1.0.0")
        self.stage.edit("imagepolicies", "wary", {"spec": {"gates": {"approval": "Required"}}})
        self.push("wary", "v1.1.0")
        wait_for(lambda: self.status("wary").get("pending"), what="wary to wait for approval", seconds=40)

    def _overrides(self) -> None:
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "regcred"}, "type": DOCKER}
        body["metadata"] = {"name": "regcred", "annotations": {"pawl.dev/allow-copy-to": self.stage.namespace}}
        good(self.stage.api.post(self.vault.path("secrets"), body | {"stringData": {".dockerconfigjson": AUTHS}}))
        copy = {"name": "regcred", "copyFrom": {"namespace": self.vault.namespace, "name": "regcred"}}
        follows = {"source": f"{PUBLIC}/follows", "target": {"policyRef": {"name": "follows"}}}
        self.stage.apply(
            self._override("plain", self.rule("plain"), pullSecrets=[copy]),
            self._override("written", self.rule("written"), enforcement=enforcement(templates="Reconcile")),
            self._override("follows", follows),
            self._override("planned", self.rule("planned"), rollout=rollout(mode="Plan")),
            self._override("past", self.rule("past")),
        )
        selector = {"kubernetes.io/metadata.name": self.stage.namespace}
        fields: Json = {"enforcement": enforcement(), "rollout": rollout()}
        wide = cluster_override(self.rule("wide"), namespaces=selector, name=self.stage.namespace, **fields)
        self.stage.apply_cluster(wide)

    def _override(self, name: str, *rules: Json, **fields: Any) -> Json:
        return override(*rules, name=name, **({"enforcement": enforcement(), "rollout": rollout()} | fields))

    def _restored(self) -> None:
        """One override was rolled out and is gone again: what it rolled runs its own image."""
        self._until("imageoverrides", "past", "Ready", "True")
        wait_for(lambda: self._rolled("past"), what="past to be rolled")
        good(self.stage.delete("imageoverrides", "past"))
        wait_for(lambda: not self._rolled("past") and self.stage.settled("deployments", "past"), what="past to go back")

    def _rolled(self, name: str) -> bool:
        notes = self.stage.read("deployments", name)["spec"]["template"]["metadata"].get("annotations", {})
        return ROLLOUT in notes

    def _is_wide(self) -> bool:
        images = {each["spec"]["containers"][0]["image"] for each in self.stage.pods("wide")}
        return len(images) == 1 and images.pop().startswith(self.place) and self.stage.settled("deployments", "wide")

    def _repository(self, name: str) -> str:
        return f"{self.stage.namespace}/{name}"

    def _write(self, plural: str, name: str, body: Json) -> None:
        good(self.stage.api.apply(self.stage.path(plural, name), body, "helm"))

    def _until(self, plural: str, name: str, kind: str, value: str) -> None:
        def told() -> str:
            return str(self.stage.find(plural, name))[-3000:]

        wait_for(
            lambda: self.stage.conditions(plural, name).get(kind, "").startswith(value),
            what=f"{name} {kind}={value}",
            seen=told,
        )

    # what must not change

    def status(self, policy: str) -> Json:
        status: Json = self.stage.read("imagepolicies", policy).get("status", {})
        return status

    def selected(self, policy: str, tag: str) -> None:
        wish = {"metadata": {"annotations": {"reconcile.pawl.dev/requestedAt": tag}}}
        self.stage.edit("imagepolicies", policy, wish)
        wait_for(
            lambda: self.status(policy).get("selection", {}).get("tag") == tag,
            what=f"{policy} at {tag}",
            seen=lambda: self.status(policy),
        )

    def pods(self) -> dict[str, tuple[str, int]]:
        """Uid and restarts of every Pod."""
        return {pod["metadata"]["name"]: (pod["metadata"]["uid"], restarts(pod)) for pod in self.stage.pods()}

    def templates(self) -> dict[str, tuple[str, int, Json]]:
        """Uid, generation and spec of every workload."""
        return {
            f"{plural}/{each['metadata']['name']}": (
                each["metadata"]["uid"],
                each["metadata"]["generation"],
                each["spec"],
            )
            for plural in KINDS
            for each in self.stage.find_all(plural)
        }

    def choices(self) -> dict[str, Json]:
        """What each policy holds and remembers."""
        found = {each["metadata"]["name"]: each["status"] for each in self.stage.find_all("imagepolicies")}
        return {name: {key: status[key] for key in LASTING if key in status} for name, status in found.items()}

    def ledgers(self) -> dict[str, Json]:
        found = self.stage.find_all("configmaps", "pawl.dev/ledger")
        return {each["metadata"]["name"]: each["data"] for each in found}

    def rules(self) -> Json:
        """What the gate rewrites by."""
        return {"own": self.stage.read("imagerules", "pawl")["spec"]}

    def copies(self) -> Json:
        found = self.stage.read("secrets", "regcred")
        return {"uid": found["metadata"]["uid"], "data": found["data"]}

    def plan(self) -> Json:
        plan: Json = self.stage.read("imageoverrides", "planned")["status"]["plan"]
        return plan

    def image(self) -> Json:
        """Everything that neither an upgrade nor a downgrade may change."""
        parts: dict[str, Callable[[], Json]] = {
            "pods": self.pods,
            "templates": self.templates,
            "choices": self.choices,
            "ledgers": self.ledgers,
            "rules": self.rules,
            "copies": self.copies,
            "plan": self.plan,
        }
        return {name: part() for name, part in parts.items()}

    def versions(self) -> dict[str, str]:
        """The version of every object that Pawl may write; a version that moved is a write."""
        plurals = ("imagepolicies", "imageoverrides", "imagerules", "configmaps", "secrets", *KINDS)
        found = {
            f"{plural}/{each['metadata']['name']}": each for plural in plurals for each in self.stage.find_all(plural)
        }
        wide = good(self.stage.api.get(f"{POLICIES}/clusterimageoverrides/{self.stage.namespace}")).body
        return {name: each["metadata"]["resourceVersion"] for name, each in (found | {"wide": wide}).items()}

    def ready(self) -> bool:
        """Whether every override in force and every policy is Ready, as the newest generation's status says."""
        told = [self.stage.conditions("imageoverrides", name).get("Ready", "") for name in LIVING]
        told += [self.stage.conditions("imagepolicies", name).get("Ready", "") for name in ("follows", "back", "wary")]
        return all(each.startswith("True") for each in told)


AUTHS = '{"auths": {"registry.corp": {"auth": "cm9ib3Q6aHVudGVy"}}}'


def restarts(pod: Json) -> int:
    return sum(each.get("restartCount", 0) for each in pod.get("status", {}).get("containerStatuses", []))


@contextmanager
def village_of(api: Api, cluster: Cluster, directory: Path) -> Iterator[Village]:
    with stage_of(api, cluster, directory) as stage, stage_of(api, cluster, directory) as vault:
        try:
            yield Village(stage, vault)
        finally:
            _emptied(stage)


def _emptied(stage: Stage) -> None:
    """Take the overrides away by force: nobody runs who would, and the CRDs go with the next test on this server."""
    names = [each["metadata"]["name"] for each in stage.find_all("imageoverrides")]
    wide = f"{POLICIES}/clusterimageoverrides/{stage.namespace}"
    for path in (*(stage.path("imageoverrides", name) for name in names), wide):
        stage.api.merge(path, {"metadata": {"finalizers": None}})
        stage.api.delete(path)

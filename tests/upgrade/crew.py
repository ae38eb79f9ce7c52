"""Replicas of several versions on one Lease, replaced one by one as a Deployment does, and what they wrote.

Neighbours: `before` is the other version, `journey` watches what happens meanwhile. Not here: expectations.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.api import Api, Json
from tests.cluster.operators import Operator, good
from tests.cluster.override_stage import wait_for
from tests.upgrade.before import Version

from pawl.sandbox import Cluster

CRDS = "apis/apiextensions.k8s.io/v1/customresourcedefinitions"
ADMISSION = "apis/admissionregistration.k8s.io/v1"
WRITES = frozenset({"create", "update", "patch", "delete"})
ELECTION = "leases"
PLURALS = {
    "MutatingAdmissionPolicy": "mutatingadmissionpolicies",
    "MutatingAdmissionPolicyBinding": "mutatingadmissionpolicybindings",
    "MutatingWebhookConfiguration": "mutatingwebhookconfigurations",
}


@dataclass
class Crew:
    """The replicas that live, oldest first, and all that ever did."""

    api: Api
    cluster: Cluster
    directory: Path
    namespace: str
    plain: tuple[str, ...] = ()
    alive: list[Operator] = field(default_factory=list)
    all: list[Operator] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def start(self, version: Version) -> Operator:
        """Start one replica and wait until it is ready."""
        hosts = ",".join(filter(None, (self.cluster.registry, *self.plain)))
        log = self.directory / f"{version.name}-{next(self._numbers)}.log"
        arguments = ("--no-manage-gate", "--plain-http-hosts", hosts)
        made = Operator(self.cluster.kubeconfig, log, self.namespace, *arguments, env=version.environ)
        self.alive.append(made)
        self.all.append(made)
        made.wait_log("ready")
        return made

    def replace(self, version: Version) -> None:
        """Replace all replicas by those of a version: a new one is ready before an old one goes."""
        for old in tuple(self.alive):
            self.start(version)
            assert old.terminate() == 0, old.text[-2000:]
            self.alive.remove(old)

    def leader(self) -> Operator | None:
        """The living replica that holds the Lease."""
        lease = self.api.get(f"apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases/pawl")
        holder = lease.body.get("spec", {}).get("holderIdentity") if lease.ok else ""
        return next((each for each in self.alive if each.identity == holder), None)

    def led(self, seconds: float = 45) -> Operator:
        """Wait until a living replica leads."""
        return wait_for(self.leader, seconds, "a leader")

    def kill_leader(self) -> Operator:
        """kill -9 of the leader; the replica that leads then."""
        leader = self.led()
        leader.kill()
        self.alive.remove(leader)
        return self.led()

    def writes(self, operator: Operator) -> Counter[str]:
        """What an operator wrote, by verb and resource; trials of Pods, Events and the Lease apart."""
        found: Counter[str] = Counter()
        for (name, labels), value in operator.metrics().items():
            said = dict(labels)
            if name != "pawl_api_requests_total" or said["verb"] not in WRITES or value == 0:
                continue
            if said["resource"] not in (ELECTION, "events", "pods"):
                found[f"{said['verb']} {said['resource']}"] += int(value)
        return found

    def errors(self) -> list[Json]:
        """Log entries that tell of something wrong in Pawl itself; new CRDs make an API server say 429 once."""
        lines = [line for each in self.all for line in each.lines() if line.get("level") in ("error", "critical")]
        return [line for line in lines if "storage is (re)initializing" not in str(line.get("event"))]

    def close(self) -> None:
        for each in self.all:
            each.close()


@contextmanager
def crew_of(api: Api, cluster: Cluster, directory: Path, namespace: str, *plain: str) -> Iterator[Crew]:
    crew = Crew(api, cluster, directory, namespace, plain)
    try:
        yield crew
    finally:
        crew.close()


def apply_crds(api: Api, version: Version) -> None:
    """Apply the CRDs of a version, and wait until they are served."""
    for body in version.crds():
        name, spec = body["metadata"]["name"], body["spec"]
        good(api.apply(f"{CRDS}/{name}", body, "helm"))
        path = f"apis/{spec['group']}/v1alpha1/{spec['names']['plural']}"
        wait_for(lambda path=path: api.get(path).ok, what=path)  # type: ignore[misc]


def apply_gate(api: Api, version: Version, namespace: str) -> None:
    """Apply the gate of a version."""
    for body in version.gate(namespace):
        good(api.apply(f"{ADMISSION}/{PLURALS[body['kind']]}/{body['metadata']['name']}", body, "helm"))

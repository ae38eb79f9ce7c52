"""One installed Pawl that is taken away piece by piece, and the question after each piece whether anything is blocked.

Neighbours: `crew` applies CRDs and the gate. Not here: in which order.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.cluster.api import POLICIES, Api, Json
from tests.cluster.grounds import Ground, scenario
from tests.cluster.identities import kubeconfig_of
from tests.cluster.operators import Operator, good
from tests.cluster.override_scene import PUBLIC
from tests.cluster.override_stage import Stage, wait_for
from tests.cluster.override_stage_images import push
from tests.cluster.override_stage_specs import cluster_override, enforcement, override, rollout, rule
from tests.cluster.override_stage_workloads import bare_pod, deployment
from tests.upgrade.before import NOW
from tests.upgrade.crew import ADMISSION, CRDS, PLURALS, apply_crds, apply_gate

from pawl.decide.objects import ROLLOUT
from pawl.sandbox import Cluster
from pawl.sandbox.images import Image

BINDINGS = "apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
GONE = 60.0
"""Seconds in which a namespace with a few Pods must be gone on a busy machine."""
QUICK = 5.0
"""Seconds in which a Pod must be made."""


@dataclass
class Leaving:
    """The parts of one install. `home` is Pawl's namespace, `shop` has the workloads, `other` has nothing of Pawl."""

    api: Api
    cluster: Cluster
    directory: Path
    home: str = field(default_factory=lambda: f"home-{uuid4().hex[:6]}")
    shop: str = field(default_factory=lambda: f"shop-{uuid4().hex[:6]}")
    other: str = field(default_factory=lambda: f"other-{uuid4().hex[:6]}")
    operator: Operator | None = None
    gone: set[str] = field(default_factory=set)

    @property
    def stage(self) -> Stage:
        return Stage(self.api, self.cluster, self.shop, self.directory)

    # coming

    def install(self, **fields: Any) -> None:
        """Install all, with one Deployment that an override with these fields rolled."""
        apply_crds(self.api, NOW)
        for name in (self.home, self.shop, self.other):
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            good(self.api.post("api/v1/namespaces", body))
        apply_gate(self.api, NOW, self.home)
        self.start()
        image = Image(f"{self.shop}/web", "v1")
        digest = push(self.stage.registry, image).digest
        self.stage.apply(deployment("web", f"{PUBLIC}/web:v1@{digest}"))
        self.stage.apply(self._override(fields))
        self.rolled()

    def wide(self) -> None:
        """Add a ClusterImageOverride that concerns nothing else here."""
        body = cluster_override(rule(f"{PUBLIC}/none", f"{self.stage.registry}/none"), name=self.shop)
        self.stage.apply_cluster(body)
        path = f"{POLICIES}/clusterimageoverrides/{self.shop}"
        wait_for(lambda: self.api.get(path).body["metadata"].get("finalizers"), what="the finalizer")

    def _override(self, fields: Json) -> Json:
        rules = rule(PUBLIC, f"{self.stage.registry}/{self.shop}")
        return override(rules, **({"enforcement": enforcement(), "rollout": rollout()} | fields))

    def start(self) -> None:
        """Start Pawl as a ServiceAccount whose rights are one binding."""
        name = f"pawl-{uuid4().hex[:6]}"
        kubeconfig = asyncio.run(kubeconfig_of(self.cluster, self.home, name, self.directory))
        body = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": self.home},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": self.home}],
        }
        good(self.api.post(BINDINGS, body))
        flags = ("--no-manage-gate", "--plain-http-hosts", self.stage.registry)
        self.operator = Operator(kubeconfig, self.directory / f"{name}.log", self.home, *flags)
        self.operator.wait_log("this replica leads")

    def rolled(self) -> None:
        def images() -> set[str]:
            return {pod["spec"]["containers"][0]["image"] for pod in self.stage.pods("web")}

        def there() -> bool:
            found = images()
            return len(found) == 1 and found.pop().startswith(self.stage.registry)

        wait_for(lambda: there() and self.stage.settled("deployments", "web"), what="the rollout", seen=images)

    # going

    def take(self, part: str) -> None:
        """Take one part away; nothing waits for its end, as two hands on two keyboards would not."""
        steps: dict[str, Callable[[], None]] = {
            "overrides": self._overrides,
            "operator": self._operator,
            "rights": lambda: self._delete(f"{BINDINGS}/{self.home}"),
            "gate": self._gate,
            "crds": self._crds,
            "shop": lambda: self._namespace(self.shop),
            "home": lambda: self._namespace(self.home),
        }
        steps[part]()
        self.gone.add(part)

    def _overrides(self) -> None:
        self._delete(f"{POLICIES}/namespaces/{self.shop}/imageoverrides")
        self._delete(f"{POLICIES}/clusterimageoverrides")

    def _operator(self) -> None:
        assert self.operator is not None
        with suppress(AssertionError):
            self.operator.terminate()

    def _gate(self) -> None:
        for body in NOW.gate(self.home):
            self._delete(f"{ADMISSION}/{PLURALS[body['kind']]}/{body['metadata']['name']}")

    def _crds(self) -> None:
        for body in NOW.crds():
            self._delete(f"{CRDS}/{body['metadata']['name']}")

    def _namespace(self, name: str) -> None:
        self._delete(f"api/v1/namespaces/{name}")

    def _delete(self, path: str) -> None:
        answer = self.api.delete(path)
        assert answer.ok or answer.code == 404, answer.body

    # what must hold

    def lives(self) -> None:
        """Assert that Pods can be made at once wherever a namespace stands."""
        places = [self.other, *([] if "shop" in self.gone else [self.shop])]
        for place in places:
            begin, body = time.monotonic(), bare_pod(f"p-{uuid4().hex[:8]}", f"{PUBLIC}/web:v1")
            good(self.api.post(f"api/v1/namespaces/{place}/pods", body))
            assert time.monotonic() - begin < QUICK, f"a Pod in {place} took {time.monotonic() - begin:.1f} s"

    def ends(self, *names: str) -> None:
        """Delete namespaces and assert that they go."""
        for name in names:
            self._namespace(name)
        for name in names:
            self.vanishes(f"api/v1/namespaces/{name}")

    def vanishes(self, path: str, seconds: float = GONE) -> None:
        wait_for(lambda: self.api.get(path).code == 404, seconds, f"{path} to go", seen=lambda: self.api.get(path).body)

    def returned(self, seconds: float = GONE) -> None:
        """Wait until the Deployment is as its user wrote it."""

        def template() -> Json:
            found: Json = self.stage.read("deployments", "web")["spec"]["template"]
            return found

        def own() -> bool:
            notes = template()["metadata"].get("annotations", {})
            return template()["spec"]["containers"][0]["image"].startswith(PUBLIC) and ROLLOUT not in notes

        wait_for(own, seconds, "the Deployment to be given back", seen=template)

    def no_crds(self) -> None:
        """Assert that the CRDs go."""
        self._crds()
        for body in NOW.crds():
            self.vanishes(f"{CRDS}/{body['metadata']['name']}")

    def close(self) -> None:
        """Take away whatever is left, by force: the next test begins with nothing."""
        if self.operator is not None and self.operator.process.poll() is None:
            self.operator.kill()
        for plural in (f"namespaces/{self.shop}/imageoverrides", "clusterimageoverrides"):
            found = self.api.get(f"{POLICIES}/{plural}")
            for each in found.body.get("items", []) if found.ok else []:
                path = f"{POLICIES}/{plural}/{each['metadata']['name']}"
                self.api.merge(path, {"metadata": {"finalizers": None}})
                self.api.delete(path)
        self._gate()
        self.no_crds()
        self._delete(f"{BINDINGS}/{self.home}")
        for name in (self.home, self.shop, self.other):
            self._namespace(name)


@contextmanager
def leaving_on(ground: Ground) -> Iterator[Leaving]:
    made = Leaving(ground.api, ground.cluster, ground.directory)
    try:
        yield made
    finally:
        made.close()


on_leaving = scenario(leaving_on)

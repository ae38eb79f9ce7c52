"""The rights of registries: nothing is refused to an operator that has exactly these, and none of them is idle.

One operator under real RBAC goes through all that a RegistryStorage can ask, and a proxy notes its requests; a second
lacks one right in each of its namespaces, and says which. Neighbours: `test_rights_used` and `test_rights_missing` do
this for policies and overrides. Not here: whether what it does is right (`test_registry_*`).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from tests.cluster.api import POLICIES, Api, Json
from tests.cluster.audit import Asked, Audit, Nudge, auditing
from tests.cluster.grants import granted
from tests.cluster.installed import install
from tests.cluster.operators import good
from tests.storage.registry_world import Home, filesystem, made, soon, stocked
from tests.support.storageworld import Who, World, is_true, lone_cluster, storage_world

from pawl.api.crd import crds
from pawl.api.quantities import amount_of
from pawl.cluster.certificates import new_authority, new_pair
from pawl.cluster.resources import SECRETS
from pawl.cluster.rights import RIGHTS, Where
from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

PATIENCE = 100.0
"""Seconds; only a failure waits for so long."""
REGISTRIES = (Where.REGISTRIES, Where.REGISTRIES_CLUSTER)
UNMARKED = ("registrystorages", "controllerrevisions")
"""What is listed and watched without the label of a registry, and by nobody else."""


@pytest.fixture(scope="module")
def lone() -> Iterator[tuple[Cluster, Api]]:
    with lone_cluster("rgr") as cluster, closing(Api(cluster.kubeconfig)) as api:
        for document in (*crds(), certificate_kind()):
            install(api, document)
        yield cluster, api


def certificate_kind() -> Json:
    """A definition that stands in for cert-manager's."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    names = {"kind": "Certificate", "plural": "certificates", "singular": "certificate"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "certificates.cert-manager.io"},
        "spec": {"group": "cert-manager.io", "names": names, "scope": "Namespaced", "versions": [version]},
    }


# what is asked for is what is granted


@dataclass(frozen=True)
class Whole:
    """One operator with the rights of the table, and all that it asked for."""

    world: World
    audit: Audit
    nudge: Nudge


@contextmanager
def whole_on(cluster: Cluster, api: Api, directory: Path) -> Iterator[Whole]:
    with granted(cluster, api, directory) as account, auditing(account.kubeconfig) as audit:
        nudge = audit.before = Nudge(api)
        who = Who(account.through(audit.url), account.namespace)
        with storage_world(api, cluster, directory, minio=True, arguments=("--no-manage-gate",), who=who) as world:
            yield Whole(world, audit, nudge)


def test_what_registries_ask_for_is_what_is_granted(lone: tuple[Cluster, Api], tmp_path: Path) -> None:
    with whole_on(*lone, tmp_path) as whole, ThreadPoolExecutor() as pool:
        lives = [pool.submit(live, whole) for live in (on_claims, in_a_bucket, with_an_issuer)]
        for life in lives:
            life.result()
        assert whole.world.operator.terminate(60) == 0
        assert [str(one) for one in whole.audit.refused] == []
        assert unused(whole.audit) == []


def unused(audit: Audit) -> list[str]:
    """Return every right of registries that was never used for one."""
    used = {right for one in audit.asked if one.code < 400 or one.code in (404, 409) for right in mine(one)}
    wanted = [right for right in RIGHTS if right.where in REGISTRIES or right.where is Where.SECRETS_WRITE]
    wanted += [right for right in RIGHTS if right.where is Where.SECRETS and right.resource is SECRETS]
    return [f"{right.where}: {one}" for right in wanted for one in right.single if one not in used]


def mine(asked: Asked) -> tuple[tuple[str, str, str], ...]:
    """Return the rights that were needed for a registry: there is no policy and no override, but lists for them."""
    if asked.verb in ("list", "watch") and asked.resource not in UNMARKED and "pawl.dev/registry" not in asked.selector:
        return ()
    return asked.rights


def on_claims(whole: Whole) -> None:
    """Proofs, copies of the pull Secret, growth, a collection, a move to another claim, the end of the old one."""
    world, api, team = whole.world, whole.world.api, uuid4().hex[:8]
    elsewhere = f"n-{team}"
    good(api.post("api/v1/namespaces", {"metadata": {"name": elsewhere, "labels": {"team": team}}}))
    home = made(world, "claims", filesystem(), migration={"rollbackWindow": "0s"})
    home.spec["access"] |= spread(team)
    claim = home.serve()["status"]["store"]["claim"]
    copy = f"api/v1/namespaces/{elsewhere}/secrets/claims-pull"
    soon(lambda: api.get(copy).ok, "the copy", PATIENCE)
    stocked(home, "claims/web", tags=2, large=1 << 16)
    home.change(storage=filesystem("96Mi"), access=home.spec["access"] | spread("nobody"))
    soon(lambda: size_of(home, claim) == 96 << 20, "the claim to grow", PATIENCE)
    soon(lambda: not api.get(copy).ok, "the copy to go", PATIENCE)
    assert home.collect()["phase"] == "Done"
    alone = filesystem("96Mi", series=1)
    alone["filesystem"]["accessMode"] = "ReadWriteOncePod"  # no meter can run beside the server
    home.change(storage=alone)
    moved = home.until(lambda it: (it["status"].get("migration") or {}).get("phase") == "Done", PATIENCE)
    home.change(migration=home.spec["migration"] | {"deleteOldStore": moved["status"]["migration"]["id"]})
    soon(lambda: not api.get(of(home, "persistentvolumeclaims", claim)).ok, "the old claim to go", PATIENCE)
    home.change(access=home.spec["access"] | {"nodeTrust": False})
    soon(lambda: not world.items("apps/v1", "daemonsets"), "the DaemonSet to go", PATIENCE)
    gone(home)


def spread(team: str) -> Json:
    return {"pullSecrets": {"namespaceSelector": {"matchLabels": {"team": team}}}}


def size_of(home: Home, claim: str) -> int:
    found = good(home.api.get(of(home, "persistentvolumeclaims", claim))).body
    return amount_of(found["spec"]["resources"]["requests"]["storage"])


def of(home: Home, plural: str, name: str) -> str:
    return f"api/v1/namespaces/{home.world.namespace}/{plural}/{name}"


def in_a_bucket(whole: Whole) -> None:
    """Several replicas behind an Ingress; then one without."""
    world = whole.world
    spec = world.spec(storage=world.bucket("rights"), access={"host": "images.test", "service": {"type": "Ingress"}})
    spec["server"]["replicas"] = 2
    home = Home(world, "bucket", spec)
    world.declare(home.name, spec)
    home.until(lambda it: is_true(it, "Ready"), PATIENCE)
    fronts = (("networking.k8s.io/v1", "ingresses"), ("policy/v1", "poddisruptionbudgets"))
    assert [len(world.items(*front)) for front in fronts] == [1, 1]
    home.change(server=spec["server"] | {"replicas": 1}, access={"service": {"type": "ClusterIP"}})
    soon(lambda: [len(world.items(*front)) for front in fronts] == [0, 0], "Ingress and budget to go", PATIENCE)
    gone(home)


def with_an_issuer(whole: Whole) -> None:
    """A certificate is asked for, asked for again, and no longer wanted; and a write of the status comes second."""
    world, now = whole.world, datetime.now(UTC)
    access = {"host": "images.corp", "service": {"type": "ClusterIP"}}
    spec = world.spec(storage=filesystem(), access=access | {"tls": {"issuerRef": {"name": "corp"}}})
    home = Home(world, "issued", spec)
    whole.nudge.due["registrystorages/status", home.name] = world.path(home.name)
    world.declare(home.name, spec)
    asked = "cert-manager.io/v1", "certificates"
    soon(lambda: world.items(*asked), "the certificate to be asked for", PATIENCE)
    pair = new_pair(new_authority("corp", now, timedelta(days=9)), ["images.corp"], now, timedelta(days=5))
    data = {"tls.crt": base64.b64encode(pair.certificate).decode(), "tls.key": base64.b64encode(pair.key).decode()}
    secret = {"kind": "Secret", "metadata": {"name": "issued-registry-tls"}, "type": "kubernetes.io/tls", "data": data}
    world.put("v1", "secrets", secret)
    good(world.api.delete(f"apis/{asked[0]}/namespaces/{world.namespace}/{asked[1]}/issued-registry-tls"))
    home.retry()
    soon(lambda: world.items(*asked), "the certificate to be asked for again", PATIENCE)
    good(world.api.delete(of(home, "secrets", "issued-registry-tls")))
    home.change(access=access)
    soon(lambda: not world.items(*asked), "the certificate to be asked for no longer", PATIENCE)
    gone(home)


def gone(home: Home) -> None:
    good(home.api.delete(home.world.path(home.name)))
    soon(lambda: not home.api.get(home.world.path(home.name)).ok, "it is gone", PATIENCE)


# what is missing is named


@dataclass(frozen=True)
class Case:
    """A right that is taken away in a namespace of its own. `told`: a condition can say so, not the log alone."""

    verb: str
    resource: str
    group: str = ""
    told: bool = True

    def __str__(self) -> str:
        return f"{self.verb}-{self.resource.replace('/', '-')}"

    @property
    def right(self) -> tuple[str, str, str]:
        return self.group, self.resource, self.verb

    @property
    def sentence(self) -> str:
        return f"the verb '{self.verb}' on '{self.resource}' in API group '{self.group}'"


CASES = (
    Case("create", "jobs", "batch"),
    Case("patch", "deployments", "apps"),
    Case("get", "secrets"),
    Case("list", "persistentvolumeclaims"),
    Case("watch", "deployments", "apps", told=False),
    Case("patch", "registrystorages/status", "pawl.dev", told=False),
)


@dataclass(frozen=True)
class Poor:
    """A world whose operator lacks one right in each of these namespaces, with a registry in each."""

    world: World
    places: Mapping[Case, str]

    def condition(self, case: Case, kind: str) -> Json:
        path = f"{POLICIES}/namespaces/{self.places[case]}/registrystorages/main"
        found = good(self.world.api.get(path)).body.get("status", {}).get("conditions", [])
        return next((each for each in found if each["type"] == kind), {})

    def named(self, case: Case) -> bool:
        """Whether the log names the right, of the namespace in which it is missing."""
        lines = self.world.operator.text.splitlines()
        return any(case.sentence in line and self.places[case] in line for line in lines)

    def stalled(self, case: Case) -> bool:
        found = self.condition(case, "Stalled")
        return found.get("reason") == "MissingRight" and case.sentence in found["message"]


@pytest.fixture(scope="module")
def poor(lone: tuple[Cluster, Api], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Poor]:
    (cluster, api), directory = lone, tmp_path_factory.mktemp("poor")
    places = {case: f"p-{uuid4().hex[:10]}" for case in CASES}
    for place in places.values():
        good(api.post("api/v1/namespaces", {"metadata": {"name": place}}))
    lacking = {places[case]: [case.right] for case in CASES}
    watched = list(places.values())
    flags = ("--no-manage-gate", "--watch-namespaces", ",".join(watched))
    with granted(cluster, api, directory, watched=watched, lacking=lacking) as account:
        who = Who(account.kubeconfig, account.namespace)
        with storage_world(api, cluster, directory, arguments=flags, who=who) as world:
            for place in watched:
                inside = replace(world, namespace=place)
                inside.declare("main", inside.spec(storage=filesystem()))
            yield Poor(world, places)
            for place in watched:
                good(api.delete(replace(world, namespace=place).path("main")))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_missing_right_of_registries_is_named(case: Case, poor: Poor) -> None:
    soon(lambda: poor.named(case), f"the log names {case}", PATIENCE)
    if case.told:
        soon(lambda: poor.stalled(case), f"the condition names {case}", PATIENCE)
    assert poor.world.operator.process.poll() is None
    assert "Traceback" not in poor.world.operator.text

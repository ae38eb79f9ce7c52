"""Each right taken away once: what is missing is named with verb and resource, in a condition where there is one.

Each case is an operator of its own, under real RBAC, with all rights of the table but a few. The cases together are
the whole table. Neighbours: `grants` makes the accounts, `test_rights_used` holds the table to what is asked for.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from tests.cluster.api import Api, Json
from tests.cluster.at_once import Outcomes, at_once, wanted
from tests.cluster.audit import Asked, auditing
from tests.cluster.grants import Account, gated, granted
from tests.cluster.operators import Operator, Shop, good, spec
from tests.cluster.override_scene import Scene
from tests.cluster.override_stage import PATIENCE, Stage, stage_of, wait_for
from tests.cluster.override_stage_specs import enforcement, rule
from tests.cluster.override_stage_workloads import cron_job, daemon_set, deployment, job, stateful_set
from tests.support.registry import FakeRegistry

from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(200), pytest.mark.usefixtures("installed")]

Right = tuple[str, str, str]
PAWL, APPS, BATCH = "pawl.dev", "apps", "batch"
ELSEWHERE: Final = "mirror.invalid"
ROLLED: Final = ("deployments", "statefulsets", "daemonsets")


@dataclass(frozen=True)
class Case:
    """Rights to take away, what there is to work on, what happens, and whether a condition can say it."""

    gone: tuple[Right, ...]
    work: tuple[str, ...] = ("deployment",)
    then: str = ""
    condition: str = "imageoverrides/private"
    ends: bool = False

    def __str__(self) -> str:
        return "+".join(f"{verb}-{resource}" for _, resource, verb in self.gone[:2]) + (
            f"-{self.then}" * bool(self.then)
        )


def case(verb: str, *resources: str, group: str = PAWL, **more: object) -> Case:
    return Case(tuple((group, resource, verb) for resource in resources), **more)  # type: ignore[arg-type]


ALL: Final = ("deployment", "stateful_set", "daemon_set", "cron_job", "job")
NOWHERE: Final = {"condition": ""}
POLICY: Final = {"work": ("policy",), "condition": "imagepolicies/web"}
CASES: Final = (
    # what is seen
    case("list", *ROLLED, "replicasets", group=APPS),
    case("watch", *ROLLED, "replicasets", group=APPS),
    case("list", "jobs", "cronjobs", group=BATCH),
    case("watch", "jobs", "cronjobs", group=BATCH),
    case("watch", "pods", group=""),
    case("get", "namespaces", group=""),
    case("list", "imagerules"),
    case("watch", "imagerules"),
    # what is written on the way
    case("patch", "imageoverrides"),
    case("create", "imagerules"),
    case("create", "pods", group=""),
    case("patch", *ROLLED, group=APPS, work=ALL[:3]),
    case("patch", "cronjobs", group=BATCH, work=("cron_job",)),
    case("create", "pods/eviction", group="", work=("daemon_set",)),
    case("get", "jobs", group=BATCH, work=("job",)),
    case("delete", "jobs", group=BATCH, work=("job",)),
    case("create", "jobs", group=BATCH, work=("job",)),
    case("patch", "secrets", group="", work=("job",)),
    case("create", "secrets", group="", work=("deployment", "copy")),
    case("update", "imagerules", then="edit"),
    # what is given back
    case("get", *ROLLED, group=APPS, work=ALL[:3], then="end"),
    case("get", "cronjobs", group=BATCH, work=("cron_job",), then="end"),
    case("delete", "secrets", group="", work=("deployment", "copy"), then="end"),
    case("delete", "imagerules", then="end"),
    # of policies
    case("get", "secrets", group="", **POLICY),
    case("get", "serviceaccounts", group="", **POLICY),
    Case((("", "configmaps", "get"), ("", "configmaps", "list")), **POLICY),
    case("create", "configmaps", group="", **POLICY),
    case("patch", "configmaps", group="", then="advance", **POLICY),
    case("list", "pods", group="", **POLICY),
    # no condition can say it: the log does
    case("patch", "imageoverrides/status", **NOWHERE),
    case("list", "imageoverrides", **NOWHERE),
    case("watch", "imageoverrides", **NOWHERE),
    case("get", "imageoverrides", then="overtake", **NOWHERE),
    case("patch", "imagepolicies/status", work=("policy",), condition=""),
    case("list", "imagepolicies", work=("policy",), condition=""),
    case("watch", "imagepolicies", work=("policy",), condition=""),
    case("get", "imagepolicies", work=("policy",), condition="", then="overtake"),
    case("create", "events", group="", work=("policy",), condition=""),
    case("get", "leases", group="coordination.k8s.io", work=(), condition="", ends=True),
    case("create", "leases", group="coordination.k8s.io", work=(), condition="", ends=True),
    case("update", "leases", group="coordination.k8s.io", work=(), condition="", ends=True),
)


@dataclass(frozen=True)
class Poor:
    """A namespace with something to work on, and an operator that may not do all of it."""

    case: Case
    stage: Stage
    account: Account
    registry: FakeRegistry
    pawl: Operator

    @property
    def scene(self) -> Scene:
        return Scene(self.stage, self.pawl)

    @property
    def shop(self) -> Shop:
        return Shop(self.stage.api, self.stage.namespace, self.pawl)

    def said(self, right: Right) -> bool:
        return sentence(right) in self.pawl.text

    def conditions(self) -> list[Json]:
        plural, _, name = self.case.condition.partition("/")
        found = (self.stage.find(plural, name) or {}) if plural else {}
        return list(found.get("status", {}).get("conditions", []))

    def told(self) -> bool:
        """Whether a condition names one of the missing rights; a policy is Ready as long as it has a selection."""
        bad = {("Ready", "False"), ("Stalled", "True")}
        said = " ".join(each["message"] for each in self.conditions() if (each["type"], each["status"]) in bad)
        return any(sentence(right) in said for right in self.case.gone)

    def seen(self) -> str:
        lines = [json.dumps(line)[:500] for line in self.pawl.lines() if line["level"] != "debug"]
        return "\n".join([*map(str, self.conditions()), *lines[-12:]])


def sentence(right: Right) -> str:
    group, resource, verb = right
    return f"the verb '{verb}' on '{resource}' in API group '{group}'"


@dataclass(frozen=True)
class Place:
    """Where cases happen: one cluster for all, a directory for each."""

    api: Api
    cluster: Cluster
    directory: Path


@contextmanager
def poor_of(this: Case, place: Place, registry: FakeRegistry) -> Iterator[Poor]:
    api, cluster, directory = place.api, place.cluster, place.directory
    with (
        stage_of(api, cluster, directory) as stage,
        granted(cluster, api, directory, watched=[stage.namespace], without=set(this.gone)) as account,
        auditing(account.kubeconfig) as audit,
    ):
        prepare(this, stage, registry)
        flags = ("--no-manage-gate", "--plain-http-hosts", stage.registry, "--watch-namespaces", stage.namespace)
        begin = Operator(account.through(audit.url), directory / "pawl.log", account.namespace, *flags)
        try:
            if this.then == "overtake":
                audit.before = lambda asked: overtake(stage, asked)
            yield Poor(this, stage, account, registry, begin)
        finally:
            begin.kill() if begin.process.poll() is None else None


def overtake(stage: Stage, asked: Asked) -> None:
    """Write to an object before each write of its status."""
    resource, name = asked.resource, asked.name
    if resource in ("imageoverrides/status", "imagepolicies/status"):
        path = stage.path(resource.removesuffix("/status"), name)
        stage.api.merge(path, {"metadata": {"annotations": {"seen": str(datetime.now(UTC))}}})


def prepare(this: Case, stage: Stage, registry: FakeRegistry) -> None:
    """Make what there is to work on, and an override or a policy for it."""
    scene, shop = Scene(stage, None), Shop(stage.api, stage.namespace, None)  # type: ignore[arg-type]
    if "policy" in this.work:
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "builder"}}
        stage.apply(account | {"imagePullSecrets": [{"name": "regcred"}]})
        shop.pull_secret("regcred", registry.host, "robot", "pass")
        registry.push("shop/web", "v1.0.0")
        shop.create(spec(registry.host, access={"serviceAccountName": "builder"}))
        return
    if not this.work:
        return
    scene.push()
    image, stuck = scene.source(), f"{ELSEWHERE}/web:v1@{scene.known().digest}"
    made: dict[str, Callable[[], Json]] = {
        "deployment": lambda: deployment("web", image),
        "stateful_set": lambda: stateful_set("db", image),
        "daemon_set": lambda: daemon_set("agent", image, updateStrategy={"type": "OnDelete"}),
        "cron_job": lambda: cron_job("tick", image, suspend=True),
        "job": lambda: job("stuck", stuck, runs="1h"),
    }
    stage.apply(*(made[each]() for each in this.work if each in made))
    if "job" in this.work:
        stage.wait(lambda: stage.waiting("stuck") == ["ImagePullBackOff"], "the Job to wait in vain")
    elif "cron_job" not in this.work:
        stage.wait(stage.pods, "Pods")
    more = {}
    if "copy" in this.work:
        shop.pull_secret("regcred", "registry.corp", "robot", "pass")
        stage.edit("secrets", "regcred", {"metadata": {"annotations": {"pawl.dev/allow-copy-to": stage.namespace}}})
        more = {"pullSecrets": [{"name": "copied", "copyFrom": {"namespace": stage.namespace, "name": "regcred"}}]}
    enforced = enforcement(templates="Reconcile", onDelete="Evict", jobs="RecreateStuck")
    wish = scene.mirror(enforcement=enforced, restoreTimeout="1h", **more)
    wish["spec"]["rules"].append(rule(ELSEWHERE, scene.place))
    stage.apply(wish)


def carry_on(poor: Poor) -> None:
    """Do what the case says happens after all is well."""
    then = poor.case.then
    if then == "advance":
        wait_for(lambda: "selection" in poor.shop.read().get("status", {}), what="a selection", seen=poor.seen)
        poor.registry.push("shop/web", "v1.1.0")
        poor.shop.annotate()
    elif then in ("edit", "end"):
        poor.scene.until("Ready", "True")
        if then == "edit":
            wish = poor.stage.read("imageoverrides", "private")["spec"]["rules"]
            more = [*wish, rule("more.example.com", poor.scene.place)]
            poor.stage.edit("imageoverrides", "private", {"spec": {"rules": more}})
        else:
            good(poor.stage.delete("imageoverrides", "private"))


@pytest.fixture(scope="module")
def cases(
    request: pytest.FixtureRequest,
    api: Api,
    cluster: Cluster,
    installed: list[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Outcomes[Case]]:
    """Each case has an operator, an account and a namespace of its own, so that several run at the same time."""
    assert installed
    asyncio.run(gated(cluster))
    place = Place(api, cluster, tmp_path_factory.mktemp("rights"))
    with at_once(wanted(request, "this", request.path), lambda this: asyncio.run(played(this, place))) as found:
        yield found


@pytest.mark.parametrize("this", CASES, ids=str)
def test_a_missing_right_is_named(this: Case, cases: Outcomes[Case]) -> None:
    cases.judge(this)


async def played(this: Case, place: Place) -> None:
    directory = place.directory / str(this).replace("/", "-")
    directory.mkdir()
    async with FakeRegistry() as registry:
        await asyncio.to_thread(named, this, replace(place, directory=directory), registry)


def named(this: Case, place: Place, registry: FakeRegistry) -> None:
    """Let one case happen; the registry goes on meanwhile."""
    with poor_of(this, place, registry) as poor:
        carry_on(poor)
        wait_for(lambda: all(map(poor.said, this.gone)), PATIENCE, "the log to name all of them", seen=poor.seen)
        if this.condition:
            wait_for(poor.told, PATIENCE, "the condition", seen=poor.seen)
        if this.ends:
            assert poor.pawl.process.wait(PATIENCE) != 0
            assert "Traceback" not in poor.pawl.text
        else:
            assert poor.pawl.process.poll() is None
        assert repeated(poor.pawl) == {}


def repeated(pawl: Operator) -> dict[str, int]:
    """Return warnings and errors that are said again and again."""
    lines = [line for line in pawl.lines() if line["level"] in ("warning", "error")]
    said = Counter(f"{line['event']}: {line.get('error', '')} {line.get('object', '')}" for line in lines)
    return {what: times for what, times in said.items() if times > 4}

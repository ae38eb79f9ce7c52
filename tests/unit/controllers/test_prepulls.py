"""Prepulls: what a pull's Job may and may not do, how far it is, and that it is started once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.controllers.override_doubles import Stage, pod, pod_spec, workload

from pawl.cluster.resources import JOBS, SERVICE_ACCOUNTS
from pawl.controllers.prepulls import LABEL, Prepulls, is_prepull, job_of, state_of
from pawl.decide.objects import ContainerState, JobState, Owner, Placement
from pawl.decide.rollout import PullState
from pawl.decide.rollout_actions import Prepull

TARGET = "r.corp/rook/ceph:1"
LABELS = ((LABEL, "true"),)


def job(node: str = "n1", image: str = TARGET, state: JobState | None = None, **more: Any) -> Any:
    spec = pod_spec(image, labels=LABELS, placement=Placement((("kubernetes.io/hostname", node),)))
    return workload(f"pull-{node}", image, kind="Job", spec=more.pop("spec", spec), job=state or JobState(active=1))


async def test_a_pull_is_started_once_also_after_a_crash() -> None:
    stage = Stage()
    action = Prepull("n1", TARGET, "shop", ("regcred",), "builder")
    for _ in range(2):
        await Prepulls(stage.cluster, stage.world).start(action)
    assert sum("/jobs/" in path for path in stage.api.objects) == 1


async def test_a_pull_has_the_secrets_of_its_account_and_those_of_pawl_too() -> None:
    """A list on the Pod ends what its ServiceAccount gives; so where there is one, it holds all."""
    stage = Stage()
    account = {"metadata": {"name": "builder", "namespace": "shop"}, "imagePullSecrets": [{"name": "of-account"}]}
    await stage.cluster.create(SERVICE_ACCOUNTS, "shop", account)
    for own, pawls, wanted in (
        (("regcred",), ("pawl", "regcred"), ["regcred", "of-account", "pawl"]),
        ((), ("pawl",), ["of-account", "pawl"]),
        ((), (), None),
    ):
        action = Prepull("n1", f"{TARGET}{len(pawls)}", "shop", own, "builder")
        await Prepulls(stage.cluster, stage.world, pawls).start(action)
        made = json.loads(await stage.cluster.get(JOBS, "shop", str(job_of(action)["metadata"]["name"])))  # type: ignore[index]
        spec = made["spec"]["template"]["spec"]
        assert (
            [each["name"] for each in spec["imagePullSecrets"]] == wanted if wanted else "imagePullSecrets" not in spec
        )


def names(**changes: Any) -> str:
    fields = {"node": "n1", "image": TARGET, "namespace": "shop"} | changes
    metadata: Any = job_of(Prepull(**fields))["metadata"]
    return str(metadata["name"])


@pytest.mark.parametrize("changes", [{"node": "n2"}, {"image": "x:1"}, {"pull_secrets": ("a",)}, {"account": "b"}])
def test_another_pull_is_another_job(changes: dict[str, Any]) -> None:
    assert names() == names()
    assert names(**changes) != names()
    assert len(names(image="x" * 999)) <= 63


def test_a_pull_runs_as_nobody_on_its_node_with_the_final_secrets() -> None:
    made: Any = job_of(Prepull("n1", TARGET, "shop", ("regcred",), "builder"))
    spec, template = made["spec"], made["spec"]["template"]["spec"]
    (container,) = template["containers"]
    assert (spec["backoffLimit"], template["restartPolicy"], container["image"]) == (0, "Never", TARGET)
    assert template["nodeSelector"] == {"kubernetes.io/hostname": "n1"}
    assert template["imagePullSecrets"] == [{"name": "regcred"}]
    assert (template["serviceAccountName"], template["automountServiceAccountToken"]) == ("builder", False)
    assert template["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert made["metadata"]["labels"][LABEL] == spec["template"]["metadata"]["labels"][LABEL] == "true"
    bare: Any = job_of(Prepull("n1", TARGET, "shop"))
    assert "imagePullSecrets" not in bare["spec"]["template"]["spec"]  # an empty list would end the account's


@pytest.mark.parametrize(
    ("state", "container", "wanted"),
    [
        (JobState(active=1), None, PullState.PULLING),
        (JobState(active=1), ContainerState("pull", waiting="ErrImagePull"), PullState.PULLING),
        (JobState(active=1), ContainerState("pull", image_id="r@sha256:a"), PullState.DONE),
        (JobState(finished=True), ContainerState("pull", started=True), PullState.DONE),
        (JobState(finished=True), ContainerState("pull", waiting="ImagePullBackOff"), PullState.FAILED),
        (JobState(finished=True), None, PullState.FAILED),
        (JobState(succeeded=1, finished=True), None, PullState.DONE),
        (None, None, PullState.PULLING),
        (JobState(), None, PullState.PODLESS),
        (JobState(), ContainerState("pull", waiting="ContainerCreating"), PullState.PULLING),
    ],
)
def test_how_far_a_pull_is(state: JobState | None, container: ContainerState | None, wanted: PullState) -> None:
    pods = (pod("p", TARGET, states=(container,)),) if container is not None else ()
    assert state_of(workload("pull", TARGET, kind="Job", job=state), pods) is wanted


def test_pulls_are_found_again_by_their_labels() -> None:
    stage = Stage("shop", "other")
    stage.world.put(job())
    owner = Owner("batch/v1", "Job", "pull-n1", "uid-pull-n1", controller=True)
    stage.world.put(pod("p", TARGET, owners=(owner,), states=(ContainerState("pull", image_id="x@sha256:a"),)))
    stage.world.put(job("n2", spec=pod_spec(TARGET)))
    stage.world.put(workload("web", TARGET))
    found = Prepulls(stage.cluster, stage.world).states(["shop", "other"])
    assert found.states == {("n1", TARGET): PullState.DONE}
    assert [is_prepull(row) for row in sorted(stage.world.workloads(), key=lambda row: row.name)] == [
        True,
        False,
        False,
    ]

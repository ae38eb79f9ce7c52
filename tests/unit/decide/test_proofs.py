"""When a registry is proved anew, and what a probe and a pull mean as conditions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pawl.api.registrystorage import RegistryStorage
from pawl.api.registrywork import Report, Step, Task
from pawl.decide.access import AccessFacts
from pawl.decide.proofs import AGAIN, PATIENCE, TRIES, fingerprint, of_probe, of_pull, passed, probe_order, written

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
NAMES = ("DNS", "TCP", "TLS", "API", "Auth", "Push")


def due(last: str = "", *, after: timedelta = timedelta(), failed: datetime | None = None, seen: str = "aa") -> str:
    return probe_order(seen, "uid", NOW + after, last, failed_since=failed)


def report(*good: str, failed: str = "") -> Report:
    steps = [Step(name=name, ok=True, message="fine") for name in good]
    steps += [Step(name=failed, ok=False, message="no such name; set access.host")] if failed else []
    done = {step.name for step in steps}
    steps += [Step(name=name, ok=False, message="not tried") for name in NAMES if failed and name not in done]
    return Report(task=Task.PROBE, done=True, ok=not failed, steps=steps)


def test_a_proof_is_due_at_first_after_a_change_and_after_a_day() -> None:
    first = due()
    assert first.startswith("probe/aa/")
    assert due(first) == first
    assert due(first, seen="bb") != first
    assert due(first, after=timedelta(days=1)) != first


def test_registries_are_not_all_proved_at_the_same_time_of_day() -> None:
    def changes(uid: str) -> int:
        hours = [probe_order("aa", uid, NOW + timedelta(hours=h), "", failed_since=None) for h in range(25)]
        return next(h for h in range(1, 25) if hours[h] != hours[h - 1])

    assert len({changes(f"uid-{number}") for number in range(20)}) > 5


def test_a_failed_proof_is_tried_again_at_growing_pauses() -> None:
    first = due()
    assert due(first, failed=NOW, after=timedelta(seconds=AGAIN - 1)) == first
    second = due(first, failed=NOW, after=timedelta(seconds=AGAIN))
    assert second == first[:-1] + "1"
    assert due(second, failed=NOW, after=timedelta(seconds=AGAIN)) == second
    assert due(second, failed=NOW, after=timedelta(seconds=2 * AGAIN)) == first[:-1] + "2"


def test_the_fingerprint_changes_with_the_way_to_the_registry() -> None:
    def seen(known: AccessFacts, **spec: Any) -> str:
        meta = {"name": "main", "namespace": "shop", "uid": "u", "resourceVersion": "1", "generation": 1}
        return fingerprint(RegistryStorage.model_validate({"metadata": meta, "spec": spec}), known)

    plain = AccessFacts(address="a:5000", ca="ca")
    assert seen(plain) == seen(plain, collection={"dryRun": True})
    others = [seen(AccessFacts(address="b:5000", ca="ca")), seen(AccessFacts(address="a:5000", ca="new"))]
    others.append(seen(plain, access={"host": "images.lan"}))
    assert seen(plain) not in others
    assert len(set(others)) == 3


def test_a_probe_says_what_it_proved_what_failed_and_what_was_not_tried() -> None:
    said = {each.type.value: (each.status, each.message) for each in of_probe(report("DNS", "TCP", failed="TLS"))}
    assert said["NameResolved"] == ("True", "fine")
    assert said["Trusted"] == ("False", "no such name; set access.host")
    assert said["PushProved"][0] == "Unknown"
    assert len(said) == 6
    assert not passed(report("DNS", failed="TCP"))
    assert passed(report(*NAMES))
    assert not passed(Report(task=Task.PROBE, done=True))


def test_a_step_that_nobody_knows_is_left_out_and_long_words_are_cut() -> None:
    strange = Report(
        task=Task.PROBE, done=True, steps=[Step(name="X", ok=True), Step(name="DNS", ok=False, message="y" * 9999)]
    )
    (said,) = of_probe(strange)
    assert len(said.message) <= 300


def pod(state: dict[str, Any], image_id: str = "") -> dict[str, Any]:
    status = {"name": "pull", "state": state, "imageID": image_id}
    return {"metadata": {"name": "p"}, "spec": {"nodeName": "n2"}, "status": {"containerStatuses": [status]}}


@pytest.mark.parametrize(
    ("pods", "alone", "wanted"),
    [
        ([pod({"terminated": {"reason": "StartError"}}, "h/r@sha256:1")], False, ("True", "Proved")),
        ([pod({"waiting": {"reason": "RunContainerError"}}, "h/r@sha256:1")], False, ("True", "Proved")),
        ([pod({"terminated": {"reason": "StartError"}})], True, ("True", "SingleNode")),
        ([pod({"terminated": {"reason": "DeadlineExceeded"}})], False, None),
        ([pod({"waiting": {"reason": "ErrImagePull", "message": "x509"}})], False, ("False", "NotProved")),
        ([pod({"waiting": {"reason": "ImagePullBackOff"}})], False, ("False", "NotProved")),
        ([pod({"waiting": {"reason": "ContainerCreating"}})], False, None),
        ([], False, None),
    ],
)
def test_a_pull_is_judged_by_what_the_kubelet_says(
    pods: list[dict[str, Any]],
    alone: bool,  # noqa: FBT001
    wanted: tuple[str, str] | None,
) -> None:
    said = of_pull(pods, NOW + timedelta(seconds=TRIES), NOW, alone=alone)
    assert (said and (said.status, said.reason.value)) == wanted


def test_a_failed_pull_names_the_kubelets_words_and_the_way_out() -> None:
    """Once the kubelet tried again: a node may be told a moment later than it first pulls."""
    failed, later = [pod({"waiting": {"reason": "ErrImagePull", "message": "x509: unknown"}})], timedelta(seconds=TRIES)
    assert of_pull(failed, NOW + later - timedelta(seconds=1), NOW, alone=False) is None
    said = of_pull(failed, NOW + later, NOW, alone=False)
    assert said is not None
    assert "x509: unknown" in said.message
    assert "spec.access.nodeTrust" in said.message


def test_a_pull_without_a_node_is_no_failure_of_the_registry() -> None:
    unplaced = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}
    waiting = {"metadata": {"name": "p"}, "spec": {}, "status": {"conditions": [unplaced]}}
    said = of_pull([waiting], NOW + timedelta(seconds=PATIENCE), NOW, alone=False)
    assert said is not None
    assert (said.status, "0/3 nodes" in said.message) == ("Unknown", True)


def test_conditions_keep_their_time_while_they_say_the_same() -> None:
    before = written(of_probe(report("DNS", failed="TCP")), [], 1, NOW)
    later = NOW + timedelta(hours=1)
    after = {one.type: one for one in written(of_probe(report("DNS", "TCP", failed="TLS")), before, 2, later)}
    assert after["NameResolved"].last_transition_time == NOW
    assert (after["Reachable"].status, after["Reachable"].last_transition_time) == ("True", later)
    assert {one.type: one for one in written([], before, 2, later)}["Reachable"].status == "False"

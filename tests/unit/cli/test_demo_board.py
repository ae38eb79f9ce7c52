"""How far a workload is, by its Pods; how that is shown; and what the second half of the demo writes."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from pawl.api.imageoverride import ClusterImageOverride
from pawl.cli import demo_rook_wish as wish
from pawl.cli.demo_board import Family, State, Workload, is_proved, rows, short
from pawl.cli.demo_rook_objects import Modes, Own, prepare
from pawl.cli.demo_rook_stage import STUCK_NODE
from pawl.cli.demo_screen import Screen
from pawl.decide.rulebook import Stock, compile_rulebook
from pawl.sandbox.images import digest_of

NEW = "registry:5000/rook/ceph:v2@sha256:" + "a" * 64
OLD = "docker.io/rook/ceph:v1"
WANTED = frozenset({NEW})

Json = dict[str, Any]


def pod(image: str = NEW, *, image_id: str | None = None, ready: bool = True, waiting: str = "", **meta: str) -> Json:
    ran = image.rpartition(":v2")[0] + "@" + image.partition("@")[2] if image_id is None else image_id
    state: Json = {"waiting": {"reason": waiting}} if waiting else {"running": {}}
    status = {
        "phase": "Running" if ready else "Pending",
        "conditions": [{"type": "Ready", "status": str(ready)}],
        "containerStatuses": [{"name": "app", "imageID": ran, "state": state}],
    }
    return {"metadata": meta, "spec": {"containers": [{"name": "app", "image": image}]}, "status": status}


def row(*pods: Json, due: int = 1, written: bool = False, wanted: frozenset[str] = WANTED) -> Workload:
    return rows([Family("DaemonSet x", pods, due, written)], wanted)[0]


STUCK = pod(OLD, ready=False, waiting="ImagePullBackOff")
LEAVING = pod(OLD, deletionTimestamp="now")


@pytest.mark.parametrize(
    ("found", "state", "good"),
    [
        (row(pod(OLD)), State.STALE, 0),
        (row(STUCK), State.STUCK, 0),
        (row(pod(OLD), written=True), State.ROLLING, 0),
        (row(STUCK, written=True), State.ROLLING, 0),
        (row(), State.ROLLING, 0),
        (row(pod(OLD), pod(), due=2), State.ROLLING, 1),
        (row(pod(ready=False)), State.ROLLING, 0),
        (row(pod(), LEAVING), State.ROLLING, 1),
        (row(pod(), due=2), State.ROLLING, 1),
        (row(pod(image_id="registry:5000/rook/ceph@sha256:" + "b" * 64)), State.ROLLING, 0),
        (row(pod(image_id="")), State.ROLLING, 0),
        (row(pod()), State.VERIFIED, 1),
        (row(pod(), pod(), due=2), State.VERIFIED, 2),
        (row(pod(OLD), wanted=frozenset()), State.RUNS, 1),
        (row(pod(OLD, ready=False), wanted=frozenset()), State.STARTS, 0),
        (row(STUCK, wanted=frozenset()), State.STUCK, 0),
        (row(wanted=frozenset()), State.STARTS, 0),
    ],
)
def test_a_state_is_read_from_pods(found: Workload, state: State, good: int) -> None:
    assert (found.state, found.good) == (state, good)


def test_another_repository_in_the_image_id_proves_as_well() -> None:
    assert is_proved(pod(image_id="elsewhere/copy@sha256:" + "a" * 64), WANTED)


def test_a_tag_alone_proves_nothing() -> None:
    assert not is_proved(pod("registry:5000/rook/ceph:v2", image_id="x"), {"registry:5000/rook/ceph:v2"})


def test_a_finished_pod_proves_too_and_one_old_init_container_spoils_it() -> None:
    done = pod(ready=False)
    done["status"]["phase"] = "Succeeded"
    assert is_proved(done, WANTED)
    done["spec"]["initContainers"] = [{"name": "copy", "image": OLD}]
    assert not is_proved(done, WANTED)
    assert rows([Family("Job x", [done])], WANTED)[0].image == OLD


def test_the_image_that_is_waited_for_comes_first() -> None:
    both = pod(OLD)
    both["spec"]["containers"].append({"name": "other", "image": "quay.invalid/x:1"})
    both["status"]["containerStatuses"].append({"name": "other", "state": {"waiting": {"reason": "ErrImagePull"}}})
    assert row(both).image == "quay.invalid/x:1"


@pytest.mark.parametrize(("image", "shown"), [(OLD, OLD), (NEW, "registry:5000/rook/ceph:v2@sha256:aaaaaaaa…")])
def test_a_digest_is_shortened(image: str, shown: str) -> None:
    assert short(image) == shown


def shown(*, live: bool) -> str:
    stream = io.StringIO()
    screen = Screen(stream, live=live, width=100)
    with screen.working("watch"):
        for state in (State.STALE, State.STALE, State.ROLLING, State.VERIFIED):
            screen.board([Workload("DaemonSet x", OLD, state, 0, 2)])
    screen.observed("done", 1)
    screen.observed("more", 1)
    return stream.getvalue()


def test_plain_lines_tell_each_change_once() -> None:
    lines = [" ".join(line.split()) for line in shown(live=False).splitlines() if "DaemonSet x" in line]
    begun = f"0/2 {OLD}"
    assert lines == [
        f"DaemonSet x stale {begun}",
        f"DaemonSet x stale → rolling {begun}",
        f"DaemonSet x stale → rolling → verified {begun}",
    ]


def test_on_a_terminal_the_table_stays_under_its_line_once() -> None:
    text = shown(live=True)
    after = text[text.rindex("done") : text.rindex("more")]
    assert after.count("stale → rolling → verified") == 1
    assert "more" in text
    assert "DaemonSet x" not in text[text.rindex("more") :]


@pytest.mark.parametrize("secret", [True, False])
def test_the_override_is_right_and_its_rules_a_fixed_point(*, secret: bool) -> None:
    override = ClusterImageOverride.model_validate_json(wish.override("127.0.0.1:5000", secret=secret))
    assert bool(override.spec.pull_secrets) == secret
    judged = compile_rulebook(Stock([override], {}, ())).judged
    assert [one.refusal for one in judged.values()] == [None]


def test_wanted_images_have_the_digests_that_will_be_pushed() -> None:
    assert {each.rpartition("@")[2] for each in wish.wanted("r:5")} == {
        digest_of(wish.OPERATOR_IMAGE),
        digest_of(wish.CEPH_IMAGE),
    }


def test_the_chart_stands_in_its_namespace() -> None:
    items = json.loads(wish.installation(wish.PUBLIC))["items"]
    assert items[0]["metadata"] == {"name": wish.NAMESPACE}
    assert {each["metadata"]["namespace"] for each in items[1:]} == {wish.NAMESPACE}


@pytest.mark.parametrize(("node", "image"), [(STUCK_NODE, wish.CEPH), ("node-0", wish.PUBLIC)])
def test_only_the_job_of_one_node_has_an_image_of_its_own(node: str, image: str) -> None:
    modes = Modes("rook", job_image=wish.CEPH, job_node=STUCK_NODE)
    body = prepare(Own("p", "u", wish.PUBLIC, ()), modes, node, ())
    assert body["spec"]["template"]["spec"]["containers"][0]["image"] == image

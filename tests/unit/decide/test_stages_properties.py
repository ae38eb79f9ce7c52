"""Whatever the cluster: rollouts end, touch nothing twice, keep to their bounds, and need no memory.

The world gathers facts without any memory (`begun` is empty), so every decision is one after a crash; a crash between
two writes of one decision is the cut of its actions.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.decide.rollout_world import Load, World, spec, world

from pawl.api.imageoverride import ImageOverrideSpec
from pawl.decide.batches import bounds
from pawl.decide.objects import JobState, Owner
from pawl.decide.rollout_actions import Restart, RewriteTemplate, Roll

NEW = "registry.corp:5000/rook/ceph:v1"
IMAGES = st.sampled_from(["rook/ceph:v1", "docker.io/rook/ceph:v1", "quay.io/other:1", NEW])
OWNER = Owner("ceph.rook.io/v1", "CephCluster", "rook", "uid-cc", controller=True)


@st.composite
def loads(draw: st.DrawFn) -> list[Load]:
    made: list[Load] = []
    for number in range(draw(st.integers(1, 9))):
        kind = draw(st.sampled_from(["Deployment", "Deployment", "DaemonSet", "StatefulSet", "Job", "CronJob"]))
        parents = [load.uid for load in made if load.kind not in ("Job", "CronJob")]
        parent = draw(st.sampled_from(["", *parents]))
        load = Load(kind, f"w{number}", draw(IMAGES), draw(st.integers(0, 3)), parent=parent)
        load.paused = kind == "Deployment" and draw(st.integers(0, 5)) == 0
        load.on_delete = kind in ("DaemonSet", "StatefulSet") and draw(st.integers(0, 3)) == 0
        load.partition = draw(st.integers(0, 2)) if kind == "StatefulSet" else 0
        if kind == "Job":
            load.job = JobState(active=1, finished=draw(st.booleans()))
            load.owner = OWNER if draw(st.booleans()) else None
        made.append(load)
    return made


@st.composite
def specs(draw: st.DrawFn) -> ImageOverrideSpec:
    rollout = {
        "maxConcurrent": draw(st.integers(1, 3)),
        "batches": draw(st.lists(st.sampled_from(["1", "2", "25%", "50%", "100%"]), min_size=1, max_size=4)),
    }
    enforcement = {
        "onDelete": draw(st.sampled_from(["Report", "Evict"])),
        "restartOwners": draw(st.booleans()),
        "templates": draw(st.sampled_from(["Off", "Reconcile"])),
    }
    return spec(rollout=rollout, enforcement=enforcement)


def rolling(made: World, touched: set[str]) -> set[str]:
    """Touched workloads of which a Pod that the controller is to replace is old, or a new one is not ready yet."""
    busy = set()
    for uid in touched:
        load = made.loads[uid]
        mine = [pod for pod in made.pods if pod.load == uid]
        due = [pod for pod in mine if int(pod.row.name.rpartition("-")[2]) >= load.partition and not load.on_delete]
        if any(pod.revision != load.revision or pod.row.ready_since is None for pod in due):
            busy.add(uid)
    return busy


@settings(max_examples=120, deadline=None)
@given(loads(), specs(), st.data())
def test_a_rollout_ends_in_silence_within_its_bounds(
    given: list[Load], wanted: ImageOverrideSpec, data: st.DataObject
) -> None:
    from tests.unit.decide.rollout_world import entry, table

    made = world(*given, table=table({"docker.io/rook": [entry(templates=True)]}))
    touched: set[str] = set()
    for _ in range(300):
        found = made.decide(wanted)
        actions = found.actions[: data.draw(st.integers(0, len(found.actions)), "crash")] if found.actions else ()
        began = {
            a.workload.uid
            for a in actions
            if isinstance(a, Roll | Restart) or (isinstance(a, RewriteTemplate) and a.hash)
        }
        before = rolling(made, touched)
        made.apply(actions)
        if began:
            assert len(before | began) <= wanted.rollout.max_concurrent
        touched |= began
        if found.stage in ("Done", "Verify"):
            break
        made.tick()
    assert found.stage in ("Done", "Verify")
    assert made.decide(wanted).actions == ()
    repeated = {key: count for key, count in made.touches.items() if count > 1 and "CronJob" not in key[0]}
    assert repeated == {}
    for pod in made.pods:
        load = made.loads[pod.load]
        held = load.paused or load.on_delete or load.partition or load.job is not None
        if "rook/ceph" in pod.row.spec.images[0].image and not held:
            assert pod.row.spec.images[0].image == NEW


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.lists(st.sampled_from(["1", "3", "10%", "25%", "50%", "100%"]), min_size=1, max_size=4))
def test_no_batch_begins_before_the_last_is_verified(count: int, batches: list[str]) -> None:
    made = world(*(Load("Deployment", f"d{n:02}", "rook/ceph:v1") for n in range(count)))
    wanted = spec(rollout={"batches": batches, "maxConcurrent": 4})
    ends = bounds(batches, count)
    begun = 0
    for _ in range(200):
        found = made.decide(wanted)
        right = {
            pod.load for pod in made.pods if pod.row.spec.images[0].image == NEW and pod.row.ready_since is not None
        }
        for _ in found.actions:
            begun += 1
            last = max((end for end in ends if end < begun), default=0)
            assert len(right) >= last
        made.apply(found.actions)
        made.tick()
    assert begun == count


@given(st.integers(0, 500), st.lists(st.sampled_from(["1", "7", "1%", "33%", "100%"]), min_size=1, max_size=5))
def test_batches_grow_and_end_with_all(total: int, batches: list[str]) -> None:
    ends = bounds(batches, total)
    assert list(ends) == sorted(set(ends))
    assert (ends[-1] if ends else 0) == total
    assert all(end > 0 for end in ends)

"""The ratchet in a real API server: no writer and no way of writing takes a selection back."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.cluster.api import Api
from tests.cluster.ratchet import WRITES, Write, allowed, forced_apply, merge_patch, reference, selection
from tests.unit.api.samples import ORDER_2, A, B, Json, manifest, spec

from pawl.api.imagepolicy_rules import RATCHET, STATUS_RULES

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("installed")]

writers = pytest.mark.parametrize("write", WRITES.values(), ids=list(WRITES))

NEWER = {"sequence": 11, "tag": "v6", "sortKey": "6 v6"}
REMOVED = "status.selection is never removed: to start over run `pawl forget`"

FORWARD: dict[str, Json] = {
    "the same": selection(),
    "newer": selection(**NEWER),
    "newer by many": selection(**NEWER | {"sequence": 99}),
    "greater sequence alone": selection(sequence=11),
    "greater sortKey alone": selection(sortKey="6 v5"),
    "new digest of the tag": selection(sequence=11, digest=B),
    "rollback": selection(epoch=6, sequence=11, tag="v4", sortKey="4 v4", digest=B),
    "accepted ordering": selection(epoch=6, sequence=11, ordering=ORDER_2, sortKey="!"),
    "time and cause": selection(selectedAt="2025-01-01T00:00:00Z", cause="Recovered"),
    "bytes beyond ascii": selection(**NEWER | {"sortKey": "é v6"}),
}

_SEQUENCE = "needs a greater selection.sequence"
BACKWARD: dict[str, tuple[Json | None, str]] = {
    "lower sortKey": (
        selection(sequence=11, tag="v4", sortKey="4 v4"),
        "as from v5 to v4: to go back to an",
    ),
    "sortKey of a prefix": (selection(sequence=11, sortKey="5 v"), "selection.sortKey never falls within an epoch"),
    "empty sortKey": (selection(sequence=11, sortKey=""), "selection.sortKey never falls within an epoch"),
    "lower sequence": (selection(sequence=9), "selection.sequence never falls"),
    "lower sequence with a newer tag": (selection(**NEWER | {"sequence": 9}), "selection.sequence never falls"),
    "lower sequence in a greater epoch": (selection(epoch=6, sequence=9), "selection.sequence never falls"),
    "lower epoch": (selection(epoch=4), "selection.epoch never falls"),
    "lower epoch with a greater sequence": (selection(**NEWER | {"epoch": 4}), "selection.epoch never falls"),
    "greater epoch, same sequence": (selection(epoch=6), "a greater selection.epoch needs a greater sequence"),
    "same sequence, another tag": (selection(tag="v6", sortKey="6 v6"), _SEQUENCE),
    "same sequence, another digest": (selection(digest=B), _SEQUENCE),
    "same sequence, digest forgotten": (selection(digest=""), _SEQUENCE),
    "same sequence, another repository": (selection(reference=f"r.io/other:v5@{A}"), _SEQUENCE),
    "ordering in the same epoch": (selection(sequence=11, ordering=ORDER_2), "a changed selection.ordering needs"),
    "reference to something else": (selection(sequence=11, reference=f"r.io/web:v4@{A}"), "ends with :tag@digest"),
    "removed": (None, REMOVED),
    "half": ({"epoch": 9, "sequence": 99}, "Required value"),
    "no epoch": (selection(epoch=0), "greater than or equal to 1"),
}


def create(api: Api, namespace: str, name: str, held: Json | None, **changes: Any) -> str:
    """Make a policy that holds a selection and return its path."""
    kind = f"apis/pawl.dev/v1alpha1/namespaces/{namespace}/imagepolicies"
    frame = manifest(spec(), name)
    frame["metadata"] |= changes
    answer = api.post(kind, frame)
    assert answer.ok, answer.message
    if held is not None:
        answer = forced_apply(api, f"{kind}/{name}", held)  # the one owner, so that an apply can take it away
        assert answer.ok, answer.message
    return f"{kind}/{name}"


@pytest.fixture
def path(api: Api, namespace: str) -> str:
    return create(api, namespace, "web", selection())


def held(api: Api, path: str) -> Json | None:
    found: Json | None = api.get(path).body["status"].get("selection")
    return found


@writers
@pytest.mark.parametrize("name", FORWARD)
def test_forward_is_accepted(api: Api, path: str, write: Write, name: str) -> None:
    answer = write(api, path, FORWARD[name])
    assert answer.ok, answer.message
    assert held(api, path) == FORWARD[name]
    assert allowed(selection(), FORWARD[name])


@writers
@pytest.mark.parametrize("name", BACKWARD)
def test_backward_is_refused(api: Api, path: str, write: Write, name: str) -> None:
    new, sentence = BACKWARD[name]
    answer = write(api, path, new)
    if name == "half" and write is merge_patch:
        assert answer.ok  # it merges, and the guard judges the whole: epoch and sequence rose, nothing else moved
        return
    assert answer.code == 422, answer.body
    assert sentence in answer.message
    assert held(api, path) == selection()


@writers
def test_first_selection_is_free(api: Api, namespace: str, write: Write) -> None:
    path = create(api, namespace, "web", None)
    assert write(api, path, None).ok
    assert write(api, path, selection(sequence=1, epoch=1, sortKey="")).ok


@pytest.mark.parametrize("status", [None, {}, {"observedGeneration": 9}], ids=str)
def test_put_without_selection_is_refused(api: Api, path: str, status: Json | None) -> None:
    body = api.get(path).body
    body["status"] = status
    assert REMOVED in api.put(f"{path}/status", body).message
    body.pop("status")
    assert REMOVED in api.put(f"{path}/status", body).message
    assert held(api, path) == selection()


def test_status_null_is_refused(api: Api, path: str) -> None:
    assert REMOVED in api.merge(f"{path}/status", {"status": None}).message
    assert REMOVED in api.json_patch(f"{path}/status", {"op": "remove", "path": "/status"}).message
    assert REMOVED in api.json_patch(f"{path}/status", {"op": "add", "path": "/status", "value": {}}).message
    assert held(api, path) == selection()


def test_two_rules_guard_the_presence(api: Api, path: str) -> None:
    """Either would do while `status` has a default; the one at the root also holds if it ever loses it."""
    causes = api.merge(f"{path}/status", {"status": None}).body["details"]["causes"]
    assert sorted(cause["field"] for cause in causes) == ["status", "status.selection"]


@pytest.mark.parametrize("field", sorted(selection()))
def test_no_field_of_a_selection_can_be_cut_out(api: Api, path: str, field: str) -> None:
    assert api.merge(f"{path}/status", {"status": {"selection": {field: None}}}).code == 422
    assert held(api, path) == selection()


def test_main_resource_cannot_touch_the_status(api: Api, path: str) -> None:
    body = api.get(path).body
    body["status"] = {"observedGeneration": 1, "selection": selection(epoch=1, sequence=1)}
    assert api.put(path, body).ok
    assert api.merge(path, {"status": None}).ok
    assert api.merge(path, {"status": {"selection": selection(sortKey="", tag="v0")}}).ok
    frame = {"apiVersion": body["apiVersion"], "kind": "ImagePolicy", "metadata": {"name": "web"}}
    assert api.apply(path, {**frame, "spec": spec(), "status": {"selection": selection(epoch=1)}}).ok
    assert held(api, path) == selection()


def test_everything_else_goes_on(api: Api, path: str) -> None:
    """Spec edits, labels, and a status without news of the selection pass the rules at the root."""
    assert api.merge(path, {"metadata": {"labels": {"a": "b"}}}).ok
    assert api.merge(path, {"spec": {"image": "r.io/other", "select": {"semver": None, "alphabetical": {}}}}).ok
    assert api.merge(f"{path}/status", {"status": {"observedGeneration": 2}}).ok
    assert api.merge(f"{path}/status", {"status": {"history": [], "blocked": ["v9"], "scan": None}}).ok
    assert api.merge(f"{path}/status", {"status": {"blocked": []}}).ok
    body = api.get(path).body
    body["status"]["observedGeneration"] = 3
    assert api.put(f"{path}/status", body).ok
    assert held(api, path) == selection()


def test_deletion_with_a_finalizer(api: Api, namespace: str) -> None:
    path = create(api, namespace, "web", selection(), finalizers=["example.com/wait"])
    assert api.delete(path).ok
    assert REMOVED in api.merge(f"{path}/status", {"status": None}).message
    assert api.merge(f"{path}/status", {"status": {"observedGeneration": 2}}).ok
    assert api.merge(path, {"metadata": {"finalizers": None}}).ok
    assert api.get(path).code == 404


def test_a_stale_write_is_a_conflict_before_it_is_anything_else(api: Api, path: str) -> None:
    stale = {"metadata": {"resourceVersion": "1"}, "status": {"selection": selection(**NEWER)}}
    assert api.merge(f"{path}/status", stale).code == 409


def ready(status: str) -> Json:
    return {"type": "Ready", "status": status, "reason": "Held", "lastTransitionTime": "2026-01-02T03:04:05Z"}


def test_never_ready_without_a_selection(api: Api, namespace: str) -> None:
    path = create(api, namespace, "web", None)
    assert api.merge(f"{path}/status", {"status": {"conditions": [ready("False")]}}).ok
    refused = api.merge(f"{path}/status", {"status": {"conditions": [ready("True")]}})
    assert "Ready is True only while a selection is held" in refused.message
    assert api.merge(f"{path}/status", {"status": {"conditions": [ready("True")], "selection": selection()}}).ok


def test_every_status_rule_is_broken_by_a_sample() -> None:
    told = [sentence for _, sentence in BACKWARD.values()] + ["Ready is True only while a selection is held"]
    rules = [*RATCHET, *STATUS_RULES]
    assert [rule.message for rule in rules if not any(each in f"{rule.message} {rule.told}" for each in told)] == []


STEP = st.fixed_dictionaries(
    {},
    optional={
        "epoch": st.sampled_from([-1, 1, 1]),
        "sequence": st.sampled_from([-1, 1, 1, 1]),
        "tag": st.sampled_from(["v5", "v6", "V5"]),
        "digest": st.sampled_from([A, B, ""]),
        "sortKey": st.sampled_from(["", "5", "5 v5", "5 v5\x00", "6 v6", "~", "é", "\uffff", "\U0001f600"]),
        "ordering": st.sampled_from(["1" * 32, "2" * 32]),
        "image": st.sampled_from(["r.io/web", "r.io/other"]),
    },
)
# An apply that leaves the selection out takes away only what its manager alone owns: see BACKWARD for that case.
MOVE = st.tuples(STEP, st.sampled_from(sorted(WRITES)))
REMOVE = st.tuples(st.none(), st.sampled_from(["json patch", "merge patch", "put"]))
STEPS = st.lists(MOVE | MOVE | MOVE | MOVE | REMOVE, min_size=4, max_size=4)


def stepped(old: Json, step: Json) -> Json:
    """Return `old` with a step applied: epoch and sequence move by it, other fields are replaced."""
    new = old | {key: value for key, value in step.items() if key != "image"}
    for key in ("epoch", "sequence"):
        new[key] = max(1, old[key] + step.get(key, 0))
    image = step.get("image", old["reference"].split(":")[0])
    return new | {"reference": reference(new, image)}


def test_random_walks_agree_with_the_invariant(api: Api, namespace: str) -> None:
    """Four steps a walk by random writers: the API server says what `allowed` says, and keeps what it accepted."""
    verdicts: Counter[bool] = Counter()

    @settings(max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(STEPS)
    def walk(steps: list[tuple[Json | None, str]]) -> None:
        now = selection()
        path = create(api, namespace, f"walk-{verdicts.total()}", now)
        for step, writer in steps:
            new = None if step is None else stepped(now, step)
            answer = WRITES[writer](api, path, new)
            expected = allowed(now, new)
            verdicts[expected] += 1
            assert answer.ok is expected, (now, new, answer.message)
            now = new if expected and new is not None else now
            assert held(api, path) == now

    walk()
    assert verdicts.total() >= 200
    assert min(verdicts[True], verdicts[False]) > 50, verdicts

"""Whatever happens around a registry, what the machine says of it is a status that the API server takes.

A status that it refuses would be the end of every look: nothing thaws, nothing is told.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from tests.gitops.argolua import health
from tests.gitops.kstatus import KStatus, kstatus
from tests.gitops.registry_scenes import CLAIM, MINIO, RULES, World, busy, done, failed

from pawl.api.catalog import REGISTRY_STORAGE
from pawl.api.editor import editor_schema
from pawl.api.reasons import Reason
from pawl.api.registrywork import Plan, Progress, Report, Task

SCHEMA = Draft202012Validator(editor_schema(REGISTRY_STORAGE, "from a test"))
WORDS = ["", "Novel", *(reason.value for reason in (Reason.NO_SPACE, Reason.SOURCE_CORRUPT, Reason.COPY_FAILED))]
LONG = "x" * 3000

figure = st.integers(-(1 << 70), 1 << 70)
reports = st.builds(
    Report,
    task=st.just(Task.BULK),
    done=st.just(value=True),
    ok=st.booleans(),
    reason=st.sampled_from(WORDS),
    message=st.sampled_from(["", "a sentence", LONG]),
    phase=st.sampled_from(["", "Bulk", "Verify", "Nowhere"]),
    quarantine=st.lists(st.sampled_from(["one", LONG]), max_size=30),
    freed_bytes=figure,
    progress=st.builds(Progress, **dict.fromkeys(("objects", "objects_done", "bytes", "bytes_done"), figure)),
)
jobs = st.dictionaries(
    st.sampled_from([Task.BULK, Task.FINAL, Task.SMOKE, Task.PREPARE]),
    st.builds(lambda how, report: how(report), st.sampled_from([busy, done, failed]), reports),
)
plans = st.builds(
    Plan,
    tags=figure,
    delete_tags=figure,
    delete_bytes=figure,
    refused=st.sampled_from(["", LONG]),
    reasons=st.dictionaries(st.text(min_size=1, max_size=64), figure, max_size=50),
)
specs = st.builds(
    lambda storage, more: {"storage": storage, **RULES, **more},
    st.sampled_from([CLAIM, MINIO, {"filesystem": {"size": "300Gi", "series": 1}}]),
    st.sampled_from([{}, {"suspend": True}, {"readOnly": True}, {"collection": {"dryRun": True}}]),
)
changes = st.fixed_dictionaries(
    {},
    optional={
        "jobs": jobs,
        "plan": st.none() | plans,
        "used": st.sampled_from([0, 50, 82, 90, 99]),
        "grows": st.booleans(),
        "comes_up": st.booleans(),
        "trouble": st.sampled_from(["", LONG]),
        "asks_collection": st.booleans(),
        "lost": st.booleans(),
    },
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)  # a busy machine is no finding
@given(st.lists(st.tuples(specs, changes, st.sampled_from([0, 1, 30])), min_size=1, max_size=6))
def test_every_status_can_be_stored_and_read_by_every_tool(edits: list[tuple[Any, Any, int]]) -> None:
    world = World({"storage": MINIO})
    for spec, around, hours in edits:
        world.edit(spec, **around)
        world.now += timedelta(hours=hours)
        for _ in range(4):
            world.look()
            found = world.obj()
            assert [error.message for error in SCHEMA.iter_errors(found)] == []
            standing = {one.type for one in world.status.conditions if one.status == "True"}
            assert not {"Reconciling", "Stalled"} <= standing
            assert kstatus(found) is not KStatus.CURRENT or "Ready" in standing
            assert health(found)["status"] in {"Healthy", "Progressing", "Degraded", "Suspended"}


@pytest.mark.parametrize("condition", ["Ready", "Serving", "Writable"])
def test_what_is_always_said(condition: str) -> None:
    world = World({"storage": CLAIM})
    world.look()
    assert condition in {one.type for one in world.status.conditions}

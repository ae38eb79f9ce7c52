"""What workers say is cut or refused before it is judged: whatever it is, a status can be written of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError
from tests.gitops.registry_scenes import CLAIM, MINIO, World, failed

from pawl.api.catalog import REGISTRY_STORAGE
from pawl.api.editor import editor_schema
from pawl.api.registrystorage_status import MigrationPhase
from pawl.api.registrywork import Meter, Plan, Report, Task

SCHEMA = Draft202012Validator(editor_schema(REGISTRY_STORAGE, "from a test"))
WORST = {"objects": -1, "objects_done": -7, "bytes": 1 << 80, "bytes_done": -1, "eta_seconds": -5, "rounds": -2}


def heard(**fields: Any) -> Report:
    """A report as it comes from a Pod."""
    return Report.model_validate_json(json.dumps({"task": "bulk", "done": True, **fields}))


@pytest.mark.parametrize("reason", ["weird stuff", "lower", "A-B", "x" * 64, "X" * 65, "A\n"])
def test_a_reason_that_no_condition_takes_is_no_report(reason: str) -> None:
    with pytest.raises(ValidationError):
        heard(reason=reason)


def test_figures_out_of_bounds_are_cut() -> None:
    progress = heard(progress=WORST).progress
    assert (progress.objects, progress.bytes, progress.eta_seconds) == (0, (1 << 63) - 1, 0)
    assert Plan.model_validate({"tags": -1, "reasons": {"Expired": -4}}).reasons == {"Expired": 0}
    assert Meter.model_validate({"bytes": -1, "capacity": -1}).capacity == 0
    assert heard(freed_bytes=-1).freed_bytes == 0


@pytest.mark.parametrize("reason", ["", "Novel", "NoSpace", "GraphBroken"])
def test_whatever_a_job_says_a_status_can_be_written_and_the_machine_goes_on(reason: str) -> None:
    said = heard(reason=reason, message="m" * 5000, progress=WORST, quarantine=["q" * 2000] * 50)
    world = World({"storage": MINIO}).until(lambda status: status.phase == "Serving")
    world.edit({"storage": CLAIM}, jobs={Task.BULK: failed(said)})
    for _ in range(8):
        world.look()
        assert [error.message for error in SCHEMA.iter_errors(world.obj())] == []
    assert world.status.migration is not None
    assert world.status.migration.phase in {MigrationPhase.PREFLIGHT, MigrationPhase.BULK, MigrationPhase.FAILED}

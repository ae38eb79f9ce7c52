"""The last report of a worker fits into a termination message, and is JSON whatever had to be cut."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pawl.api.registrywork import REPORT_BYTES, Plan, Report, Step, TagVerdict, Task
from pawl.jobs.termination import fitted, leave

TEXT = st.text(max_size=3000)


def verdicts(count: int, *, keep: bool) -> list[TagVerdict]:
    return [TagVerdict(repository="shop/web", tag=f"v{at}", keep=keep, reason="Expired") for at in range(count)]


@given(
    message=TEXT,
    quarantine=st.lists(TEXT, max_size=30),
    words=st.lists(TEXT, max_size=10),
    reasons=st.dictionaries(st.text(max_size=64), st.integers(0, 9), max_size=20),
    tags=st.integers(0, 400),
)
def test_it_always_fits_and_is_read_back(
    message: str, quarantine: list[str], words: list[str], reasons: dict[str, int], tags: int
) -> None:
    steps = [Step(name=word, ok=True, message=word) for word in words]
    plan = Plan(tags=tags, reasons=reasons, refused=message, verdicts=verdicts(tags, keep=False))
    full = Report(task=Task.PREPARE, done=True, message=message, quarantine=quarantine, steps=steps, plan=plan)
    body = fitted(full)
    assert len(body) <= REPORT_BYTES
    back = Report.model_validate_json(body)
    assert (back.task, back.done, back.ok, back.reason) == (full.task, full.done, full.ok, full.reason)


def test_what_fits_is_not_cut() -> None:
    report = Report(task=Task.PROBE, ok=True, done=True, steps=[Step(name="DNS", ok=True, message="x" * 300)])
    assert Report.model_validate_json(fitted(report)) == report


def test_what_stays_goes_first_and_the_figures_stay() -> None:
    plan = Plan(tags=500, delete_tags=3, verdicts=[*verdicts(497, keep=True), *verdicts(3, keep=False)])
    back = Report.model_validate_json(fitted(Report(task=Task.PREPARE, plan=plan)))
    assert back.plan is not None
    assert (back.plan.tags, back.plan.delete_tags) == (500, 3)
    assert [verdict.keep for verdict in back.plan.verdicts] == [False] * 3


def test_figures_and_steps_outlive_their_words() -> None:
    reasons = {f"{at:03d}{'x' * 60}": at for at in range(100)}
    plan = Plan(tags=9, delete_tags=4, reasons=reasons, refused="y" * 4000)
    steps = [Step(name="DNS", ok=True, message="z" * 900), Step(name="TCP", ok=False, message="z" * 900)]
    back = Report.model_validate_json(fitted(Report(task=Task.PREPARE, plan=plan, steps=steps, message="m" * 2000)))
    assert back.plan is not None
    assert (back.plan.tags, back.plan.delete_tags, len(back.plan.reasons)) == (9, 4, 16)
    assert [(step.name, step.ok) for step in back.steps] == [("DNS", True), ("TCP", False)]


def test_nobody_looks_where_there_is_no_directory(tmp_path: Path) -> None:
    leave(Report(task=Task.PROBE), tmp_path / "none" / "report")
    leave(Report(task=Task.PROBE), tmp_path / "report")
    assert (tmp_path / "report").read_bytes() == b'{"task":"probe"}'

"""The last word of a worker: its report in no more bytes than a kubelet keeps of a termination message.

What is longest and matters least is cut first: verdicts and quarantined objects, then the sentences of steps, at last
all but whether it went well and why. What comes out is always one JSON object. Pure but for `leave`.
Neighbours: `progress` calls it, `api.registrywork` is the form. Not here: what a report says.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from pawl.api.registrywork import REPORT_BYTES, Plan, Report, Step

_MESSAGE: Final = 512  # characters of the message in the last resort
_SENTENCE: Final = 160  # characters of a step's message once there is no room for all


def encoded(report: Report) -> bytes:
    """Return the report as one line of JSON."""
    return report.model_dump_json(by_alias=True, exclude_defaults=True).encode()


def fitted(report: Report, limit: int = REPORT_BYTES) -> bytes:
    """Return the report as JSON of at most `limit` bytes (512 and more), shortened where it must be."""
    return next(body for body in map(encoded, _shorter(report)) if len(body) <= limit)


def leave(report: Report, path: Path) -> None:
    """Write the report where the kubelet looks for it. Where there is no such directory, nobody looks."""
    try:
        path.write_bytes(fitted(report))
    except FileNotFoundError:
        return
    except OSError as error:
        sys.stderr.write(f"pawl: the report cannot be left in {path}: {error.strerror}\n")


def _shorter(report: Report) -> Iterator[Report]:
    yield report
    for cut in _CUTS:
        report = cut(report)
        yield report
    least = Report(task=report.task, id=report.id[:64], done=report.done, ok=report.ok, reason=report.reason)
    for length in (_MESSAGE, _MESSAGE // 4, 0):
        yield least.model_copy(update={"message": _ascii(report.message)[:length]})


def _verdicts(count: int) -> Callable[[Report], Report]:
    def cut(report: Report) -> Report:
        if report.plan is None:
            return report
        gone = [verdict for verdict in report.plan.verdicts if not verdict.keep]
        return report.model_copy(update={"plan": report.plan.model_copy(update={"verdicts": gone[:count]})})

    return cut


def _quarantined(count: int) -> Callable[[Report], Report]:
    return lambda report: report.model_copy(update={"quarantine": report.quarantine[:count]})


def _sentences(report: Report) -> Report:
    steps = [step.model_copy(update={"message": step.message[:_SENTENCE]}) for step in report.steps]
    return report.model_copy(update={"steps": steps, "message": report.message[: 2 * _MESSAGE]})


def _names(report: Report) -> Report:
    """Keep of each step whether it went well, and of a plan its figures: their words are without bound."""
    steps = [Step(name=step.name[:32], ok=step.ok) for step in report.steps[:16]]
    plan = _figures(report.plan) if report.plan is not None else None
    return report.model_copy(update={"steps": steps, "plan": plan, "quarantine": []})


def _figures(plan: Plan) -> Plan:
    reasons = dict(sorted(plan.reasons.items())[:16])
    return plan.model_copy(update={"verdicts": [], "reasons": reasons, "refused": plan.refused[:_SENTENCE]})


def _ascii(text: str) -> str:
    return "".join(letter if letter.isascii() and letter.isprintable() else " " for letter in text)


_CUTS: Final = (
    _verdicts(20),
    _quarantined(20),
    _verdicts(5),
    _quarantined(5),
    _verdicts(0),
    _quarantined(0),
    _sentences,
    _names,
)

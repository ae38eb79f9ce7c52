"""What Jobs, their Pods and claims say of the work on a registry, as facts. Pure.

A Pod's words are somebody's words: what is no report is cut and quoted, never believed.
Neighbours: `decide.registryview` reads the server. Not here: asking Pods (`controllers.registryworkers`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from pawl.api.quantities import amount_or
from pawl.api.registrywork import REPORT_BYTES, Report, Task
from pawl.decide.registrynames import MANAGED_BY, ORDER, REGISTRY, Names
from pawl.decide.registryview import cut, ending, finished, pod_trouble
from pawl.decide.storagefacts import Claim, Work

Json = Mapping[str, Any]


def task_of(job: Json, names: Names) -> Task | None:
    """Return what a Job is for, None where its name says nothing of it."""
    word = job["metadata"]["name"].removeprefix(f"{names.server}-").rpartition("-")[0]
    return Task(word) if word in set(Task) else None


def order_of(found: Json) -> str:
    """Return for which order a Job was made."""
    return str((found["metadata"].get("annotations") or {}).get(ORDER, ""))


def works_of(
    jobs: Iterable[Json], pods: Sequence[Json], progress: Mapping[str, Report], names: Names
) -> dict[Task, Work]:
    """Return the newest Job of each task. `progress`: what Pods said that work, by name."""
    found: dict[Task, Work] = {}
    for job in sorted(jobs, key=lambda each: str(each["metadata"].get("creationTimestamp") or "")):
        task = task_of(job, names)
        if task is not None and not ending(job):
            found[task] = _work(task, job, pods_of(job, pods), progress)
    return found


def pods_of(job: Json, pods: Iterable[Json]) -> list[Json]:
    """Return the Pods of a Job."""
    uid = job["metadata"].get("uid")
    return [pod for pod in pods if any(owner.get("uid") == uid for owner in _owners(pod))]


def stray(pods: Iterable[Json], jobs: Iterable[Json]) -> list[str]:
    """Return the names of Pods at work whose Job is not among these: a store must have one writer."""
    known = {job["metadata"].get("uid") for job in jobs}
    alone = [pod for pod in pods if not finished(pod) and known.isdisjoint(one.get("uid") for one in _owners(pod))]
    return sorted(pod["metadata"]["name"] for pod in alone)


def claim_of(found: Json, registry: str, *, grows: bool | None) -> Claim:
    """Return a claim."""
    meta, spec, status = found["metadata"], found["spec"], found.get("status") or {}
    marks = meta.get("labels") or {}
    wanted = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    resizing = {"Resizing", "FileSystemResizePending", "ControllerResizing"}
    return Claim(
        name=meta["name"],
        bound=status.get("phase") == "Bound",
        requested=amount_or(wanted),
        capacity=amount_or((status.get("capacity") or {}).get("storage")),
        grows=grows,
        resizing=any(one["type"] in resizing and one["status"] == "True" for one in status.get("conditions") or ()),
        own=marks.get(REGISTRY) == registry and marks.get(MANAGED_BY) == "pawl",
        trouble=_claim_trouble(found),
    )


def report_of(text: str, task: Task) -> Report | None:
    """Read what a worker said, None where that is no report of this task."""
    if not text or len(text.encode()) > 4 * REPORT_BYTES:
        return None
    try:
        report = Report.model_validate_json(text)
    except ValidationError:
        return None
    return report if report.task is task or task is Task.PREPARE else None


def _work(task: Task, job: Json, pods: Sequence[Json], progress: Mapping[str, Report]) -> Work:
    ends = {one["type"] for one in (job.get("status") or {}).get("conditions") or () if one.get("status") == "True"}
    done = bool(ends & {"Complete", "Failed"})
    told = [progress[pod["metadata"]["name"]] for pod in pods if pod["metadata"]["name"] in progress]
    return Work(
        task=task,
        order=order_of(job),
        name=job["metadata"]["name"],
        active=not done,
        succeeded="Complete" in ends,
        failed="Failed" in ends,
        report=_last_words(task, pods) if done else (told[-1] if told else None),
        trouble="" if done else next((text for pod in pods if (text := pod_trouble(pod))), ""),
    )


def _last_words(task: Task, pods: Sequence[Json]) -> Report | None:
    """Return the report of the container that ended last; one without a report is quoted."""
    ended = [one for pod in pods for one in _ended(pod)]
    if not ended:
        return None
    name, state = next((one for one in ended if one[1].get("exitCode")), ended[-1])
    report = report_of(state.get("message") or "", task)
    if report is not None or not state.get("exitCode"):
        return report
    said = cut(state.get("message") or state.get("reason") or "it said nothing")
    return Report(task=task, done=True, message=f"container {name} ended with code {state['exitCode']}: {said}")


def _ended(pod: Json) -> Iterable[tuple[str, Json]]:
    status = pod.get("status") or {}
    for each in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        state = (each.get("state") or {}).get("terminated")
        if state:
            yield each["name"], state


def _claim_trouble(found: Json) -> str:
    name, phase = found["metadata"]["name"], (found.get("status") or {}).get("phase")
    if ending(found):
        return f"claim {name} is being deleted: restore it from a copy, or let it go and use another"
    if phase == "Lost":
        return f"claim {name} lost its volume: bring the volume back, or use another claim"
    return ""


def _owners(pod: Json) -> Sequence[Json]:
    return pod["metadata"].get("ownerReferences") or ()

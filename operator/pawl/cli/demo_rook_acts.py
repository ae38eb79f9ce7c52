"""The steps of the second half: Rook and its chart, one override before and after its images are there, and no Pawl.

Neighbours: `demo_program` puts them into acts, `demo_rook_stage` asks the world, `demo_board` judges what Pods run.
Not here: what Rook does by itself (`demo_rook_life`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final

from pawl.api.meta import Condition
from pawl.api.reasons import ConditionType
from pawl.cli import demo_rook_stage as rook
from pawl.cli import demo_rook_wish as wish
from pawl.cli.demo_board import State, Workload, images, short
from pawl.cli.demo_checks import Check, expect, until
from pawl.cli.demo_rook_objects import DISCOVER, OPERATOR, WORKER, Json
from pawl.cli.demo_story import Story
from pawl.cluster.resources import PODS
from pawl.sandbox.images import digest_of

MAKING: Final = 30.0
"""Seconds in which Kubernetes' controllers and Rook do their part on a busy machine."""
ROLLING: Final = 60.0
"""Seconds for a whole rollout; it takes a sixth of it on an idle machine."""
OPERATOR_ROW, DISCOVER_ROW, WORKER_ROW = f"Deployment {OPERATOR}", f"DaemonSet {DISCOVER}", f"Pod {WORKER}-0"
STUCK_ROW, DONE_ROW = f"Job {rook.STUCK}", f"Job {rook.DONE}"
MADE: Final = 2
"""How often Rook makes the stuck Job: at first, and after Pawl deleted it."""
ALL: Final = 6
"""Workloads in Rook's namespace: operator, DaemonSet, a daemon, two Jobs, a bare Pod."""

Rows = dict[str, Workload]


async def _nothing() -> None:
    """Only watch."""


async def watched(
    story: Story, check: Check[Rows], wanted: Collection[str] = (), then: Callable[[], Awaitable[None]] = _nothing
) -> Rows:
    """Show the workloads, do something, and go on until they are as they should be. Raises CheckFailedError."""
    now: Rows = {}

    def tell(found: Sequence[Workload]) -> None:
        nonlocal now
        now = _by_name(found)
        story.show(found)

    async def ask() -> Rows:
        return now

    async with rook.followed(story.stage, wanted, tell):
        await then()
        return await until(check, ask)


def _made(what: str, good: Callable[[Rows], bool]) -> Check[Rows]:
    return Check(what, MAKING, good, _told)


def _by_name(found: Sequence[Workload]) -> Rows:
    return {row.name: row for row in found}


def _told(found: Rows) -> str:
    return "; ".join(f"{row.name} {row.state.value} {row.proved} {row.image}" for row in found.values()) or "nothing"


def _image(found: Rows, name: str) -> str:
    return found[name].image if name in found else ""


async def install(story: Story) -> str:
    """Install the chart and see the operator's Pod come up."""
    stage = story.stage
    rook.start_rook(stage)
    await stage.apply(wish.installation(wish.PUBLIC))
    return f"kubectl apply: the chart names {wish.PUBLIC} for its operator, and for nothing else"


async def children(story: Story) -> str:
    """See what the operator makes, and one Job of it that cannot start."""
    found = await watched(story, _made("Rook's children, one stuck", _all_made))
    await _finished(story)
    image = found[STUCK_ROW].image
    return f"six workloads; {STUCK_ROW} waits in ImagePullBackOff for {image}, beside a Ready operator"


async def _finished(story: Story) -> None:
    """Wait for the Job that can run: while it counts as active, Rook lets it be."""
    check = Check[bool](f"Job {rook.DONE} to complete", MAKING, bool)
    await until(check, lambda: rook.is_finished(story.stage, rook.DONE))


def _all_made(found: Rows) -> bool:
    old = all(_image(found, name) == wish.PUBLIC for name in (DISCOVER_ROW, WORKER_ROW, DONE_ROW))
    pods = found[DISCOVER_ROW].pods if DISCOVER_ROW in found else 0
    ready = _image(found, OPERATOR_ROW) == wish.PUBLIC and found[OPERATOR_ROW].state is State.RUNS
    return old and ready and len(found) == ALL and pods == rook.NODES and found[STUCK_ROW].state is State.STUCK


async def mirror(story: Story) -> str:
    """Push a copy of the chart's image to the private registry."""
    await rook.push(story.stage, wish.MIRRORED)
    return f"pushed {wish.mirrored(rook.registry_of(story.stage))}"


async def upgrade(story: Story) -> str:
    """Change the chart's value, and see the operator restart with it."""
    stage, image = story.stage, wish.mirrored(rook.registry_of(story.stage))
    story.before = await rook.standing(stage)

    async def apply() -> None:
        await stage.apply(wish.installation(image))

    # The bare Pod comes last in Rook's round: after it everything was looked at.
    await watched(story, _made("Rook to start anew", lambda found: _restarted(found, image)), (), apply)
    await _finished(story)
    return f"the operator runs {image}, and has been through all that it makes"


def _restarted(found: Rows, image: str) -> bool:
    return len(found) == ALL and all(_image(found, name) == image for name in (OPERATOR_ROW, WORKER_ROW, DONE_ROW))


async def missed(story: Story) -> str:
    """See that the DaemonSet and the stuck Job were not touched."""
    now, found = await rook.standing(story.stage), _by_name(await rook.workloads(story.stage))
    same = now.uids[STUCK_ROW] == story.before.uids[STUCK_ROW]
    kept = now.generations[DISCOVER_ROW] == story.before.generations[DISCOVER_ROW]
    expect(same and kept and _image(found, DISCOVER_ROW) == wish.PUBLIC, "children as they were", _told(found))
    return f"{DISCOVER_ROW} keeps {wish.PUBLIC}; {STUCK_ROW} counts as active and is left in ImagePullBackOff"


async def offline(story: Story) -> str:
    """Ask what the override would do, without a cluster."""
    answer = await rook.offline(story.stage)
    expect(answer.code == 0, "pawl rewrite to end well", answer.err)
    change = json.loads(answer.out)[0]
    wanted = wish.pinned(rook.registry_of(story.stage), wish.OPERATOR_IMAGE)
    expect(change["to"] == wanted, f"{wanted} offline", change)
    return f"offline, {change['kind']} {change['name']}: {change['from']} → {short(change['to'])}"


async def too_early(story: Story) -> str:
    """Apply the override before its images are there, and read what it says."""
    stage = story.stage
    story.before = await rook.standing(stage)
    await stage.apply(wish.override(rook.registry_of(stage), secret=False))
    message = await _condition(story, ConditionType.PREFLIGHT, "False")
    named = "linux/amd64" in message and digest_of(wish.CEPH_IMAGE) in message
    expect(named, "a message that names image and platform", message)
    return f"{ConditionType.PREFLIGHT.value} is False\n{message}"


async def _condition(story: Story, kind: ConditionType, status: str, seconds: float = MAKING) -> str:
    """Wait for a condition and return its message."""

    async def ask() -> Condition | None:
        return rook.said(await rook.override(story.stage), kind)

    check = Check[Condition | None](f"{kind.value}={status}", seconds, lambda one: _is(one, status), _shown)
    found = await until(check, ask)
    return found.message if found is not None else ""


def _is(condition: Condition | None, status: str) -> bool:
    return condition is not None and condition.status == status


def _shown(condition: Condition | None) -> str:
    return f"{condition.status} {condition.reason}: {condition.message}" if condition is not None else "no condition"


async def untouched(story: Story) -> str:
    """See that nothing was written, and that a new Pod keeps its image."""
    now = await rook.standing(story.stage)
    expect(now == story.before, "every workload and Pod as it was", now)
    pod = await rook.run_pod(story.stage, wish.NAMESPACE, "early", "--dry-run=server")
    expect(images(pod) == [wish.PUBLIC], f"a new Pod with {wish.PUBLIC}", images(pod))
    return f"{len(now.uids)} workloads and Pods are as they were; a new Pod would keep {wish.PUBLIC}"


async def arrive(story: Story) -> str:
    """Push what was missing."""
    stage = story.stage
    await rook.push(stage, wish.OPERATOR_IMAGE, wish.CEPH_IMAGE)
    told = " and ".join(short(each.rpartition("/")[2]) for each in sorted(wish.wanted(rook.registry_of(stage))))
    return f"pushed {told}"


async def rolled(story: Story) -> str:
    """Name the pull Secret in the override, and watch until every Pod runs the digest that was pushed."""
    stage, registry = story.stage, rook.registry_of(story.stage)

    async def apply() -> None:
        await stage.apply(wish.credentials(registry))
        await stage.apply(wish.override(registry, secret=True))

    check = Check("every Pod to be proved", ROLLING, _all_proved, _told)
    found = await watched(story, check, wish.wanted(registry), apply)
    count = sum(row.good for row in found.values())
    return f"all {count} Pods of {len(found)} workloads run the digests that were pushed, by their imageIDs"


def _all_proved(found: Rows) -> bool:
    return len(found) == ALL and all(row.state is State.VERIFIED for row in found.values())


async def agreed(story: Story) -> str:
    """Read what the override says of it, and see the pull Secret beside the Pods."""
    preflight = await _condition(story, ConditionType.PREFLIGHT, "True")
    verified = await _condition(story, ConditionType.VERIFIED, "True")
    await _condition(story, ConditionType.READY, "True")
    expect(await rook.has_copy(story.stage), f"Secret {wish.SECRET} in {wish.NAMESPACE}", "none")
    copied = f"Secret {wish.SECRET_HOME}/{wish.SECRET} is copied to {wish.NAMESPACE}, as its owner allows"
    return f"the override is Ready\nPreflight: {preflight}; {copied}\nVerified: {verified}"


async def written_once(story: Story) -> str:
    """Count the writes by generations, and see which Job and Pod were made anew."""
    before, now = story.before, await rook.standing(story.stage)
    rises = {title: now.generations[title] - count for title, count in before.generations.items()}
    expect(set(rises.values()) == {1}, "one write to each workload", rises)
    made = rook.told(story.stage, "created", f"jobs/{rook.STUCK}")
    anew = made == MADE and now.uids[STUCK_ROW] != before.uids[STUCK_ROW]
    expect(anew, "the stuck Job to be made anew once", f"{made} times made by Rook")
    told = ", ".join(f"{title} {count} → {now.generations[title]}" for title, count in before.generations.items())
    return f"generations: {told}\n{STUCK_ROW} was deleted once, and Rook made it anew"


async def kill_all(story: Story) -> str:
    """Kill every process of Pawl that is left."""
    stage = story.stage
    killed = [process.pid for process in stage.replicas]
    for process in tuple(stage.replicas):
        await asyncio.to_thread(stage.crew.kill, process)
        stage.replicas.remove(process)
    return f"kill -9 {' '.join(str(pid) for pid in killed)}: no process of Pawl is left"


async def still_rewritten(story: Story) -> str:
    """Start a Pod beside Rook's."""
    return await _rewritten(story, wish.NAMESPACE)


async def new_namespace(story: Story) -> str:
    """Start a Pod in a namespace that no Pawl has ever seen."""
    await story.stage.apply(json.dumps(wish.namespace(wish.NEW_NAMESPACE)))
    return await _rewritten(story, wish.NEW_NAMESPACE)


async def _rewritten(story: Story, namespace: str) -> str:
    pod = await rook.run_pod(story.stage, namespace, "after")
    wanted = wish.pinned(rook.registry_of(story.stage), wish.OPERATOR_IMAGE)
    keys = _secrets(pod)
    expect(images(pod) == [wanted] and wish.SECRET in keys, f"a Pod with {wanted} and its Secret", (images(pod), keys))
    return f"kubectl run -n {namespace} --image={wish.PUBLIC}: the Pod has {short(wanted)} and Secret {wish.SECRET}"


def _secrets(pod: Json) -> Sequence[str]:
    return [each["name"] for each in pod["spec"].get("imagePullSecrets", [])]


async def explained(story: Story) -> str:
    """Ask why a Pod of Rook's DaemonSet runs its image."""
    pods = await rook.find(story.stage, PODS)
    name = next(pod["metadata"]["name"] for pod in pods if pod["metadata"]["name"].startswith(DISCOVER))
    found = await rook.why(story.stage, name)
    good = found["original"]["image"] == wish.PUBLIC and found["verdict"] == "Verified"
    expect(good, f"{wish.PUBLIC} to be explained and verified", found)
    way = f"{found['original']['image']} → {found['override']}, rule {found['rule']} → {short(found['imageID'])}"
    return f"pawl why {name}: {way}, {found['verdict']}"

"""The steps of the demo: each does one thing, asks the world, and returns what was observed or raises PawlError.

Neighbours: `demo_program` puts them into acts, `demo_stage` asks the world. Not here: starting the sandbox (`demo`).
"""

from __future__ import annotations

import asyncio
import json
from typing import Final

from pawl.api.crd import crds
from pawl.api.documents import as_yaml
from pawl.api.imagepolicy import ImagePolicy, Selection
from pawl.api.reasons import ConditionType, Reason
from pawl.cli import demo_manifests as manifests
from pawl.cli.demo_checks import Check, expect, until
from pawl.cli.demo_stage import ROUND, seen
from pawl.cli.demo_story import Story
from pawl.cluster.leaserecord import Record
from pawl.cluster.ledgers import name_for

TAKEOVER: Final = 20.0
"""Seconds in which another replica acts after a leader was killed: what Pawl promises."""
START: Final = 30.0
"""Seconds for processes to come up on a busy machine."""
FIRST, SECOND, THIRD, FOURTH = "v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0"


def short(digest: str) -> str:
    """A digest as people read it."""
    return f"{digest[:15]}…"


def true_conditions(policy: ImagePolicy) -> dict[str, str]:
    """The conditions that are True, with their messages."""
    return {condition.type: condition.message for condition in policy.status.conditions if condition.status == "True"}


def same(one: Selection | None, other: Selection | None) -> bool:
    """Whether two selections are one and the same."""
    return one is not None and one == other


async def proxy(story: Story) -> str:
    """Put the proxy in front of the registry and see both answer."""
    story.stage.start_proxy()
    await until(Check[bool]("the proxy to answer", START, bool), story.stage.proxy_answers)
    return f"registry {story.stage.sandbox.registry}, behind a proxy on {story.stage.proxy} that can be told to lie"


async def definitions(story: Story) -> str:
    """Apply the CRDs as a user would and wait until the kind is served."""
    said = await story.stage.apply("---\n".join(as_yaml(document) for document in crds()))
    await until(Check[bool]("the kind to be served", START, bool), story.stage.kind_is_served)
    return f"pawl crds | kubectl apply -f -   {said.count(' created')} kinds of pawl.dev created"


async def replicas(story: Story) -> str:
    """Start two replicas and see one of them hold the Lease."""
    stage = story.stage
    for role in ("replica-1", "replica-2"):
        stage.start_replica(role)
    lease = await until(
        Check[Record]("one of two replicas to hold the Lease", START, lambda found: stage.leader(found) is not None),
        stage.lease,
    )
    leader = stage.leader(lease)
    names = " and ".join(f"pid {each.pid}" for each in stage.replicas)
    return f"two replicas run, {names}; pid {leader.pid if leader else 0} holds the Lease"


async def images(story: Story) -> str:
    """Push two images for two platforms each."""
    for tag in (FIRST, SECOND):
        story.digests[tag] = await story.stage.push(tag)
    told = ", ".join(f"{tag} {short(digest)}" for tag, digest in story.digests.items())
    return f"pushed {manifests.REPOSITORY} {told}"


async def policy(story: Story) -> str:
    """Apply the policy with kubectl."""
    await story.stage.apply(manifests.namespace())
    return f"kubectl apply   {await story.stage.apply(manifests.policy(story.stage.proxy))}"


async def first_selection(story: Story) -> str:
    """See the first selection, with the digest that was pushed."""
    found = await until(
        Check("a selection", START, lambda got: got.status.selection is not None, seen), story.stage.policy
    )
    story.first = story.held = found.status.selection
    return _selected(story, SECOND, found)


async def third_image(story: Story) -> str:
    """Push a newer tag."""
    story.digests[THIRD] = await story.stage.push(THIRD)
    return f"pushed {THIRD} {short(story.digests[THIRD])}"


async def advanced(story: Story) -> str:
    """Ask for a run and see the newer tag selected."""
    found = await story.stage.run_once()
    story.held = found.status.selection
    return _selected(story, THIRD, found)


def _selected(story: Story, tag: str, found: ImagePolicy) -> str:
    held = found.status.selection
    good = held is not None and held.tag == tag and held.digest == story.digests[tag]
    expect(good, f"{tag}@{story.digests[tag]} to be selected", seen(found))
    assert held is not None  # noqa: S101 - it was just expected
    return (
        f"selected {tag}@{short(held.digest)}, the digest that was pushed; epoch {held.epoch}, sequence {held.sequence}"
    )


async def half_list(story: Story) -> str:
    """Tell the registry to answer half, and read its list as the policy will."""
    stage = story.stage
    whole = await stage.listed()
    await stage.registry_says("half")
    listed = await stage.listed()
    expect(THIRD in whole and THIRD not in listed, f"a list without {THIRD}", listed)
    return f"the registry lists {len(listed)} of {len(whole)} tags ({', '.join(listed)}) and says nothing of the rest"


async def kill_leader(story: Story) -> str:
    """Kill the leader with -9 and see it dead."""
    stage = story.stage
    leader = stage.leader(await stage.lease())
    if leader is None:
        expect(good=False, what="a leader that lives", seen="a Lease of none of the replicas")
        raise AssertionError
    await asyncio.to_thread(stage.crew.kill, leader)
    story.killed_at, story.cut_before = asyncio.get_running_loop().time(), await stage.lists_cut()
    stage.replicas.remove(leader)
    return f"kill -9 {leader.pid}: the leader is dead, with all that it had in memory"


async def takeover(story: Story) -> str:
    """See the other replica hold the Lease within the promised time."""
    stage = story.stage
    lease = await until(
        Check[Record]("the other replica to lead", TAKEOVER, lambda found: stage.leader(found) is not None), stage.lease
    )
    took = asyncio.get_running_loop().time() - story.killed_at
    who, bound = f"pid {stage.replicas[0].pid}", f"at most {TAKEOVER:g} s are promised"
    return f"{who} leads {took:.1f} s after the kill, {bound}; term {lease.term}"


async def held_in_the_dark(story: Story) -> str:
    """See the new leader read the short list and hold. Its doubt may end with a second look, so the Event counts."""
    stage, missing = story.stage, ConditionType.SELECTED_TAG_MISSING.value
    await until(
        Check[int]("the new leader to read the list", ROUND, lambda cut: cut > story.cut_before), stage.lists_cut
    )
    check = Check(missing, ROUND, lambda found: missing in true_conditions(found), seen)
    found = await until(check, stage.policy)
    expect(same(found.status.selection, story.held), "the selection to stay", seen(found))
    shrunk = Reason.SHRUNK.value
    doubts = await until(Check[list[str]](f"an Event {shrunk}", ROUND, bool), lambda: stage.events(shrunk))
    told = (f"{missing}: {true_conditions(found)[missing]}", f"Event {shrunk}: {doubts[-1]}")
    return "\n".join((f"{THIRD} stays, and it is said why", *told))


async def whole_again(story: Story) -> str:
    """Let the registry answer whole and see the conditions go."""
    await story.stage.registry_says("whole")
    found = await story.stage.run_once()
    doubts = {ConditionType.SCAN_SUSPECT.value, ConditionType.SELECTED_TAG_MISSING.value} & set(true_conditions(found))
    expect(not doubts and same(found.status.selection, story.held), "the selection without doubts", seen(found))
    return (
        f"the registry lists all {len(await story.stage.listed())} tags again, both conditions are gone, {THIRD} stays"
    )


async def stale_writer(story: Story) -> str:
    """Write an older selection with the rights of an administrator, and see the API server refuse it."""
    if story.first is None or story.held is None:
        raise AssertionError("acts are played in order")
    patch = manifests.stale_write(story.first, story.held.sequence)
    names = ("-n", manifests.NAMESPACE, f"imagepolicy/{manifests.NAME}")
    answer = await story.stage.kubectl("patch", *names, "--subresource=status", "--type=merge", "-p", patch)
    refused = answer.code != 0 and "never falls" in answer.err
    expect(refused, "the API server to refuse an older selection", answer.err or answer.out)
    return f"refused, in the API server's words\n{answer.err}"


async def unmoved(story: Story) -> str:
    """See that nothing was written."""
    found = await story.stage.policy()
    expect(same(found.status.selection, story.held), "the selection as it was", seen(found))
    held = found.status.selection
    return f"selected is {THIRD} as before; epoch {held.epoch if held else 0}, sequence {held.sequence if held else 0}"


async def roll_back(story: Story) -> str:
    """Apply a rollback and see it done once."""
    found = await _apply_rollback(story, THIRD)
    held, before = found.status.selection, story.held
    if held is None or before is None or held.tag != SECOND or held.epoch != before.epoch + 1:
        expect(good=False, what=f"{SECOND} in a new epoch", seen=seen(found))
        raise AssertionError
    story.held = held
    ranks = f"epoch {before.epoch} → {held.epoch}, sequence {before.sequence} → {held.sequence}"
    entry = found.status.history[-1]
    return f"{THIRD} → {SECOND}: {ranks}; history: {entry.who}, “{entry.reason}”"


async def _apply_rollback(story: Story, source: str) -> ImagePolicy:
    wish = manifests.rollback(source, SECOND, story.digests[SECOND])
    await story.stage.apply(manifests.policy(story.stage.proxy, wish))
    return await story.stage.run_once()


async def stays_out(story: Story) -> str:
    """Run once more and see that what was taken back does not return although the registry lists it."""
    found = await story.stage.run_once()
    listed = await story.stage.listed()
    out = THIRD in found.status.blocked and same(found.status.selection, story.held)
    expect(out and THIRD in listed, f"{THIRD} to stay out", seen(found))
    return f"{THIRD} is listed by the registry, is blocked and stays out"


async def fourth_image(story: Story) -> str:
    """Push something newer than what was taken back, and see the policy resume."""
    story.digests[FOURTH] = await story.stage.push(FOURTH)
    found = await story.stage.run_once()
    story.held = found.status.selection
    return f"pushed {FOURTH}; {_selected(story, FOURTH, found)}"


async def replay(story: Story) -> str:
    """Take the rollback out, apply the same manifest again, and see nothing happen."""
    await story.stage.apply(manifests.policy(story.stage.proxy))
    found = await _apply_rollback(story, THIRD)
    expect(same(found.status.selection, story.held), f"{FOURTH} to stay", seen(found))
    nonces = json.loads(await story.stage.ledger())["nonces"]
    expect(manifests.NONCE in nonces, f"nonce {manifests.NONCE} in the ledger", nonces)
    ledger = name_for(manifests.NAME)
    return f"same manifest applied again: nothing moves; ConfigMap {ledger} knows nonce {manifests.NONCE}"


async def used_nonce(story: Story) -> str:
    """Use the nonce for another rollback and see it refused by its name."""
    found = await _apply_rollback(story, FOURTH)
    kind = ConditionType.ROLLBACK_REJECTED
    said = next((condition for condition in found.status.conditions if condition.type == kind), None)
    refused = said is not None and said.reason == Reason.NONCE_USED and same(found.status.selection, story.held)
    expect(refused, f"{kind.value} with {Reason.NONCE_USED.value}", seen(found))
    return f"the same nonce against {FOURTH}: {kind.value}: {said.message if said else ''}"

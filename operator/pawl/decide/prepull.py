"""Which image is pulled onto which node before anything rolls.

Only what is going to roll is pulled, onto ready nodes where it may run, with the Secrets that its Pods will have.
Neighbours: `decide.placement` says where, `decide.stages` waits for it. Not here: pulling.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pawl.decide.objects import NodeRow
from pawl.decide.placement import may_run
from pawl.decide.rollout import Assessment, Pulls, PullState
from pawl.decide.rollout_actions import Prepull


class PrepullDecision(msgspec.Struct, frozen=True):
    """What to pull now, and how far it is. `failed` are (node, image) pairs that the kubelet gave up on.

    `podless` are those that have a Job and no Pod.
    """

    start: tuple[Prepull, ...]
    done: int
    total: int
    failed: tuple[tuple[str, str], ...] = ()
    podless: tuple[tuple[str, str], ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every image is on every node."""
        return self.done == self.total


def prepull(
    units: Iterable[Assessment], nodes: Iterable[NodeRow], pulls: Pulls, added: tuple[str, ...] = ()
) -> PrepullDecision:
    """Decide which pulls to start: images by text, then nodes by name, at most `pulls.parallel` at once.

    `added` are the pull Secrets that Pods get besides their own.
    """
    known = tuple(nodes)
    wanted = {(pull.node, pull.image): pull for unit in units for pull in _of(unit, known, added)}
    order = sorted(wanted, key=lambda pair: (pair[1], pair[0]))
    states = pulls.states
    running = sum(1 for state in states.values() if state in {PullState.PULLING, PullState.PODLESS})
    free = max(0, pulls.parallel - running)
    fresh = [wanted[pair] for pair in order if pair not in states]
    done = sum(1 for pair in order if states.get(pair) is PullState.DONE)
    failed = tuple(pair for pair in order if states.get(pair) is PullState.FAILED)
    podless = tuple(pair for pair in order if states.get(pair) is PullState.PODLESS)
    return PrepullDecision(tuple(fresh[:free]), done, len(order), failed, podless)


def _of(unit: Assessment, nodes: tuple[NodeRow, ...], added: tuple[str, ...]) -> Iterable[Prepull]:
    row = unit.row
    images = sorted({image.wanted for image in unit.wanted if image.group != "volumes"})
    secrets = tuple(dict.fromkeys((*row.spec.pull_secrets, *added)))
    fitting = [node for node in nodes if node.ready and may_run(row.spec.placement, node)]
    for node in fitting:
        for image in images:
            yield Prepull(node.name, image, row.namespace, secrets, row.spec.account)

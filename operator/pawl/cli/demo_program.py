"""The demo's program: which acts there are, what each shows, and its steps in order.

Neighbours: `demo_acts` has the steps, `demo_story` the form. Not here: what a step does.
"""

from __future__ import annotations

from typing import Final

from pawl.cli import demo_acts as acts
from pawl.cli.demo_story import Act, Step

OPENING: Final = Act(
    "A control plane, a registry, two replicas",
    "A real kube-apiserver with its etcd and a real registry start on this machine, then Pawl as a user runs it.",
    "one of two replicas leads by a Lease",
    (
        Step("put a proxy in front of the registry", acts.proxy),
        Step("apply the CRDs", acts.definitions),
        Step("start two replicas and wait for a leader", acts.replicas),
    ),
)

ACTS: Final = (
    Act(
        "Images are pushed, a policy selects",
        "Two versions of an image are pushed; an ImagePolicy asks for the greatest semantic version.",
        "the greatest version, by the digest that was pushed",
        (
            Step(f"push {acts.FIRST} and {acts.SECOND}", acts.images),
            Step("apply the policy", acts.policy),
            Step("wait for a selection", acts.first_selection),
        ),
    ),
    Act(
        "A newer tag advances it",
        "A third version is pushed and the annotation reconcile.pawl.dev/requestedAt asks for a run now.",
        "what is greater and exists is selected, within seconds",
        (Step(f"push {acts.THIRD}", acts.third_image), Step("ask for a run", acts.advanced)),
    ),
    Act(
        "The leader dies, the registry answers half",
        "The worst hour: the replica that knew the list is gone, and the one that follows reads a short one.",
        "failover in time; negative facts never act",
        (
            Step("tell the registry to answer half", acts.half_list),
            Step("kill the leader with -9", acts.kill_leader),
            Step("wait for the other replica (a Lease lasts 15 s)", acts.takeover),
            Step("wait until it has read the short list", acts.held_in_the_dark),
            Step("let the registry answer whole", acts.whole_again),
        ),
    ),
    Act(
        "Somebody writes an older selection",
        "kubectl patch --subresource=status, with every right there is, puts the first selection back.",
        "the API server itself guards the selection",
        (Step("write the older selection", acts.stale_writer), Step("look at the selection", acts.unmoved)),
    ),
    Act(
        "An approved way back, once",
        "spec.rollback names what is taken back, what it goes to by digest, and a nonce that serves once.",
        "one rollback, by consent; a replay does nothing",
        (
            Step(f"roll back from {acts.THIRD} to {acts.SECOND}", acts.roll_back),
            Step(f"look whether {acts.THIRD} returns", acts.stays_out),
            Step(f"push {acts.FOURTH}", acts.fourth_image),
            Step("apply the same rollback again", acts.replay),
            Step("use its nonce once more", acts.used_nonce),
        ),
    ),
)

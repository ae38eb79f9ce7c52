"""The demo's program: which acts there are, what each shows, and its steps in order.

Neighbours: `demo_acts` has the steps, `demo_story` the form. Not here: what a step does.
"""

from __future__ import annotations

from typing import Final

from pawl.cli import demo_acts as acts
from pawl.cli import demo_registry_acts as registry
from pawl.cli import demo_rook_acts as rook
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
    Act(
        "Rook is installed, one of its Jobs cannot pull",
        "Its operator reads its image once, at its start, and makes all else with it. One Job needs an image from "
        "quay.invalid, which stands for a registry that this site cannot reach.",
        "the scene: workloads that no chart knows",
        (Step("install the chart", rook.install), Step("wait for what the operator makes", rook.children)),
    ),
    Act(
        "The chart names the private registry, the children miss it",
        "As in rook#15511: the operator restarts with the new value, but an older DaemonSet is left as it is, and a "
        "Job whose Pod cannot pull counts as active.",
        "a chart's value reaches the operator only",
        (
            Step("push a copy of the chart's image", rook.mirror),
            Step("change the chart's value", rook.upgrade),
            Step("look at the children", rook.missed),
        ),
    ),
    Act(
        "One ClusterImageOverride, before its images are there",
        "It names a newer Rook and a Ceph on the private registry, by digest. Nobody has pushed them yet.",
        "what cannot be pulled is never rolled out",
        (
            Step("ask offline what it would do", rook.offline),
            Step("apply the override", rook.too_early),
            Step("look for anything that changed", rook.untouched),
        ),
    ),
    Act(
        "The images arrive, and what runs follows",
        "The operator first, once; then, after it had time to mend its own, what is still wrong; the stuck Job last.",
        "each Pod proved by imageID, each workload written once",
        (
            Step("push the images", rook.arrive),
            Step("name the pull Secret in the override, and watch", rook.rolled),
            Step("read what the override says", rook.agreed),
            Step("count the writes", rook.written_once),
        ),
    ),
    Act(
        "Every Pawl process is killed",
        "The rules stand as tables in the API server, which rewrites Pods by itself.",
        "new Pods are rewritten without Pawl",
        (
            Step("kill all of them with -9", rook.kill_all),
            Step("start a Pod beside Rook", rook.still_rewritten),
            Step("start a Pod in a new namespace", rook.new_namespace),
            Step("ask why a Pod runs its image", rook.explained),
        ),
    ),
    Act(
        "A registry of one's own, its bytes on MinIO",
        "A RegistryStorage names a bucket; Pawl makes the server, its certificate and its login.",
        "declared, served over TLS, writable",
        (
            Step("start a replica and a node that runs Pods", registry.node),
            Step("declare the registry, and wait for a leader (a Lease lasts 15 s) and the server", registry.declared),
            Step("push images", registry.filled),
            Step("push a large layer", registry.large_on_bucket),
        ),
    ),
    Act(
        "It shall live on a local volume, but a byte has rotted",
        "spec.storage names a volume now: the bytes move there, each one hashed, while a client pulls.",
        "wrong bytes never move; the old store serves on",
        (
            Step("start a client that pulls all the time", registry.client),
            Step("let one byte rot in the bucket", registry.rotten),
            Step("name a volume in spec.storage", registry.caught),
            Step("look at the registry", registry.stayed),
        ),
    ),
    Act(
        "The true bytes are back, and it moves",
        "The move goes on where it ended: what was proved is not copied again.",
        "moved under pulls, every byte proved, and faster",
        (
            Step("put the true bytes back", registry.repaired),
            Step("ask again, and follow the move", registry.moved),
            Step("ask the client", registry.counted),
            Step("verify the volume", registry.verified),
            Step("push a large layer", registry.large_on_volume),
        ),
    ),
)

"""One line for each condition type and each reason of ImageOverride and ClusterImageOverride.

The reference pages list these lines. Neighbours: `api.reasons` declares the words, `api.reason_docs` has those of
ImagePolicy. Not here: the messages of a single occurrence, they are made where the fact is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from pawl.api.reasons import ConditionType, Reason

OVERRIDE_CONDITIONS: Final[Mapping[ConditionType, str]] = MappingProxyType(
    {
        ConditionType.READY: "All that the spec asks for is done; the reason says what is still missing.",
        ConditionType.RECONCILING: "The newest spec is not yet carried out. Stands only while True.",
        ConditionType.STALLED: "You must act: spec, Secret or right. Stands only while True.",
        ConditionType.ACCEPTED: "The rules can be carried out; False says which one cannot, and why.",
        ConditionType.CONFLICTING: "Another override says something else of the same images at the same rank.",
        ConditionType.PREFLIGHT: "Every target was seen in its registry with the credentials of its Pods.",
        ConditionType.PREPULLED: "The new images are on the nodes, pulled with their final Secrets.",
        ConditionType.ROLLED_OUT: "Every workload that can be rolled has the images that the rules say.",
        ConditionType.VERIFIED: "Every live Pod is proved by its imageID to run what the rules say.",
        ConditionType.CONTESTED: "Somebody else keeps reverting; Pawl stepped back, see `status.contests`.",
        ConditionType.PAUSED: "Nothing new is begun: `spec.suspend` or `spec.rollout.paused` is set.",
    }
)

_STATE: Final = {
    Reason.ACCEPTED: "The rules are in the tables of the gate.",
    Reason.SUSPENDED: "`spec.suspend` is set; the gate goes on as it was, nothing else is touched.",
    Reason.PROGRESSING: "Pawl is at work on the newest spec.",
    Reason.RESTORING: "The override is deleted; what Pawl changed gets its original back.",
    Reason.RESTORE_TIMED_OUT: "Not all was restored within `spec.restoreTimeout`; the message says what was left.",
}

_RULES: Final = {
    Reason.INVALID_SPEC: "The spec contradicts itself; the message says where.",
    Reason.INVALID_SOURCE: "A source or a target repository is no host[:port][/path].",
    Reason.NOT_IDEMPOTENT: "A rule's result is rewritten once more: a chain or a cycle; name the last target.",
    Reason.CONFLICTING: "Two overrides of one rank decide one source; give one a greater `spec.priority`.",
    Reason.POLICY_NOT_FOUND: "The ImagePolicy of `target.policyRef` does not exist; the rule is inactive.",
    Reason.POLICY_WITHOUT_SELECTION: "The ImagePolicy of `target.policyRef` has chosen nothing; the rule is inactive.",
    Reason.NAMESPACE_MISSING: "A ClusterImageOverride names a policy or an operator without its namespace.",
    Reason.TABLE_TOO_LARGE: "The rules of all overrides do not fit into one table; use fewer or broader ones.",
    Reason.RULES_TOO_TANGLED: "The rules need too many comparisons with each other; use fewer for one source.",
    Reason.RESULT_TOO_LONG: "An image would have more than 255 characters after rewriting; it is left alone.",
}

_ACCESS: Final = {
    Reason.SECRET_NOT_FOUND: "A Secret that the spec or a Pod names does not exist.",
    Reason.SECRET_INVALID: "A Secret that the spec or a Pod names has not the right keys.",
    Reason.SECRET_TYPE_WRONG: "A pull Secret is not of type kubernetes.io/dockerconfigjson.",
    Reason.COPY_NOT_ALLOWED: "The owner does not allow the copy; annotate the source with pawl.dev/allow-copy-to.",
    Reason.NAMESPACE_NOT_FOUND: "The namespace for a copy of a Secret does not exist.",
    Reason.REFUSED: "The API server refuses the copy of a Secret, as by a quota; the message has its words.",
    Reason.CONTENDED: "Somebody else writes the copy of a Secret again and again; Pawl leaves it to them.",
    Reason.SERVICE_ACCOUNT_NOT_FOUND: "The ServiceAccount of a Pod does not exist.",
    Reason.UNAUTHORIZED: "The registry does not accept the credentials of the Pod, or wants some.",
    Reason.DENIED: "The registry knows the credentials of the Pod and refuses this repository.",
    Reason.FOREIGN_REALM: "The token server is on another host and gets no credentials.",
    Reason.FORBIDDEN_TARGET: "The address is never dialled, or plain HTTP is not allowed for this host.",
    Reason.UNTRUSTED: "TLS failed; give the authority by `spec.caSecretRef`.",
    Reason.MISSING_RIGHT: "Pawl lacks a right in the cluster; the message names verb and resource.",
}

_PREFLIGHT: Final = {
    Reason.PREFLIGHT_PASSED: "Every target was seen in its registry, for every platform of the nodes.",
    Reason.PREFLIGHT_SKIPPED: "`spec.rollout.preflight` is Skip; targets are taken on trust.",
    Reason.INVALID_IMAGE: "A target is no image reference; it is not used.",
    Reason.IMAGE_MISSING: "The target does not exist in its registry; the image is not rewritten until it does.",
    Reason.PLATFORM_MISMATCH: "The target lacks a platform of the nodes; the image is not rewritten until it has it.",
    Reason.UNREACHABLE: "No address, no connection, a timeout or a 5xx; it is tried again.",
    Reason.RATE_LIMITED: "429, or 503 with Retry-After; the host is asked again after that.",
    Reason.BAD_ANSWER: "The answer breaks the protocol; it is not used.",
    Reason.TOO_LARGE: "The answer is beyond its bound; it is not used.",
    Reason.PREPULLING: "The new images are being pulled onto the nodes.",
    Reason.NODES_UNKNOWN: "Nodes may not be listed: platforms are not compared, and nothing is pulled beforehand.",
    Reason.PREPULL_FAILED: "A node could not pull a new image; nothing rolls, the message names the node.",
}

_GATE: Final = {
    Reason.GATE_MISSING: "Nothing rewrites Pods; apply what `pawl gate` prints.",
    Reason.GATE_NOT_REWRITING: "A probe Pod came back as it was; nothing is rolled until the gate rewrites.",
}

_ROLLOUT: Final = {
    Reason.APPROVAL_REQUIRED: "The plan waits; put its hash into `spec.rollout.approvedPlan`.",
    Reason.WINDOW_CLOSED: "`spec.rollout.window` is closed; the message says when it opens.",
    Reason.PAUSED: "`spec.rollout.paused` is set; what was begun is watched to its end.",
    Reason.ADMISSION_ONLY: "`spec.rollout.mode` is AdmissionOnly; what runs already is reported, not rolled.",
    Reason.ROLLING_OUT: "Workloads are being rolled, see `status.batch`.",
    Reason.SETTLING: "A restarted operator is ready; its workloads are left alone until `settle` has passed.",
    Reason.BATCH_NOT_VERIFIED: "The batch before is not verified; the next one waits for it.",
    Reason.PROGRESS_DEADLINE_EXCEEDED: "A workload was not verified in `progressDeadline`; the rollout stopped.",
    Reason.ROLLED_OUT: "All that can be rolled is rolled.",
}

_LEFT_ALONE: Final = {
    Reason.ROLLOUT_PAUSED: "The Deployment is paused by its owner; resume it to let it follow.",
    Reason.HELD_BY_PARTITION: "Pods below the partition of the StatefulSet keep the old image; lower the partition.",
    Reason.ON_DELETE: "The strategy is OnDelete; delete the Pods, or set `enforcement.onDelete` to Evict.",
    Reason.JOB_FINISHED: "The Job has finished; it is never run again.",
    Reason.JOB_RUNNING: "The Job has started with the old image; it is left to finish.",
    Reason.HOOK: "The Job is a hook of Helm or Argo CD; it is never made anew.",
    Reason.BARE_POD: "The Pod belongs to no controller; delete and make it anew yourself.",
    Reason.OWNED_BY_OTHER: "The workload belongs to an operator that makes it; that one is asked first.",
}

_RUNS: Final = {
    Reason.VERIFIED: "Every live Pod runs what the rules say, proved by content.",
    Reason.DRIFTED: "A Pod or a template has another image than the rules say.",
    Reason.MISMATCH: "A Pod runs other content than its reference says, as from an old copy on the node.",
    Reason.STALE_TARGET: "A Pod has the image of an earlier target.",
    Reason.UNVERIFIABLE: "What runs cannot be proved now.",
    Reason.DIGEST_UNKNOWN: "The digest that runs cannot be explained while its registry does not answer.",
    Reason.NOT_STARTED: "A container has not started yet, so it says no imageID.",
    Reason.NODE_NOT_READY: "The node does not answer; what it says of its Pods is old.",
    Reason.POD_STUCK: "A Pod does not become ready; the message has the kubelet's word for it.",
}

_FIGHTS: Final = {
    Reason.FIELD_REVERTED: "Another manager wrote the image back three times in ten minutes; tell it the new image.",
    Reason.POD_CHURN: "Its owner deletes each rewritten Pod, so its Pods are left alone; tell it the new image.",
}

OVERRIDE_REASONS: Final[Mapping[str, Mapping[Reason, str]]] = MappingProxyType(
    {
        "State": _STATE,
        "Rules": _RULES,
        "Access": _ACCESS,
        "Preflight and prepull": _PREFLIGHT,
        "The gate": _GATE,
        "The rollout": _ROLLOUT,
        "What is left alone": _LEFT_ALONE,
        "What runs": _RUNS,
        "Fights": _FIGHTS,
    }
)
"""Every reason of overrides once, under the headings of the reference page."""

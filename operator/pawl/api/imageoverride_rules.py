"""What the API server refuses in an ImageOverride or a ClusterImageOverride, with the sentence that names the way out.

Every expression below `spec.rules[]` is asked up to a thousand times an object: the grammars are as short as the cost
limits of the API server want them. Not here: bounds of single fields (`api.imageoverride_spec`, `_rollout`), how places
are compared (`decide.sources`), and what only the cluster can tell.
"""

from __future__ import annotations

from typing import Final

from pawl.api.cel import DOTTED, IPV6, LABEL, duration_rule, matches, schedule_rule, selector_rules
from pawl.api.rules import Refusal, Rule

_CAPITAL: Final = "([a-z0-9][A-Za-z0-9-]*)?[A-Z]([A-Za-z0-9-]*[A-Za-z0-9])?"
_PATHS: Final = "(/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*"
_HOST: Final = f"((localhost|{DOTTED}|{IPV6}|{_CAPITAL})(:[0-9]{{1,5}})?|{LABEL}:[0-9]{{1,5}})"
_WILDCARD: Final = f"\\*(\\.{LABEL})+"

PLACE: Final = f"^{_HOST}{_PATHS}$"
"""Grammar of `target.repository`: host[:port][/path], the first part no path of Docker Hub."""

SOURCE: Final = f"^({_WILDCARD}|{_HOST}{_PATHS})$"
"""Grammar of `source`: such a place, or *.example.com."""

# With the host asked apart, the rest of the grammar is half as long, and half as dear.
_NAMES_HOST: Final = "^(localhost(:|/|$)|[^/]*[.:A-Z])"
_SHAPE: Final = f"^({LABEL}(\\.{LABEL})*|{IPV6})(:[0-9]{{1,5}})?{_PATHS}$"

_FORBIDDEN: Final = Refusal.FORBIDDEN
_REQUIRED: Final = Refusal.REQUIRED


_LAST: Final = "self.substring(self.lastIndexOf('/') + 1)"
_SCHEME: Final = "self.contains('://')"
_DIGEST: Final = "self.contains('@')"
# Behind a slash a colon begins a tag; before one it is a port, unless no number follows it.
_NO_PORT: Final = ":[0-9]*[A-Za-z._-][^:\\]]*$"
_TAG: Final = f"(self.contains('/') ? {_LAST}.contains(':') : {matches(_NO_PORT)})"
_EXTRA: Final = f"{_SCHEME} || {_DIGEST} || {_TAG}"


def _place_rules(path: str, name: str, grammar: str, wildcard: str) -> tuple[Rule, ...]:
    """Rules of one place; `wildcard` is CEL that is true where the rule for wildcards has the word."""
    return (
        Rule(path, f"!{_SCHEME}", f"{name} has no scheme: write registry.example.com/shop without https:// or oci://"),
        Rule(path, f"{_SCHEME} || !{_DIGEST}", f"{name} has no digest: remove '@' and what follows; see target.digest"),
        Rule(
            path,
            f"{_SCHEME} || {_DIGEST} || !{_TAG}",
            f"{name} has no tag: remove ':' and what follows; a rule changes tags by target.tag",
        ),
        Rule(
            path,
            f"{wildcard} || {_EXTRA} || {matches(_NAMES_HOST)}",
            f"{name} names its registry first: write docker.io/rook/ceph for rook/ceph, docker.io/library/nginx for "
            "nginx, registry:5000 or registry.example.com for a registry",
        ),
        Rule(
            path,
            f"{wildcard} || {_EXTRA} || !{matches(_NAMES_HOST)} || {matches(_SHAPE)}",
            f"{name} is host[:port][/path], the path in lower case and without blanks, "
            "such as docker.io/rook, registry.corp:5000/rook or [fd00::1]:5000",
            editor={"pattern": grammar},
        ),
    )


_STAR: Final = "self.contains('*')"

SOURCE_RULES: Final = (
    Rule(
        "spec.rules[].source",
        f"!{_STAR} || {_EXTRA} || {matches(f'^{_WILDCARD}$')}",
        "a source with * is *.example.com, every host below on any port: remove path and port, and * elsewhere",
    ),
    *_place_rules("spec.rules[].source", "source", SOURCE, _STAR),
)

TARGET_RULES: Final = (
    Rule(
        "spec.rules[].target",
        "has(self.repository) || has(self.tag) || has(self.digest) || has(self.policyRef)",
        "target says nothing: give repository, tag, digest or policyRef; "
        "to except images from a broader rule repeat the source as target.repository",
        refusal=_REQUIRED,
        editor={"minProperties": 1},
    ),
    Rule(
        "spec.rules[].target",
        "!has(self.policyRef) || !(has(self.tag) || has(self.digest))",
        "target.policyRef brings tag and digest of the policy's selection: remove target.tag and target.digest, "
        "or policyRef",
        field=".policyRef",
        refusal=_FORBIDDEN,
        editor={"if": {"required": ["policyRef"]}, "then": {"properties": {"tag": False, "digest": False}}},
    ),
    *_place_rules("spec.rules[].target.repository", "target.repository", PLACE, "false"),
)


TIME_RULES: Final = (
    duration_rule("spec.enforcement.settle", "0s", "1h"),
    duration_rule("spec.rollout.progressDeadline", "10s", "24h"),
    duration_rule("spec.rollout.window.duration", "1m", "168h", "; for no window at all remove window"),
    duration_rule("spec.restoreTimeout", "1s", "1h", "; to restore nothing set deletionPolicy to Leave"),
    schedule_rule("spec.rollout.window.schedule", "0 22 * * 1-5"),
)

ROLLOUT_RULES: Final = (
    Rule(
        "spec.rollout.batches",
        "self.filter(one, one == '100%').size() <= (self[self.size() - 1] == '100%' ? 1 : 0)",
        "rollout.batches: '100%' takes all that is left, so it stands once and last: remove what follows it",
    ),
)

COMMON_RULES: Final = (
    *SOURCE_RULES,
    *TARGET_RULES,
    *selector_rules("spec.workloads.selector"),
    *TIME_RULES,
    *ROLLOUT_RULES,
)

NAMESPACED_RULES: Final = (
    Rule(
        "spec.rules[].target.policyRef",
        "!has(self.__namespace__)",
        "an ImageOverride follows policies of its own namespace: remove target.policyRef.namespace, "
        "or use a ClusterImageOverride",
        field=".namespace",
        refusal=_FORBIDDEN,
        editor={"properties": {"namespace": False}},
    ),
    Rule(
        "spec.enforcement.parents[]",
        "!has(self.__namespace__)",
        "an ImageOverride restarts operators of its own namespace: remove enforcement.parents[].namespace, "
        "or use a ClusterImageOverride",
        field=".namespace",
        refusal=_FORBIDDEN,
        editor={"properties": {"namespace": False}},
    ),
)

CLUSTER_RULES: Final = (
    *selector_rules("spec.namespaces.selector"),
    Rule(
        "spec.rules[].target.policyRef",
        "has(self.__namespace__)",
        "a ClusterImageOverride has no namespace of its own: give target.policyRef.namespace",
        field=".namespace",
        refusal=_REQUIRED,
        editor={"required": ["namespace"]},
    ),
    Rule(
        "spec.enforcement.parents[]",
        "has(self.__namespace__)",
        "a ClusterImageOverride has no namespace of its own: give enforcement.parents[].namespace",
        field=".namespace",
        refusal=_REQUIRED,
        editor={"required": ["namespace"]},
    ),
)

IMAGE_OVERRIDE_RULES: Final = (*COMMON_RULES, *NAMESPACED_RULES)
CLUSTER_IMAGE_OVERRIDE_RULES: Final = (*COMMON_RULES, *CLUSTER_RULES)

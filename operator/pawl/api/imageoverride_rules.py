"""What the API server refuses in an ImageOverride or a ClusterImageOverride, with the sentence that names the way out.

Every expression below `spec.rules[]` is asked up to a thousand times an object: the grammars are as short as the cost
limits of the API server want them. Not here: bounds of single fields (`api.imageoverride_spec`, `_rollout`), how places
are compared (`decide.sources`), and what only the cluster can tell.
"""

from __future__ import annotations

from typing import Final

from pawl.api.meta import DURATION
from pawl.api.rules import Refusal, Rule

_LABEL: Final = "[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
_DOTTED: Final = f"{_LABEL}(\\.{_LABEL})+"
_CAPITAL: Final = "([a-z0-9][A-Za-z0-9-]*)?[A-Z]([A-Za-z0-9-]*[A-Za-z0-9])?"
_IPV6: Final = "\\[[0-9A-Fa-f:]+\\]"
_PATHS: Final = "(/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*"
_HOST: Final = f"((localhost|{_DOTTED}|{_IPV6}|{_CAPITAL})(:[0-9]{{1,5}})?|{_LABEL}:[0-9]{{1,5}})"
_WILDCARD: Final = f"\\*(\\.{_LABEL})+"

PLACE: Final = f"^{_HOST}{_PATHS}$"
"""Grammar of `target.repository`: host[:port][/path], the first part no path of Docker Hub."""

SOURCE: Final = f"^({_WILDCARD}|{_HOST}{_PATHS})$"
"""Grammar of `source`: such a place, or *.example.com."""

# With the host asked apart, the rest of the grammar is half as long, and half as dear.
_NAMES_HOST: Final = "^(localhost(:|/|$)|[^/]*[.:A-Z])"
_SHAPE: Final = f"^({_LABEL}(\\.{_LABEL})*|{_IPV6})(:[0-9]{{1,5}})?{_PATHS}$"

# As a function of CEL only API servers since 1.31 know it. 317: 253 of the prefix, a slash, 63 of the name.
_PART: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
LABEL_KEY: Final = f"^({_PART}(\\.{_PART})*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?$"

_FORBIDDEN: Final = Refusal.FORBIDDEN
_REQUIRED: Final = Refusal.REQUIRED


def _cel_string(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _matches(pattern: str) -> str:
    return f"self.matches({_cel_string(pattern)})"


_LAST: Final = "self.substring(self.lastIndexOf('/') + 1)"
_SCHEME: Final = "self.contains('://')"
_DIGEST: Final = "self.contains('@')"
# Behind a slash a colon begins a tag; before one it is a port, unless no number follows it.
_NO_PORT: Final = ":[0-9]*[A-Za-z._-][^:\\]]*$"
_TAG: Final = f"(self.contains('/') ? {_LAST}.contains(':') : {_matches(_NO_PORT)})"
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
            f"{wildcard} || {_EXTRA} || {_matches(_NAMES_HOST)}",
            f"{name} names its registry first: write docker.io/rook/ceph for rook/ceph, docker.io/library/nginx for "
            "nginx, registry:5000 or registry.example.com for a registry",
        ),
        Rule(
            path,
            f"{wildcard} || {_EXTRA} || !{_matches(_NAMES_HOST)} || {_matches(_SHAPE)}",
            f"{name} is host[:port][/path], the path in lower case and without blanks, "
            "such as docker.io/rook, registry.corp:5000/rook or [fd00::1]:5000",
            editor={"pattern": grammar},
        ),
    )


_STAR: Final = "self.contains('*')"

SOURCE_RULES: Final = (
    Rule(
        "spec.rules[].source",
        f"!{_STAR} || {_EXTRA} || {_matches(f'^{_WILDCARD}$')}",
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


def _selector_rules(path: str) -> tuple[Rule, ...]:
    return (
        Rule(
            f"{path}.matchLabels",
            f"self.all(key, key.size() <= 317 && key.matches({_cel_string(LABEL_KEY)}))",
            "a key of matchLabels is a label such as app or storage.example.com/class",
        ),
        Rule(
            f"{path}.matchExpressions[]",
            "!(self.operator in ['In', 'NotIn']) || (has(self.values) && self.values.size() > 0)",
            "the operators In and NotIn compare with values: give some, or use Exists or DoesNotExist",
            field=".values",
            refusal=_REQUIRED,
            editor=_when_operator("In", "NotIn", {"required": ["values"], "properties": {"values": {"minItems": 1}}}),
        ),
        Rule(
            f"{path}.matchExpressions[]",
            "self.operator in ['In', 'NotIn'] || !has(self.values) || self.values.size() == 0",
            "the operators Exists and DoesNotExist look at the key alone: remove values, or use In or NotIn",
            field=".values",
            refusal=_FORBIDDEN,
            editor=_when_operator("Exists", "DoesNotExist", {"properties": {"values": {"maxItems": 0}}}),
        ),
    )


def _when_operator(one: str, other: str, then: dict[str, object]) -> dict[str, object]:
    return {"if": {"properties": {"operator": {"enum": [one, other]}}}, "then": then}


# Only a duration that the schema accepts too is converted: the user gets a sentence, not an error of the conversion.
_IS_DURATION: Final = f"self.size() > 1 && {_matches(DURATION)}"


def _duration(path: str, least: str, most: str, hint: str) -> Rule:
    name = path.removeprefix("spec.")
    within = f"duration(self) >= duration('{least}') && duration(self) <= duration('{most}')"
    told = f"{name} is a duration such as 90s or 1h30m, between {least} and {most}{hint}"
    return Rule(path, f"{_IS_DURATION} && {within}", told)


TIME_RULES: Final = (
    _duration("spec.enforcement.settle", "0s", "1h", ""),
    _duration("spec.rollout.progressDeadline", "10s", "24h", ""),
    _duration("spec.rollout.window.duration", "1m", "168h", "; for no window at all remove window"),
    _duration("spec.restoreTimeout", "1s", "1h", "; to restore nothing set deletionPolicy to Leave"),
    Rule(
        "spec.rollout.window.schedule",
        _matches("^[0-9A-Za-z*,/?#-]+( +[0-9A-Za-z*,/?#-]+){4}$"),
        "rollout.window.schedule has five cron fields, minute hour day month weekday, such as '0 22 * * 1-5'; "
        "words such as @daily are not read",
        editor={"pattern": "^[0-9A-Za-z*,/?#-]+( +[0-9A-Za-z*,/?#-]+){4}$"},
    ),
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
    *_selector_rules("spec.workloads.selector"),
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
    *_selector_rules("spec.namespaces.selector"),
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

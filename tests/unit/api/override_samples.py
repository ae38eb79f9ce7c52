"""Overrides that are right and overrides that are wrong, as tables; `samples` has those of ImagePolicy.

The unit tests ask the JSON Schema and the models, the cluster tests the API server; all agree wherever they can.
"""

from __future__ import annotations

from tests.unit.api.samples import A, Bad, Json

NAMESPACED = "ImageOverride"
CLUSTER = "ClusterImageOverride"

DESIGN_EXAMPLE = f"""
apiVersion: pawl.dev/v1alpha1
kind: ClusterImageOverride
metadata: {{name: rook-private}}
spec:
  priority: 0
  namespaces: {{selector: {{matchLabels: {{storage: rook}}}}}}
  workloads: {{selector: {{matchLabels: {{app: ceph}}}}, kinds: [DaemonSet, Job]}}
  rules:
  - source: docker.io/rook
    containers: ['*']
    target: {{repository: registry.corp:5000/rook}}
  - source: docker.io/rook/ceph
    target: {{repository: registry.corp:5000/rook/ceph, tag: v1.16.4, digest: {A}}}
  - source: docker.io/rook/osd
    target: {{repository: registry.corp:5000/rook/osd, policyRef: {{name: ceph, namespace: rook}}}}
  pullSecrets: [{{name: regcred, copyFrom: {{namespace: registry, name: regcred}}}}]
  enforcement:
    pods: true
    templates: Off
    jobs: RecreateStuck
    restartOwners: true
    paths: [{{apiVersion: ceph.rook.io/v1, kind: CephCluster, path: spec.cephVersion.image}}]
  rollout:
    mode: Enforce
    maxConcurrent: 1
    batches: [1, 25%, 100%]
    progressDeadline: 10m
    prepull: false
    window: {{schedule: '0 22 * * 1-5', duration: 4h, timeZone: Europe/Berlin}}
    approvedPlan: ""
  deletionPolicy: Restore
"""
"""As it is written down for users, a bare Off and a bare 1 included."""


def rule(source: str = "docker.io/rook", **target: object) -> Json:
    return {"source": source, "target": target or {"repository": "registry.corp:5000/rook"}}


def body(**changes: object) -> Json:
    return {"rules": [rule()]} | changes


def to(repository: object) -> Json:
    return body(rules=[rule(repository=repository)])


def from_(source: object) -> Json:
    return body(rules=[{"source": source, "target": {"tag": "v1"}}])


def override(spec: Json, kind: str = NAMESPACED, name: str = "rook") -> Json:
    return {"apiVersion": "pawl.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def expressions(*requirements: Json) -> Json:
    return {"selector": {"matchExpressions": list(requirements)}}


def labels(**found: str) -> Json:
    return {"selector": {"matchLabels": {key.replace("__", "/"): value for key, value in found.items()}}}


PLACES = (
    "docker.io",
    "docker.io/rook",
    "docker.io/library/nginx",
    "localhost",
    "localhost/a",
    "localhost:5000/a",
    "registry:5000",
    "registry:5000/a/b",
    "10.0.0.1:5000/web",
    "[::1]:5000/web",
    "[fd00::1]",
    "Registry.Example.COM/shop",
    "Registry/shop",
    "a.b/c__d/e---f/g_h/i.j",
    "r.io/" + "x" * 250,
)
WILDCARDS = ("*.example.com", "*.io", "*.Example.COM")

FULL = body(
    suspend=True,
    priority=-1000,
    workloads={
        "selector": {
            "matchLabels": {"app.kubernetes.io/name": "ceph", "empty": ""},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["a", "b"]},
                {"key": "tier", "operator": "NotIn", "values": ["c"]},
                {"key": "storage.example.com/class", "operator": "Exists"},
                {"key": "x", "operator": "DoesNotExist", "values": []},
            ],
        },
        "kinds": ["Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod"],
    },
    rules=[
        rule(repository="registry.corp:5000"),
        {**rule("docker.io/rook/ceph", tag="v1", digest=A), "containers": ["osd-*", "mon?"]},
        rule("*.example.com", policyRef={"name": "ceph"}, repository="r.io/a"),
    ],
    pullSecrets=[{"name": "a"}, {"name": "b", "copyFrom": {"namespace": "registry", "name": "c"}}],
    caSecretRef={"name": "ca"},
    enforcement={
        "pods": False,
        "templates": "Reconcile",
        "jobs": "Off",
        "restartOwners": False,
        "settle": "0s",
        "onDelete": "Evict",
        "parents": [{"name": "operator"}, {"kind": "StatefulSet", "name": "other"}],
        "paths": [{"apiVersion": "a.b/v1", "kind": "Db", "path": "spec.groups[*].image"}],
    },
    rollout={
        "mode": "Plan",
        "paused": True,
        "maxConcurrent": 500,
        "batches": [1, "2", "10%", "100%"],
        "progressDeadline": "24h",
        "prepull": True,
        "preflight": "Skip",
        "window": {"schedule": "*/5 0-6 1,15 JAN MON-FRI", "duration": "168h", "timeZone": "Etc/GMT+5"},
        "approvedPlan": "0123456789abcdef",
    },
    deletionPolicy="Leave",
    restoreTimeout="1h",
)

GOOD: dict[str, Json] = {
    "least": body(),
    "everything": FULL,
    **{f"source {place}": from_(place) for place in (*PLACES, *WILDCARDS)},
    **{f"target {place}": to(place) for place in PLACES},
    "an exception": body(rules=[rule("docker.io/rook", repository="docker.io/rook")]),
    "a bare Off": body(enforcement={"templates": False, "jobs": False}),
    **{f"batches {found}": body(rollout={"batches": found}) for found in ([1], ["50%"], ["100%"], [3, 2, "100%"])},
    **{f"settle {value}": body(enforcement={"settle": value}) for value in ("0s", "1.5s", "60m")},
    **{f"restoreTimeout {value}": body(restoreTimeout=value) for value in ("1s", "3600s")},
    **{f"progressDeadline {value}": body(rollout={"progressDeadline": value}) for value in ("10s", "24h")},
}

GOOD_CLUSTER: dict[str, Json] = {
    "least": body(),
    "mandatory": body(mandatory=True, namespaces={}),
    "namespaces": body(namespaces=labels(kubernetes_io="shop")),
    "policy": body(rules=[rule(policyRef={"name": "ceph", "namespace": "rook"})]),
    "parents": body(enforcement={"parents": [{"namespace": "rook", "name": "operator"}]}),
}

_SCHEME = "has no scheme: write registry.example.com/shop without https:// or oci://"
_DIGEST = "has no digest: remove '@' and what follows"
_TAG = "has no tag: remove ':' and what follows; a rule changes tags by target.tag"
_HOST = "names its registry first: write docker.io/rook/ceph for rook/ceph"
_SHAPE = "is host[:port][/path], the path in lower case and without blanks"
_STAR = "a source with * is *.example.com, every host below on any port"
_VALUES = "the operators In and NotIn compare with values: give some"
_NO_VALUES = "the operators Exists and DoesNotExist look at the key alone: remove values"
_BRINGS = "target.policyRef brings tag and digest of the policy's selection"
_BATCHES = "rollout.batches: '100%' takes all that is left, so it stands once and last"
_CRON = "rollout.window.schedule has five cron fields"

_WRONG_PLACES: tuple[tuple[str, str], ...] = (
    *((place, _SCHEME) for place in ("https://r.io/web", "oci://r.io", "docker://r.io/a:v1")),
    *((place, _DIGEST) for place in (f"r.io/web@{A}", f"r.io/web:v1@{A}", "user@r.io/web")),
    *((place, _TAG) for place in ("r.io/web:v1", "r.io:5000/a/web:v1", "nginx:latest", "nginx:1.25", "r.io/web:")),
    *((place, _HOST) for place in ("nginx", "rook/ceph", "library/nginx", "my-registry/web", "/web", "localhosts/a")),
    *(
        (place, _SHAPE)
        for place in (
            "r.io/Web",
            "r.io/we b",
            " r.io/web",
            "r.io//web",
            "r.io/web/",
            "r.io/-web",
            "r.io:port1x/web",
            "[::1/web",
            "-r.io/web",
            "r..io/web",
            "r.io:123456/web",
            "r.io:",
        )
    ),
)


def _rules_of_both() -> tuple[Bad, ...]:
    return (
        *(Bad(f"source {place!r}", from_(place), f"source {said}") for place, said in _WRONG_PLACES),
        *(Bad(f"target {place!r}", to(place), f"target.repository {said}") for place, said in _WRONG_PLACES),
        *(
            Bad(f"source {place!r}", from_(place), _STAR)
            for place in ("*", "*.", "*.corp:5000", "*.corp/a", "r.*.io", "r.io/*", "*corp.io", "*.*.io")
        ),
        Bad("a target with a star", to("*.example.com"), f"target.repository {_SHAPE}"),
        Bad("no rules", {"rules": []}, "should have at least 1 items"),
        Bad("no rules at all", {}, "spec.rules: Required value"),
        Bad("an empty target", body(rules=[{"source": "r.io", "target": {}}]), "target says nothing: give repository"),
        Bad("no target", body(rules=[{"source": "r.io"}]), "target: Required value"),
        Bad("an empty source", from_(""), "at least 1 chars long"),
        Bad("a long source", from_("r.io/" + "x" * 251), "may not be more than 255 bytes"),
        Bad("sha512", body(rules=[rule(digest="sha512:" + "a" * 64)]), "should match"),
        Bad("a tag with a blank", body(rules=[rule(tag="a b")]), "should match"),
        Bad("a container", body(rules=[{**rule(), "containers": ["App"]}]), "should match"),
        Bad("a container twice", body(rules=[{**rule(), "containers": ["a", "a"]}]), "Duplicate value"),
        Bad("no container", body(rules=[{**rule(), "containers": []}]), "should have at least 1 items"),
        Bad("a kind", body(workloads={"kinds": ["ReplicaSet"]}), "Unsupported value"),
        Bad("In without values", body(workloads=expressions({"key": "a", "operator": "In"})), _VALUES),
        Bad("NotIn", body(workloads=expressions({"key": "a", "operator": "NotIn", "values": []})), _VALUES),
        Bad("Exists", body(workloads=expressions({"key": "a", "operator": "Exists", "values": ["b"]})), _NO_VALUES),
        Bad("none", body(workloads=expressions({"key": "a", "operator": "DoesNotExist", "values": [""]})), _NO_VALUES),
        Bad("a label", body(workloads=labels(**{"a b": "c"})), "a key of matchLabels is a label such as app"),
        Bad("a label's value", body(workloads=labels(a="b c")), "should match"),
        Bad("a secret twice", body(pullSecrets=[{"name": "a"}] * 2), "Duplicate value", editor=False),
        Bad("a copy", body(pullSecrets=[{"name": "a", "copyFrom": {"name": "b"}}]), "namespace: Required value"),
        Bad("templates", body(enforcement={"templates": True}), 'supported values: "Off", "Admission", "Reconcile"'),
        Bad("jobs", body(enforcement={"jobs": "Delete"}), 'supported values: "Off", "RecreateStuck"'),
        Bad("a path", body(enforcement={"paths": [{"apiVersion": "v1", "kind": "A", "path": "a..b"}]}), "should match"),
        *(
            Bad(f"settle {value}", body(enforcement={"settle": value}), "between 0s and 1h", editor=value == "x")
            for value in ("61m", "x")
        ),
        *(
            Bad(f"deadline {value}", body(rollout={"progressDeadline": value}), "between 10s and 24h", editor=False)
            for value in ("9s", "25h")
        ),
        *(
            Bad(f"timeout {value}", body(restoreTimeout=value), "between 1s and 1h; to restore nothing", editor=False)
            for value in ("0s", "61m")
        ),
        *(
            Bad(f"window {value}", _window(duration=value), "between 1m and 168h; for no window", editor=False)
            for value in ("59s", "169h")
        ),
        *(
            Bad(f"schedule {value}", _window(schedule=value), _CRON)
            for value in ("0 22 * * * *", "0 22 * *  ", "@weekly!!")
        ),
        Bad("a zone", _window(timeZone="Europe Berlin"), "should match"),
        *(
            Bad(f"batches {found}", body(rollout={"batches": found}), _BATCHES, editor=False)
            for found in (["100%", 1], ["100%", "100%"], [1, "100%", "50%"])
        ),
        *(Bad(f"batch {one!r}", body(rollout={"batches": [one]}), "should match") for one in ("0%", "101%", "x", "01")),
        Bad("batch 0", body(rollout={"batches": [0]}), "greater than or equal to 1"),
        Bad("batch 1.5", body(rollout={"batches": [1.5]}), "must be of type integer,string"),
        Bad("no batch", body(rollout={"batches": []}), "should have at least 1 items"),
        Bad("a plan", body(rollout={"approvedPlan": "latest"}), "should match"),
        Bad("priority", body(priority=1001), "less than or equal to 1000"),
        Bad("unknown field", body(rulez=[]), 'unknown field "spec.rulez"'),
        Bad("unknown below", body(rules=[{**rule(), "image": "a"}]), 'unknown field "spec.rules[0].image"'),
    )


def _window(**changes: str) -> Json:
    return body(rollout={"window": {"schedule": "0 22 * * *", "duration": "1h"} | changes})


BAD: tuple[Bad, ...] = (
    *_rules_of_both(),
    Bad("policy and tag", body(rules=[rule(policyRef={"name": "a"}, tag="v1")]), _BRINGS),
    Bad("policy and digest", body(rules=[rule(policyRef={"name": "a"}, digest=A)]), _BRINGS),
    Bad("policy", body(rules=[rule(policyRef={"name": "a", "namespace": "b"})]), "policies of its own namespace"),
    Bad("parent", body(enforcement={"parents": [{"name": "a", "namespace": "b"}]}), "operators of its own namespace"),
    Bad("cluster fields", body(mandatory=True), 'unknown field "spec.mandatory"'),
    Bad("cluster selector", body(namespaces={}), 'unknown field "spec.namespaces"'),
)

BAD_CLUSTER: tuple[Bad, ...] = (
    Bad("policy", body(rules=[rule(policyRef={"name": "a"})]), "give target.policyRef.namespace"),
    Bad("parent", body(enforcement={"parents": [{"name": "a"}]}), "give enforcement.parents[].namespace"),
    Bad("namespaces In", body(namespaces=expressions({"key": "a", "operator": "In"})), _VALUES),
    Bad(
        "namespaces Exists",
        body(namespaces=expressions({"key": "a", "operator": "Exists", "values": ["b"]})),
        _NO_VALUES,
    ),
    Bad("namespaces label", body(namespaces=labels(**{"a b": "c"})), "a key of matchLabels is a label such as app"),
    Bad("a host", from_("rook/ceph"), f"source {_HOST}"),
)

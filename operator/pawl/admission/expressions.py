"""The interpretation of a table in CEL: the docstring of `api.imagerules` once more, in the API server's own words.

CEL has no local names, so the work is staged in `variables` and in `.map`; only functions that API servers since 1.34
know are used. Images travel as lists of strings, since literals must be of one type:
[path, name, group, text] become [path, name, group, text, repository, suffix].
Neighbours: `admission.grammar` holds the patterns, `admission.policies` the objects around these expressions.
`decide.tables` says the same in Python. Not here: what is exempt by namespace or label (`admission.scope`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pawl.admission.grammar import CRON_NAME, HAS_HOST, HUB_SHORT, IMAGE_ID, MAX_TEXT, REFERENCE
from pawl.admission.scope import MAX_CHARACTERS, MAX_SEGMENTS
from pawl.decide.reference import MAX_NAME
from pawl.decide.tables import Layer

Variables = dict[str, str]
"""Name to expression, in the order of definition."""

_ORDINARY: Final = ("containers", "initContainers")


@dataclass(frozen=True, slots=True)
class Shape:
    """Where things stand in what is admitted: a Pod, or an object with a template of Pods."""

    layer: Layer
    spec: str
    """CEL for the Pod spec."""
    path: str
    """CEL for its JSON pointer."""
    labels: str
    kind: str


TABLES: Final = "[params.spec.?mandatory.orValue({}), params.spec.?rules.orValue({})]"


def _kind(group: str, kind: str, name: str) -> str:
    """CEL for what Pods of an owner belong to (`decide.subjects.kind_of`)."""
    apps = f'{kind} in ["ReplicaSet", "Deployment"] ? "Deployment" : {kind} in ["StatefulSet", "DaemonSet"] ? {kind}'
    job = f'{name}.matches(r\'{CRON_NAME}\') ? "CronJob" : "Job"'
    batch = f'{kind} == "CronJob" ? {kind} : {kind} == "Job" ? ({job})'
    return f'{group} == "apps" ? ({apps} : "Pod") : {group} == "batch" ? ({batch} : "Pod") : "Pod"'


def _pod_kind() -> str:
    kind = _kind('o.apiVersion.split("/")[0]', "string(o.kind)", "o.name")
    controllers = "object.metadata.?ownerReferences.orValue([]).filter(o, o.?controller.orValue(false))"
    return f'({controllers}.map(o, {kind}) + ["Pod"])[0]'


POD: Final = Shape(
    layer="pods",
    spec="object.spec",
    path='"/spec"',
    labels="object.metadata.?labels.orValue({})",
    kind=_pod_kind(),
)
TEMPLATE_OF: Final = '(request.kind.kind == "CronJob" ? object.spec.jobTemplate.spec.template : object.spec.template)'

TEMPLATE: Final = Shape(
    layer="templates",
    spec=f"{TEMPLATE_OF}.spec",
    path='(request.kind.kind == "CronJob" ? "/spec/jobTemplate/spec/template/spec" : "/spec/template/spec")',
    labels=f"{TEMPLATE_OF}.?metadata.?labels.orValue({{}})",
    kind=_kind("request.kind.group", "request.kind.kind", 'object.metadata.?name.orValue("")'),
)


def variables(shape: Shape) -> Variables:
    """Return the stages for one shape: the last two are `finals` (what each image becomes) and `added` (Secrets)."""
    return {
        "labels": shape.labels,
        "kind": shape.kind,
        "kinds": 'variables.kind == "CronJob" ? ["CronJob", "Job"] : [variables.kind]',
        "tables": TABLES,
        "held": "params.spec.?held.orValue({})",
        "exempt": _exempt(),
        "places": _places(shape),
        "bounded": _bounded(),
        "parsed": _parsed(),
        "decided": _decided(shape.layer),
        "finals": _finals(),
        **(_secret_stages() if shape.layer == "pods" else {}),
    }


def patch(shape: Shape) -> str:
    """Return the one mutation: a second one would cost the API server another reading and writing of the Pod."""
    return f"{_image_patches()} + ({_secret_patches()})" if shape.layer == "pods" else _image_patches()


def image_count(shape: Shape) -> str:
    """CEL for how many containers and volumes there are, a bound of the work."""
    spec = f"{shape.spec}.?"
    ephemeral = ("ephemeralContainers",) if shape.layer == "pods" else ()
    groups = (*_ORDINARY, *ephemeral, "volumes")
    return " + ".join(f"{spec}{group}.orValue([]).size()" for group in groups)


def has_work(shape: Shape) -> str:
    """CEL for a first look that costs little: an image of a host that the table knows, or a Secret that is lacking.

    It may see work where there is none, and never the other way round. Most Pods end here, and so does the second look
    at a Pod that was rewritten.
    """
    groups = (*_ORDINARY, *(("ephemeralContainers",) if shape.layer == "pods" else ()))
    texts = [f'{shape.spec}.?{group}.orValue([]).map(c, c.?image.orValue(""))' for group in groups]
    volumes = f'{shape.spec}.?volumes.orValue([]).map(v, v.?image.?reference.orValue(""))'
    host = f's.matches(r\'{HAS_HOST}\') ? s.split("/", 2)[0].lowerAscii() : "docker.io"'
    known = f'"*" in params.spec.hosts || ({" + ".join([*texts, volumes])}).exists(s, s != "" && s.size() <= {MAX_TEXT}'
    hosts = f"{known} && ({host}) in params.spec.hosts)"
    if shape.layer == "templates":
        return f"!has(params.spec.hosts) || {hosts}"
    present = "object.spec.?imagePullSecrets.orValue([])"
    lacking = f'params.spec.gives.exists(n, !{present}.exists(s, s.?name.orValue("") == n))'
    fresh = 'request.?subResource.orValue("") == ""'
    return f"!has(params.spec.hosts) || !has(params.spec.gives) || {hosts} || ({fresh} && {lacking})"


def _exempt() -> str:
    owners = "object.metadata.?ownerReferences.orValue([])"
    return f"{owners}.exists(o, o.uid in params.spec.?exempt.orValue({{}}))"


def _places(shape: Shape) -> str:
    ordinary = [_containers(shape, group) for group in _ORDINARY]
    created = " + ".join([*ordinary, _volumes(shape)])
    if shape.layer == "templates":
        return created
    fresh = "!oldObject.spec.?ephemeralContainers.orValue([]).exists(old, old.name == c.name), "
    debugged = _containers(shape, "ephemeralContainers", fresh)
    return f'request.?subResource.orValue("") == "ephemeralcontainers" ? {debugged} : {created}'


def _containers(shape: Shape, group: str, condition: str = "") -> str:
    element = f'[{shape.path} + "/{group}/" + string(i) + "/image", string(c.name), "", string(c.?image.orValue(""))]'
    return f"{shape.spec}.?{group}.orValue([]).transformList(i, c, {condition}{element})"


def _volumes(shape: Shape) -> str:
    path = f'{shape.path} + "/volumes/" + string(i) + "/image/reference"'
    element = f'[{path}, string(v.name), "volume", string(v.image.reference)]'
    return f"{shape.spec}.?volumes.orValue([]).transformList(i, v, v.?image.?reference.hasValue(), {element})"


def _bounded() -> str:
    """CEL for the places, or none if they are more work than the budget of an expression pays."""
    short = f"variables.places.filter(p, p[3].size() <= {MAX_TEXT})"
    characters = f"{short}.map(p, p[3].size()).sum() <= {MAX_CHARACTERS}"
    segments = f'{short}.map(p, p[3].split("/").size()).sum() <= {MAX_SEGMENTS}'
    return f"{characters} && {segments} ? {short} : []"


def _parsed() -> str:
    """Stages of `decide.reference.parse`: without the digest, without the tag, the host as written, the host."""
    lower = "p[6].lowerAscii()"
    folded = f"{lower}.matches(r'[.:]|^localhost$') ? {lower} : p[6].upperAscii()"
    host = f'p[6] == "" || {lower} == "index.docker.io" ? "docker.io" : {folded}'
    path = 'p[6] == "" ? p[5] : p[5].substring(p[6].size() + 1)'
    return "".join(
        (
            f"variables.bounded.filter(p, p[3].matches(r'{REFERENCE}')",
            f" && !p[3].matches(r'{IMAGE_ID}'))",
            '.map(p, p + [p[3].split("@")[0]])',
            '.map(p, p + [p[4].lastIndexOf(":") > p[4].lastIndexOf("/")',
            ' ? p[4].substring(0, p[4].lastIndexOf(":")) : p[4]])',
            f'.map(p, p + [p[5].matches(r\'{HAS_HOST}\') ? p[5].split("/")[0] : ""])',
            f'.map(p, [p[0], p[1], p[2], p[3], ({host}) + "/" + ({path}), p[3].substring(p[5].size())])',
            f".map(p, [p[0], p[1], p[2], p[3], {_official('p[4]')}, p[5]])",
            f".filter(p, p[4].size() <= {MAX_NAME})",
        )
    )


def _official(name: str) -> str:
    return f"({name}.matches(r'{HUB_SHORT}') ? \"docker.io/library/\" + {name}.substring(10) : {name})"


def _ladder(repository: str) -> str:
    """CEL for the sources of a repository, most specific first, as [key, what stands behind it]."""
    name = repository
    behind = f'i == 0 ? "" : "/" + {name}.split("/", n - i + 1)[n - i]'
    paths = f'[{name}.split("/").size()].map(n, {name}.split("/").transformList(i, s, {behind}))[0]'
    keyed = f"{paths}.map(rest, [{name}.substring(0, {name}.size() - rest.size()), rest])"
    domain = f'{name}.split("/")[0].split(":")[0]'
    below = f'["*." + {domain}.split(".", i + 1)[i], {name}.substring({name}.indexOf("/"))]'
    wild = f'{domain}.split(".").transformList(i, s, i > 0, {below})'
    return f'({keyed} + ({name}.startsWith("[") ? [] : {wild}))'


def _holds(place: str) -> str:
    """CEL for the conditions of entry `e` at an image (`decide.subjects.Guard`)."""
    pattern = f'{place}[1].matches("^(?:" + e.containers + ")$")'
    listed = "r.key in variables.labels && variables.labels[r.key] in r.?values.orValue([])"
    present = "r.key in variables.labels"
    named = f'r.operator == "In" ? {listed} : r.operator == "NotIn" ? !({listed})'
    required = f'{named} : r.operator == "Exists" ? {present} : !({present})'
    return (
        f'(!has(e.containers) || ({place}[2] == "" && {pattern}))'
        " && (!has(e.kinds) || e.kinds.exists(k, k in variables.kinds))"
        f" && (!has(e.labels) || e.labels.all(r, {required}))"
    )


def _decided(layer: Layer) -> str:
    """For each image the entry that decides, as [repository, suffix, "" or "off"], or []."""
    on = {"pods": "e.?pods.orValue(true)", "templates": "e.?templates.orValue(false)"}[layer]
    given = '(has(e.tag) ? ":" + e.tag : "") + (has(e.digest) ? "@" + e.digest : "")'
    suffix = f"has(e.tag) || has(e.digest) ? {given} : p[5]"
    result = f'[string(e.to) + c[1], {suffix}, {on} ? "" : "off"]'
    entries = f"t[c[0]].filter(e, {_holds('p')}).map(e, {result})"
    found = f"l.filter(c, c[0] in t).map(c, {entries}).filter(x, x.size() > 0)"
    first = "x[0].size() > 0 ? x[0][0][0] : x[1].size() > 0 ? x[1][0][0] : []"
    ladder = f"[{_ladder('p[4]')}]"
    return (
        f"variables.parsed.map(p, {ladder}.map(l, variables.tables.map(t, {found}))[0])"
        f".map(x, {first}).map(d, d.size() == 0 ? d : [{_official('d[0]')}, d[1], d[2]])"
    )


def _finals() -> str:
    """For each image [repository in the end, new text or ""]."""
    image = "variables.parsed[i]"
    changes = (
        f'd.size() > 0 && d[2] == "" && d[0].size() <= {MAX_NAME} && !variables.exempt'
        f" && d[0] + d[1] != {image}[4] + {image}[5] && !((d[0] + d[1]) in variables.held)"
    )
    return f'variables.decided.transformList(i, d, {changes} ? [d[0], d[0] + d[1]] : [{image}[4], ""])'


def _image_patches() -> str:
    patch = 'JSONPatch{op: "replace", path: variables.parsed[i][0], value: f[1]}'
    return f'variables.finals.transformList(i, f, f[1] != "", {patch})'


def _secret_stages() -> Variables:
    """Names that the images ask for, those that are there, and those to be added."""
    names = f'variables.secrets[c[0]].filter(e, {_holds("variables.parsed[i]")}).map(e, e.names.join(",")).join(",")'
    asked = f'{_ladder("f[0]")}.filter(c, c[0] in variables.secrets).map(c, {names}).join(",")'
    all_names = f'variables.finals.transformList(i, f, {asked}).join(",").split(",").filter(n, n != "")'
    wanted = 'variables.secrets.size() > 0 && request.?subResource.orValue("") == ""'
    return {
        "secrets": "params.spec.?secrets.orValue({})",
        "present": 'object.spec.?imagePullSecrets.orValue([]).map(s, s.?name.orValue(""))',
        "asked": f"{wanted} ? {all_names} : []",
        "added": "variables.asked.transformList(i, n, variables.asked.indexOf(n) == i && !(n in variables.present),"
        ' {"name": n})',
    }


def _secret_patches() -> str:
    whole = 'JSONPatch{op: "add", path: "/spec/imagePullSecrets", value: variables.added}'
    each = 'JSONPatch{op: "add", path: "/spec/imagePullSecrets/-", value: s}'
    return (
        f"variables.present.size() > 0 ? variables.added.map(s, {each}) : variables.added.size() > 0 ? [{whole}] : []"
    )

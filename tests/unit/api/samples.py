"""Specs that are right and specs that are wrong, as one table.

The unit tests ask the JSON Schema, the cluster tests the API server; both agree wherever JSON Schema can say the rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

A = "sha256:" + "a" * 64
B = "sha256:" + "b" * 64
ORDER_1 = "1" * 32
ORDER_2 = "2" * 32
NEWEST: Json = {"alphabetical": {}}


def spec(**changes: object) -> Json:
    return {"image": "registry.example.com/shop/web", "select": {"semver": {"range": ">=1.0.0"}}} | changes


def rollback(**changes: object) -> Json:
    given = {"nonce": "n-1", "reason": "checkout fails", "from": {"tag": "v2"}, "to": {"tag": "v1", "digest": A}}
    return given | changes


def manifest(body: Json, name: str = "web", status: Json | None = None) -> Json:
    found = {"apiVersion": "pawl.dev/v1alpha1", "kind": "ImagePolicy", "metadata": {"name": name}, "spec": body}
    return found | ({"status": status} if status is not None else {})


FULL = spec(
    interval="1h30m",
    timeout="10m",
    suspend=True,
    access={
        "pullSecretRef": {"name": "regcred"},
        "serviceAccountName": "builder",
        "caSecretRef": {"name": "ca"},
        "plainHTTP": True,
        "tokenRealms": ["auth.example.com", "[::1]:5001"],
    },
    tags={"include": "^v(?P<version>.+)$", "extract": "$version", "exclude": ["-rc", "-beta"]},
    tagMutability="Follow",
    platforms=["linux/amd64", "linux/arm64/v8"],
    gates={"minimumAge": "8760h", "approval": "Required"},
    approved=[{"tag": "v2", "digest": A}, {"tag": "v2", "digest": B}, {"tag": "v3", "digest": A}],
    floor={"tag": "v1.2.0"},
    blocked=["v1.3.0", "v1.4.0"],
    bootstrap="Hold",
    rollback=rollback(requestedBy="ann", hold="Pinned"),
    acceptOrdering=ORDER_1,
)

GOOD: dict[str, Json] = {
    "least": spec(),
    "everything": FULL,
    **{
        f"image {image}": spec(image=image)
        for image in (
            "web",
            "shop/web",
            "localhost/web",
            "localhost:5000/web",
            "registry:5000/shop/web",
            "10.0.0.1:5000/web",
            "[::1]:5000/web",
            "[fd00::1]/shop/web",
            "Registry.Example.COM/shop/web",
            "a.b/c__d/e---f/g_h/i.j",
            "r.io/" + "x" * 250,
        )
    },
    **{f"interval {value}": spec(interval=value) for value in ("10s", "10000ms", "0.5h", "1h0m10s", "8760h")},
    **{f"timeout {value}": spec(timeout=value) for value in ("1s", "1.5s", "600s", "10m")},
    **{f"age {value}": spec(gates={"minimumAge": value}) for value in ("0s", "1h", "8760h")},
    "alphabetical": spec(select={"alphabetical": {}}),
    "alphabetical descending": spec(select={"alphabetical": {"order": "Descending"}}),
    "numerical": spec(select={"numerical": {"order": "Ascending"}}),
    "digest": spec(select={"digest": {"tag": "latest"}}, tagMutability="Follow"),
    "digest with an empty exclude": spec(select={"digest": {"tag": "latest"}}, tags={"exclude": []}),
    "range in all its signs": spec(
        select={"semver": {"range": "^1.2 || ~2.0, !=2.0.3 || 3.x || 4.0 - 5.* || <9-0 >=8"}}
    ),
    "include alone": spec(tags={"include": "(?i)^release-[0-9]+$"}),
    "go and python group names": spec(tags={"include": "^(?P<a>x)(?<b>y)$", "extract": "${a}.$b"}),
    "blocked beside the floor": spec(floor={"tag": "v1"}, blocked=["v2"]),
    "rollback within a tag": spec(rollback=rollback(**{"from": {"tag": "v1", "digest": B}})),
    "blocked tag that a rollback left in git names": spec(blocked=["v1"], rollback=rollback()),
}


@dataclass(frozen=True)
class Bad:
    """A wrong spec, a part of the API server's answer, and whether JSON Schema can see it too."""

    name: str
    spec: Json
    sentence: str
    editor: bool = True

    def __str__(self) -> str:
        return self.name


_TAG = "image has no tag: remove ':'"
_SCHEME = "image has no scheme: write registry.example.com/shop/web without https://"
_DIGEST = "image has no digest: remove '@'"
_PATH = "image is [host[:port]/]path, the path in lower case and without blanks"
_ONE = "select has exactly one of semver, alphabetical, numerical, digest"
_INTERVAL = "interval is a duration such as 5m or 1h30m, between 10s and 8760h"
_TIMEOUT = "timeout is a duration such as 30s, between 1s and 10m"
_AGE = "gates.minimumAge is a duration such as 48h, at most 8760h"
_NO_TAGS = "select.digest follows one tag by name: remove tags.include, tags.extract and tags.exclude"
_SAME = "rollback goes from one image to another"
_LATEST: Json = {"digest": {"tag": "latest"}}

BAD: tuple[Bad, ...] = (
    *(
        Bad(f"image {image!r}", spec(image=image), _TAG)
        for image in ("web:1.2", "localhost:5000", "r.io:5000/a/web:v1", "web:")
    ),
    *(
        Bad(f"image {image!r}", spec(image=image), _SCHEME)
        for image in ("https://r.io/web", "oci://r.io/web", "docker://web")
    ),
    *(
        Bad(f"image {image!r}", spec(image=image), _DIGEST)
        for image in (f"r.io/web@{A}", f"r.io/web:v1@{A}", "user@r.io/web")
    ),
    *(
        Bad(f"image {image!r}", spec(image=image), _PATH)
        for image in (
            "r.io/Web",
            "Shop/web",
            " web",
            "r.io/web ",
            "a b",
            "r.io//web",
            "/web",
            "web/",
            "r.io/-web",
            "r.io:port/web",
            "[::1/web",
            "r.io/we*b",
            "-r.io/web",
        )
    ),
    Bad("image that is an ID", spec(image="0" * 64), _PATH, editor=False),
    # Python's `$` also matches before a last line break, so the validator of the unit tests cannot see these.
    Bad("image with a line break", spec(image="web\n"), _PATH, editor=False),
    Bad("interval with a line break", spec(interval="5m\n"), _INTERVAL, editor=False),
    Bad("no image", {"select": NEWEST}, "spec.image: Required value"),
    Bad("empty image", spec(image=""), "at least 1 chars long"),
    Bad("long image", spec(image="r.io/" + "x" * 251), "may not be more than 255 bytes"),
    Bad("no select", {"image": "web"}, "spec.select: Required value"),
    Bad("no strategy", spec(select={}), _ONE),
    Bad("two strategies", spec(select={"alphabetical": {}, "numerical": {}}), _ONE),
    Bad("three strategies", spec(select={"digest": {"tag": "a"}, "alphabetical": {}, "numerical": {}}), _ONE),
    *(
        Bad(f"interval {value!r}", spec(interval=value), _INTERVAL, editor=False)
        for value in ("9s", "9999ms", "0s", "8761h", "99999h")
    ),
    *(
        Bad(f"interval {value!r}", spec(interval=value), _INTERVAL)
        for value in ("", "5", "m", "-5m", "5 m", "1d", "100000h")
    ),
    *(Bad(f"timeout {value!r}", spec(timeout=value), _TIMEOUT, editor=False) for value in ("999ms", "601s", "11m")),
    *(Bad(f"age {value!r}", spec(gates={"minimumAge": value}), _AGE, editor=False) for value in ("8761h", "8760h1ms")),
    Bad("age in days", spec(gates={"minimumAge": "7d"}), _AGE),
    Bad("approval", spec(gates={"approval": "Maybe"}), 'supported values: "None", "Required"'),
    Bad("extract without include", spec(tags={"extract": "$1"}), "add include, or remove extract"),
    Bad("include", spec(tags={"include": "(v"}), "tags.include is a regular expression in RE2 syntax", editor=False),
    Bad("look-around", spec(tags={"include": "^(?!rc)"}), "without look-around", editor=False),
    Bad("exclude", spec(tags={"exclude": ["ok", "[a"]}), "tags.exclude lists regular expressions in RE2", editor=False),
    Bad("too many patterns", spec(tags={"exclude": [f"p{i}" for i in range(26)]}), "must have at most 25 items"),
    Bad("a pattern twice", spec(tags={"exclude": ["a", "a"]}), "Duplicate value"),
    Bad("digest and include", spec(select=_LATEST, tags={"include": "a"}), _NO_TAGS),
    Bad("digest and extract", spec(select=_LATEST, tags={"include": "(a)", "extract": "$1"}), _NO_TAGS),
    Bad("digest and exclude", spec(select=_LATEST, tags={"exclude": ["a"]}), _NO_TAGS),
    Bad("digest and floor", spec(select=_LATEST, floor={"tag": "a"}), "digests have no order: remove floor"),
    Bad("digest tag", spec(select={"digest": {"tag": "a b"}}), "should match"),
    Bad("floor is blocked", spec(floor={"tag": "v1"}, blocked=["v2", "v1"]), "blocked lists the floor", editor=False),
    Bad("blocked twice", spec(blocked=["v1", "v1"]), "Duplicate value"),
    Bad("too many blocked", spec(blocked=[f"v{i}" for i in range(101)]), "must have at most 100 items"),
    Bad("approved twice", spec(approved=[{"tag": "v1", "digest": A}] * 2), "Duplicate value", editor=False),
    Bad("approved by tag alone", spec(approved=[{"tag": "v1"}]), "approved[0].digest: Required value"),
    Bad("sha512", spec(approved=[{"tag": "v1", "digest": "sha512:" + "a" * 64}]), "should match"),
    Bad("same tag", spec(rollback=rollback(**{"from": {"tag": "v1"}})), _SAME, editor=False),
    Bad("same image", spec(rollback=rollback(**{"from": {"tag": "v1", "digest": A}})), _SAME, editor=False),
    Bad("rollback by tag alone", spec(rollback=rollback(to={"tag": "v1"})), "rollback.to.digest: Required value"),
    Bad(
        "rollback without nonce",
        spec(rollback={k: v for k, v in rollback().items() if k != "nonce"}),
        "nonce: Required",
    ),
    Bad("nonce with blanks", spec(rollback=rollback(nonce="a b")), "should match"),
    Bad("platform", spec(platforms=["linux"]), "should match"),
    Bad("ordering", spec(acceptOrdering="latest"), "should match"),
    Bad("secret", spec(access={"pullSecretRef": {"name": "Reg_Cred"}}), "should match"),
    Bad("realm with scheme", spec(access={"tokenRealms": ["https://auth.io"]}), "should match"),
    Bad("range", spec(select={"semver": {"range": ">=1;<2"}}), "should match"),
    Bad("empty range", spec(select={"semver": {"range": ""}}), "at least 1 chars long"),
    Bad("type", spec(suspend="yes"), "must be of type boolean"),
    Bad("unknown field", spec(selct={}), 'unknown field "spec.selct"'),
    Bad("unknown field below", spec(gates={"minAge": "1h"}), 'unknown field "spec.gates.minAge"'),
)

"""What a user writes in the second half of the demo: Rook's chart, a Secret, one override, and plain Pods. Pure.

Three images are known by digest before anything is pushed, so an override can name what is not there yet.
Neighbours: `demo_rook_chart` is the chart, `demo_rook_stage` applies. Not here: what Rook makes (`demo_rook_objects`).
"""

from __future__ import annotations

import base64
import json
from typing import Final

from pawl.api.meta import API_VERSION
from pawl.cli.demo_rook_chart import chart
from pawl.cli.demo_rook_objects import Json
from pawl.decide.objects import ALLOW_COPY_TO
from pawl.sandbox.images import Image, digest_of

NAMESPACE: Final = "rook-ceph"
NEW_NAMESPACE: Final = "team-new"
OVERRIDE: Final = "rook-private"
SECRET: Final = "regcred"
SECRET_HOME: Final = "registry"

PLATFORMS: Final = ("linux/amd64", "linux/arm64")
MIRRORED: Final = Image("rook/ceph", "v1.15.0", "pawl demo", PLATFORMS)
OPERATOR_IMAGE: Final = Image("rook/ceph", "v1.16.4", "pawl demo", PLATFORMS)
CEPH_IMAGE: Final = Image("ceph/ceph", "v18.2.4", "pawl demo", PLATFORMS)

PUBLIC: Final = "docker.io/rook/ceph:v1.15.0"
"""What the chart names by itself."""
CEPH: Final = "quay.invalid/ceph/ceph:v18.2.4"
"""What Rook's custom resource names. Nothing answers under .invalid, so whoever needs it waits in vain."""


def mirrored(registry: str) -> str:
    """The copy of the chart's own image, by tag, on `registry` (`host:port`)."""
    return f"{registry}/{MIRRORED.repository}:{MIRRORED.tag}"


def pinned(registry: str, image: Image) -> str:
    """An image by tag and digest."""
    return f"{registry}/{image.repository}:{image.tag}@{digest_of(image)}"


def wanted(registry: str) -> frozenset[str]:
    """All that may run when the override has done its work."""
    return frozenset({pinned(registry, OPERATOR_IMAGE), pinned(registry, CEPH_IMAGE)})


def installation(image: str) -> str:
    """Rook's chart with this value for its image, and the namespace, for `kubectl apply`."""
    parts = [part | {"metadata": part["metadata"] | {"namespace": NAMESPACE}} for part in chart(image, CEPH)]
    return _list(namespace(NAMESPACE), *parts)


def namespace(name: str) -> Json:
    """A namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def credentials(registry: str) -> str:
    """The Secret for `registry`, at home in a namespace of its own; its owner lets every namespace have a copy."""
    login = base64.b64encode(b"puller:not-asked-for").decode()
    config = json.dumps({"auths": {registry: {"auth": login}}})
    metadata = {"name": SECRET, "namespace": SECRET_HOME, "annotations": {ALLOW_COPY_TO: "*"}}
    kind = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson"}
    secret = kind | {"metadata": metadata, "stringData": {".dockerconfigjson": config}}
    return _list(namespace(SECRET_HOME), secret)


def override(registry: str, *, secret: bool) -> str:
    """The override: all that Rook runs comes from `registry`, by digest; with the pull Secret, or without yet."""
    spec: Json = {
        "rules": [
            _rule("docker.io/rook/ceph", registry, OPERATOR_IMAGE),
            _rule(f"{registry}/rook/ceph", registry, OPERATOR_IMAGE),
            _rule("quay.invalid/ceph/ceph", registry, CEPH_IMAGE),
        ],
        "enforcement": {"settle": "2s"},
        "rollout": {"maxConcurrent": 1, "batches": [1, "100%"]},
    }
    if secret:
        spec["pullSecrets"] = [{"name": SECRET, "copyFrom": {"namespace": SECRET_HOME, "name": SECRET}}]
    metadata = {"name": OVERRIDE}
    body = {"apiVersion": API_VERSION, "kind": "ClusterImageOverride", "metadata": metadata, "spec": spec}
    return json.dumps(body)


def _rule(source: str, registry: str, image: Image) -> Json:
    target = {"repository": f"{registry}/{image.repository}", "tag": image.tag, "digest": digest_of(image)}
    return {"source": source, "target": target}


def _list(*items: Json) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(items)})

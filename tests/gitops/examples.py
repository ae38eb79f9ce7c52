"""The files under deploy/examples: their documents, and manifests that play each story.

Neighbours: `test_example_stories` rewrites them, `test_examples_live` shows them to an API server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from tests.gitops.argolua import ROOT

Json = dict[str, Any]

EXAMPLES: Final = ROOT / "deploy/examples"
FOREIGN: Final = ("argoproj.io", "fluxcd.io")
OURS: Final = "pawl.dev"


def files() -> list[Path]:
    return sorted(EXAMPLES.glob("*.yaml"))


def documents(path: Path) -> list[Json]:
    return [each for each in yaml.safe_load_all(path.read_text()) if each]


def group_of(document: Json) -> str:
    return str(document["apiVersion"]).partition("/")[0]


def is_foreign(document: Json) -> bool:
    """Whether it is a kind of Argo CD or Flux."""
    return group_of(document).endswith(FOREIGN)


@dataclass(frozen=True)
class Story:
    """What runs, and from where it runs under the example."""

    file: str
    namespaces: Mapping[str, Mapping[str, str]]
    before: tuple[Json, ...]
    after: Mapping[str, str]
    secrets: Mapping[str, list[str]] = field(default_factory=dict)


def workload(kind: str, place: str, image: str, **labels: str) -> Json:
    """A small manifest: `place` is namespace/name."""
    namespace, _, name = place.partition("/")
    spec: Json = {"containers": [{"name": "app", "image": image}]}
    metadata = {"name": name, "namespace": namespace}
    if kind == "Pod":
        return {"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": spec}
    template = {"metadata": {"labels": labels}, "spec": spec}
    version = "batch/v1" if kind == "Job" else "apps/v1"
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": {"template": template}}


BUILT: Final = "build.local:5000/shop/web:v1.4.2"
WORKER: Final = "ghcr.io/arroyosystems/arroyo-worker:0.12"

STORIES: Final = (
    Story(
        "imageoverride.yaml",
        {"shop": {}},
        (
            workload("Deployment", "shop/web", "nginx:1.29"),
            workload("StatefulSet", "shop/db", "bitnami/postgresql:17"),
            workload("DaemonSet", "shop/agent", "eu.gcr.io/tools/agent:3"),
            workload("Deployment", "shop/own", "quay.io/internal/own:1"),
            workload("Deployment", "other/web", "nginx:1.29"),
            workload("Pod", "shop/lone", "redis"),
        ),
        {
            "shop/web": "registry.corp:5000/hub/library/nginx:1.29",
            "shop/db": "registry.corp:5000/legacy/bitnami/postgresql:17",
            "shop/agent": "registry.corp:5000/gcr/tools/agent:3",
            "shop/own": "quay.io/internal/own:1",
            "other/web": "nginx:1.29",
            "shop/lone": "registry.corp:5000/hub/library/redis",
        },
        {"shop/lone": ["regcred"]},
    ),
    Story(
        "clusterimageoverride.yaml",
        {"shop": {"mirror": "yes"}, "other": {}},
        (
            workload("Deployment", "shop/web", "nginx:1.29"),
            workload("Deployment", "shop/dns", "nginx:1.29", tier="system"),
            workload("DaemonSet", "shop/agent", "nginx:1.29"),
            workload("Deployment", "other/web", "nginx:1.29"),
        ),
        {
            "shop/web": "registry.corp:5000/hub/library/nginx:1.29",
            "shop/dns": "nginx:1.29",
            "shop/agent": "nginx:1.29",
            "other/web": "nginx:1.29",
        },
    ),
    Story(
        "rook.yaml",
        {"rook-ceph": {}},
        (
            workload("Deployment", "rook-ceph/rook-ceph-operator", "rook/ceph:v1.16.4"),
            workload("DaemonSet", "rook-ceph/rook-discover", "docker.io/rook/ceph:v1.16.3"),
            workload("Job", "rook-ceph/rook-ceph-osd-prepare", "docker.io/rook/ceph:v1.16.3"),
            workload("Deployment", "rook-ceph/rook-ceph-mon-a", "quay.io/ceph/ceph:v19.2.1"),
            workload("DaemonSet", "rook-ceph/older", "registry.corp:5000/rook/ceph:v1.15.0"),
            workload("Deployment", "shop/web", "rook/ceph:v1.16.4"),
        ),
        {
            "rook-ceph/rook-ceph-operator": "registry.corp:5000/rook/ceph:v1.16.4",
            "rook-ceph/rook-discover": "registry.corp:5000/rook/ceph:v1.16.4",
            "rook-ceph/rook-ceph-osd-prepare": "registry.corp:5000/rook/ceph:v1.16.4",
            "rook-ceph/rook-ceph-mon-a": "registry.corp:5000/ceph/ceph:v19.2.1",
            "rook-ceph/older": "registry.corp:5000/rook/ceph:v1.16.4",
            "shop/web": "rook/ceph:v1.16.4",
        },
    ),
    Story(
        "arroyo.yaml",
        {"arroyo": {}},
        (
            workload("Deployment", "arroyo/controller", "ghcr.io/arroyosystems/arroyo:0.12"),
            workload("Pod", "arroyo/worker-1", WORKER),
            workload("Pod", "arroyo/sidecar", "busybox:1"),
        ),
        {
            "arroyo/controller": "registry.corp:5000/arroyo/arroyo:0.12",
            "arroyo/worker-1": "registry.corp:5000/arroyo/arroyo:0.12",
            "arroyo/sidecar": "busybox:1",
        },
        {"arroyo/worker-1": ["regcred"], "arroyo/sidecar": []},
    ),
    Story(
        "environments.yaml",
        {},
        (
            workload("Deployment", "shop-dev/web", BUILT),
            workload("Deployment", "shop-staging/web", BUILT),
            workload("Deployment", "shop-staging/api", "build.local:5000/shop/api:v3"),
            workload("Deployment", "shop-production/web", BUILT),
            workload("Deployment", "elsewhere/web", BUILT),
        ),
        {
            "shop-dev/web": "registry.dev.example.com/shop/web:v1.4.2",
            "shop-staging/web": "registry.staging.example.com/shop/web:v1.5.0-rc.2",
            "shop-staging/api": "registry.staging.example.com/shop/api:v3",
            "shop-production/web": "registry.example.com/shop/web:v1.4.2",
            "elsewhere/web": BUILT,
        },
    ),
)

"""Overrides and manifests for `pawl rewrite`, and the files that it reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from tests.unit.cli.run_pawl import Ended, pawl

HUB = {
    "apiVersion": "pawl.dev/v1alpha1",
    "kind": "ClusterImageOverride",
    "metadata": {"name": "hub"},
    "spec": {
        "rules": [{"source": "docker.io", "target": {"repository": "r.corp:5000"}}],
        "pullSecrets": [{"name": "reg"}],
    },
}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p"},
    "spec": {"imagePullSecrets": [{"name": "own"}], "containers": [{"name": "app", "image": "nginx:1"}]},
}
WEB = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {
        "template": {"spec": {"containers": [{"name": "app", "image": "nginx"}, {"name": "b", "image": "quay.io/b"}]}}
    },
}
CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"image": "nginx"}}


def override(name: str, rules: list[tuple[str, Any]], namespace: str = "", **spec: Any) -> dict[str, Any]:
    meta = {"name": name, **({"namespace": namespace} if namespace else {})}
    listed = [{"source": source, "target": {"repository": to} if isinstance(to, str) else to} for source, to in rules]
    kind = "ImageOverride" if namespace else "ClusterImageOverride"
    return {"apiVersion": "pawl.dev/v1alpha1", "kind": kind, "metadata": meta, "spec": {"rules": listed, **spec}}


class Files:
    """Writes objects into files and runs the command over them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def write(self, *objects: Any) -> str:
        self._count += 1
        path = self._folder / f"{self._count}.yaml"
        path.write_text(yaml.safe_dump_all(objects, sort_keys=False))
        return str(path)

    def rewrite(self, rules: list[Any], manifests: list[Any], *more: str) -> Ended:
        return pawl("rewrite", "-f", self.write(*rules), self.write(*manifests), *more)


def policy(status: Any) -> dict[str, Any]:
    spec = {"image": "r.corp/web", "select": {"semver": {"range": ">=1.0.0"}}}
    return {
        "apiVersion": "pawl.dev/v1alpha1",
        "kind": "ImagePolicy",
        "metadata": {"name": "web"},
        "spec": spec,
        "status": status,
    }

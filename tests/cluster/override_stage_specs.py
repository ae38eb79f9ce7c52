"""ImageOverrides and ClusterImageOverrides as users write them, short enough for a test.

Neighbours: `pawl.api.imageoverride` is their form. Not here: applying them (`override_stage.Stage.apply`).
"""

from __future__ import annotations

from typing import Any

from tests.cluster.api import Json

from pawl.api.meta import API_VERSION


def rule(
    source: str, repository: str = "", *, tag: str = "", digest: str = "", containers: tuple[str, ...] = ()
) -> Json:
    """One rule; what is empty is left out."""
    wanted = {"repository": repository, "tag": tag, "digest": digest}
    target = {key: value for key, value in wanted.items() if value}
    return {"source": source, "target": target} | ({"containers": list(containers)} if containers else {})


def override(*rules: Json, name: str = "private", **spec: Any) -> Json:
    """An ImageOverride. Fields of the spec come by their own names: `rollout={...}`, `pullSecrets=[...]`."""
    return _body("ImageOverride", name, rules, spec)


def cluster_override(*rules: Json, namespaces: Json | None = None, name: str = "private", **spec: Any) -> Json:
    """A ClusterImageOverride for namespaces with these labels; None covers all."""
    chosen = {} if namespaces is None else {"namespaces": {"selector": {"matchLabels": namespaces}}}
    return _body("ClusterImageOverride", name, rules, chosen | spec)


def enforcement(**fields: Any) -> Json:
    """`spec.enforcement` with a short time to settle: tests do not wait half a minute."""
    return {"settle": "2s"} | fields


def rollout(**fields: Any) -> Json:
    """`spec.rollout`, all in one batch."""
    return {"batches": ["100%"], "maxConcurrent": 10} | fields


def _body(kind: str, name: str, rules: tuple[Json, ...], spec: Json) -> Json:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": {"rules": list(rules)} | spec}

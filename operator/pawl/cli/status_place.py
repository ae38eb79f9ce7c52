"""Which namespace a command means when none is named: that of the kubeconfig's current context, as with kubectl.

Neighbours: `status` and `forget` ask; `cluster.credentials` finds the kubeconfig. Not here: credentials.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from pawl.cluster.credentials import Place

DEFAULT: Final = "default"


def current_namespace(kubeconfig: str | None) -> str:
    """Return the namespace of the current context; `default` where none is set or no kubeconfig is found."""
    paths = Place(kubeconfig=kubeconfig).found_kubeconfig()
    return namespace_in(list(_documents(paths.split(os.pathsep)))) if paths else DEFAULT


def namespace_in(documents: list[Mapping[str, Any]]) -> str:
    """Return the namespace that kubeconfigs name, merged as kubectl does: the first to say something wins. Pure."""
    current = next((each["current-context"] for each in documents if each.get("current-context")), None)
    for each in documents:
        for context in each.get("contexts") or []:
            if context.get("name") == current:
                return str((context.get("context") or {}).get("namespace") or DEFAULT)
    return DEFAULT


def _documents(paths: list[str]) -> Iterator[Mapping[str, Any]]:
    """Read what can be read: a kubeconfig that is broken is told of when the cluster is asked."""
    for path in filter(None, paths):
        try:
            document = yaml.safe_load(Path(path).expanduser().read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError):
            continue
        if isinstance(document, Mapping):
            yield document

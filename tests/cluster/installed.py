"""CRDs in an API server: applied, and waited for until they are served. Not here: the gate (`gates`, `grants`)."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.cluster.api import Answer, Api, Json

CRDS = "apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def install(api: Api, document: Json) -> str:
    """Apply one CRD and wait until its kind is served. Returns its name."""
    name, spec = str(document["metadata"]["name"]), document["spec"]
    answer = api.apply(f"{CRDS}/{name}", document)
    assert answer.ok, answer.message
    wait_for(lambda: api.get(f"apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"))
    return name


def wait_for(ask: Callable[[], Answer], seconds: float = 30) -> None:
    """Ask until the answer is good."""
    end = time.monotonic() + seconds
    while not (answer := ask()).ok:
        assert time.monotonic() < end, answer.body
        time.sleep(0.05)

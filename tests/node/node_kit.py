"""Small tools of the tests on real nodes: waiting, namespaces, Pods and Jobs of the static program, kubectl.

Not here: images (`node_images` where digests matter, the fixture `push` else) and the nodes themselves (`conftest`).
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tests.cluster.api import Api, Json

from pawl.sandbox import Running

Found = TypeVar("Found")
POLL = 0.1


def eventually(check: Callable[[], Found], seconds: float = 60.0, what: str = "") -> Found:
    """Wait until `check` gives something true and return it; AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what or check}"
        time.sleep(POLL)
    return found


@contextmanager
def fresh_namespace(api: Api, name: str) -> Iterator[str]:
    """A namespace for the time of a `with` block; its Pods are killed at the end."""
    assert api.post("/api/v1/namespaces", {"metadata": {"name": name}}).ok
    try:
        account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        eventually(lambda: api.get(account).ok, what=f"ServiceAccount {name}/default")
        yield name
    finally:
        api.delete(f"/api/v1/namespaces/{name}")
        for pod in pods(api, name):
            api.delete(f"/api/v1/namespaces/{name}/pods/{pod['metadata']['name']}?gracePeriodSeconds=0")


def pods(api: Api, namespace: str, selector: str = "") -> list[Json]:
    answer = api.get(f"/api/v1/namespaces/{namespace}/pods?labelSelector={selector}")
    return list(answer.body.get("items", []))


def pod_spec(image: str, *arguments: str, node: str | None = None, **more: object) -> Json:
    """A Pod's spec with one container `main` that ends at once when told to."""
    container = {"name": "main", "image": image, "args": list(arguments), **more}
    placed = {"nodeName": node} if node else {}
    return {"containers": [container], "terminationGracePeriodSeconds": 1, "restartPolicy": "Never", **placed}


def pod(name: str, image: str, *arguments: str, node: str | None = None, **more: object) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": pod_spec(image, *arguments, node=node, **more),
    }


def create(api: Api, path: str, body: Json) -> Json:
    answer = api.post(path, body)
    assert answer.ok, answer.body
    return answer.body


def get_pod(api: Api, namespace: str, name: str) -> Json:
    answer = api.get(f"/api/v1/namespaces/{namespace}/pods/{name}")
    assert answer.ok, answer.body
    return answer.body


def is_ready(subject: Json) -> bool:
    """Whether a Pod or a Node is Ready."""
    conditions = subject.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def waiting_reason(subject: Json) -> str:
    """Why the Pod's first container waits; empty where it does not."""
    states = subject.get("status", {}).get("containerStatuses", [])
    return str(states[0]["state"].get("waiting", {}).get("reason", "")) if states else ""


def image_id(subject: Json) -> str:
    return str(subject["status"]["containerStatuses"][0]["imageID"])


def finished(api: Api, namespace: str, name: str, seconds: float = 60.0) -> str:
    """Wait for the end of a Pod and return its phase."""

    def phase() -> str:
        found = str(get_pod(api, namespace, name)["status"].get("phase", ""))
        return found if found in {"Succeeded", "Failed"} else ""

    return eventually(phase, seconds, f"the end of Pod {namespace}/{name}")


def kubectl(nodes: Running, *arguments: str) -> str:
    """Run kubectl; AssertionError with its stderr when it fails."""
    argv = [nodes.env["KUBECTL"], *arguments]
    answer = subprocess.run(argv, env=os.environ | nodes.env, capture_output=True, text=True, check=False, timeout=60)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout

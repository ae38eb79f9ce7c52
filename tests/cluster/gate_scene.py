"""Pawl with the rights of the chart on an API server of its own, and Pods that are made all the time.

Neighbours: `gate_servers` has the server, `gate_process` the operator. Not here: what is asserted.
"""

from __future__ import annotations

import base64
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import yaml
from tests.cluster.api import Api, Json
from tests.cluster.conftest import install
from tests.cluster.gate_servers import Server
from tests.cluster.override_stage_specs import override, rule

from pawl.admission.gate import gate_manifests
from pawl.api.crd import crds

OWN = "pawl-system"
SHOP = "shop"
WANTED = "mirror.invalid/hub/library/nginx:1"
ADMISSION = "apis/admissionregistration.k8s.io/v1"
WEBHOOK = f"{ADMISSION}/mutatingwebhookconfigurations/pawl"
RIGHTS = Path(__file__).parents[2] / "charts/pawl/files/rights.yaml"
RBAC = "apis/rbac.authorization.k8s.io/v1"
LABELS = {"app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/name": "pawl"}


@dataclass
class Stream:
    """Pods that are made one after another; what came of each. Refused connections are no Pods."""

    images: list[tuple[float, str]] = field(default_factory=list)

    def missed(self, since: float = 0.0) -> list[float]:
        """When Pods came that were not rewritten."""
        return [at for at, image in self.images if at >= since and image != WANTED]

    def count(self, since: float) -> int:
        return sum(1 for at, _ in self.images if at >= since)


class GateScene:
    """The cluster as its administrator sees it."""

    def __init__(self, server: Server, directory: Path) -> None:
        self.server, self.directory = server, directory
        self.api = Api(server.sandbox.kubeconfig)
        self.kubeconfig = self._prepare()

    def close(self) -> None:
        self.api.close()

    def configuration(self) -> Json:
        """The webhook configuration."""
        answer = self.api.get(WEBHOOK)
        assert answer.ok, answer.message
        return answer.body

    def webhooks(self) -> list[Json]:
        found: list[Json] = self.configuration().get("webhooks") or []
        return found

    def policies(self, *, there: bool) -> None:
        """Bring the policies as an upgraded chart does, or take them away."""
        for document in gate_manifests(OWN):
            plural = document["kind"].lower().replace("policy", "policies").replace("policiesbinding", "policybindings")
            path = f"{ADMISSION}/{plural}/{document['metadata']['name']}"
            answer = self.api.apply(path, document) if there else self.api.delete(path)
            assert answer.ok, answer.message

    def image(self) -> str:
        """What becomes of a Pod's image; "" where the API server does not answer."""
        pod = {"metadata": {"generateName": "p-"}, "spec": {"containers": [{"name": "a", "image": "nginx:1"}]}}
        with suppress(httpx.HTTPError):
            answer = self.api._send("POST", f"api/v1/namespaces/{SHOP}/pods", pod, params={"dryRun": "All"})
            if answer.ok:
                return str(answer.body["spec"]["containers"][0]["image"])
        return ""

    def wait(self, wanted: Callable[[], object], what: str, seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not self._holds(wanted):
            assert time.monotonic() < end, f"not after {seconds:g} s: {what}"
            time.sleep(0.05)

    def _holds(self, wanted: Callable[[], object]) -> bool:
        try:
            return bool(wanted())
        except httpx.HTTPError:  # the API server is being started again
            return False

    @contextmanager
    def stream(self) -> Iterator[Stream]:
        """Make Pods all the time; the block ends with the last of them."""
        found, done = Stream(), threading.Event()
        own = GateScene.__new__(GateScene)
        own.api = Api(self.server.sandbox.kubeconfig)

        def make() -> None:
            while not done.is_set():
                begin = time.monotonic()
                if image := own.image():
                    found.images.append((begin, image))
                done.wait(0.01)

        thread = threading.Thread(target=make)
        thread.start()
        try:
            yield found
        finally:
            done.set()
            thread.join(40)
            own.api.close()

    @contextmanager
    def handshakes(self) -> Iterator[list[str]]:
        """Shake hands with the webhook all the time, as an API server that has no connection yet; what each gave."""
        found, done, api = list[str](), threading.Event(), Api(self.server.sandbox.kubeconfig)

        def shake() -> None:
            while not done.wait(0.01):
                for each in api.get(WEBHOOK).body["webhooks"][:1]:
                    found.append(_handshake(each["clientConfig"]))

        thread = threading.Thread(target=shake)
        thread.start()
        try:
            yield found
        finally:
            done.set()
            thread.join(40)
            api.close()

    def _prepare(self) -> str:
        """Install as the chart does: CRDs, rights, a configuration without webhooks; then an override."""
        for document in crds():
            install(self.api, document)
        for name in (OWN, SHOP):
            self._create("api/v1/namespaces", {"metadata": {"name": name}})
        self._create(WEBHOOK.rpartition("/")[0], {"metadata": {"name": "pawl", "labels": LABELS}})
        self._create(
            f"apis/pawl.dev/v1alpha1/namespaces/{SHOP}/imageoverrides",
            override(rule("docker.io", "mirror.invalid/hub"), rollout={"preflight": "Skip"}),
        )
        return self._identity()

    def _identity(self) -> str:
        """Make a ServiceAccount with the rights of the chart, and a kubeconfig for it."""
        rights: dict[str, Any] = yaml.safe_load(RIGHTS.read_text())
        wide = [rule for key in ("cluster", "watched", "secrets", "secretsWrite") for rule in rights[key]]
        self._create(f"api/v1/namespaces/{OWN}/serviceaccounts", {"metadata": {"name": "pawl"}})
        subject = {"kind": "ServiceAccount", "name": "pawl", "namespace": OWN}
        for kind, place, rules in (("ClusterRole", "", wide), ("Role", f"/namespaces/{OWN}", rights["own"])):
            self._create(f"{RBAC}{place}/{kind.lower()}s", {"metadata": {"name": "pawl"}, "rules": rules})
            role = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": "pawl"}
            body = {"metadata": {"name": "pawl"}, "roleRef": role, "subjects": [subject]}
            self._create(f"{RBAC}{place}/{kind.lower()}bindings", body)
        answer = self.api.post(f"api/v1/namespaces/{OWN}/serviceaccounts/pawl/token", {"spec": {}})
        config = yaml.safe_load(self.server.sandbox.kubeconfig.read_text())
        config["users"][0]["user"] = {"token": answer.body["status"]["token"]}
        path = self.directory / "pawl.kubeconfig"
        path.write_text(json.dumps(config))
        return str(path)

    def _create(self, path: str, body: Json) -> None:
        answer = self.api.post(path, body)
        assert answer.ok, answer.message


def _handshake(config: Json) -> str:
    """Connect as this configuration says; "" where the certificate is trusted."""
    place = urlsplit(config["url"])
    trusting = ssl.create_default_context(cadata=base64.b64decode(config["caBundle"]).decode())
    try:
        with (
            socket.create_connection((str(place.hostname), int(place.port or 443)), 5) as plain,
            trusting.wrap_socket(plain, server_hostname=place.hostname),
        ):
            return ""
    except OSError as error:
        return str(error)

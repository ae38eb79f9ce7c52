"""A RegistryStorage on real nodes: its namespace, its volume, its server's image, a bucket, and a client of it.

    with site_of(api, cluster, directory, Fit(nodes, release.log, minio)) as site:
        site.declare(site.on_claim())
        site.until(is_ready, "the registry to be Ready")

Neighbours: `node_release` installs the operator, `node_images` makes and pushes images, `tests.support.storageworld` is
the like without real nodes. Not here: expectations.
"""

from __future__ import annotations

import base64
import io
import ssl
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from tests.cluster.api import POLICIES, Api, Json
from tests.cluster.operators import Operator, good
from tests.cluster.override_stage import Stage, stage_of, wait_for
from tests.node.node_images import Place, Placed, Program, put
from tests.support.registries import binary

from pawl.sandbox import Cluster, Running
from pawl.sandbox.images import CONFIG, LAYER, MANIFESTS, Blob, Pusher, assembled, encoded, platform_fields
from pawl.sandbox.minio import Minio

NAME = "main"
PATIENCE = 90.0
SERVER = ("registry", "3.1.1")
TEAM = "pawl-test/team"
"""Label of the namespaces that get the pull Secret."""
ENFORCE = "pod-security.kubernetes.io/enforce"
PATIENT = {"expandAt": 97, "collectAt": 98, "readOnlyAt": 99}
"""The volume is a directory: how full the machine's disk is must not decide what a test sees."""


@dataclass(frozen=True)
class Fit:
    """What a site needs beside a cluster."""

    nodes: Running
    pawl: Operator
    minio: Minio


@dataclass(frozen=True)
class Site:
    """A namespace with room for one registry. `volume` is the directory on the first node that a claim gets."""

    stage: Stage
    fit: Fit
    volume: Path
    base: Json = field(repr=False)

    # what users write

    def on_claim(self) -> Json:
        """The spec with its bytes on a claim."""
        store = {"filesystem": {"size": "1Gi", "storageClassName": self.stage.namespace}}
        return self.base | {"storage": store}

    def on_bucket(self) -> Json:
        """The spec with its bytes in a bucket of MinIO."""
        minio, keys = self.fit.minio, {"name": "minio", "namespace": self.stage.namespace}
        minio.bucket(bucket := f"b-{self.stage.namespace}")
        secret = {"accessKey": minio.access_key, "secretKey": minio.secret_key}
        self.stage.apply({"apiVersion": "v1", "kind": "Secret", "metadata": keys, "stringData": secret})
        where = {"endpoint": minio.endpoint, "bucket": bucket, "credentialsSecretRef": {"name": "minio"}}
        return self.base | {"storage": {"s3": where}}

    def declare(self, spec: Json) -> None:
        """Make the registry so."""
        body = {"apiVersion": "pawl.dev/v1alpha1", "kind": "RegistryStorage", "metadata": {"name": NAME}, "spec": spec}
        good(self.stage.api.apply(self.path, body))

    def collect(self, wish: str) -> None:
        """Ask for a collection."""
        note = {"metadata": {"annotations": {"collect.pawl.dev/requestedAt": wish}}}
        good(self.stage.api.merge(self.path, note))

    def enforce(self, level: str) -> list[str]:
        """Let the namespace take Pods of a level only; what the API server says of those that are there."""
        answer = self.stage.kubectl("label", "--overwrite", "namespace", self.stage.namespace, f"{ENFORCE}={level}")
        assert answer.returncode == 0, answer.stderr
        return [line.partition(":")[2].strip() for line in answer.stderr.splitlines() if line.startswith("Warning:")]

    # what users see

    @property
    def path(self) -> str:
        return f"{POLICIES}/namespaces/{self.stage.namespace}/registrystorages/{NAME}"

    def read(self) -> Json:
        return good(self.stage.api.get(self.path)).body

    def status(self) -> Json:
        found: Json = self.read().get("status", {})
        return found

    def conditions(self) -> dict[str, Json]:
        """Conditions by type."""
        return {each["type"]: each for each in self.status().get("conditions", [])}

    def until(self, holds: Callable[[Json], object], what: str, seconds: float = PATIENCE) -> Json:
        """Wait until `holds` of the RegistryStorage and return it; else its status, its Pods and the log are told."""
        wait_for(lambda: holds(self.read()), seconds, what, seen=self._seen)
        return self.read()

    def pods(self, part: str) -> list[Json]:
        """Pods of a part (server, meter, trust, work) that are not about to go."""
        found = self.stage.find_all("pods", f"pawl.dev/registry={NAME},pawl.dev/part={part}")
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def server(self) -> Json:
        """The one Pod of the server, Ready."""
        (found,) = wait_for(self._serving, PATIENCE, "one Ready Pod of the server", seen=self._seen)
        return found

    def _serving(self) -> list[Json]:
        found = [pod for pod in self.pods("server") if ready(pod)]
        return found if len(found) == 1 else []

    def _seen(self) -> object:
        pods = [(pod["metadata"]["name"], pod["status"]) for pod in self.stage.find_all("pods")]
        return {"status": self.status(), "pods": pods, "log": self.fit.pawl.text[-6000:]}

    # what clients do

    @property
    def place(self) -> Place:
        """Where to push, as Pawl's user, with the authority that is published; it answers there."""
        config = good(self.stage.api.get(self.stage.path("configmaps", f"{NAME}-registry-ca"))).body["data"]
        users = good(self.stage.api.get(self.stage.path("secrets", f"{NAME}-registry-users"))).body["data"]
        user, password = (base64.b64decode(users[key]).decode() for key in ("username", "password"))
        tls = ssl.create_default_context(cadata=config["ca.crt"])
        found = Place(self.status()["address"], tls, (user, password))
        # kube-proxy follows a Pod a moment after it is Ready.
        wait_for(lambda: answers(found), PATIENCE, f"{found.registry} to answer", seen=self._seen)
        return found

    def push(self, program: Program, tool: bytes) -> Placed:
        """Push an image."""
        return put(self.place, program, tool)

    def has(self, placed: Placed) -> bool:
        """Whether the registry serves an image by its digest."""
        with self.place.client() as client:
            path = f"/v2/{placed.program.repository}/manifests/{placed.digest}"
            return client.get(path, headers={"Accept": MANIFESTS}).status_code == 200


def condition(kind: str, status: str = "True") -> Callable[[Json], bool]:
    """Whether a condition has a status for the generation that is there."""

    def holds(registry: Json) -> bool:
        found = registry.get("status", {}).get("conditions", [])
        now = registry["metadata"]["generation"]
        return any(
            each["type"] == kind and each["status"] == status and each["observedGeneration"] == now for each in found
        )

    return holds


def answers(place: Place) -> bool:
    """Whether a registry lets its user in."""
    with place.client() as client:
        try:
            return client.get("/v2/").status_code == 200
        except httpx.TransportError:
            return False


def ready(pod: Json) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))


@contextmanager
def site_of(api: Api, cluster: Cluster, directory: Path, fit: Fit) -> Iterator[Site]:
    """A fresh namespace that takes any Pod, a class with one volume on the first node, and the server's image."""
    with stage_of(api, cluster, directory) as stage:
        volume = directory / "volume"
        volume.mkdir()
        wanted = cluster_objects(stage.namespace, volume, min(each.name for each in fit.nodes.real))
        for path, body in wanted.items():
            good(api.apply(path, body))
        try:
            yield Site(stage, fit, volume, base_spec(stage, server_image(stage.registry)))
        finally:
            api.delete(f"{POLICIES}/namespaces/{stage.namespace}/registrystorages/{NAME}")
            gone = lambda: not api.get(f"api/v1/namespaces/{stage.namespace}/pods").body["items"]  # noqa: E731
            api.delete(f"api/v1/namespaces/{stage.namespace}")
            wait_for(gone, PATIENCE, "the Pods to go")
            for path in wanted:
                api.delete(path)


def base_spec(stage: Stage, image: str) -> Json:
    """A registry that is proved everywhere, and that does not wait for slow clients when it ends."""
    return {
        "server": {"image": image, "drainTimeout": "2s"},
        "access": {
            "nodeTrust": True,
            "pullSecrets": {"namespaceSelector": {"matchLabels": {TEAM: stage.namespace}}},
        },
        "pressure": PATIENT,
        "collection": {"minimumAge": "0s", "maxDeletePercent": 100},
    }


def cluster_objects(name: str, volume: Path, node: str) -> dict[str, Json]:
    """A class whose claims wait for their Pod, and the only volume that it has, by their paths."""
    term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}
    claims: Json = {
        "kind": "StorageClass",
        "apiVersion": "storage.k8s.io/v1",
        "metadata": {"name": name},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": name,
        "persistentVolumeReclaimPolicy": "Retain",
        "local": {"path": str(volume)},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
    }
    room: Json = {"kind": "PersistentVolume", "apiVersion": "v1", "metadata": {"name": name}, "spec": spec}
    return {f"apis/storage.k8s.io/v1/storageclasses/{name}": claims, f"api/v1/persistentvolumes/{name}": room}


def server_image(registry: str) -> str:
    """Push distribution itself as an image: its one program where images of it have it."""
    layer = Blob(LAYER, _layer(binary("3").read_bytes()))
    run = {"Env": ["PATH=/bin"], "Entrypoint": ["/bin/registry"], "User": "65532"}
    platform = "linux/amd64"
    files = {"type": "layers", "diff_ids": [layer.digest]}
    config = Blob(CONFIG, encoded({**platform_fields(platform), "config": run, "rootfs": files}))
    with Pusher(registry) as pusher:
        pusher.push_built(*SERVER, assembled(layer, [config], (platform,)))
    return f"{registry}/{':'.join(SERVER)}"


def _layer(program: bytes) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        entry = tarfile.TarInfo("bin/registry")
        entry.size, entry.mode = len(program), 0o555
        archive.addfile(entry, io.BytesIO(program))
    return raw.getvalue()

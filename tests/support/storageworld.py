"""A world in which a RegistryStorage comes true: API server, CRDs, host nodes, MinIO, and the operator as a process.

    with storage_world(api, cluster, tmp_path, minio=True) as world:
        world.declare("main", world.spec(storage={"filesystem": {"size": "1Gi"}}))
        world.until("main", lambda it: is_true(it, "Ready"))

The cluster should have no simulated nodes: Pods of a bucket's registry fit them too, and nothing would run there.
`lone_cluster` makes such a one. Neighbours: `tests.cluster.operators` runs the operator, `pawl.sandbox.hostnode` Pods.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import uuid4

from tests.cluster.api import POLICIES, Api, Json
from tests.cluster.installed import install
from tests.cluster.operators import Operator
from tests.support.minio import minio as minio_of
from tests.support.registries import binary

from pawl.api.crd import crds
from pawl.sandbox import Cluster, SandboxOptions, cluster_for_tests
from pawl.sandbox.hostnode import HostNode
from pawl.sandbox.minio import Minio

IMAGE = "pawl:test"
SERVER = "registry:3.1.1"
OLD_SERVER = "registry:2.8.3"
DEADLINE = 60.0
POLL = 0.05
PATIENT = {"expandAt": 97, "collectAt": 98, "readOnlyAt": 99}
"""How full this machine's disk is must not decide what a test sees."""
LOWEST, HIGHEST = 30000, 32767
"""NodePorts."""


@contextmanager
def lone_cluster(name: str) -> Iterator[Cluster]:
    """A cluster without any node: those of a world are all there are."""
    with cluster_for_tests(SandboxOptions(name=f"{name}-{os.getpid()}", registry=False)) as found:
        yield found


@dataclass
class World:
    """What a test works with. `namespace` is fresh; `operator` may be ended and started again."""

    api: Api
    cluster: Cluster
    directory: Path
    namespace: str
    nodes: Sequence[HostNode]
    operator: Operator
    minio: Minio | None = None
    arguments: Sequence[str] = ()
    kubeconfig: Path | None = None
    _ports: list[int] = field(default_factory=list)
    _choice: Lock = field(default_factory=Lock)

    @property
    def node(self) -> HostNode:
        """The first host node."""
        return self.nodes[0]

    def restart(self) -> None:
        """Start the operator again after a test has ended it, with the same Lease."""
        log = self.directory / f"operator-{uuid4().hex[:6]}.log"
        self.operator = Operator(
            self.kubeconfig or self.cluster.kubeconfig, log, self.operator.namespace, *self.arguments
        )
        self.operator.wait_log("this replica leads")

    def spec(self, **changes: Any) -> Json:
        """A spec that works here: images are named by a NodePort on loopback, as names of Services lead nowhere."""
        port = self.port()
        access = {"host": f"127.0.0.1:{port}", "service": {"type": "NodePort", "nodePort": port}}
        spec: Json = {"server": {"image": SERVER}, "access": access | changes.pop("access", {})}
        if not any(node.sized for node in self.nodes):
            spec["pressure"] = PATIENT
        return spec | changes

    def bucket(self, name: str, **more: Any) -> Json:
        """`spec.storage` for a new bucket of the world's MinIO, with its Secret."""
        assert self.minio, "this world was made without MinIO"
        self.minio.bucket(name)
        keys = {"accessKey": self.minio.access_key, "secretKey": self.minio.secret_key}
        self.put("v1", "secrets", {"kind": "Secret", "metadata": {"name": "minio"}, "stringData": keys})
        where = {"endpoint": self.minio.endpoint, "bucket": name, "credentialsSecretRef": {"name": "minio"}}
        return {"s3": where | more}

    def declare(self, name: str, spec: Json) -> None:
        """Make a RegistryStorage what `spec` says."""
        document = {
            "apiVersion": "pawl.dev/v1alpha1",
            "kind": "RegistryStorage",
            "metadata": {"name": name},
            "spec": spec,
        }
        answer = self.api.apply(self.path(name), document)
        assert answer.ok, answer.message

    def path(self, name: str) -> str:
        """Path of a RegistryStorage."""
        return f"{POLICIES}/namespaces/{self.namespace}/registrystorages/{name}"

    def registry(self, name: str) -> Json:
        """The RegistryStorage as it is now."""
        return self.api.get(self.path(name)).body

    def until(self, name: str, holds: Callable[[Json], object], seconds: float = DEADLINE) -> Json:
        """Wait until `holds` of the RegistryStorage; AssertionError with its status and the operator's last words."""
        end = time.monotonic() + seconds
        while not holds(found := self.registry(name)):
            said = self.operator.text[-1500:]
            assert time.monotonic() < end, f"not within {seconds:g} s: {found.get('status')}\n{said}"
            time.sleep(POLL)
        return found

    def put(self, group: str, kind: str, document: Json) -> None:
        """Apply an object of the namespace: `put("v1", "secrets", {...})`, `put("apps/v1", "deployments", {...})`."""
        root = f"api/{group}" if group == "v1" else f"apis/{group}"
        path = f"{root}/namespaces/{self.namespace}/{kind}/{document['metadata']['name']}"
        answer = self.api.apply(path, {"apiVersion": group, **document})
        assert answer.ok, answer.message

    def items(self, group: str, kind: str, labels: Mapping[str, str] | None = None) -> list[Json]:
        """Objects of the namespace."""
        root = f"api/{group}" if group == "v1" else f"apis/{group}"
        wanted = ",".join(f"{key}={value}" for key, value in (labels or {}).items())
        answer = self.api.get(f"{root}/namespaces/{self.namespace}/{kind}?labelSelector={wanted}")
        return list(answer.body["items"])

    def pods(self, registry: str, part: str) -> list[Json]:
        """Pods of a registry's part (server, meter, work) that are not on their way out."""
        found = self.items("v1", "pods", {"pawl.dev/registry": registry, "pawl.dev/part": part})
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def pids(self, pod: Json) -> dict[str, int]:
        """Processes of a Pod by container, for kill -9."""
        key = f"{self.namespace}/{pod['metadata']['name']}"
        return {name: pid for node in self.nodes for name, pid in node.pids(key).items()}

    def port(self) -> int:
        """A NodePort that nobody listens on."""
        first = LOWEST + os.getpid() * 7 % (HIGHEST - LOWEST)
        with self._choice:  # several threads may share a world
            for step in range(HIGHEST - LOWEST):
                port = LOWEST + (first + step - LOWEST) % (HIGHEST - LOWEST)
                if port not in self._ports and _is_free(port):
                    self._ports.append(port)
                    return port
        raise AssertionError("no free NodePort")


def is_true(registry: Json, kind: str) -> bool:
    """Whether a condition is True, for this generation."""
    meta, conditions = registry["metadata"], registry.get("status", {}).get("conditions", [])
    known = {each["type"]: each for each in conditions if each.get("observedGeneration") == meta["generation"]}
    return kind in known and known[kind]["status"] == "True"


@dataclass(frozen=True)
class Who:
    """As whom the operator asks the API server, and the namespace of its Lease."""

    kubeconfig: Path
    namespace: str


@contextmanager
def storage_world(
    api: Api,
    cluster: Cluster,
    directory: Path,
    *,
    minio: bool = False,
    nodes: int = 1,
    sized: bool = False,
    arguments: Sequence[str] = (),
    who: Who | None = None,
) -> Iterator[World]:
    """Make everything, and take down what was started.

    `sized`: claims have the size that they ask for (root only); else all seem as large and as full as this machine's
    disk. `arguments` are further ones of `pawl run`. The operator is the administrator unless `who` says otherwise.
    """
    for document in crds():
        install(api, document)
    with ExitStack() as stack:
        store = stack.enter_context(minio_of(directory / "minio")) if minio else None
        hosts = [stack.enter_context(_node(cluster, directory, number, sized=sized)) for number in range(nodes)]
        namespace = _namespace(api)
        given = ("--image", IMAGE, *arguments)
        who = who or Who(cluster.kubeconfig, f"ops-{uuid4().hex[:8]}")
        operator = Operator(who.kubeconfig, directory / "operator.log", who.namespace, *given)
        world = World(api, cluster, directory, namespace, hosts, operator, store, given, who.kubeconfig)
        stack.callback(_close, world)
        operator.wait_log("this replica leads")
        yield world


def programs() -> dict[str, tuple[str, ...]]:
    """What the images of a world are."""
    worker = (sys.executable, "-m", "pawl")
    return {OLD_SERVER: (str(binary("2")),), "registry:*": (str(binary("3")),), IMAGE: worker}


def _node(cluster: Cluster, directory: Path, number: int, *, sized: bool) -> HostNode:
    name = f"host-{number}" if number else "host"
    return HostNode(cluster.kubeconfig, directory / name, programs(), name, proxy=not number, sized=sized)


def _close(world: World) -> None:
    # The operator of now: a test may have started another one.
    world.operator.close()


def _namespace(api: Api) -> str:
    name = f"t-{uuid4().hex[:10]}"
    answer = api.post("api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    assert answer.ok, answer.message
    return name


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0

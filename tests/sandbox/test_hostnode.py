"""The host node against real controllers, a real scheduler and a real registry: Pods that truly run."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import bcrypt
import psutil
import pytest
from tests.sandbox.support import eventually, kubectl, kubectl_json
from tests.support.registries import filesystem, registry_on

from pawl.api.errors import SandboxError
from pawl.sandbox import Running, SandboxOptions, running
from pawl.sandbox.hostnode import HostNode
from pawl.sandbox.images import Image, Pusher

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

Json = dict[str, Any]

CONFIG = """\
version: "0.1"
log: {level: warn, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: /pawl/store}, delete: {enabled: true}}
http: {addr: ":5000"}
"""


class World:
    """A sandbox without simulated nodes, a host node, and kubectl."""

    def __init__(self, cluster: Running, node: HostNode) -> None:
        self.env = {**os.environ, **cluster.env}
        self.node = node

    def apply(self, *documents: Json) -> None:
        for document in documents:
            given = {"apiVersion": "v1", **document}
            argv = [self.env["KUBECTL"], "apply", "-f", "-"]
            answer = subprocess.run(
                argv, env=self.env, input=json.dumps(given), text=True, capture_output=True, check=False
            )
            assert answer.returncode == 0, answer.stderr

    def get(self, kind: str, name: str) -> Json:
        return kubectl_json(self.env, "get", kind, name, "--ignore-not-found") if self.exists(kind, name) else {}

    def exists(self, kind: str, name: str) -> bool:
        return bool(kubectl(self.env, "get", kind, name, "--ignore-not-found", "-o", "name"))

    def pods(self, label: str) -> list[Json]:
        return list(kubectl_json(self.env, "get", "pods", "-l", label)["items"])

    def state(self, pod: str) -> Json:
        """State of the first container."""
        found = self.get("pod", pod).get("status", {}).get("containerStatuses") or [{"state": {}}]
        state: Json = found[0]["state"]
        return state

    def said(self, pod: str) -> str:
        """Message of the first container, once it has ended."""
        eventually(lambda: "terminated" in self.state(pod))
        return str(self.state(pod)["terminated"].get("message", ""))


@pytest.fixture(scope="module")
def world(binaries: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("host")
    options = SandboxOptions(name=f"host-{os.getpid()}", state_dir=directory, binaries=binaries, registry=False)
    programs = {"registry:*": (str(binaries / "registry"),), "script:*": (sys.executable, "-S")}
    with running(options) as cluster, HostNode(cluster.kubeconfig, directory / "node", programs) as node:
        found = World(cluster, node)
        eventually(lambda: found.exists("serviceaccount", "default"))
        yield found


def script(name: str, code: str, **more: Any) -> Json:
    """A container that runs Python `code` and may leave a message in /pawl/out/said."""
    path = {"terminationMessagePath": "/pawl/out/said"}
    return {"name": name, "image": "script:1", "args": ["-c", code], **path, **more}


def pod(name: str, *containers: Json, **spec: Any) -> Json:
    plain = {"automountServiceAccountToken": False, "restartPolicy": "Never", "terminationGracePeriodSeconds": 5}
    return {"kind": "Pod", "metadata": {"name": name}, "spec": {**plain, "containers": list(containers), **spec}}


def deployment(name: str, template: Json) -> Json:
    labels = {"app": name}
    spec = {"strategy": {"type": "Recreate"}, "selector": {"matchLabels": labels}}
    made = {"metadata": {"labels": labels}, "spec": {**template["spec"], "restartPolicy": "Always"}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {**spec, "template": made},
    }


def claim(name: str, size: str = "1Gi") -> Json:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    return {"kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def mount(name: str, path: str) -> Json:
    return {"name": name, "mountPath": path}


WRITE = "open('/pawl/out/said', 'w').write"


@pytest.fixture(scope="module")
def registry(world: World) -> int:
    """A Deployment of the real registry behind a NodePort; its port."""
    server = {
        "name": "registry",
        "image": "registry:3.1.1",
        "command": ["registry", "serve", "/pawl/config/config.yml"],
        "env": [{"name": "OTEL_TRACES_EXPORTER", "value": "none"}],
        "ports": [{"name": "registry", "containerPort": 5000}],
        "readinessProbe": {"httpGet": {"path": "/", "port": "registry"}},
        "volumeMounts": [mount("config", "/pawl/config"), mount("store", "/pawl/store")],
    }
    volumes = [
        {"name": "config", "configMap": {"name": "web"}},
        {"name": "store", "persistentVolumeClaim": {"claimName": "web"}},
    ]
    ports = [{"port": 5000, "targetPort": "registry"}]
    world.apply(
        {"kind": "ConfigMap", "metadata": {"name": "web"}, "data": {"config.yml": CONFIG}},
        claim("web"),
        deployment("web", pod("", server, volumes=volumes)),
        {
            "kind": "Service",
            "metadata": {"name": "web"},
            "spec": {"type": "NodePort", "selector": {"app": "web"}, "ports": ports},
        },
    )
    kubectl(world.env, "wait", "--for=condition=Available", "deployment/web", "--timeout=30s")
    return int(world.get("service", "web")["spec"]["ports"][0]["nodePort"])


def test_a_deployment_serves_and_a_new_pod_finds_the_claim_of_the_old_one(world: World, registry: int) -> None:
    with Pusher(f"127.0.0.1:{registry}") as pusher:
        pusher.push(Image("shop/web", "v1"))
    before = world.pods("app=web")[0]["metadata"]["name"]
    kubectl(world.env, "rollout", "restart", "deployment/web")
    kubectl(world.env, "rollout", "status", "deployment/web", "--timeout=30s")
    assert before not in [each["metadata"]["name"] for each in world.pods("app=web")]
    with Pusher(f"127.0.0.1:{registry}") as pusher:
        assert pusher.tags("shop/web") == ["v1"]


def test_a_killed_process_is_a_crashed_container_and_comes_back(world: World, registry: int) -> None:
    living = [each["metadata"] for each in world.pods("app=web") if "deletionTimestamp" not in each["metadata"]]
    name = living[0]["name"]
    os.kill(world.node.pids(f"default/{name}")["registry"], signal.SIGKILL)

    def again() -> bool:
        found = world.get("pod", name)["status"]["containerStatuses"][0]
        return bool(found["restartCount"] == 1 and found["ready"])

    eventually(again)
    last = world.get("pod", name)["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"]) == (137, "Error")

    def served() -> bool:
        with suppress(SandboxError), Pusher(f"127.0.0.1:{registry}") as pusher:
            return pusher.tags("shop/web") == ["v1"]
        return False

    eventually(served)  # the connection that was cut may be the one of the first question


def test_a_job_runs_its_init_containers_in_order_and_tells_its_message(world: World) -> None:
    shared = [mount("shared", "/pawl/shared")]
    add = "open('/pawl/shared/order', 'a').write('{} ')"
    first = [script(name, add.format(name), volumeMounts=shared) for name in ("first", "second")]
    last = script("last", f"{WRITE}(open('/pawl/shared/order').read() + 'last')", volumeMounts=shared)
    template = pod("", last, initContainers=first, volumes=[{"name": "shared", "emptyDir": {}}])
    spec = {"backoffLimit": 0, "template": {"spec": template["spec"]}}
    world.apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "count"}, "spec": spec})
    kubectl(world.env, "wait", "--for=condition=Complete", "job/count", "--timeout=30s")
    ended = world.pods("job-name=count")[0]["status"]
    assert ended["phase"] == "Succeeded"
    assert ended["containerStatuses"][0]["state"]["terminated"]["message"] == "first second last"


def test_a_failing_init_container_fails_its_job(world: World) -> None:
    template = pod("", script("never", "1/0"), initContainers=[script("broken", "raise SystemExit(3)")])
    spec = {"backoffLimit": 0, "template": {"spec": template["spec"]}}
    world.apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "fail"}, "spec": spec})
    kubectl(world.env, "wait", "--for=condition=Failed", "job/fail", "--timeout=30s")
    ended = world.pods("job-name=fail")[0]["status"]
    assert ended["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 3


def test_a_pod_waits_for_what_is_missing_and_sees_a_secret_change(world: World) -> None:
    code = (
        "import os, time\n"
        "while open('/pawl/keys/word').read() != 'new': time.sleep(0.05)\n"
        f"{WRITE}(' '.join(os.environ[key] for key in ('IP', 'NAME', 'WORD')))"
    )
    env = [
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "word"}}},
    ]
    reader = script("reader", code, env=env, volumeMounts=[mount("keys", "/pawl/keys")])
    world.apply(
        pod("reader", reader, volumes=[{"name": "keys", "secret": {"secretName": "keys", "defaultMode": 0o440}}])
    )
    eventually(lambda: "secrets keys not found" in world.state("reader").get("waiting", {}).get("message", ""))
    keys = {"kind": "Secret", "metadata": {"name": "keys"}}
    world.apply(keys | {"stringData": {"word": "old"}})
    eventually(lambda: "running" in world.state("reader"))
    world.apply(keys | {"stringData": {"word": "new"}})
    address = world.get("pod", "reader")["status"]["podIP"]
    assert world.said("reader") == f"{address} reader old"


def test_a_deaf_process_is_killed_when_its_grace_is_over(world: World) -> None:
    code = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nopen('/pawl/deaf', 'w')\ntime.sleep(600)"
    )
    world.apply(pod("deaf", script("deaf", code), terminationGracePeriodSeconds=1))
    eventually(lambda: world.node.pids("default/deaf"))
    root = world.node.log(world.get("pod", "deaf")["metadata"]["uid"], "deaf").parent / "root"
    eventually((root / "deaf").exists)
    pid = world.node.pids("default/deaf")["deaf"]
    kubectl(world.env, "delete", "pod", "deaf", "--timeout=20s")
    assert not psutil.pid_exists(pid)


def test_an_image_without_a_program_proves_its_pull(world: World, tmp_path: Path) -> None:
    users = tmp_path / "htpasswd"
    users.write_bytes(b"puller:" + bcrypt.hashpw(b"word", bcrypt.gensalt(4)) + b"\n")
    with (
        registry_on(filesystem(tmp_path / "store"), auth=users) as private,
        registry_on(filesystem(tmp_path / "store")) as door,
    ):
        with Pusher(door.host) as pusher:
            digest = pusher.push(Image("shop/canary", "v1"))
        image = f"{private.host}/shop/canary@{digest}"
        world.apply(pod("refused", {"name": "a", "image": image}))
        eventually(lambda: world.state("refused").get("waiting", {}).get("reason") == "ErrImagePull")
        assert "401" in world.state("refused")["waiting"]["message"]
        token = base64.b64encode(b"puller:word").decode()
        raw = base64.b64encode(json.dumps({"auths": {private.host: {"auth": token}}}).encode()).decode()
        kind = "kubernetes.io/dockerconfigjson"
        world.apply({"kind": "Secret", "metadata": {"name": "pull"}, "type": kind, "data": {".dockerconfigjson": raw}})
        world.apply(pod("proven", {"name": "a", "image": image}, imagePullSecrets=[{"name": "pull"}]))
        eventually(lambda: world.state("proven").get("terminated", {}).get("reason") == "StartError")
    found = world.get("pod", "proven")["status"]["containerStatuses"][0]
    assert found["imageID"].endswith(f"/shop/canary@{digest}")
    kubectl(world.env, "delete", "pod", "refused", "--now", "--timeout=20s")
    world.apply(pod("next", script("a", f"{WRITE}('the node goes on')")))
    assert world.said("next") == "the node goes on"


def test_a_claim_grows_and_takes_its_data_along_when_it_goes(world: World) -> None:
    world.apply(claim("grow"))
    eventually(lambda: world.get("pvc", "grow").get("status", {}).get("phase") == "Bound")
    world.apply(claim("grow", "2Gi"))
    eventually(lambda: world.get("pvc", "grow")["status"]["capacity"]["storage"] == "2Gi")
    volume = world.get("pvc", "grow")["spec"]["volumeName"]
    directory = Path(world.get("pv", volume)["spec"]["hostPath"]["path"])
    (directory / "data").write_text("kept until then")
    kubectl(world.env, "delete", "pvc", "grow", "--timeout=20s")
    eventually(lambda: not directory.exists() and not world.exists("pv", volume))


HOLDER = """
import sys
from pathlib import Path
from pawl.sandbox.hostnode import HostNode
with HostNode(Path(sys.argv[1]), Path(sys.argv[2]), {"orphan:*": (sys.executable,)}, "host-b", proxy=False):
    print("up", flush=True)
    sys.stdin.read()
"""


def test_processes_do_not_outlive_a_killed_host_node(world: World, tmp_path: Path) -> None:
    argv = [sys.executable, "-c", HOLDER, world.env["KUBECONFIG"], str(tmp_path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "up\n"
        sleeper = {"name": "a", "image": "orphan:1", "args": ["-c", "import time; time.sleep(600)"]}
        world.apply(pod("orphan", sleeper, nodeName="host-b"))
        eventually(lambda: "running" in world.state("orphan"))
        found = world.get("pod", "orphan")["status"]["containerStatuses"][0]["containerID"]
        pid = int(found.removeprefix("host://"))
        assert psutil.pid_exists(pid)
        holder.kill()
    eventually(lambda: not psutil.pid_exists(pid))


@pytest.mark.skipif(os.geteuid() != 0, reason="claims of a true size need root")
def test_a_claim_of_a_true_size_is_full_at_its_size_and_grows(world: World, tmp_path: Path) -> None:
    made = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "true-size"}}
    world.apply(made | {"provisioner": "pawl.dev/host", "parameters": {"node": "host-c"}, "allowVolumeExpansion": True})
    kubeconfig = Path(world.env["KUBECONFIG"])
    with HostNode(kubeconfig, tmp_path, {}, "host-c", proxy=False, sized=True):
        sized = claim("sized", "4Mi")
        sized["spec"]["storageClassName"] = "true-size"
        world.apply(sized)
        eventually(lambda: world.get("pvc", "sized").get("status", {}).get("phase") == "Bound")
        volume = world.get("pvc", "sized")["spec"]["volumeName"]
        directory = Path(world.get("pv", volume)["spec"]["hostPath"]["path"])
        with pytest.raises(OSError, match="No space left"):
            (directory / "blob").write_bytes(bytes(5 << 20))
        sized["spec"]["resources"]["requests"]["storage"] = "8Mi"
        world.apply(sized)
        eventually(lambda: world.get("pvc", "sized")["status"]["capacity"]["storage"] == "8Mi")
        (directory / "blob").write_bytes(bytes(5 << 20))
        assert os.statvfs(directory).f_blocks * os.statvfs(directory).f_frsize == 8 << 20
    assert not directory.is_mount()

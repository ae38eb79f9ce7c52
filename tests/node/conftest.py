"""What every test on real nodes starts from: one sandbox with two of them, its API, a namespace, images that run.

Where this machine cannot have real nodes each test here is skipped by name with the reason; with PAWL_REQUIRE_NODES=1,
as in CI, it fails instead.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from scripts.image import ensure_image
from tests.cluster.api import Api
from tests.cluster.conftest import install
from tests.node.node_kit import fresh_namespace
from tests.node.node_registry import PrivateRegistry, private_registry

from pawl.api.crd import crds
from pawl.sandbox import (
    Cluster,
    Running,
    Runtime,
    SandboxOptions,
    ToolImage,
    real_nodes_missing,
    running,
    tool_image,
    trust,
)
from pawl.sandbox import tool_binary as built_tool

REQUIRED = "PAWL_REQUIRE_NODES"

Push = Callable[..., str]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.node)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="package", autouse=True)
def _real_nodes_possible() -> None:
    why = real_nodes_missing(os.environ)
    if why and os.environ.get(REQUIRED) == "1":
        pytest.fail(f"{REQUIRED}=1, but this machine cannot have real nodes: {why}", pytrace=False)
    if why:
        pytest.skip(f"real nodes: {why}")


@pytest.fixture(scope="package")
def nodes_runtime(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    """Keeps the record of the session's sandbox in a directory of its own."""
    return Runtime(environ={**os.environ, "PAWL_STATE_DIR": str(tmp_path_factory.mktemp("nodes"))})


@pytest.fixture(scope="package")
def nodes(nodes_runtime: Runtime) -> Iterator[Running]:
    """A sandbox with two real nodes and a registry that machine, nodes and Pods reach under one name."""
    with running(SandboxOptions(name=f"nodes-{os.getpid()}", real_nodes=2), nodes_runtime) as found:
        yield found


@pytest.fixture(scope="package")
def cluster(nodes: Running) -> Cluster:
    """The same sandbox in the form that helpers of tests/cluster take."""
    return Cluster(nodes.kubeconfig, nodes.context, "real nodes", nodes.registry, nodes.env)


@pytest.fixture(scope="package")
def nodes_named(nodes: Running) -> list[str]:
    return sorted(node.name for node in nodes.real)


@pytest.fixture(scope="package")
def private(nodes: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRegistry]:
    """A registry over TLS that asks for credentials; nodes know its CA, Pawl does not."""
    binary = Path(nodes.env["KUBECTL"]).with_name("registry")
    address = str(nodes.registry).partition(":")[0]
    with private_registry(binary, address, tmp_path_factory.mktemp("private"), "hunter-two") as found:
        for node in nodes.real:
            trust(node, found.host, found.ca)
        yield found


@pytest.fixture(scope="package")
def pawl_image(nodes: Running) -> str:
    """Pawl's own image in the sandbox's registry, by digest."""
    return ensure_image(str(nodes.registry))


@pytest.fixture(scope="package")
def api(nodes: Running) -> Iterator[Api]:
    client = Api(nodes.kubeconfig)
    yield client
    client.close()


@pytest.fixture(scope="package")
def installed(api: Api) -> list[str]:
    """Our CRDs, applied and served; their names."""
    return [install(api, document) for document in crds()]


@pytest.fixture
def namespace(api: Api) -> Iterator[str]:
    """A fresh namespace with its ServiceAccount; what is in it is deleted without grace."""
    with fresh_namespace(api, f"t-{uuid.uuid4().hex[:8]}") as name:
        yield name


@pytest.fixture(scope="package")
def tool_path() -> Path:
    """The static program of the sandbox's images."""
    return built_tool()


@pytest.fixture(scope="package")
def tool(tool_path: Path) -> bytes:
    return tool_path.read_bytes()


@pytest.fixture(scope="package")
def push(nodes: Running, tool_path: Path) -> Push:
    """`push("shop/web", "v1", words=("pause",), text="")` makes an image and returns its full reference.

    `platforms=("linux/amd64", "linux/arm64")` gives an index.
    """

    def pushed(repository: str, tag: str = "v1", **more: object) -> str:
        image = replace(ToolImage(repository, tag), **more)  # type: ignore[arg-type]
        digest = tool_image(str(nodes.registry), image, tool_path)
        return f"{nodes.registry}/{repository}:{tag}@{digest}"

    return pushed

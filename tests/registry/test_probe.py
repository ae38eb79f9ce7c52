"""A probe against real registries: all steps in order, each that fails with what to change, and the rest not tried."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from tests.registry.secured import NAME, URL, Secured, secured_registry
from tests.support.registries import filesystem, registry_on

from pawl.api.errors import InputError
from pawl.api.reasons import Reason
from pawl.api.registrywork import Endpoint, Order, Report, Task
from pawl.jobs.canaryimage import canary_image, children_of
from pawl.jobs.dialling import Dialled, resolves
from pawl.jobs.probe import NAMES, TAG, probe
from pawl.registry import servercheck
from pawl.registry.servers import Server, Target

pytestmark = pytest.mark.registry


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with secured_registry(tmp_path_factory.mktemp("probed")) as made:
        yield made


@dataclass(frozen=True)
class Asked:
    """An order, as changed from one that succeeds."""

    secured: Secured

    def endpoint(self, **changes: str) -> Endpoint:
        base = self.secured.base
        fields = {"url": URL, "address": self.secured.registry.host, "ca_file": f"{base}/ca.crt"}
        return Endpoint(**{**fields, "credentials": str(base), **changes})


async def probed(endpoint: Endpoint) -> tuple[Report, list[Report]]:
    told: list[Report] = []
    order = Order(task=Task.PROBE, id="p1", endpoint=endpoint, canary="pawl/canary")
    return await probe(order, told.append), told


def failed(report: Report, name: str) -> str:
    """The sentence of the step that failed, after seeing that it is this one and that no later one was tried."""
    place = NAMES.index(name)
    assert [step.ok for step in report.steps] == [True] * place + [False] * (len(NAMES) - place), report.steps
    assert {step.message for step in report.steps[place + 1 :]} <= {"not tried"}
    assert (report.done, report.ok, report.reason, report.reference) == (True, False, Reason.NOT_PROVED, "")
    return report.steps[place].message


async def test_all_is_proved_and_the_image_before_is_deleted(secured: Secured) -> None:
    first, told = await probed(Asked(secured).endpoint())
    assert [step.name for step in first.steps] == list(NAMES)
    assert (first.ok, first.reason, first.message) == (True, Reason.PROVED, "")
    assert [len(report.steps) for report in told] == [1, 2, 3, 4, 5, 6]
    second, _ = await probed(Asked(secured).endpoint())
    assert first.reference.startswith(f"{NAME}:5000/pawl/canary@sha256:")
    assert second.reference != first.reference
    before, now = (report.reference.rpartition("@")[2] for report in (first, second))
    async with Server(secured.target()) as server:
        assert await servercheck.manifest_digest(server, "pawl/canary", TAG) == now
        assert await servercheck.manifest_digest(server, "pawl/canary", before) == ""
    held = secured.store / "docker/registry/v2/repositories/pawl/canary/_manifests/revisions/sha256"
    assert len(list(held.glob("*/link"))) == 3, "an index over two platforms, and nothing of the one before"


def test_any_node_finds_its_platform() -> None:
    image = canary_image("a label", "riscv64")
    platforms = [child["platform"]["architecture"] for child in json.loads(image.index.body)["manifests"]]
    assert platforms == ["amd64", "arm64", "riscv64"]
    assert children_of(image.index.body) == [manifest.digest for manifest in image.manifests]
    assert len({blob.digest for blob in (*image.blobs, *image.manifests)}) == 7
    assert canary_image("a label", "x86_64") == canary_image("a label", "aarch64")
    assert [children_of(body) for body in (b"", b"[]", b'{"manifests": 5}')] == [[], [], []]


async def test_a_name_without_address() -> None:
    assert "spec.access.host" in failed((await probed(Endpoint(url="https://registry.invalid")))[0], "DNS")


async def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused, and nobody else takes it
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        assert "no NetworkPolicy stands between" in failed((await probed(Endpoint(url=url)))[0], "TCP")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ca_file": ""}, "spec.access.nodeTrust"),
        ({"url": "https://other.shop.svc:5000"}, "issue the certificate for spec.access.host"),
    ],
)
async def test_a_certificate_that_is_not_trusted(secured: Secured, changes: dict[str, str], said: str) -> None:
    assert said in failed((await probed(Asked(secured).endpoint(**changes)))[0], "TLS")


async def test_tls_to_a_server_that_speaks_none(tmp_path: Path) -> None:
    with registry_on(filesystem(tmp_path)) as plain:
        report, _ = await probed(Endpoint(url=f"https://{plain.host}"))
        assert "spec.access.tls.disabled" in failed(report, "TLS")


async def test_a_wrong_password(secured: Secured, tmp_path: Path) -> None:
    (tmp_path / "username").write_text("pawl")
    (tmp_path / "password").write_text("5ecret")
    report, _ = await probed(Asked(secured).endpoint(credentials=str(tmp_path)))
    assert "the server refuses user pawl" in failed(report, "Auth")
    assert "5ecret" not in report.model_dump_json()
    report, _ = await probed(Asked(secured).endpoint(credentials=""))
    assert "set spec.access.users" in failed(report, "Auth")


async def test_a_read_only_server_is_no_failure(tmp_path: Path) -> None:
    with registry_on(filesystem(tmp_path), read_only=True) as frozen:
        report, _ = await probed(Endpoint(url=f"http://{frozen.host}"))
    assert (report.ok, report.reference) == (True, "")
    assert report.steps[-1].message.startswith("read-only now")


async def answered(push: int, page: str = "{}") -> Report:
    """Probe something that answers as a registry does, until it is pushed to."""

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(text=page) if request.path == "/v2/" else web.Response(status=push)

    app = web.Application(client_max_size=4 << 20)
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as between:
        return (await probed(Endpoint(url=f"http://127.0.0.1:{between.port}")))[0]


@pytest.mark.parametrize(
    ("status", "said"), [(413, "proxy-body-size"), (504, "proxy-read-timeout"), (401, "users"), (500, "the log")]
)
async def test_what_stands_before_a_registry_is_told_from_it(status: int, said: str) -> None:
    assert said in failed(await answered(status), "Push")


async def test_a_web_page_is_no_registry() -> None:
    assert "something else answers" in failed(await answered(200, "<html>"), "API")


async def test_an_order_without_server_or_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no server"):
        await probe(Order(task=Task.PROBE, id="p"), lambda _report: None)
    with pytest.raises(InputError, match="cannot read"):
        await probed(Endpoint(url="https://a.example", ca_file=str(tmp_path / "none")))
    (tmp_path / "ca.crt").write_text("no certificate")
    with pytest.raises(InputError, match="no PEM"):
        await probed(Endpoint(url="https://a.example", ca_file=str(tmp_path / "ca.crt")))
    with pytest.raises(InputError, match="no server"):
        await probed(Endpoint(url="ftp://a.example"))


async def test_the_address_that_is_dialled_is_the_one_that_must_resolve() -> None:
    target = Target("https://registry.invalid:5000", "127.0.0.1:9")
    assert (await resolves(Dialled.of(target), 5)).ok

"""A trust worker owns one marked directory of a node: it writes it whole, follows changes, and takes it away again."""

from __future__ import annotations

import asyncio
import os
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from pawl.api.errors import InputError
from pawl.api.registrywork import Endpoint, Order, Place, Report, Task
from pawl.jobs.hostsdirectory import HostFiles, NotOurs, remove, unread, write
from pawl.jobs.trust import trust

HOST = "registry.shop.svc:5000"


def order(tmp_path: Path, host: str = HOST) -> Order:
    endpoint = Endpoint(url=f"https://{host}", ca_file=str(tmp_path / "ca.crt"))
    place = Place(kind="Filesystem", path=str(tmp_path / "certs.d"))
    return Order(task=Task.TRUST, id=host, host=host, endpoint=endpoint, target=place)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - files tell nobody
            await asyncio.sleep(0.005)


async def test_it_follows_the_authorities_and_leaves_nothing(tmp_path: Path) -> None:
    ca, directory, told = tmp_path / "ca.crt", tmp_path / "certs.d" / HOST, list[Report]()
    ca.write_text("first")
    task = asyncio.ensure_future(trust(order(tmp_path), told.append, every=0.01))
    await until((directory / "hosts.toml").is_file)
    assert (directory / "ca.crt").read_text() == "first"
    ca.write_text("second")
    await until(lambda: (directory / "ca.crt").read_text() == "second")
    (directory / "hosts.toml").write_text("by hand")
    await until(lambda: (directory / "hosts.toml").read_text() != "by hand")
    assert told[-1].ok
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not directory.exists()
    assert (tmp_path / "certs.d").is_dir()


async def test_a_directory_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    directory, told = tmp_path / "certs.d" / HOST, list[Report]()
    directory.mkdir(parents=True)
    (tmp_path / "ca.crt").write_text("first")
    (directory / "hosts.toml").write_text("theirs")
    task = asyncio.ensure_future(trust(order(tmp_path), told.append, every=0.01))
    await until(lambda: bool(told))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not told[0].ok
    assert "was not made by Pawl" in told[0].message
    assert [path.name for path in directory.iterdir()] == ["hosts.toml"]
    assert (directory / "hosts.toml").read_text() == "theirs"


@pytest.mark.parametrize("host", ["", "..", "a/b"])
async def test_a_host_that_leads_elsewhere(tmp_path: Path, host: str) -> None:
    with pytest.raises(InputError):
        await trust(order(tmp_path, HOST).model_copy(update={"host": host}), lambda _report: None)
    assert not os.listdir(tmp_path)  # noqa: PTH208


def test_what_containerd_reads(tmp_path: Path) -> None:
    assert write(tmp_path / HOST, HostFiles(f"https://{HOST}", "pem"))
    said = tomllib.loads((tmp_path / HOST / "hosts.toml").read_text())
    assert said["server"] == f"https://{HOST}"
    assert said["host"] == {f"https://{HOST}": {"capabilities": ["pull", "resolve"], "ca": "ca.crt"}}
    assert not write(tmp_path / HOST, HostFiles(f"https://{HOST}", "pem")), "nothing changed, so nothing is written"


def test_without_an_authority_the_old_one_goes(tmp_path: Path) -> None:
    write(tmp_path / HOST, HostFiles(f"https://{HOST}", "pem"))
    assert write(tmp_path / HOST, HostFiles(f"https://{HOST}"))
    assert sorted(path.name for path in (tmp_path / HOST).iterdir()) == [".pawl", "hosts.toml"]


def test_a_link_is_replaced_and_never_followed(tmp_path: Path) -> None:
    write(tmp_path / HOST, HostFiles(f"https://{HOST}", "pem"))
    outside = tmp_path / "passwd"
    outside.write_text((tmp_path / HOST / "hosts.toml").read_text())
    for name in ("hosts.toml", "hosts.toml.tmp"):
        (tmp_path / HOST / name).unlink(missing_ok=True)
        (tmp_path / HOST / name).symlink_to(outside)
    write(tmp_path / HOST, HostFiles(f"https://{HOST}", "pem"))
    assert not (tmp_path / HOST / "hosts.toml").is_symlink(), "even a link to the right bytes may change its mind"
    outside.write_text("theirs")
    (tmp_path / HOST / "hosts.toml").unlink()
    (tmp_path / HOST / "hosts.toml").symlink_to(outside)
    write(tmp_path / HOST, HostFiles(f"https://{HOST}", "pem"))
    assert outside.read_text() == "theirs"


def test_what_others_put_beside_stays(tmp_path: Path) -> None:
    write(tmp_path / HOST, HostFiles(f"https://{HOST}", "pem"))
    (tmp_path / HOST / "client.cert").write_text("theirs")
    remove(tmp_path / HOST)
    assert [path.name for path in (tmp_path / HOST).iterdir()] == ["client.cert"]
    with pytest.raises(NotOurs):
        write(tmp_path / HOST, HostFiles(f"https://{HOST}", "pem"))
    remove(tmp_path / HOST)
    assert (tmp_path / HOST / "client.cert").is_file()


@pytest.mark.parametrize(
    ("config", "reads"),
    [
        ('version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\nconfig_path = "/etc/containerd/certs.d"', True),
        ('version = 3\n[plugins."io.containerd.cri.v1.images".registry]\nconfig_path = "/etc/x"', True),
        ('version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\nconfig_path = ""', False),
        ("version = 3", False),
        ('version = 3\nimports = ["/etc/containerd/conf.d/*.toml"]', True),
        ("no = toml = at all", True),
    ],
)
def test_a_containerd_that_does_not_look_is_told(tmp_path: Path, config: str, reads: bool) -> None:  # noqa: FBT001
    file = tmp_path / "config.toml"
    file.write_text(config)
    assert bool(unread(file)) is not reads
    assert unread(tmp_path / "none") == ""


async def test_names_that_a_registry_had_before_lead_to_it(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("first")
    told, wanted = list[Report](), order(tmp_path).model_copy(update={"also": ["old.corp:5000", HOST]})
    task = asyncio.ensure_future(trust(wanted, told.append, every=0.01))
    await until(lambda: bool(told))
    hosts = tomllib.loads((tmp_path / "certs.d" / "old.corp:5000" / "hosts.toml").read_text())
    assert list(hosts["host"]) == [f"https://{HOST}"]
    assert told[0].ok
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not os.listdir(tmp_path / "certs.d")  # noqa: PTH208


async def test_a_former_name_that_leads_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        await trust(order(tmp_path).model_copy(update={"also": ["../etc"]}), lambda _report: None)

"""`pawl registry` on real stores, in a directory and in a bucket, whole and broken: output, documents, exit codes."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.support.minio import minio
from tests.support.registries import filesystem, registry_on, s3
from tests.unit.cli.run_pawl import Ended, pawl

from pawl.decide.layout import blob_key, layer_link_key, tag_current_key
from pawl.sandbox.images import Image, Pusher, build

pytestmark = pytest.mark.registry

WEB = [Image("shop/web", f"v{number}", text=f"{number}" * 1000) for number in range(4)]
API = Image("shop/api", "v1", platforms=("linux/amd64", "linux/arm64"))


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("commands") / "store"
    with registry_on(filesystem(store)) as registry, Pusher(registry.host) as pusher:
        for image in (*WEB, API):
            pusher.push(image)
    return store


@pytest.fixture
def store(pushed: Path, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    shutil.copytree(pushed, tmp_path / "store")
    return tmp_path / "store"


def registry(command: str, *arguments: object) -> Ended:
    return pawl("registry", command, *map(str, arguments))


def test_usage(pushed: Path) -> None:
    ended = registry("usage", "--path", pushed, "-o", "json")
    found = json.loads(ended.out)
    assert (ended.code, ended.err) == (0, "")
    size = sum(path.stat().st_size for path in (pushed / "docker/registry/v2/blobs").rglob("data"))
    assert (found["bytes"], found["tags"]) == (size, 5)
    assert found["capacity"] > found["free"] > 0
    by_name = {each["name"]: each for each in found["repositories"]}
    assert {name: each["tags"] for name, each in by_name.items()} == {"shop/web": 4, "shop/api": 1}
    assert by_name["shop/api"]["manifests"] == 3
    assert sum(each["alone"] for each in by_name.values()) == size, "nothing is shared here"
    table = registry("usage", "--path", pushed, "--top", 1).out
    assert "shop/web" in table
    assert "and 1 smaller ones" in table


def test_a_whole_store_is_whole(pushed: Path) -> None:
    ended = registry("verify", "--path", pushed, "--deep")
    assert (ended.code, ended.err, ended.out.splitlines()[0]) == (0, "", "whole")


def test_faults_are_named_and_three(store: Path) -> None:
    layer = build(WEB[0]).blobs[0].digest
    (store / blob_key(layer)).unlink()
    (store / tag_current_key("shop/web", "v1")).write_text("")
    ended = registry("verify", "--path", store)
    assert ended.code == 3
    assert f"{blob_key(layer)} " in ended.out
    assert tag_current_key("shop/web", "v1") in ended.out
    found = json.loads(registry("verify", "--path", store, "-o", "json").out)
    assert not found["ok"]
    assert any(layer.removeprefix("sha256:") in sentence for sentence in found["broken"])


def test_only_deep_sees_a_flipped_bit(store: Path) -> None:
    layer = build(WEB[0]).blobs[0].digest
    path = store / blob_key(layer)
    path.write_bytes(b"\1" + path.read_bytes()[1:])
    assert registry("verify", "--path", store).code == 0
    ended = registry("verify", "--path", store, "--deep", "-o", "yaml")
    assert (ended.code, yaml.safe_load(ended.out)["corrupt"]) == (3, [layer])


SPEC = """
apiVersion: pawl.dev/v1alpha1
kind: RegistryStorage
metadata: {name: main}
spec:
  collection: {minimumAge: 0s, maxDeletePercent: 90}
  retention:
    - {repositories: [shop/web], keepTags: ['^v3$'], keepLast: 0}
"""


def plan(store: Path, tmp_path: Path, *more: str, spec: str = SPEC) -> tuple[int, dict[str, str], Ended]:
    file = tmp_path / "registrystorage.yaml"
    file.write_text(spec)
    ended = registry("plan-gc", "--path", store, "-f", file, "-o", "json", *more)
    verdicts = json.loads(ended.out)["verdicts"]
    return ended.code, {f"{each['repository']}:{each['tag']}": each["reason"] for each in verdicts}, ended


def test_a_plan_by_the_rules_of_a_file(pushed: Path, tmp_path: Path) -> None:
    code, reasons, ended = plan(pushed, tmp_path)
    assert code == 0
    assert reasons["shop/web:v3"] == "KeepTags"
    assert [reasons[f"shop/web:v{number}"] for number in range(3)] == ["Expired"] * 3
    assert reasons["shop/api:v1"] == "NoRule"
    assert "--uses" in ended.err
    table = registry("plan-gc", "--path", pushed, "-f", tmp_path / "registrystorage.yaml", "--deleted").out
    assert "3 of 5 tags and 3 manifests would go" in table
    assert "NoRule" in table.partition("Reasons")[2]


def test_what_runs_stays_with_or_without_its_host(pushed: Path, tmp_path: Path) -> None:
    uses = tmp_path / "uses"
    digest = build(WEB[1]).top.digest
    uses.write_text(f"registry.shop.svc:5000/shop/web:v0  # Pod shop/web-0\n\nshop/web@{digest}\n")
    _, reasons, ended = plan(pushed, tmp_path, "--uses", str(uses))
    assert [reasons[f"shop/web:v{number}"] for number in range(3)] == ["InUse", "InUse", "Expired"]
    assert ended.err == ""


def test_a_cap_refuses_with_three(pushed: Path, tmp_path: Path) -> None:
    code, _, ended = plan(pushed, tmp_path, spec=SPEC.replace("90", "10"))
    assert code == 3
    assert "maxDeletePercent" in json.loads(ended.out)["refused"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("usage",), "say which registry"),
        (("usage", "main", "--path", "/tmp"), "say which registry"),
        (("usage", "--path", "/nonexistent"), "is no directory"),
        (("verify", "--path", "/proc"), "holds no registry"),
        (("usage", "--s3", "s3://A"), "is no bucket"),
        (("usage", "--s3", "s3://images", "--endpoint", "minio:9000"), "is no URL"),
        (("usage", "--s3", "s3://images", "--credentials", "/nonexistent"), "cannot read /nonexistent/accessKey"),
        (("migrate", "--from", "/tmp", "--to", "/tmp"), "--plan"),
        (("migrate", "--plan", "--from", "/tmp"), "--from and --to"),
        (("migrate", "--plan", "main", "--from", "/tmp"), "leave out --from"),
        (("plan-gc", "main", "--keep-last", "3"), "leave out -f"),
        (("plan-gc", "--path", "/tmp", "--older-than", "a while"), "keepYoungerThan"),
        (("plan-gc", "--path", "/tmp", "-f", "/nonexistent"), "cannot read"),
        (("plan-gc", "--path", "/tmp", "--uses", "/nonexistent"), "cannot read"),
        (("frobnicate",), "frobnicate"),
    ],
)
def test_bad_input_is_one_line_and_two(arguments: tuple[str, ...], said: str) -> None:
    ended = pawl("registry", *arguments)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert said in ended.err


def test_a_plan_of_a_move_writes_nothing(pushed: Path, tmp_path: Path) -> None:
    goal = tmp_path / "goal"
    goal.mkdir()
    ended = registry("migrate", "--plan", "--from", pushed, "--to", goal, "--rate", 1, "-o", "json")
    found = json.loads(ended.out)
    assert (ended.code, found["reason"], found["linksAtFault"]) == (0, None, 0)
    assert found["seconds"] == {str(1 << 20): found["bytes"] >> 20}
    assert list(goal.iterdir()) == []
    table = registry("migrate", "--plan", "--from", pushed, "--to", goal).out
    assert "can move to" in table
    assert "500.0 MiB/s" in table


def test_a_move_onto_another_registry_may_not_begin(pushed: Path, tmp_path: Path) -> None:
    with registry_on(filesystem(tmp_path / "other")) as other, Pusher(other.host) as pusher:
        pusher.push(Image("another", "v1"))
    ended = registry("migrate", "--plan", "--from", pushed, "--to", tmp_path / "other", "-o", "json")
    assert (ended.code, json.loads(ended.out)["reason"]) == (3, "TargetNotEmpty")


def test_broken_links_stay_behind(store: Path, tmp_path: Path) -> None:
    (store / layer_link_key("shop/web", build(WEB[0]).blobs[0].digest)).write_text("")
    (tmp_path / "goal").mkdir()
    ended = registry("migrate", "--plan", "--from", store, "--to", tmp_path / "goal")
    assert ended.code == 0
    assert "1 stay behind" in ended.out


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...]]:
    """The options for a bucket with one image."""
    keys = tmp_path_factory.mktemp("keys")
    with minio() as store:
        store.bucket("images")
        (keys / "accessKey").write_text(store.access_key)
        (keys / "secretKey").write_text(store.secret_key)
        with registry_on(s3(store, "images", "pre")) as server, Pusher(server.host) as pusher:
            pusher.push(API)
        yield ("--endpoint", store.endpoint, "--credentials", str(keys))


def test_a_bucket(bucket: tuple[str, ...], tmp_path: Path) -> None:
    assert json.loads(registry("usage", "--s3", "s3://images/pre", *bucket, "-o", "json").out)["tags"] == 1
    assert registry("verify", "--s3", "s3://images/pre", "--deep", *bucket).code == 0
    (tmp_path / "goal").mkdir()
    ended = registry("migrate", "--plan", "--from", "s3://images/pre", "--to", tmp_path / "goal", *bucket)
    assert ended.code == 0, ended.err
    empty = registry("usage", "--s3", "s3://images", *bucket)
    assert (empty.code, empty.err.count("\n")) == (2, 1)


def test_a_bucket_that_refuses_says_so_soon(bucket: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "accessKey").write_text("nobody")
    (tmp_path / "secretKey").write_text("5ecret-5ecret")
    begun = time.monotonic()
    options = (bucket[0], bucket[1], "--credentials", tmp_path)
    ended = registry("usage", "--s3", "s3://images/pre", *options)
    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert "5ecret" not in ended.err
    assert time.monotonic() - begun < 30
    assert registry("usage", "--s3", "s3://nowhere", *bucket).code == 1

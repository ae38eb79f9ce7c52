"""MinIO beside a cluster and alone, and the second S3 server of the tests: buckets, keys, what outlives a process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from obstore.store import S3Store
from tests.sandbox.support import all_gone, linked_binaries
from tests.support.minio import minio
from tests.support.rclone import rclone_s3

from pawl.api.errors import InputError, SandboxError
from pawl.sandbox import Runtime, SandboxOptions, environment, running, status, up
from pawl.sandbox.minio import Minio, keys_of
from pawl.sandbox.state import Store

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]


def bucket(store: Minio, name: str) -> S3Store:
    keys = {"access_key_id": store.access_key, "secret_access_key": store.secret_key}
    options = {"endpoint": store.endpoint, "region": "us-east-1", "virtual_hosted_style_request": False}
    return S3Store(name, client_options={"allow_http": True}, **keys, **options)


def test_what_is_stored_outlives_the_process(tmp_path: Path) -> None:
    with minio(tmp_path) as store:
        bucket(store, store.bucket("images")).put("a/b", b"kept")
    with minio(tmp_path) as again:
        assert again.bucket("images") == "images"
        assert bytes(bucket(again, "images").get("a/b").bytes()) == b"kept"


def test_a_bucket_that_cannot_be_is_told_with_the_servers_words(tmp_path: Path) -> None:
    with minio(tmp_path) as store, pytest.raises(SandboxError, match=r"bucket A: refused \(400, InvalidBucketName\)"):
        store.bucket("A")
    with pytest.raises(SandboxError, match="does not answer"):
        store.bucket("images")


def test_the_second_server_knows_the_same_requests(tmp_path: Path) -> None:
    with rclone_s3(tmp_path) as store:
        bucket(store, store.bucket("images")).put("a/b", b"kept")
    assert (tmp_path / "data" / "images" / "a" / "b").read_bytes() == b"kept"


def test_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    keys = keys_of(tmp_path)
    assert keys_of(tmp_path) == keys
    assert (tmp_path / "keys.json").stat().st_mode & 0o777 == 0o600
    assert keys.secret_key not in repr(keys)


def test_a_sandbox_brings_a_minio_and_takes_it_down(runtime: Runtime, binaries: Path, tmp_path: Path) -> None:
    some = linked_binaries(binaries, tmp_path / "bin", "etcd", "kube-apiserver")
    store = Store(Path(runtime.environ["PAWL_STATE_DIR"]))
    with running(SandboxOptions(name="m", registry=False, binaries=some, minio=True), runtime) as found:
        assert found.minio
        assert found.minio.bucket("images") == "images"
        env = environment("m", runtime=runtime)
        assert env["PAWL_MINIO_ENDPOINT"] == found.minio.endpoint
        assert env["PAWL_MINIO_SECRET_KEY"] == found.minio.secret_key
        assert [each.minio for each in status(runtime=runtime)] == [found.minio.address]
        recorded = store.load("m")
        assert recorded
        assert found.minio.secret_key not in (store.directory("m") / "state.json").read_text()
        os.kill(found.minio.pid, 0)
    assert all_gone(recorded.processes)


def test_kind_has_no_minio(runtime: Runtime) -> None:
    with pytest.raises(InputError, match="leave --minio out"):
        up(SandboxOptions(name="m", provider="kind", minio=True), runtime)

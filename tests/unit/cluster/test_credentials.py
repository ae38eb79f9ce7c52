"""Credentials: where they are found, what of them is kept, and what a broken source says."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
import yaml

from pawl.api.errors import InputError
from pawl.cluster.credentials import KUBECONFIG_PERIOD, TOKEN_PERIOD, Place, environment_proxy, load


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    path = tmp_path / "ca.crt"
    trustme.CA().cert_pem.write_to_path(str(path))
    return path


def config(path: Path, user: dict[str, object], **cluster: object) -> Place:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://10.0.0.1:6443/", **cluster}}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(yaml.safe_dump(document))
    return Place(str(path), environ={})


def pod(tmp_path: Path, authority: Path, token: str = "abc\n") -> Place:
    file = tmp_path / "token"
    file.write_text(token)
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    return Place(environ=environ, token_file=str(file), ca_file=str(authority))


def plugin(path: Path, status: dict[str, object]) -> dict[str, object]:
    answer = json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status})
    path.write_text(f"import sys; sys.stdout.write({answer!r})")
    return {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": sys.executable,
            "args": [str(path)],
        }
    }


async def test_a_kubeconfig_gives_server_authority_and_token(tmp_path: Path, authority: Path) -> None:
    place = config(tmp_path / "kc", {"token": "s3cret"}, **{"certificate-authority": str(authority)})
    found = await load(place)
    assert found.server == "https://10.0.0.1:6443"
    assert found.authorization == "Bearer s3cret"
    assert found.ca_path == str(authority)
    assert (found.insecure, found.certificate_path, found.proxy) == (False, None, None)
    assert found.lifetime == KUBECONFIG_PERIOD
    assert "s3cret" not in repr(found)


async def test_the_pod_gives_its_token_and_its_address(tmp_path: Path, authority: Path) -> None:
    place = pod(tmp_path, authority)
    assert place.in_pod()
    found = await load(place)
    assert found.server == "https://[fd00::1]:443"
    assert found.authorization == "Bearer abc"
    assert found.lifetime == TOKEN_PERIOD


async def test_a_rotated_token_is_other_credentials_on_the_same_connection(tmp_path: Path, authority: Path) -> None:
    place = pod(tmp_path, authority)
    before = await load(place)
    (tmp_path / "token").write_text("def")
    after = await load(place)
    assert after.authorization == "Bearer def"
    assert after.fingerprint == before.fingerprint


async def test_a_rotated_authority_is_another_connection(tmp_path: Path, authority: Path) -> None:
    place = pod(tmp_path, authority)
    before = await load(place)
    trustme.CA().cert_pem.write_to_path(str(authority))
    assert (await load(place)).fingerprint != before.fingerprint


async def test_client_certificates_are_part_of_the_connection(tmp_path: Path, authority: Path) -> None:
    leaf = trustme.CA().issue_cert("me")
    leaf.private_key_pem.write_to_path(str(tmp_path / "key"))
    leaf.cert_chain_pems[0].write_to_path(str(tmp_path / "crt"))
    user: dict[str, object] = {"client-certificate": "crt", "client-key": "key"}
    found = await load(config(tmp_path / "kc", user, **{"certificate-authority": str(authority)}))
    assert found.certificate_path == str(tmp_path / "crt")
    assert found.private_key_path == str(tmp_path / "key")
    assert found.authorization is None


async def test_verification_can_be_left_out_only_by_saying_so(tmp_path: Path) -> None:
    found = await load(config(tmp_path / "kc", {"token": "x"}, **{"insecure-skip-tls-verify": True}))
    assert found.insecure
    assert found.tls.verify_mode is ssl.CERT_NONE
    named = await load(config(tmp_path / "kc", {"token": "x"}, **{"tls-server-name": "api", "proxy-url": "http://p:1"}))
    assert named.tls.verify_mode is ssl.CERT_REQUIRED
    assert (named.tls_server_name, named.proxy) == ("api", "http://p:1")


async def test_a_plugin_is_asked_again_before_its_credentials_end(tmp_path: Path) -> None:
    status: dict[str, object] = {"token": "fresh", "expirationTimestamp": "2020-01-01T00:00:00Z"}
    found = await load(config(tmp_path / "kc", plugin(tmp_path / "p.py", status)))
    assert found.authorization == "Bearer fresh"
    assert found.lifetime == 1.0
    found = await load(config(tmp_path / "kc", plugin(tmp_path / "p.py", {"token": "fresh"})))
    assert found.lifetime == KUBECONFIG_PERIOD


async def test_a_list_of_kubeconfigs_is_merged(tmp_path: Path) -> None:
    config(tmp_path / "one", {"token": "x"})
    place = Place(environ={"KUBECONFIG": f"{tmp_path / 'none'}:{tmp_path / 'one'}"})
    assert (await load(place)).authorization == "Bearer x"


def test_an_explicit_kubeconfig_wins_and_the_pod_comes_before_home(tmp_path: Path, authority: Path) -> None:
    inside = pod(tmp_path, authority)
    assert inside.found_kubeconfig() is None
    assert Place("a", environ={"KUBECONFIG": "b"}).found_kubeconfig() == "a"
    assert Place(environ={"KUBECONFIG": "b"}).found_kubeconfig() == "b"
    assert Place(environ={"KUBECONFIG": ""}, token_file="/none").found_kubeconfig() == str(Path.home() / ".kube/config")
    assert not Place(environ={}, token_file=inside.token_file).in_pod()


async def test_a_missing_kubeconfig_is_a_sentence() -> None:
    with pytest.raises(InputError, match="there is no kubeconfig /nowhere/kc; set KUBECONFIG or name one with --kube"):
        await load(Place("/nowhere/kc"))


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", "a: b", "current-context: x\ncontexts: []\nclusters: []\n", "current-context: x\ncontexts: 1\n"],
)
async def test_a_broken_kubeconfig_is_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kc"
    path.write_text(text)
    with pytest.raises(
        InputError, match=r"^kubeconfig .*/kc is not usable: .*name another with --kubeconfig$"
    ) as caught:
        await load(Place(str(path)))
    assert len(str(caught.value).splitlines()) == 1


async def test_an_empty_token_in_the_pod_is_a_sentence(tmp_path: Path, authority: Path) -> None:
    with pytest.raises(
        InputError, match=r"ServiceAccount mounted in this Pod is not usable: the token file .* is empty"
    ):
        await load(pod(tmp_path, authority, token=""))


async def test_an_address_without_a_port_is_a_sentence(tmp_path: Path, authority: Path) -> None:
    place = pod(tmp_path, authority)
    with pytest.raises(InputError, match="not usable: KUBERNETES_SERVICE_HOST or KUBERNETES_SERVICE_PORT is not set; "):
        await load(replace(place, environ={"KUBERNETES_SERVICE_HOST": "10.0.0.1"}))


@pytest.mark.parametrize(("text", "cause"), [("", "the authority file .* is empty; check automount"), ("no PEM", "")])
async def test_a_broken_authority_is_a_sentence(tmp_path: Path, text: str, cause: str) -> None:
    (tmp_path / "ca.crt").write_text(text)
    with pytest.raises(InputError, match=rf"this Pod is not usable: {cause}"):
        await load(pod(tmp_path, tmp_path / "ca.crt"))


@pytest.mark.parametrize(
    ("server", "no_proxy", "expected"),
    [
        ("https://10.0.0.1:443", "", "http://proxy:3128"),
        ("https://10.0.0.1:443", "10.0.0.0/8", None),
        ("https://10.0.0.1:443", "192.168.0.0/16,10.0.0.1", None),
        ("https://10.0.0.1:443", "bad/cidr,10.1.0.0/16", "http://proxy:3128"),
        ("https://api.corp.example:6443", ".corp.example", None),
        ("https://api.corp.example:6443", "corp.example", None),
        ("https://api.corp.example:6443", "*.corp.example", None),
        ("https://api.corp.example:6443", "api.corp.example:6443", None),
        ("https://api.notcorp.example:6443", "corp.example", "http://proxy:3128"),
        ("https://api.corp.example:6443", "*", None),
        ("https://127.0.0.1:6443", "", None),
        ("https://[::1]:6443", "", None),
        ("https://localhost:6443", "", None),
        ("http://10.0.0.1", "", None),
    ],
)
def test_the_proxy_of_the_environment(server: str, no_proxy: str, expected: str | None) -> None:
    assert environment_proxy(server, {"HTTPS_PROXY": "http://proxy:3128", "no_proxy": no_proxy}) == expected


async def test_two_readings_do_not_disturb_each_other(tmp_path: Path) -> None:
    one, two = config(tmp_path / "1", {"token": "one"}), config(tmp_path / "2", {"token": "two"})
    found = await asyncio.gather(load(one), load(two))
    assert [item.authorization for item in found] == ["Bearer one", "Bearer two"]

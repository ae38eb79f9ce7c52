"""Credentials from pull Secrets: parsing, matching as the kubelet does, and no secret in any text."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawl.registry.credentials import (
    ANONYMOUS,
    MAX_CONFIG_BYTES,
    Credentials,
    Keyring,
    merge,
    parse_dockerconfigjson,
)


def auth(username: str, password: str = "pw") -> dict[str, str]:
    return {"auth": base64.b64encode(f"{username}:{password}".encode()).decode()}


def config(auths: dict[str, Any]) -> Keyring:
    return parse_dockerconfigjson(json.dumps({"auths": auths}).encode())


def who(ring: Keyring, host: str, path: str = "shop/web") -> str | None:
    found = ring.lookup(host, path)
    return found.username if found else None


MATCHES = [
    # entry, host, path, fits
    ("registry.corp", "registry.corp", "a", True),
    ("https://registry.corp", "registry.corp", "a", True),
    ("http://registry.corp/", "registry.corp", "a", True),
    ("https://registry.corp/v2/", "registry.corp", "a", True),
    ("https://registry.corp/v1/", "registry.corp", "a", True),
    ("REGISTRY.Corp", "registry.corp", "a", True),
    ("registry.corp", "registry.corp:5000", "a", False),
    ("registry.corp:5000", "registry.corp:5000", "a", True),
    ("registry.corp:5000", "registry.corp", "a", False),
    ("registry.corp/shop", "registry.corp", "shop/web", True),
    ("registry.corp/shop", "registry.corp", "shop", True),
    ("registry.corp/shop", "registry.corp", "shopping/web", False),
    ("registry.corp/shop/web", "registry.corp", "shop", False),
    ("registry.corp/v2/shop", "registry.corp", "shop/web", True),
    ("*.corp", "registry.corp", "a", True),
    ("*.corp", "a.registry.corp", "a", False),
    ("*.*.corp", "a.registry.corp", "a", True),
    ("*.corp:5000", "registry.corp:5000", "a", True),
    ("reg*.corp", "registry.corp", "a", True),
    ("registry.corp.evil.example", "registry.corp", "a", False),
    ("corp", "registry.corp", "a", False),
    ("https://index.docker.io/v1/", "docker.io", "library/nginx", True),
    ("index.docker.io", "docker.io", "library/nginx", True),
    ("registry-1.docker.io", "docker.io", "library/nginx", True),
    ("docker.io", "docker.io", "library/nginx", True),
    ("docker.io/library", "docker.io", "library/nginx", True),
    ("docker.io/corp", "docker.io", "library/nginx", False),
    ("[::1]:5000", "[::1]:5000", "a", True),
]


@pytest.mark.parametrize(("entry", "host", "path", "fits"), MATCHES)
def test_an_entry_fits_as_for_the_kubelet(entry: str, host: str, path: str, fits: bool) -> None:  # noqa: FBT001
    assert (config({entry: auth("u")}).lookup(host, path) is not None) is fits


def test_the_most_specific_entry_wins() -> None:
    ring = config(
        {
            "*.corp": auth("glob"),
            "*.corp/shop": auth("glob path"),
            "registry.corp": auth("host"),
            "registry.corp/shop": auth("path"),
            "registry.corp/shop/web": auth("repository"),
        }
    )
    assert who(ring, "registry.corp", "shop/web") == "repository"
    assert who(ring, "registry.corp", "shop/api") == "path"
    assert who(ring, "registry.corp", "other") == "host"
    assert who(ring, "mirror.corp", "shop/web") == "glob path"
    assert who(ring, "mirror.corp", "other") == "glob"
    assert who(ring, "elsewhere.example") is None


def test_forms_of_credentials() -> None:
    ring = config(
        {
            "a.io": {"username": "u", "password": "p:w"},
            "b.io": auth("u", "p:w"),
            "c.io": {"auth": base64.b64encode(b"u:p").decode().rstrip("=")},
            "d.io": {**auth("<token>", ""), "identitytoken": "refresh"},
            "e.io": {"registrytoken": "ready"},
            "f.io": {"auth": base64.b64encode(b"u:p\x00\x00").decode()},
            "g.io": {**auth("wins", "p"), "username": "loses", "password": "q"},
        }
    )
    assert ring.lookup("a.io", "x") == ring.lookup("b.io", "x") == Credentials("u", "p:w")
    assert ring.lookup("c.io", "x") == ring.lookup("f.io", "x") == Credentials("u", "p")
    assert ring.lookup("d.io", "x") == Credentials("<token>", "", identity_token="refresh")
    assert ring.lookup("e.io", "x") == Credentials(registry_token="ready")
    assert who(ring, "g.io") == "wins"


def test_entries_without_credentials_and_helpers_are_passed_over() -> None:
    raw = {"auths": {"a.io": {}, "": auth("u")}, "credsStore": "osxkeychain", "credHelpers": {"b.io": "ecr-login"}}
    assert len(parse_dockerconfigjson(json.dumps(raw).encode())) == 0
    assert len(parse_dockerconfigjson(b"{}")) == len(parse_dockerconfigjson(b'{"auths": null}')) == 0


SECRETS = ("s3cret-password", "czNjcmV0")
BROKEN = [
    b"",
    b"not json s3cret-password",
    b'{"auths": []}',
    b'{"auths": {"a.io": "s3cret-password"}}',
    b'{"auths": {"a.io": {"auth": 7}}}',
    b'{"auths": {"a.io": {"auth": "s3cret-password!"}}}',
    b'{"auths": {"u:s3cret-password@a.io": {"auth": "czNjcmV0"}}}',
    b'{"auths": {"a.io": {"auth": "/w=="}}}',
    b"\xff\xfe",
]


@pytest.mark.parametrize("raw", BROKEN)
def test_broken_configs_say_so_without_secrets(raw: bytes) -> None:
    with pytest.raises(ValueError, match="dockerconfigjson") as caught:
        parse_dockerconfigjson(raw)
    assert not any(secret in str(caught.value) for secret in SECRETS)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_config_is_bounded() -> None:
    with pytest.raises(ValueError, match="more than"):
        parse_dockerconfigjson(b" " * (MAX_CONFIG_BYTES + 1))


@given(st.binary(max_size=300) | st.text().map(lambda text: json.dumps({"auths": {text: {"auth": text}}}).encode()))
def test_any_bytes_are_read_or_refused_in_one_line(raw: bytes) -> None:
    message = ""
    try:
        parse_dockerconfigjson(raw)
    except ValueError as error:
        message = str(error)
    assert "\n" not in message


@given(st.text(min_size=8), st.text(min_size=8))
def test_nothing_shows_a_secret(username: str, password: str) -> None:
    credentials = Credentials(username, password, password, password)
    for text in (repr(credentials), str(credentials), f"{credentials}", repr([credentials])):
        assert text in {"Credentials(hidden)", "[Credentials(hidden)]"}
    assert password not in credentials.fingerprint()


def test_fingerprints_tell_credentials_apart() -> None:
    several = [
        ANONYMOUS,
        Credentials("a", "bc"),
        Credentials("ab", "c"),
        Credentials("a", identity_token="bc"),
        Credentials("a", registry_token="bc"),
    ]
    assert len({each.fingerprint() for each in several}) == len(several)
    assert Credentials("a", "bc").fingerprint() == Credentials("a", "bc").fingerprint()
    assert ANONYMOUS.anonymous
    assert not any(each.anonymous for each in several[1:])


def test_between_equal_entries_the_earlier_secret_wins() -> None:
    merged = merge([config({"a.io": auth("first")}), config({"a.io": auth("second"), "a.io/x": auth("path")})])
    assert (who(merged, "a.io", "y"), who(merged, "a.io", "x")) == ("first", "path")
    assert len(merge([])) == 0

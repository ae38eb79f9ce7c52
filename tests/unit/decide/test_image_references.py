"""Image references against the distribution grammar: what is read, what it becomes, what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.decide.specs import outcome

from pawl.api.errors import Stalled
from pawl.api.reasons import Reason
from pawl.decide.reference import Reference, Repository, UnparsableReference, parse, parse_repository

F64, F128 = "f" * 64, "f" * 128
LONGEST = "a/" * 122 + "a"  # 245 characters, 255 with docker.io/

# text, host, path, tag, digest
GOOD: tuple[tuple[str, str, str, str | None, str | None], ...] = (
    ("nginx", "docker.io", "library/nginx", None, None),
    ("nginx:1.27", "docker.io", "library/nginx", "1.27", None),
    (f"nginx@sha256:{F64}", "docker.io", "library/nginx", None, f"sha256:{F64}"),
    (f"busybox:latest@sha256:{F64}", "docker.io", "library/busybox", "latest", f"sha256:{F64}"),
    ("docker.io/nginx", "docker.io", "library/nginx", None, None),
    ("docker.io/library/nginx", "docker.io", "library/nginx", None, None),
    ("index.docker.io/nginx", "docker.io", "library/nginx", None, None),
    ("index.docker.io/library/debian", "docker.io", "library/debian", None, None),
    ("INDEX.docker.io/shop/web:1", "docker.io", "shop/web", "1", None),
    ("Docker.IO/shop/web", "docker.io", "shop/web", None, None),
    ("shop/web", "docker.io", "shop/web", None, None),
    ("library/foo/bar", "docker.io", "library/foo/bar", None, None),
    ("docker.io/library/foo/bar", "docker.io", "library/foo/bar", None, None),
    ("test_com", "docker.io", "library/test_com", None, None),
    ("test_com/foo", "docker.io", "test_com/foo", None, None),
    ("test.com:tag", "docker.io", "library/test.com", "tag", None),
    ("test.com:5000", "docker.io", "library/test.com", "5000", None),
    ("192.168.1.1:5000", "docker.io", "library/192.168.1.1", "5000", None),
    ("localhost", "docker.io", "library/localhost", None, None),
    ("localhost/web", "localhost", "web", None, None),
    ("LOCALHOST/web", "localhost", "web", None, None),
    ("localhost:5000/web:1", "localhost:5000", "web", "1", None),
    ("test.com/repo:tag", "test.com", "repo", "tag", None),
    ("Registry.Example.COM:5000/shop/web", "registry.example.com:5000", "shop/web", None, None),
    ("test:5000/repo", "test:5000", "repo", None, None),
    (f"test:5000/repo:tag@sha256:{F64}", "test:5000", "repo", "tag", f"sha256:{F64}"),
    ("sub-dom1.foo.com/bar/baz/quux:some-long-tag", "sub-dom1.foo.com", "bar/baz/quux", "some-long-tag", None),
    (
        "b.gcr.io/test.example.com/my-app:test.example.com",
        "b.gcr.io",
        "test.example.com/my-app",
        "test.example.com",
        None,
    ),
    (f"xn--7o8h.com/myimage:xn--7o8h.com@sha512:{F128}", "xn--7o8h.com", "myimage", "xn--7o8h.com", f"sha512:{F128}"),
    ("foo/foo_bar.com:8080", "docker.io", "foo/foo_bar.com", "8080", None),
    ("192.168.1.1:5000/repo:5050", "192.168.1.1:5000", "repo", "5050", None),
    ("[2001:db8::1]/repo", "[2001:db8::1]", "repo", None, None),
    ("[2001:DB8::1]:5000/repo:tag", "[2001:db8::1]:5000", "repo", "tag", None),
    ("[::1]:5000/repo", "[::1]:5000", "repo", None, None),
    ("registry/shop.web/api", "docker.io", "registry/shop.web/api", None, None),
    ("lowercase:Uppercase", "docker.io", "library/lowercase", "Uppercase", None),
    ("Foo/bar", "FOO", "bar", None, None),
    ("FOO/bar", "FOO", "bar", None, None),
    ("dock__er/docker---rules", "docker.io", "dock__er/docker---rules", None, None),
    (f"docker.io/{F64}", "docker.io", f"library/{F64}", None, None),
    (f"nginx:{'t' * 128}", "docker.io", "library/nginx", "t" * 128, None),
    ("docker.io/localhost/web", "docker.io", "localhost/web", None, None),
    ("docker.io/shop.web/api", "docker.io", "shop.web/api", None, None),
    (LONGEST, "docker.io", LONGEST, None, None),
)

BAD: tuple[str, ...] = (
    "",
    " ",
    " nginx",
    "nginx ",
    "nginx\n",
    "https://registry.example.com/web",
    "docker.io/",
    "/nginx",
    "docker/",
    "docker//docker",
    "docker/Docker",
    "Uppercase:tag",
    "test:5000/Uppercase/lowercase:tag",
    ":justtag",
    "nginx:",
    "nginx:-foo",
    "nginx:.foo",
    "nginx:a b",
    "nginx:ta+g",
    f"nginx:{'t' * 129}",
    f"@sha256:{F64}",
    "nginx@",
    "nginx@sha256",
    "nginx@sha256:",
    f"nginx@sha256:{'f' * 63}",
    f"nginx@sha256:{'f' * 65}",
    f"nginx@sha256:{'F' * 64}",
    f"nginx@SHA256:{F64}",
    f"nginx@sha512:{F64}",
    f"nginx@md5:{'f' * 32}",
    f"nginx@invaliddigest:{F64}",
    f"nginx@sha256:{F64}@sha256:{F64}",
    f"nginx@sha256:{F64}:tag",
    F64,
    "-docker/docker",
    "-docker.io/docker",
    "docker.io-/docker",
    "docker-/docker",
    "_docker/docker",
    "dock..er/docker",
    "dock_.er/docker",
    "dock-.er/docker",
    "do___cker/docker",
    "____/____",
    "aa/asdf$$^/aa",
    "[2001:db8::1]",
    "[2001:db8::1]:5000",
    "[fe80::1%eth0]:5000/repo",
    "[2001:db8:3:4::192.0.2.33]:5000/debian",
    "fc00::1:5000/debian",
    "test.com:/repo",
    "test.com:port/repo",
    "t\u00e9st.com/repo",
    "a" + LONGEST,
    "a/" * 128 + "a:tag",
    "x" * 5000,
)


@pytest.mark.parametrize(("text", "host", "path", "tag", "digest"), GOOD)
def test_a_reference_is_read_in_normalised_form(
    text: str, host: str, path: str, tag: str | None, digest: str | None
) -> None:
    reference = parse(text)
    assert reference == Reference(host, path, tag, digest)
    assert reference.repository == Repository(host, path)
    assert str(reference.repository) == f"{host}/{path}"
    assert parse(str(reference)) == reference
    assert parse(reference.familiar()) == reference


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_reference_is_told_in_one_line(text: str) -> None:
    with pytest.raises(UnparsableReference) as caught:
        parse(text)
    message = str(caught.value)
    assert message
    assert "\n" not in message
    assert len(message) < 300


@pytest.mark.parametrize(
    ("text", "familiar"),
    [
        ("docker.io/library/ubuntu:1", "ubuntu:1"),
        ("index.docker.io/fooo/bar", "fooo/bar"),
        ("library/foo/bar", "library/foo/bar"),
        ("127.0.0.1:8000/private/moonbase", "127.0.0.1:8000/private/moonbase"),
    ],
)
def test_the_familiar_form_leaves_the_defaults_out(text: str, familiar: str) -> None:
    assert parse(text).familiar() == familiar


@pytest.mark.parametrize(
    ("image", "says"),
    [
        ("https://registry.example.com/web", "'registry.example.com/web'"),
        ("oci://registry.example.com/web", "scheme"),
        ("registry.example.com/web:1.2", "has a tag"),
        ("registry.example.com/web:1.2", "'registry.example.com/web'"),
        (f"web@sha256:{F64}", "has a digest"),
        (f"web:1@sha256:{F64}", "has a digest"),
        ("", "empty"),
        ("Web", "lower-case"),
        ("registry.example.com/", "registry.example.com/shop/web"),
        ("a b", "registry.example.com/shop/web"),
    ],
)
def test_an_image_that_is_no_repository_stalls_with_what_to_write(image: str, says: str) -> None:
    with pytest.raises(Stalled) as caught:
        parse_repository(image)
    assert caught.value.reason == Reason.INVALID_IMAGE
    assert says in caught.value.message
    assert "\n" not in caught.value.message


def test_an_image_is_its_normalised_repository() -> None:
    assert str(parse_repository("nginx")) == "docker.io/library/nginx"
    assert parse_repository("Registry.Example.com:5000/web") == Repository("registry.example.com:5000", "web")


pieces = st.text(alphabet="aAzZ09.:/@-_[]", max_size=24)


@settings(max_examples=200)
@given(st.text(max_size=30) | pieces | st.builds("{}/{}:{}".format, pieces, pieces, pieces))
def test_parsing_is_total_and_its_result_a_fixed_point(text: str) -> None:
    try:
        reference = parse(text)
    except UnparsableReference:
        return
    assert parse(str(reference)) == reference
    assert parse(reference.familiar()) == reference
    assert str(parse(str(reference))) == str(reference)


@settings(max_examples=200)
@given(st.text(max_size=30) | pieces)
def test_any_text_as_image_raises_nothing_but_stalled(text: str) -> None:
    found = outcome(lambda: parse_repository(text))
    if isinstance(found, Stalled):
        assert found.reason == Reason.INVALID_IMAGE
    else:
        assert parse_repository(str(found)) == found

"""Where requests may go: URLs, addresses, realms, proxies."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawl.api.errors import BadAnswer, ForbiddenTarget, ForeignRealm
from pawl.registry.addresses import NetworkPolicy, is_loopback_name
from pawl.registry.proxies import Proxy, ProxySettings
from pawl.registry.realms import list_may_move, realm_url
from pawl.registry.targets import (
    Access,
    Endpoint,
    Origin,
    Url,
    origin_of,
    reference_target,
    repository_target,
)

OUTSIDE, POD = NetworkPolicy(deny_loopback=False), NetworkPolicy(deny_loopback=True)

DIALLED = [
    ("docker.io", False, "https://registry-1.docker.io/"),
    ("index.docker.io", False, "https://registry-1.docker.io/"),
    ("ghcr.io", False, "https://ghcr.io/"),
    ("registry.corp:5000", False, "https://registry.corp:5000/"),
    ("registry.corp:443", False, "https://registry.corp/"),
    ("registry.corp", True, "http://registry.corp/"),
    ("registry.corp:443", True, "http://registry.corp:443/"),
    ("[::1]:5000", True, "http://[::1]:5000/"),
    ("[0:0::1]", True, "http://[::1]/"),
]


@pytest.mark.parametrize(("host", "plain", "url"), DIALLED)
def test_where_a_registry_is_dialled(host: str, plain: bool, url: str) -> None:  # noqa: FBT001
    assert str(Access(Endpoint(host, plain_http=plain)).url("/")) == url


@pytest.mark.parametrize(
    "host", ["", ":5000", "a b", "a:0", "a:65536", "a:x", "[::1", "[x]", "a/b", "u@h", "-a", "é.fr"]
)
def test_what_is_no_host(host: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        origin_of("https", host)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/x",
        "//a/x",
        "ftp://a/",
        "https://",
        "https://u@a/",
        "https://u:p@a/",
        "https://a b/",
        "https://a/\n",
        "https://é/",
    ],
)
def test_what_is_no_url(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Url.parse(text)


def test_references_are_resolved_and_fragments_dropped() -> None:
    base = Url.parse("https://a.io/v2/r/tags/list?n=1")
    assert str(base.resolve("/v2/x?y=z#f")) == "https://a.io/v2/x?y=z"
    assert str(base.resolve("list?last=b")) == "https://a.io/v2/r/tags/list?last=b"
    assert str(base.resolve("?last=b")) == "https://a.io/v2/r/tags/list?last=b"
    assert base.resolve("//B.io:8443").origin == Origin("https", "b.io", 8443)


@given(st.text(max_size=60))
def test_any_text_is_a_url_or_refused(text: str) -> None:
    try:
        url = Url.parse("https://a.io/").resolve(text)
    except ValueError:
        return
    assert str(url).isascii()
    assert "@" not in url.origin.authority
    assert str(url).isprintable()


def test_paths_and_references() -> None:
    assert repository_target("shop/web", "tags/list") == "/v2/shop/web/tags/list"
    assert reference_target("r", "manifests", "v1.0_x-y") == "/v2/r/manifests/v1.0_x-y"
    assert reference_target("r", "blobs", "sha256:" + "0" * 64).endswith("0" * 64)


def test_access_keys_tell_apart_what_must_not_be_shared() -> None:
    a, b = Access(Endpoint("a.io")), Access(Endpoint("a.io", timeout=1.0))
    assert a.realm_key == b.realm_key
    assert a.fingerprint != b.fingerprint
    assert "BEGIN" not in repr(Endpoint("a.io", ca_pem="-----BEGIN CERTIFICATE-----"))


# addresses

DENIED_EVERYWHERE = [
    "169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "fd00:ec2::23", "100.100.100.200",
    "168.63.129.16", "224.0.0.1", "ff02::1", "255.255.255.255", "0.0.0.0", "0.1.2.3", "::", "::ffff:169.254.169.254",
    "::ffff:0.0.0.0", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "::a9fe:a9fe", "::ffff:100.100.100.200", "nonsense",
]  # fmt: skip
LOOPBACK = ["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"]
ALLOWED = [
    "10.0.0.1",
    "192.168.1.1",
    "172.16.0.1",
    "100.64.0.1",
    "8.8.8.8",
    "fd12::1",
    "2001:db8::1",
    "::ffff:10.0.0.1",
]


@pytest.mark.parametrize("address", DENIED_EVERYWHERE)
def test_denied_everywhere(address: str) -> None:
    for policy in (OUTSIDE, POD):
        with pytest.raises(ForbiddenTarget, match=r"registry\.corp is never dialled"):
            policy.admit("registry.corp", [address])


@pytest.mark.parametrize("address", LOOPBACK)
def test_loopback_is_denied_in_a_pod_only(address: str) -> None:
    assert OUTSIDE.admit("registry.corp", [address]) == [address]
    with pytest.raises(ForbiddenTarget):
        POD.admit("registry.corp", [address])


@pytest.mark.parametrize("address", ALLOWED)
def test_allowed_everywhere(address: str) -> None:
    assert OUTSIDE.admit("registry.corp", [address]) == POD.admit("registry.corp", [address]) == [address]


def test_only_the_denied_are_left_out() -> None:
    assert POD.admit("registry.corp", ["127.0.0.1", "10.0.0.1"]) == ["10.0.0.1"]
    assert POD.admit("registry.corp", []) == []


@given(st.ip_addresses())
def test_no_form_of_a_denied_address_gets_through(address: IPv4Address | IPv6Address) -> None:
    """An IPv4 address and its mapped form are judged alike."""
    if isinstance(address, IPv4Address):
        plain, mapped = str(address), f"::ffff:{address}"
        assert (POD.denial("x.io", plain) is None) == (POD.denial("x.io", mapped) is None)


@pytest.mark.parametrize("host", ["localhost", "a.localhost", "127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"])
def test_loopback_names(host: str) -> None:
    assert is_loopback_name(host)
    OUTSIDE.require_plain(Origin("http", host, 5000))


@pytest.mark.parametrize("host", ["registry.corp", "10.0.0.1", "localhost.evil.example", "notlocalhost"])
def test_plain_http_elsewhere_needs_leave(host: str) -> None:
    with pytest.raises(ForbiddenTarget, match=f"--plain-http-hosts {host}:5000"):
        OUTSIDE.require_plain(Origin("http", host, 5000))
    OUTSIDE.require_plain(Origin("https", host, 5000))
    NetworkPolicy(deny_loopback=True, plain_http_hosts=frozenset({f"{host.upper()}:5000"})).require_plain(
        Origin("http", host, 5000)
    )


def test_port_80_may_be_left_out() -> None:
    for entry in ("registry.corp", "registry.corp:80"):
        policy = NetworkPolicy(deny_loopback=True, plain_http_hosts=frozenset({entry}))
        policy.require_plain(Origin("http", "registry.corp", 80))
        with pytest.raises(ForbiddenTarget):
            policy.require_plain(Origin("http", "registry.corp", 81))


# realms

REALMS = [
    # host, plain, listed, realm, allowed
    ("ghcr.io", False, (), "https://ghcr.io/token", True),
    ("docker.io", False, (), "https://auth.docker.io/token", True),
    ("registry.gitlab.com", False, (), "https://gitlab.com/jwt/auth", True),
    ("quay.io", False, (), "https://quay.io/v2/auth", True),
    ("harbor.corp", False, (), "https://harbor.corp/service/token", True),
    ("harbor.corp", False, (), "https://HARBOR.corp:443/service/token", True),
    ("harbor.corp", False, (), "https://harbor.corp:8443/token", False),
    ("harbor.corp", False, (), "http://harbor.corp/token", False),
    ("harbor.corp", False, (), "https://auth.docker.io/token", False),
    ("docker.io", False, (), "https://auth.docker.io:8443/token", False),
    ("docker.io", False, (), "https://auth.docker.io.evil.example/token", False),
    ("harbor.corp", False, ("auth.corp",), "https://auth.corp/token", True),
    ("harbor.corp", False, ("AUTH.corp",), "https://auth.corp/token", True),
    ("harbor.corp", False, ("auth.corp",), "https://auth.corp:8443/token", False),
    ("harbor.corp", False, ("auth.corp:8443",), "https://auth.corp:8443/token", True),
    ("harbor.corp", False, ("auth.corp",), "http://auth.corp/token", False),
    ("harbor.corp", False, ("auth.corp",), "https://auth.corp.evil.example/token", False),
    ("r.corp:5000", True, (), "http://r.corp:5000/token", True),
    ("r.corp:5000", True, (), "http://r.corp:5001/token", False),
    ("r.corp:5000", True, ("r.corp:5001",), "http://r.corp:5001/token", True),
]


@pytest.mark.parametrize(("host", "plain", "listed", "realm", "allowed"), REALMS)
def test_realms(host: str, plain: bool, listed: tuple[str, ...], realm: str, allowed: bool) -> None:  # noqa: FBT001
    endpoint = Endpoint(host, plain_http=plain, token_realms=listed)
    if allowed:
        assert realm_url(endpoint, realm).target.startswith("/")
        return
    with pytest.raises(ForeignRealm):
        realm_url(endpoint, realm)


def test_what_is_no_realm() -> None:
    with pytest.raises(BadAnswer, match="no URL"):
        realm_url(Endpoint("a.io"), "auth")


def test_lists_move_within_a_host_and_from_known_registries_only() -> None:
    def origin(host: str) -> Origin:
        return origin_of("https", host)

    assert list_may_move(origin("a.io"), origin("a.io"))
    assert list_may_move(origin("registry.k8s.io"), origin("us-west1-docker.pkg.dev"))
    assert not list_may_move(origin("registry.k8s.io"), origin("us-west1-docker.pkg.dev:8443"))
    assert not list_may_move(origin("registry.k8s.io"), origin("pkg.dev.evil.example"))
    assert not list_may_move(origin("a.io"), origin("b.io"))
    assert not list_may_move(origin("a.io"), origin_of("http", "a.io"))


# proxies

DIRECT = [
    ("", "a.corp", 443, False),
    ("*", "a.corp", 443, True),
    ("corp", "a.corp", 443, True),
    (".corp", "a.corp", 443, True),
    ("*.corp", "a.corp", 443, True),
    ("orp", "a.corp", 443, False),
    ("a.corp:443", "a.corp", 443, True),
    ("a.corp:444", "a.corp", 443, False),
    ("10.0.0.0/8", "10.1.2.3", 443, True),
    ("10.0.0.0/8", "11.1.2.3", 443, False),
    ("10.0.0.0/8", "a.corp", 443, False),
    ("bad/99", "a.corp", 443, False),
    ("fd00::/8", "fd12::1", 443, True),
    ("fd12::1", "fd12::1", 443, True),
    ("[fd12::1]:443", "fd12::1", 443, True),
    ("other.io, a.corp", "a.corp", 443, True),
    ("", "localhost", 443, True),
    ("", "127.0.0.1", 443, True),
]


@pytest.mark.parametrize(("no_proxy", "host", "port", "direct"), DIRECT)
def test_who_takes_no_proxy(no_proxy: str, host: str, port: int, direct: bool) -> None:  # noqa: FBT001
    settings = ProxySettings.of({"https": "http://proxy:3128", "no": no_proxy})
    assert (settings.proxy_for(Origin("https", host, port)) is None) is direct


def test_each_scheme_has_its_proxy() -> None:
    settings = ProxySettings.of({"http": "plain:1", "https": "https://tls:2"})
    plain, tls = settings.proxy_for(Origin("http", "a.io", 80)), settings.proxy_for(Origin("https", "a.io", 443))
    assert plain is not None
    assert tls is not None
    assert (str(plain.url), str(tls.url)) == ("http://plain:1/", "https://tls:2/")
    assert ProxySettings.of({}).proxy_for(Origin("https", "a.io", 443)) is None


def test_a_proxys_password_is_not_shown() -> None:
    proxy = Proxy.parse("http://user:p%40ss@proxy:3128", "HTTPS_PROXY")
    assert (proxy.username, proxy.password) == ("user", "p@ss")
    assert "ss" not in repr(proxy)
    for broken in ("socks5://user:p4ss@proxy", "http://user:p4ss@", "http://user:p4ss@a b:1"):
        with pytest.raises(ValueError, match="HTTPS_PROXY") as caught:
            ProxySettings.of({"https": broken})
        assert "p4ss" not in str(caught.value)

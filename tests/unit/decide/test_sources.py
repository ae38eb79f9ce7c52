"""Sources: what they name, what is refused, and the ladder of candidates against its definition."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawl.decide.reference import UnparsableReference, parse
from pawl.decide.sources import candidates, official, parse_place, parse_source, specificity, wildcards

GOOD = (
    ("docker.io", "docker.io"),
    ("Docker.IO", "docker.io"),
    ("index.docker.io", "docker.io"),
    ("index.docker.io/rook", "docker.io/rook"),
    ("docker.io/nginx", "docker.io/nginx"),
    ("docker.io/library/nginx", "docker.io/library/nginx"),
    ("Registry.Example.com:5000/Shop".replace("Shop", "shop"), "registry.example.com:5000/shop"),
    ("registry:5000", "registry:5000"),
    ("localhost", "localhost"),
    ("localhost/web", "localhost/web"),
    ("LOCALHOST:5000/web", "localhost:5000/web"),
    ("[FD00::1]:5000/a", "[fd00::1]:5000/a"),
    ("[::1]", "[::1]"),
    ("10.0.0.1:5000/a", "10.0.0.1:5000/a"),
    ("Registry/a", "REGISTRY/a"),
    ("quay.io/a__b/c-d.e", "quay.io/a__b/c-d.e"),
    ("*.example.com", "*.example.com"),
    ("*.Example.COM", "*.example.com"),
    ("*.io", "*.io"),
)

BAD = (
    ("nginx", "does not begin with a registry host"),
    ("rook/ceph", "does not begin with a registry host"),
    ("docker.io/", "no repository name"),
    ("docker.io//a", "no repository name"),
    ("docker.io/Rook", "must be lower-case"),
    ("docker.io/rook:v1", "has a tag"),
    ("docker.io/rook@sha256:" + "a" * 64, "a digest"),
    ("https://docker.io", "no registry host"),
    ("-x.io/a", "no registry host"),
    ("", "no registry host"),
    ("*.", "no wildcard"),
    ("*", "no registry host"),
    ("*.example.com/a", "no wildcard"),
    ("*.example.com:5000", "no wildcard"),
    ("*.*.com", "no wildcard"),
    ("*.-a", "no wildcard"),
)


@pytest.mark.parametrize(("text", "key"), GOOD)
def test_a_source_is_normalised(text: str, key: str) -> None:
    assert parse_source(text).key == key
    assert parse_source(key).key == key


@pytest.mark.parametrize(("text", "said"), BAD)
def test_what_is_no_source_is_refused_with_a_sentence(text: str, said: str) -> None:
    with pytest.raises(UnparsableReference, match=said):
        parse_source(text)


def test_a_target_is_no_wildcard_and_is_named_in_the_message() -> None:
    with pytest.raises(UnparsableReference, match=r"^target\.repository '\*\.corp'"):
        parse_place("*.corp", "target.repository")


@pytest.mark.parametrize(
    ("host", "path", "ladder"),
    [
        ("docker.io", "library/nginx", ["docker.io/library/nginx", "docker.io/library", "docker.io", "*.io"]),
        ("r.x.io:5000", "a/b", ["r.x.io:5000/a/b", "r.x.io:5000/a", "r.x.io:5000", "*.x.io", "*.io"]),
        ("localhost:5000", "a", ["localhost:5000/a", "localhost:5000"]),
        ("[fd00::1]:5000", "a", ["[fd00::1]:5000/a", "[fd00::1]:5000"]),
        ("10.0.0.1", "a", ["10.0.0.1/a", "10.0.0.1", "*.0.0.1", "*.0.1", "*.1"]),
        ("HOST", "a", ["HOST/a", "HOST"]),
    ],
)
def test_the_ladder_of_an_image(host: str, path: str, ladder: list[str]) -> None:
    assert list(candidates(host, path)) == ladder


segments = st.text("ab", min_size=1, max_size=3)
hosts = st.builds(
    lambda labels, port: ".".join(labels) + port,
    st.lists(segments, min_size=2, max_size=4),
    st.sampled_from(["", ":5000"]),
)
paths = st.lists(segments, min_size=1, max_size=4).map("/".join)


@given(hosts, paths)
def test_candidates_agree_with_the_definition_by_segments(host: str, path: str) -> None:
    parts = path.split("/")
    below = ["/".join([host, *parts[:count]]) for count in range(len(parts), -1, -1)]
    labels = host.split(":", maxsplit=1)[0].split(".")
    above = ["*." + ".".join(labels[count:]) for count in range(1, len(labels))]
    assert list(candidates(host, path)) == below + above


@given(hosts, paths, hosts, paths)
def test_a_source_matches_at_segment_borders_only(host: str, path: str, other: str, below: str) -> None:
    source = f"{other}/{below}"
    matches = f"{host}/{path}" == source or f"{host}/{path}".startswith(f"{source}/")
    assert (source in candidates(host, path)) == matches


@given(hosts, paths)
def test_the_ladder_goes_from_the_most_specific_down(host: str, path: str) -> None:
    ladder = candidates(host, path)
    assert list(ladder) == sorted(set(ladder), key=specificity, reverse=True)


@given(hosts)
def test_a_wildcard_covers_hosts_below_its_domain_on_any_port(host: str) -> None:
    bare = host.split(":", maxsplit=1)[0]
    for wildcard in wildcards(host):
        assert bare.endswith(wildcard[1:])
        assert bare != wildcard[2:]


@pytest.mark.parametrize(
    "name", ["docker.io/nginx", "docker.io/a/b", "quay.io/nginx", "docker.io/library/a", "quay.io"]
)
def test_official_writes_what_the_parser_reads(name: str) -> None:
    expected = str(parse(name)) if "/" in name else name
    assert official(name) == expected

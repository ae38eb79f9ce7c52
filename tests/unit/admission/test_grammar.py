"""The constant that CEL asks accepts what the parser accepts."""

from __future__ import annotations

import re2
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.cluster.gate_corpus import DIGESTS, HOSTILE, HOSTS, PATHS, TAGS

from pawl.admission.grammar import HAS_HOST, HUB_SHORT, IMAGE_ID, MAX_TEXT, REFERENCE
from pawl.decide.reference import MAX_NAME, UnparsableReference, parse

PIECES = st.builds(
    lambda host, path, tag, digest: f"{host}/{path}{tag}{digest}" if host else f"{path}{tag}{digest}",
    st.sampled_from(("", *HOSTS)),
    st.sampled_from(PATHS),
    st.sampled_from(TAGS),
    st.sampled_from(DIGESTS),
)
TEXTS = st.text(alphabet="aAzZfF019.-_/:@[]+ é\n", max_size=30)
CHANGED = st.builds(
    lambda text, at, put: text[: at % len(text)] + put + text[at % len(text) + 1 :],
    PIECES,
    st.integers(0, 300),
    st.sampled_from(("", "/", ":", "@", ".", "-", "_", "A", "a", "[", "]", "0", "//")),
)


def parses(text: str) -> bool:
    try:
        parse(text)
    except UnparsableReference:
        return False
    return True


def accepted(text: str) -> bool:
    """What the CEL says, step by step, in Python."""
    if len(text) > MAX_TEXT or not re2.search(REFERENCE, text) or re2.search(IMAGE_ID, text):
        return False
    name = text.split("@", maxsplit=1)[0]
    base = name[: name.rfind(":")] if name.rfind(":") > name.rfind("/") else name
    if re2.search(HAS_HOST, base):
        host, _, path = base.partition("/")
        name = f"{'docker.io' if host.lower() == 'index.docker.io' else host.lower()}/{path}"
    else:
        name = f"docker.io/{base}"
    if re2.search(HUB_SHORT, name):
        name = name.replace("docker.io/", "docker.io/library/")
    return len(name) <= MAX_NAME


@settings(max_examples=1500, deadline=None)
@given(st.one_of(PIECES, TEXTS, CHANGED, st.sampled_from(HOSTILE)))
@example("[ab]/x")
@example("[ab]:1/x")
@example("[AB]/x")
@example("a_b.c/d")
@example("a_b.c")
@example("localhost")
@example("localhost:5000")
@example("docker.io/")
@example("x\n")
def test_the_grammar_agrees_with_the_parser(text: str) -> None:
    assert accepted(text) == parses(text)


def test_no_reference_is_longer_than_what_is_looked_at() -> None:
    longest = "index.docker.io/" + "x" * 237 + ":" + "t" * 128 + "@sha512:" + "a" * 128
    assert parses(longest)
    assert len(longest) <= MAX_TEXT
    assert not parses("x" * 256)

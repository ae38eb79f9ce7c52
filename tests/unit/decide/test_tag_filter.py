"""Include, exclude and extract: tables, and both fast ways against the plain one."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.unit.decide.specs import compiled, one_by_one, outcome, sifted

from pawl.api.errors import Stalled
from pawl.api.reasons import Reason
from pawl.decide.extract import compile_template
from pawl.decide.frames import compile_frame
from pawl.decide.patterns import compile_pattern
from pawl.decide.tags import Rejected, is_signature, is_tag
from pawl.decide.why import Why

HEX = "0123456789abcdef" * 4
TAGS = [
    *[
        "v1.2.3",
        "v1.2.3-rc.1",
        "1.2.3",
        "latest",
        "main-abc123-1700000000",
        "main-abc123-",
        "v",
        "V1",
        "a.b",
        "x_y",
        "-",
        "1-2-3",
        "v1.sig",
        "release-1.2",
        "0",
    ],
    *("", "a\nb", "v1\n", "\nv1", "v1 ", "x" * 129, f"sha256-{HEX}", f"sha256-{HEX}.sig"),
]


# ------------------------------------------------------------------------------------------------- tags, signatures
@pytest.mark.parametrize("text", ["a", "_", "0", "v1.2.3", "A-b_c.d", "a" * 128, "latest"])
def test_a_tag(text: str) -> None:
    assert is_tag(text)
    assert compiled().value(text) == text


@pytest.mark.parametrize(
    "text", [*[".a", "-a", "a b", "a/b", "a:b", "a+b", "a~", ""], "\u00e9", "a\n", "\n", "a" * 129, "\ud800"]
)
def test_what_is_no_tag_is_dropped_before_any_pattern(text: str) -> None:
    assert compiled(include=".*", exclude=(".*",)).value(text) == Rejected(Why.NOT_A_TAG)


@pytest.mark.parametrize("suffix", ["", ".sig", ".att", ".sbom", ".cosign.bundle"])
def test_a_tag_that_names_a_digest_is_no_image(suffix: str) -> None:
    assert is_signature(f"sha256-{HEX}{suffix}")
    assert compiled(include=".*").value(f"sha256-{HEX}{suffix}") == Rejected(Why.SIGNATURE)
    assert is_signature(f"sha512-{HEX}{suffix}")


@pytest.mark.parametrize("tag", ["v1.sig", "app.att", "sha256", f"sha256-{HEX[:63]}", f"sha256-{HEX}-x", f"x{HEX}"])
def test_other_tags_stay_whatever_their_ending(tag: str) -> None:
    assert compiled().value(tag) == tag


# --------------------------------------------------------------------------------------------------------- patterns
def test_a_pattern_is_searched_and_not_anchored() -> None:
    assert compiled(include="rc").value("v1-rc.1") == "v1-rc.1"
    assert compiled(include="^rc").value("v1-rc.1") == Rejected(Why.NOT_INCLUDED)
    assert compiled(exclude=("rc", "alpha")).value("v1-rc.1") == Rejected(Why.EXCLUDED)


def test_exclude_is_told_before_include() -> None:
    assert compiled(include="^v", exclude=("rc",)).value("1-rc") == Rejected(Why.EXCLUDED)


BAD_PATTERNS = [
    *[
        r"(",
        r"[",
        r"*a",
        r"(?=a)",
        r"(?!a)",
        r"(?<=a)b",
        r"(a)\1",
        r"(.{1,30}-){1,30}$",
        r"a{1001}",
        r"((a{100}){100}){100}",
        r"\pX",
        r"(?z)a",
        r"a**",
        r"\8",
    ],
    *("\ud800", "a\n(", "(" * 400),
]


@pytest.mark.parametrize("pattern", BAD_PATTERNS)
@pytest.mark.parametrize("place", ["include", "exclude"])
def test_a_bad_pattern_stalls_and_is_named(pattern: str, place: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Stalled) as caught:
        compiled(pattern) if place == "include" else compiled(exclude=(".*", pattern))
    assert caught.value.reason == Reason.INVALID_PATTERN
    assert repr(pattern)[1:20] in caught.value.message
    assert "\n" not in caught.value.message
    assert len(caught.value.message) <= 300
    assert capfd.readouterr() == ("", "")


@pytest.mark.timeout(5)
@pytest.mark.parametrize("pattern", ["(a+)+$", "^(a|aa)+$", "(.*)*b$", "(x?a){50}$", "^(([a-z])+.)+[A-Z]([a-z])+$"])
def test_patterns_built_to_explode_finish_at_once(pattern: str) -> None:
    tags = [f"{'a' * 120}{number:05d}_" for number in range(2000)]
    for found in (compiled(include=pattern), compiled(exclude=(pattern,))):
        assert sifted(found, tags) == one_by_one(found, tags)


def test_excludes_that_are_too_large_together_still_work() -> None:
    large = tuple(f"{letter}[0-9]{{1,500}}x" for letter in "abcd")
    found = compiled(exclude=large)
    assert found.exclude_lines is None
    assert found.value("b" + "1" * 90 + "x") == Rejected(Why.EXCLUDED)
    assert sifted(found, TAGS) == one_by_one(found, TAGS)


# ------------------------------------------------------------------------------------------------------- properties
PATTERNS = st.sampled_from(
    [
        r"^v(?P<version>.+)$",
        r"^v(.*)$",
        r"^v(\d+\.\d+\.\d+)$",
        r"^main-[a-f0-9]+-(?P<ts>[0-9]+)$",
        r"^main-\w+-(\d+)$",
        r"^\d+\.\d+\.\d+$",
        r"^(a|b|v1)$",
        r"^(?P<all>.*)$",
        r"^([0-9]+)$",
        r"^a.b$",
        r"^(.+)\.sig$",
        r"^v1|x$",
        r"^v?(.+)$",
        r"\Av1\z",
        r"^$",
        r"$",
        r"^",
        r"v\z",
        r"\d+$",
        r"[^a]$",
        r"[^a-z]v",
        r"\s",
        r"v1\s*",
        r"(?s)v.*",
        r"(?m)^v",
        r"\Qv1.",
        r"(?i)V1",
        r"x*",
        r"\bv\b",
        r"\B",
        r"-(rc|alpha)",
        r"(?-s).1",
        r"a$|^b",
        r"^[^v]+$",
        r"\n",
        r"[[:space:]]v",
        r"\x0av",
        r"(\d)?v",
        r"(?P<v>v)|(?P<w>1)",
        r"^(v.+?)-?$",
        r"^[-v]+(\d+)$",
        r"^.*\.(\d+)$",
        r"^v*-(\d+)$",
        r"^a\.-([0-9]+)$",
    ]
)
TAG = st.text(alphabet="v1.-_ab", min_size=1, max_size=7) | st.sampled_from(TAGS)
STAMPS = [*(f"main-ab-{number}" for number in range(200)), "main-ab-1-2", "main-a-", "main--1"]


@settings(max_examples=200)
@given(PATTERNS, st.lists(PATTERNS, max_size=2), st.sampled_from([None, "$0", "$1", "a$0"]), st.lists(TAG, max_size=40))
@example("^v(.+)$", [], "$1", [*["v1"] * 200, "x"])
@example(r"^main-[a-f0-9]+-(\d+)$", [], "$1", STAMPS)
@example("^", [r"\Av1\z"], None, ["a", "v1", "b"])
@example("^", [r"v1\z", r"^\C+b"], None, ["a", "v1", "b", "xb"])
@example("^", [], None, ["v1", "v1\nb"])
@example(r"^(.+)\.sig$", [], "$1", ["v1.sig", "a.sig"])
@example(r"^v\.(.+)$", [], "$1", ["v.1", "v.sig"])
@example("^v(.+)$", ["b$"], "$1", ["b", "ab", "a", "v1b", "v1"] * 30)
def test_sifting_answers_as_each_tag_alone(
    include: str, exclude: list[str], extract: str | None, tags: list[str]
) -> None:
    found = outcome(lambda: compiled(include, extract, tuple(exclude)))
    if not isinstance(found, Stalled):
        assert sifted(found, tags) == one_by_one(found, tags)


@pytest.mark.parametrize(
    ("include", "extract", "framed"),
    [
        (r"^v(?P<version>.+)$", "$version", True),
        (r"^v(\d+\.\d+)\.x$", "$1", True),
        (r"^main-[a-f0-9]+-(?P<ts>[0-9]+)$", "$ts", True),
        (r"^\d+\.\d+$", None, True),
        (r"^v1|x$", None, False),
        (r"^v([^a]+)$", "$1", False),
        (r"^v(\s+)$", "$1", False),
        (r"^v(?:.+)$", None, False),
        (r"^v(.+)$", "x$1", False),
        (r"^v(.+)", "$1", False),
        (r"^v(.+)?$", "$1", False),
        (r"^v+(.+)$", "$1", False),
        (r"^([[:space:]])$", "$1", False),
        (r"^(a)(b)$", "$1", False),
        (r"^(a\))b$", None, False),
    ],
)
def test_only_the_usual_forms_have_a_frame(include: str, extract: str | None, *, framed: bool) -> None:
    pattern = compile_pattern(include)
    template = compile_template(extract, pattern) if extract else None
    assert (compile_frame(include, template) is not None) is framed


SYNTAX = st.text(alphabet="ab1()[]*+?.\\^$|{}<>:P-", max_size=12)


@settings(max_examples=200)
@given(st.text(max_size=12) | SYNTAX, st.text(alphabet="$1{}ab-", max_size=6))
def test_any_text_as_pattern_or_template_raises_nothing_but_stalled(pattern: str, template: str) -> None:
    for fields in ({"include": pattern}, {"include": pattern, "extract": template}, {"exclude": (pattern,)}):
        found = outcome(partial(compiled, **fields))
        if isinstance(found, Stalled):
            assert found.reason in {Reason.INVALID_PATTERN, Reason.INVALID_EXTRACT}
        else:
            assert sifted(found, TAGS) == one_by_one(found, TAGS)

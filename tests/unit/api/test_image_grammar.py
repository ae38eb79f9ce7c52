"""The grammar of `spec.image` in the CRD agrees with the parser of references."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from pawl.api.errors import Stalled
from pawl.api.imagepolicy_rules import REPOSITORY
from pawl.decide.reference import parse_repository

part = st.sampled_from(["a", "Z", "0", ".", "_", "__", "-", "/", ":5", ":", "[::1]", "localhost", "@", " ", "a.b"])
texts = st.lists(part, min_size=1, max_size=9).map("".join)


def parses(text: str) -> bool:
    try:
        parse_repository(text)
    except Stalled:
        return False
    return True


def admitted(text: str) -> bool:
    """As CEL and editors read it: their `$` is the very end."""
    return re.fullmatch(REPOSITORY.removeprefix("^").removesuffix("$"), text) is not None


def is_capital_without_dot(text: str) -> bool:
    """`Shop/web`: the reference grammar reads a host, a user most likely meant a folder; we refuse it."""
    first, slash, _ = text.partition("/")
    return bool(slash) and first != first.lower() and not re.search(r"[.:]", first)


@given(texts)
@example("[::1]:5000/a")
@example("a:5/a")
@example("Z.a/a")
@example("localhost/a")
def test_admitted_is_parsable_and_the_reverse(text: str) -> None:
    if is_capital_without_dot(text) or re.search(r":[0-9]{6}|[0-9a-f]{64}", text):
        assert not admitted(text)
    else:
        assert admitted(text) == parses(text)

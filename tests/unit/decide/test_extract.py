"""The extract template: a table of values, and what is refused."""

from __future__ import annotations

import pytest
from tests.unit.decide.specs import compiled, one_by_one, outcome, sifted

from pawl.api.errors import Stalled
from pawl.api.reasons import Reason
from pawl.decide.tags import Rejected
from pawl.decide.why import Why

EXTRACTS: tuple[tuple[str, str, str, str | None], ...] = (
    # include, extract, tag, value
    (r"^v(?P<version>.+)$", "$version", "v1.2.3", "1.2.3"),
    (r"^v(?<version>.+)$", "${version}", "v1.2.3", "1.2.3"),
    (r"^v(.+)$", "$1", "v1.2.3", "1.2.3"),
    (r"^v(.+)$", "${1}", "v1.2.3", "1.2.3"),
    (r"^v(.+)$", "$0", "v1.2.3", "v1.2.3"),
    (r"v(\d)", "${0}", "xv1y", "v1"),
    (r"^v(.+)$", "$1", "1.2.3", None),
    (r"^(\d+)-(\d+)$", "$2.$1", "7-8", "8.7"),
    (r"^(\d+)-(\d+)$", "${2}${1}", "7-8", "87"),
    (r"^(\d+)-(\d+)$", "a$1b${2}c", "7-8", None),
    (r"^(\d+)-(\d+)$", "a${1}b${2}c", "7-8", "a7b8c"),
    (r"^(?P<a>\d)(?P<ab>\d)$", "$ab", "12", "2"),
    (r"^(?P<a>\d)(?P<ab>\d)$", "${a}b", "12", "1b"),
    (r"^(?P<a>\d)(?P<ab>\d)$", "$a-$ab", "12", "1-2"),
    (r"^(?P<a_1>\d)$", "$a_1", "7", "7"),
    (r"^(\d)$", "$$$1", "7", "$7"),
    (r"^(\d)$", "$$1", "7", "$1"),
    (r"^(\d)$", "literal", "7", "literal"),
    (r"^(a)?(b)$", "$1", "b", ""),
    (r"^(a)?(b)$", "x$1$2", "b", "xb"),
    (r"(\d+)", "$1", "a12b34", "12"),
    (r"^((((((((((x))))))))))$", "$10", "x", "x"),
    (r"^(\d)$", "$01", "7", "7"),
)


@pytest.mark.parametrize(("include", "extract", "tag", "value"), EXTRACTS)
def test_extract(include: str, extract: str, tag: str, value: str | None) -> None:
    if include == r"^(\d+)-(\d+)$" and extract == "a$1b${2}c":
        assert isinstance(outcome(lambda: compiled(include, extract)), Stalled)  # $1b is one name
        return
    found = compiled(include, extract)
    assert found.value(tag) == (Rejected(Why.NOT_INCLUDED) if value is None else value)
    assert sifted(found, [tag]) == one_by_one(found, [tag])


def test_without_extract_the_value_is_the_whole_tag() -> None:
    assert compiled(include="^v(.*)$").value("v1") == "v1"
    assert compiled(include="v").value("xvx") == "xvx"


@pytest.mark.parametrize(
    ("include", "extract", "says"),
    [
        (None, "$1", "needs spec.tags.include"),
        ("^v", "$1", "no group '1'; it has none"),
        ("^(?P<version>.*)$", "$versions", "it has version, 1"),
        ("^(?P<version>.*)$", "$version1", "no group 'version1'"),
        ("^(.*)$", "$2", "no group '2'"),
        ("^(.*)$", "${99999999999999999999}", "no group"),
        ("^(.*)$", "$", "stands alone"),
        ("^(.*)$", "a$-b", "stands alone"),
        ("^(.*)$", "${1", "stands alone"),
        ("^(.*)$", "${}", "stands alone"),
        ("^(.*)$", "${a-b}", "stands alone"),
        ("^(.*)$", "", "empty"),
    ],
)
def test_a_bad_template_stalls(include: str | None, extract: str, says: str) -> None:
    with pytest.raises(Stalled) as caught:
        compiled(include, extract)
    assert caught.value.reason == Reason.INVALID_EXTRACT
    assert says in caught.value.message

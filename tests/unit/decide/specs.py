"""Specs and filters for tests, with the fields that a test is not about filled in, and the answer of what may stall."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

from pawl.api.errors import Stalled
from pawl.api.imagepolicy import ImagePolicySpec, Tags
from pawl.decide.tags import Rejected, TagFilter, compile_tags

Answer = TypeVar("Answer")


def policy(**fields: Any) -> ImagePolicySpec:
    """A spec over one image; alphabetical unless `select` is given."""
    given = {"image": "registry.example.com/shop/web", "select": {"alphabetical": {}}}
    return ImagePolicySpec.model_validate(given | fields)


def outcome(call: Callable[[], Answer]) -> Answer | Stalled:
    """What a call answers, or how it stalled. Every other error is the test's."""
    try:
        return call()
    except Stalled as stalled:
        return stalled


def compiled(include: str | None = None, extract: str | None = None, exclude: tuple[str, ...] = ()) -> TagFilter:
    return compile_tags(Tags.model_construct(include=include, extract=extract, exclude=list(exclude)))


def sifted(found: TagFilter, tags: list[str]) -> tuple[list[tuple[str, str]], dict[str, int]]:
    counts: Counter[str] = Counter()
    return found.sift(tags, counts), dict(counts)


def one_by_one(found: TagFilter, tags: list[str]) -> tuple[list[tuple[str, str]], dict[str, int]]:
    values = [(tag, found.value(tag)) for tag in tags]
    counts = Counter(value.reason for _, value in values if isinstance(value, Rejected))
    return [(tag, value) for tag, value in values if isinstance(value, str)], dict(counts)

"""The words of registries: what the code says of one has a line on the page of the kind."""

from __future__ import annotations

import re
from pathlib import Path

import pawl
from pawl.api.reason_docs_registry import REGISTRY_CONDITIONS, REGISTRY_REASONS

ROOT = Path(pawl.__file__).parent
PARTS = ("decide/storage*", "decide/registry*", "decide/access*", "decide/expansion", "decide/proofs", "decide/stores")
ACTING = ("controllers/registry*", "cluster/registry*", "jobs/*", "registry/servercheck")


def said(kind: str) -> dict[str, set[str]]:
    """Which words of an enumeration stand in which module that is about registries."""
    files = [path for part in (*PARTS, *ACTING) for path in ROOT.glob(f"{part}.py")]
    assert len(files) > 20
    return {path.name: set(re.findall(rf"\b{kind}\.([A-Z0-9_]+)", path.read_text())) for path in files}


def missing(kind: str, known: set[str]) -> dict[str, set[str]]:
    return {name: words - known for name, words in said(kind).items() if words - known}


def test_every_reason_that_the_code_of_registries_uses_has_a_line() -> None:
    assert missing("Reason", {reason.name for group in REGISTRY_REASONS.values() for reason in group}) == {}


def test_every_condition_that_the_code_of_registries_uses_has_a_line() -> None:
    assert missing("ConditionType", {kind.name for kind in REGISTRY_CONDITIONS}) == {}

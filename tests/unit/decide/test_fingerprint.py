"""The ordering fingerprint: what changes it and what must not."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from tests.unit.decide.specs import policy

from pawl.decide.shortlist import compile_rules

SEMVER = {"semver": {"range": ">=1.0.0 <3.0.0"}}
DIGEST = {"digest": {"tag": "latest"}}


def fingerprint(**fields: Any) -> str:
    return compile_rules(policy(**fields)).ordering.fingerprint


BASE: dict[str, Any] = {"select": SEMVER, "tags": {"include": "^v(.*)$", "extract": "$1"}}


@pytest.mark.parametrize(
    "change",
    [
        {"image": "registry.example.com/shop/api"},
        {"select": {"alphabetical": {}}},
        {"select": {"numerical": {}}},
        {"select": DIGEST},
        {"tags": {"include": "^v(.*)$"}},
        {"tags": {"include": "^v(.*)$", "extract": "${1}"}},
    ],
)
def test_what_changes_the_ordering_changes_the_fingerprint(change: dict[str, Any]) -> None:
    assert fingerprint(**BASE) != fingerprint(**BASE | change)


@pytest.mark.parametrize(
    "change",
    [
        {"select": {"semver": {"range": "^9"}}},
        {"tags": {"include": "^w(.*)$", "extract": "$1", "exclude": ["x"]}},
        {"image": "REGISTRY.example.com/shop/web"},
        {"floor": {"tag": "v1.0.0"}},
        {"blocked": ["v1.0.0"]},
        {"platforms": ["linux/amd64"]},
        {"gates": {"minimumAge": "1h"}},
        {"interval": "1h", "tagMutability": "Follow"},
    ],
)
def test_what_only_admits_leaves_the_fingerprint(change: dict[str, Any]) -> None:
    assert fingerprint(**BASE) == fingerprint(**BASE | change)


def test_the_fingerprint_of_other_fields_of_a_strategy() -> None:
    orders = [
        fingerprint(select={kind: {"order": order}})
        for kind in ("numerical", "alphabetical")
        for order in ("Ascending", "Descending")
    ]
    followed = [fingerprint(select={"digest": {"tag": tag}}) for tag in ("latest", "edge")]
    assert len({*orders, *followed}) == 6
    assert (
        fingerprint(image="nginx")
        == fingerprint(image="docker.io/library/nginx")
        == fingerprint(image="index.docker.io/nginx")
    )
    assert fingerprint(select=DIGEST) == fingerprint(select=DIGEST, tags={"include": "^(.*)$", "extract": "$1"})


def test_the_fingerprint_is_a_hash_that_other_builds_repeat() -> None:
    """Keys outlive a build in status and ledger: a build that hashes otherwise would hold every policy."""
    facts = {
        "image": "docker.io/library/nginx",
        "strategy": "numerical",
        "order": "Ascending",
        "extract": None,
        "prerelease": "npm",
        "tag": None,
    }
    canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    wanted = hashlib.sha256(canonical.encode()).hexdigest()[:32]
    assert fingerprint(image="nginx", select={"numerical": {}}) == wanted

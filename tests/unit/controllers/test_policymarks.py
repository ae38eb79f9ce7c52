"""Selections as rules use them: the join of what a policy says and of what tables remember."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.controllers.override_doubles import body, policy

from pawl.api.imageoverride import ClusterImageOverride, ImageOverride
from pawl.api.imagerules import Entry, Table
from pawl.controllers.policymarks import policies_for, referenced
from pawl.controllers.store import PolicyStore
from pawl.decide.rulebook import Policy

NAME = ("shop", "web")
BEFORE, AFTER = "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"
"""When an object was made whose selection is as old as itself, and one whose selection came from a backup."""
OVERRIDE = ImageOverride.model_validate(
    body(rules=[{"source": "docker.io/rook", "target": {"policyRef": {"name": "web"}}}])
)


def entry(epoch: int, sequence: int, uid: str = "p", image: str = "r.corp/rook", **more: Any) -> Entry:
    mark = {"namespace": "shop", "name": "web", "uid": uid, "image": image, "epoch": epoch, "sequence": sequence}
    return Entry.model_validate(
        {"to": image, "override": "o", "rule": 0, "tag": f"v{sequence}", "policy": mark, **more}
    )


def asked(found: Any, *entries: Entry, override: ImageOverride = OVERRIDE) -> Policy | None:
    """What rules get of a policy as stored (None: it is gone) and of a table with these entries."""
    store = PolicyStore(lambda _image: "")
    if found is not None:
        found["metadata"]["resourceVersion"] = "1"
        store.offer(json.dumps(found).encode(), asked_at=0.0)
    tables = [Table(rules={"docker.io/rook": [each]}) for each in entries]
    return policies_for([override], store, tables).get(NAME)


@pytest.mark.parametrize(
    ("found", "marks", "wanted"),
    [
        (None, [], None),
        (policy(), [], ("r.corp/rook", None, "p")),
        (policy(2), [], ("r.corp/rook", "v2", "p")),
        (None, [entry(1, 2)], ("r.corp/rook", "v2", "p")),
        (policy(), [entry(1, 2)], ("r.corp/rook", "v2", "p")),
        (policy(1), [entry(1, 2)], ("r.corp/rook", "v2", "p")),
        (policy(2), [entry(1, 2)], ("r.corp/rook", "v2", "p")),
        (policy(3), [entry(1, 2)], ("r.corp/rook", "v3", "p")),
        (policy(3, epoch=1), [entry(2, 2)], ("r.corp/rook", "v2", "p")),
        (policy(3, epoch=2), [entry(1, 2)], ("r.corp/rook", "v3", "p")),
        (policy(1, uid="q"), [entry(1, 2)], ("r.corp/rook", "v1", "q")),
        (policy(1, uid="q", creationTimestamp=BEFORE), [entry(1, 2)], ("r.corp/rook", "v1", "q")),
        (policy(1, uid="q", creationTimestamp=AFTER), [entry(1, 2)], ("r.corp/rook", "v2", "p")),
        (policy(3, uid="q", creationTimestamp=AFTER), [entry(1, 2)], ("r.corp/rook", "v3", "q")),
        (policy(2, uid="q"), [entry(1, 2)], ("r.corp/rook", "v2", "q")),
        (policy(1, uid="q", creationTimestamp="2025-12-31T00:00:00Z"), [entry(1, 2)], ("r.corp/rook", "v1", "q")),
        (policy(1, uid="q", creationTimestamp="2026-02-01T00:00:00Z"), [entry(1, 2)], ("r.corp/rook", "v2", "p")),
        (policy(3, uid="q", creationTimestamp="2026-02-01T00:00:00Z"), [entry(1, 2)], ("r.corp/rook", "v3", "q")),
        (policy(uid="q"), [entry(1, 2)], ("r.corp/rook", "v2", "p")),
        (policy(1, image="r.corp/old"), [entry(1, 2)], ("r.corp/rook", "v2", "p")),
        (None, [entry(1, 2), entry(1, 4), entry(1, 3)], ("r.corp/rook", "v4", "p")),
        (None, [entry(2, 2), entry(1, 4)], ("r.corp/rook", "v2", "p")),
    ],
)
def test_the_greater_of_policy_and_tables_counts(found: Any, marks: Sequence[Entry], wanted: Any) -> None:
    got = asked(found, *marks)
    assert (got and (got.image, got.selection and got.selection.tag, got.uid)) == wanted


@pytest.mark.parametrize("digest", ["", "sha256:" + "a" * 64])
def test_a_mark_keeps_the_digest_too(digest: str) -> None:
    found = asked(None, entry(1, 2, **({"digest": digest} if digest else {})))
    assert found is not None
    assert found.selection is not None
    assert (found.selection.epoch, found.selection.sequence, found.selection.digest) == (1, 2, digest)


def test_an_edited_image_means_nothing_before_it_was_selected() -> None:
    found = policy(2)
    found["spec"]["image"] = "r.corp/elsewhere"
    got = asked(found)
    assert got is not None
    assert got.image == "r.corp/rook"


@pytest.mark.parametrize("image", ["localhost:5000/a/b", "r.corp/x", "r.corp:8443/deep/path/x"])
def test_the_image_of_a_selection_is_read_with_ports(image: str) -> None:
    got = asked(policy(2, image=image))
    assert got is not None
    assert got.image == image


def test_a_policy_that_cannot_be_read_counts_as_gone() -> None:
    found = policy(9)
    found["spec"]["select"] = {"newer": {}}
    got = asked(found, entry(1, 2))
    assert got is not None
    assert got.selection is not None
    assert got.selection.tag == "v2"


def test_policies_are_named_in_the_override_s_own_namespace_or_in_the_one_given() -> None:
    refs = [{"policyRef": {"name": "a"}}, {"policyRef": {"name": "b", "namespace": "ops"}}, {"repository": "r.corp/x"}]
    rules = [{"source": f"docker.io/{at}", "target": ref} for at, ref in enumerate(refs)]
    assert referenced(ImageOverride.model_validate(body(rules=rules))) == {("shop", "a"), ("ops", "b")}
    wide = ClusterImageOverride.model_validate(body("wide", "", rules=rules[1:]))
    assert referenced(wide) == {("ops", "b")}


def test_what_no_override_names_is_not_read() -> None:
    plain = ImageOverride.model_validate(body())
    assert asked(policy(2), entry(1, 2), override=plain) is None


STATES = st.tuples(st.sampled_from([None, "p", "q"]), st.integers(0, 5), st.integers(1, 3))


@given(st.lists(STATES, max_size=12))
def test_a_table_falls_only_for_a_policy_made_anew_with_a_lower_sequence(states: list[tuple[Any, int, int]]) -> None:
    """Each step makes the next table of the last one, as the controller does."""
    table: tuple[Entry, ...] = ()
    for uid, sequence, epoch in states:
        got = asked(None if uid is None else policy(sequence, epoch=epoch, uid=uid), *table)
        if got is None or got.selection is None:
            assert not table
            continue
        now = entry(got.selection.epoch, got.selection.sequence, got.uid)
        if table:
            before = table[0].policy
            assert before is not None
            fell = (got.selection.epoch, got.selection.sequence) < (before.epoch, before.sequence)
            assert not fell or (got.uid != before.uid and got.selection.sequence < before.sequence)
        table = (now,)

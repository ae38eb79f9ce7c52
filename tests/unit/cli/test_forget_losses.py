"""What `pawl forget` says before it deletes, and when it refuses to."""

from __future__ import annotations

import json

from tests.unit.cli.policies import A, B, policy, selection
from tests.unit.cli.run_pawl import pawl

from pawl.cli.forget import Found, Target, losses

TARGET = Target("shop", "web")


def ledger(**changes: object) -> str:
    made = {"image": "r.io/web", "selection": selection(sequence=9, tag="v9"), "nonces": ["one", "two"]}
    return json.dumps(made | {"blocked": ["v8"], "digests": [{"tag": "v8", "digest": B}]} | changes)


def test_both_copies_are_counted() -> None:
    text = "\n".join(losses(TARGET, Found(policy(), ledger())))
    assert f"v9@{A}, epoch 1, sequence 9" in text
    assert "2 used" in text
    assert "v8 by rollbacks" in text
    assert "ConfigMap pawl-ledger-web" in text
    assert "digests    2 seen" in text


def test_a_policy_without_a_ledger() -> None:
    text = "\n".join(losses(TARGET, Found(policy(held=False), None)))
    assert "none was made yet" in text
    assert "none by rollbacks" in text


def test_a_ledger_without_a_policy() -> None:
    text = "\n".join(losses(TARGET, Found(None, ledger())))
    assert "the policy itself is gone already" in text
    assert "sequence 9" in text


def test_a_ledger_that_cannot_be_read_is_forgotten_like_any_other() -> None:
    assert losses(TARGET, Found(policy(), "{torn"))


def test_without_a_terminal_it_asks_nobody_and_does_nothing() -> None:
    ended = pawl("forget", "web", "-n", "shop", "--kubeconfig", "/nowhere")
    assert ended.code == 2
    assert "add --yes" in ended.err

"""Which gate is chosen: the whole table of facts, and that no change of facts ever leaves a cluster without one."""

from __future__ import annotations

import itertools
from typing import Any, get_args

import pytest

from pawl.decide.gatechoice import POLICY, WEBHOOK, Act, Configuration, GateChoice, GateFacts, Listener, choose

ALL = [
    GateFacts(*values)
    for values in itertools.product(
        (False, True),
        (False, True),
        (False, True),
        get_args(Configuration),
        get_args(Listener),
        (False, True),
    )
]


def chart(**facts: Any) -> GateFacts:
    """As a chart installs: an empty configuration, a webhook that could be served, no right to make anything."""
    return GateFacts(**{"served": True, "configuration": "empty", "listener": "up", **facts})


@pytest.mark.parametrize(
    ("facts", "wanted"),
    [
        # the policies are there: no webhook is served, and one that is filled goes after a while
        (chart(policies=True, listener="starting"), GateChoice(POLICY)),
        (chart(policies=True, settled=True), GateChoice(POLICY)),
        (chart(policies=True, configuration="filled"), GateChoice(POLICY, serve=True)),
        (
            chart(policies=True, settled=True, configuration="filled"),
            GateChoice(POLICY, serve=True, acts=(Act.EMPTY_WEBHOOK,)),
        ),
        (chart(policies=True, configuration="filled", listener="off"), GateChoice(POLICY)),
        # an API server without them, or one upgraded before the chart was
        (chart(served=False), GateChoice(WEBHOOK, serve=True, acts=(Act.FILL_WEBHOOK,))),
        (chart(), GateChoice(WEBHOOK, serve=True, acts=(Act.FILL_WEBHOOK,))),
        (chart(configuration="filled"), GateChoice(WEBHOOK, serve=True, acts=(Act.FILL_WEBHOOK,))),
        (chart(configuration="filled", listener="starting"), GateChoice(WEBHOOK, serve=True)),
        # outside a Pod: Pawl makes what it needs
        (GateFacts(served=True, manage=True), GateChoice(POLICY, acts=(Act.APPLY_POLICIES,))),
        (
            GateFacts(served=True, policies=True, settled=True, configuration="filled", manage=True),
            GateChoice(POLICY, acts=(Act.APPLY_POLICIES, Act.DELETE_WEBHOOK)),
        ),
        (
            GateFacts(served=False, listener="up", manage=True),
            GateChoice(WEBHOOK, serve=True, acts=(Act.FILL_WEBHOOK,)),
        ),
    ],
)
def test_the_choice(facts: GateFacts, wanted: GateChoice) -> None:
    assert choose(facts) == wanted


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        (chart(listener="off"), "apply `pawl gate`, upgrade the chart"),
        (chart(served=False, listener="off"), "run every replica with --webhook"),
        (chart(served=False, configuration="absent"), "apply `pawl gate --webhook pawl-webhook`"),
        (chart(configuration="absent"), "apply `pawl gate`, upgrade the chart"),
        (chart(served=False, listener="starting", configuration="absent"), "apply `pawl gate --webhook pawl-webhook`"),
        (chart(served=False, listener="starting"), "not answering yet"),
    ],
)
def test_where_nothing_rewrites_the_way_out_is_that_of_the_mode(facts: GateFacts, says: str) -> None:
    choice = choose(facts)
    assert choice.kind == ""
    assert says in choice.way_out


@pytest.mark.parametrize("facts", ALL, ids=str)
def test_what_holds_for_all_facts(facts: GateFacts) -> None:
    choice = choose(facts)
    removed = {Act.EMPTY_WEBHOOK, Act.DELETE_WEBHOOK} & set(choice.acts)
    assert bool(choice.kind) != bool(choice.way_out)
    if removed:  # nothing is taken away before another gate has stood for a while
        assert facts.served
        assert facts.policies
        assert facts.settled
    if not facts.manage:  # nothing is made or deleted that Pawl may only patch
        assert not {Act.APPLY_POLICIES, Act.DELETE_WEBHOOK} & set(choice.acts)
        assert Act.FILL_WEBHOOK not in choice.acts or facts.configuration != "absent"
    if facts.configuration == "filled":  # what is asked is answered
        assert choice.serve == (facts.listener != "off")
        assert choice.kind
    if Act.FILL_WEBHOOK in choice.acts:  # what does not answer yet is not asked
        assert facts.listener == "up"
        assert choice.serve
    assert not (removed and Act.FILL_WEBHOOK in choice.acts)

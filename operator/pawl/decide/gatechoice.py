"""Which gate a cluster has and what is to be done about it: policies where the API server runs them, else the webhook.

Two rules hold throughout: what rewrites now is only taken away when another one has stood for a while, and nothing is
made that Pawl may not make. Neighbours: `admission.install` reads the facts and acts, `controllers.gatekeeping` asks.
Not here: what is rewritten.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

POLICY: Final = "MutatingAdmissionPolicy"
WEBHOOK: Final = "Webhook"
UNKNOWN: Final = "Unknown"
"""The objects of the gate may not be read; a trial Pod says whether anything rewrites."""

Configuration = Literal["absent", "empty", "filled"]
"""The MutatingWebhookConfiguration `pawl`: charts ship it without webhooks, for Pawl to fill."""
Listener = Literal["off", "starting", "up"]
"""The webhook of this replica: not asked for by a flag, without a certificate or tables yet, or answering."""


class Act(StrEnum):
    """What the leader writes."""

    APPLY_POLICIES = "ApplyPolicies"
    FILL_WEBHOOK = "FillWebhook"
    EMPTY_WEBHOOK = "EmptyWebhook"
    DELETE_WEBHOOK = "DeleteWebhook"


@dataclass(frozen=True, slots=True)
class GateFacts:
    """What is so. `policies`: they and their bindings are there; `settled`: they have been for a while, without break.

    `manage`: Pawl may make and delete the objects of the gate.
    """

    served: bool
    policies: bool = False
    settled: bool = False
    configuration: Configuration = "absent"
    listener: Listener = "off"
    manage: bool = False


@dataclass(frozen=True, slots=True)
class GateChoice:
    """What rewrites Pods once `acts` are done ("" for nothing, and then `way_out`), and whether replicas listen."""

    kind: str
    serve: bool = False
    acts: tuple[Act, ...] = ()
    way_out: str = ""


def choose(facts: GateFacts) -> GateChoice:
    """Choose the gate."""
    return _by_policy(facts) if facts.served and (facts.policies or facts.manage) else _by_webhook(facts)


def _by_policy(facts: GateFacts) -> GateChoice:
    """The webhook stays as long as it is asked: two gates cost twice, none costs an image."""
    filled = facts.configuration == "filled"
    acts = (Act.APPLY_POLICIES,) if facts.manage else ()
    if filled and facts.policies and facts.settled:
        acts = (*acts, Act.DELETE_WEBHOOK if facts.manage else Act.EMPTY_WEBHOOK)
    return GateChoice(POLICY, serve=filled and facts.listener != "off", acts=acts)


def _by_webhook(facts: GateFacts) -> GateChoice:
    filled, listens = facts.configuration == "filled", facts.listener != "off"
    fill = facts.listener == "up" and (facts.manage or facts.configuration != "absent")
    return GateChoice(
        WEBHOOK if filled or fill else "",
        serve=listens,
        acts=(Act.FILL_WEBHOOK,) if fill else (),
        way_out="" if filled or fill else _way_out(facts),
    )


def _way_out(facts: GateFacts) -> str:
    if facts.listener == "starting" and facts.configuration != "absent":
        return "the webhook is not answering yet; the log of this replica says what it waits for"
    if facts.served:
        return "the policies are missing; apply `pawl gate`, upgrade the chart, or run with --manage-gate"
    if facts.listener != "off":
        return "MutatingWebhookConfiguration pawl does not exist; apply `pawl gate --webhook pawl-webhook`"
    return "this API server has no MutatingAdmissionPolicy; run every replica with --webhook 0.0.0.0:8443"

"""Looks at registries for a command: the targets of a plan with the Pods' own credentials, or what digests are.

Reads Secrets and sends requests to registries, so only where it is asked for. Neighbours: `controllers.targets` and
`controllers.explain` look, `plan_live` compiles what is seen. Not here: copies of pull Secrets, which do not exist yet
where an override is not applied yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.request import getproxies

from pawl.api.errors import InputError
from pawl.api.imageoverride import Override
from pawl.cli.plan_live import Ground, Seen
from pawl.cluster.client import Cluster
from pawl.cluster.secrets import SecretReader
from pawl.controllers.access import AccessReader
from pawl.controllers.explain import Explainer
from pawl.controllers.overridestore import label_of
from pawl.controllers.overrideterms import TermsReader
from pawl.controllers.pullkeys import PullKeys
from pawl.controllers.sightings import Sightings
from pawl.controllers.sightings_ask import Manifests
from pawl.controllers.standing import Standing
from pawl.controllers.surveys import Survey
from pawl.controllers.targets import Targets, Terms
from pawl.decide.rulebook import EVERYWHERE
from pawl.decide.targets import Needed, Refusal, by_override, held_back
from pawl.registry.addresses import NetworkPolicy
from pawl.registry.client import ClientSettings, RegistryClient
from pawl.registry.proxies import ProxySettings
from pawl.registry.wire import Observation


@dataclass(frozen=True, slots=True)
class Registries:
    """What asks registries in this call."""

    sightings: Sightings
    explainer: Explainer
    terms: TermsReader


@asynccontextmanager
async def registries(cluster: Cluster, plain_http: Iterable[str], namespace: str) -> AsyncIterator[Registries]:
    """Open what asks registries. `namespace` is Pawl's own. Raises InputError for a proxy that cannot be read."""
    try:
        proxies = ProxySettings.of(getproxies())
    except ValueError as error:
        raise InputError(str(error)) from error
    network = NetworkPolicy(deny_loopback=False, plain_http_hosts=frozenset(plain_http))
    client = RegistryClient(network, _unheard, settings=ClientSettings(proxies=proxies))
    secrets = SecretReader(cluster)
    keys, manifests = PullKeys(secrets), Manifests(client, network)
    found = Registries(Sightings(keys, manifests), Explainer(keys, manifests), terms_reader(secrets, namespace))
    try:
        yield found
    finally:
        await found.sightings.aclose()
        await found.explainer.aclose()
        await client.aclose()


def terms_reader(secrets: SecretReader, namespace: str) -> TermsReader:
    """Return what reads on what terms targets are looked at."""
    return TermsReader(AccessReader(secrets), namespace)


def words(hosts: str) -> list[str]:
    """Return the words of a list with commas between."""
    return [word.strip() for word in hosts.split(",") if word.strip()]


async def preflight(asked: Registries, ground: Ground, standing: Standing, overrides: Iterable[Override]) -> Seen:
    """Look at every target that Pods need under these overrides. Raises ClusterError where Secrets cannot be read."""
    concerned = {label_of(override): override for override in overrides}
    needed = _needed(ground, standing, frozenset(concerned))
    read = await asyncio.gather(*(asked.terms.read(override) for override in concerned.values()))
    terms = dict(zip(concerned, read, strict=True))
    seen = await Targets(asked.sightings).look(needed, lambda label: terms.get(label, Terms()))
    everywhere, single = held_back(seen.refused, frozenset())
    refused = {label: tuple(map(_sentence, found)) for label, found in by_override(seen.refused).items()}
    return Seen(seen.contents, {EVERYWHERE: everywhere, **single}, refused)


def _needed(ground: Ground, standing: Standing, labels: frozenset[str]) -> list[Needed]:
    survey = Survey(ground.world, ground.excluded)
    found = survey.needed(standing.rulebook, standing.compiled)
    return sorted(
        (each for each in found if each.override in labels), key=lambda each: (each.reference, each.namespace)
    )


def _sentence(found: tuple[Needed, Refusal]) -> str:
    needed, refusal = found
    return f"held back in namespace {needed.namespace}: {needed.reference}: {refusal.reason}: {refusal.message}"


def _unheard(seen: Observation) -> None:
    """Nobody counts the requests of a command."""

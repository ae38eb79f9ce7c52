"""Makes the cluster as a step wants it: claims, objects, Jobs, in this order.

Neighbours: `registryapply`, `registryclaims` and `registryjobs` write; `decide.storagemachine` wants. Not here: the
memory, which is stored before any of this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pawl.api.errors import Forbidden
from pawl.api.registrywork import Use
from pawl.cluster.registryobjects import Live
from pawl.controllers.registryapply import PARTS, Applier, Done, controller
from pawl.controllers.registryclaims import KIND as CLAIM
from pawl.controllers.registryclaims import Claims
from pawl.controllers.registryfacts import CERTIFICATE, Gathered
from pawl.controllers.registryjobs import Jobs
from pawl.controllers.registryuses import UsesReader
from pawl.decide.registrynames import METER, PART, SERVER, TRUST
from pawl.decide.registryview import ending, nodes_of
from pawl.decide.serverobjects import ServerAbout, server_objects
from pawl.decide.storagefacts import Want
from pawl.decide.storagemachine_collection import uses_matter

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Hands:
    """What writes. `image` is Pawl's own, with the Secrets to pull it by."""

    applier: Applier
    claims: Claims
    jobs: Jobs
    uses: UsesReader
    image: str
    pull_secrets: tuple[str, ...] = ()


class RegistryActor:
    """Acts. One for a term."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands

    async def act(self, gathered: Gathered, want: Want) -> Done:
        """Make it so. Raises Conflict, ApiUnavailable and LeaseLost; what is refused stands in the answer."""
        hands, done, facts = self._hands, Done(), gathered.facts
        wanted = self._objects(gathered, want)
        claims, others = _split(wanted)
        await hands.claims.keep(gathered, claims, want, done)
        if not gathered.access.blocked:  # without its Secrets and names an object would say something else
            await hands.applier.apply(facts.identity, others, gathered.live, done)
            parts = PARTS if hands.image else {SERVER}
            await hands.applier.drop(facts.identity, others, gathered.live, done, parts)
        await self._uncertify(gathered, done)
        await hands.jobs.keep(gathered, want.works, lambda: self._uses(gathered), done)
        return done

    async def _uncertify(self, gathered: Gathered, done: Done) -> None:
        """Take the request to cert-manager back: it would write the Secret that Pawl writes now."""
        if gathered.facts.spec.access.tls.issuer_ref is not None:
            return
        for found in gathered.live.of(CERTIFICATE):
            if controller(found) == gathered.facts.identity.uid and not ending(found):
                await self._hands.applier.delete(CERTIFICATE, found, done)

    def _objects(self, gathered: Gathered, want: Want) -> tuple[Json, ...]:
        hands, facts = self._hands, gathered.facts
        requested = {claim.name: claim.requested for claim in facts.claims.values()}
        about = ServerAbout(hands.image, hands.pull_secrets, requested, meter_apart(gathered.live))
        found = server_objects(facts.spec, facts.identity, want, gathered.access, about)
        return found if hands.image else tuple(each for each in found if _part(each) not in {METER, TRUST})

    async def _uses(self, gathered: Gathered) -> tuple[Use, ...]:
        """Return what must stay. Raises Forbidden where some of it cannot be seen any more since the plan."""
        seen, spec = await self._hands.uses.read(gathered.storage), gathered.facts.spec
        if seen.partial and uses_matter(spec) and not spec.collection.accept_partial_view:
            raise Forbidden(f"images in use cannot all be seen, so nothing is collected: {seen.partial}")
        return seen.uses


def meter_apart(live: Live) -> bool:
    """Whether the meter was left on another node than the server: a volume is attached to one node only."""
    server, meter = (nodes_of(live.of("Pod", part)) for part in (SERVER, METER))
    return bool(server) and bool(meter - server)


def _split(wanted: tuple[Json, ...]) -> tuple[list[Json], list[Json]]:
    claims = [each for each in wanted if each["kind"] == CLAIM]
    return claims, [each for each in wanted if each["kind"] != CLAIM]


def _part(found: Json) -> str:
    return str(found["metadata"]["labels"][PART])

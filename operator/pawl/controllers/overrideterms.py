"""On what terms the targets of an override are looked at: its CA, whether to look, and what was seen before.

Neighbours: `access` reads CA Secrets, `targets` looks. Not here: credentials (those are the Pods', `pullkeys`).
"""

from __future__ import annotations

from dataclasses import replace

from pawl.api.errors import Outcome
from pawl.api.imageoverride import Override, Resolved
from pawl.controllers.access import AccessReader
from pawl.controllers.targets import Terms
from pawl.decide.digests import Content
from pawl.decide.targets import Refusal


class TermsReader:
    """Reads terms. `namespace` is Pawl's own: CA Secrets of ClusterImageOverrides are there."""

    def __init__(self, access: AccessReader, namespace: str) -> None:
        self._access = access
        self._namespace = namespace

    async def read(self, override: Override) -> Terms:
        """Return the terms; a CA that cannot be read is a fault of every target."""
        status, spec = override.status, override.spec
        same = status.observed_generation == override.metadata.generation
        resolved = {found.reference: _content(found) for found in status.resolved} if same else {}
        plain = Terms(
            spec.rollout.preflight, resolved=resolved, edition=f"{override.metadata.uid} {override.metadata.generation}"
        )
        if spec.ca_secret_ref is None:
            return plain
        place = override.metadata.namespace or self._namespace
        try:
            ca = await self._access.ca(place, spec.ca_secret_ref.name)
        except Outcome as outcome:
            fault = Refusal(outcome.reason, outcome.message)
            return replace(plain, fault=fault)
        return replace(plain, ca=ca)


def _content(found: Resolved) -> Content:
    """Return what a status remembers; configs are not in it, and verdicts ask for them where they must."""
    return Content(found.reference, found.digest, {each.platform: each.digest for each in found.platforms})

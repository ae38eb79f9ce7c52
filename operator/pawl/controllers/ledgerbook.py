"""The leader's copy of the ledgers: read once, written before the status, dropped wherever somebody else wrote.

Neighbours: `cluster.ledgers` stores text, `api.ledger` is its form. Not here: the join with status (`decide.memory`).
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from pawl.api.errors import ClusterError, Conflict, Stalled
from pawl.api.ledger import Ledger
from pawl.api.reasons import Reason
from pawl.cluster.ledgers import LedgerStore, Stored, name_for
from pawl.controllers.outcomes import from_cluster
from pawl.controllers.queue import Key


class LedgerBook:
    """Ledgers by policy. The leader is the only writer, so what it read or wrote last is true until a write says no."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store
        self._known: dict[Key, Stored] = {}
        self._listed = False
        self._doubted: set[Key] = set()

    async def fill(self, namespaces: Sequence[str | None]) -> None:
        """Read all ledgers at once; one that is not listed counts as absent until a write or `forget` says otherwise.

        A ledger that lost its label is missed here and found by the write that would create it, which conflicts.
        Raises ClusterError; then each ledger is read when it is needed.
        """
        for namespace in namespaces:
            async for place, policy, stored in self._store.texts(namespace):
                self._known[Key("ImagePolicy", place, policy)] = stored
        self._listed = True

    async def read(self, key: Key) -> Ledger | None:
        """Return the ledger, None where there is none.

        Raises Stalled(LedgerInvalid) for one that cannot be read: starting without it could use a nonce twice. Raises
        Retry where the API server does not answer.
        """
        known = self._known.get(key)
        if known is None:
            known = await self._fetch(key)
        # What cannot be read is not kept: the user may mend it at any time.
        ledger = _parse(key, known.text)
        self._known[key] = known
        return ledger

    async def _fetch(self, key: Key) -> Stored:
        if self._listed and key not in self._doubted:
            return Stored(None, None)
        try:
            stored = await self._store.read(key.namespace, key.name)
            self._doubted.discard(key)
            return stored
        except ClusterError as error:
            raise from_cluster(error, f"ConfigMap {name_for(key.name)}") from error

    async def write(self, key: Key, ledger: Ledger) -> bool:
        """Store a ledger if it says something new; tell whether it was written. Raises ClusterError."""
        known = self._known.get(key, Stored(None, None))
        text = ledger.model_dump_json(by_alias=True, exclude_none=True)
        if text == known.text:
            return False
        try:
            version = await self._store.write(key.namespace, key.name, text, known.resource_version)
        except Conflict:
            self.forget(key)
            raise
        self._known[key] = Stored(text, version)
        return True

    def forget(self, key: Key) -> None:
        """Read this ledger anew next time."""
        self._known.pop(key, None)
        self._doubted.add(key)


def _parse(key: Key, text: str | None) -> Ledger | None:
    if not text:
        return None
    try:
        return Ledger.model_validate_json(text)
    except ValidationError as error:
        name = name_for(key.name)
        wording = f"ConfigMap {name} holds no ledger; restore it, or delete it to go on with what status says"
        raise Stalled(Reason.LEDGER_INVALID, wording) from error

"""The ledger: the second copy of a policy's memory, kept in a ConfigMap that outlives the policy.

Status is lost when a policy is deleted and recreated, and by backup tools that do not restore it; the ledger is not.
Neighbours: `decide.memory` joins it with status; `cluster.ledgers` stores its text. Not here: where it is stored.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from pawl.api.imagepolicy import HistoryEntry, RollbackStatus, Selection, TagDigest
from pawl.api.meta import StatusModel, Tag

HISTORY_LIMIT: Final = 20
BLOCKED_LIMIT: Final = 100
DIGEST_LIMIT: Final = 50
NONCE_LIMIT: Final = 1000


class Ledger(StatusModel):
    """What must never be forgotten: the position of the ratchet, used nonces, digests seen, blocked tags."""

    version: Literal[1] = 1
    image: Annotated[str, StringConstraints(max_length=255)]
    selection: Selection | None = None
    blocked: Annotated[list[Tag], Field(max_length=BLOCKED_LIMIT)] = Field(default_factory=list)
    rollback: RollbackStatus | None = None
    nonces: Annotated[list[Annotated[str, StringConstraints(max_length=64)]], Field(max_length=NONCE_LIMIT)] = Field(
        default_factory=list
    )
    digests: Annotated[list[TagDigest], Field(max_length=DIGEST_LIMIT)] = Field(default_factory=list)
    history: Annotated[list[HistoryEntry], Field(max_length=HISTORY_LIMIT)] = Field(default_factory=list)

"""What a policy remembers: the join of its status and its ledger, and how a move changes it.

The join takes the greater (epoch, sequence) and unions the rest, so failover, retry and restore commute
(ratchet.md §3).
Neighbours: `decide.moves` proposes moves; `api.ledger` is the stored form. Not here: whether a move is right.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from pawl.api.imagepolicy import Cause, HistoryEntry, ImagePolicyStatus, RollbackStatus, Selection, TagDigest
from pawl.api.ledger import BLOCKED_LIMIT, DIGEST_LIMIT, HISTORY_LIMIT, NONCE_LIMIT, Ledger

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Memory:
    """The position of the ratchet and what guards it. Tuples are oldest first."""

    selection: Selection | None = None
    blocked: tuple[str, ...] = ()
    rollback: RollbackStatus | None = None
    nonces: tuple[str, ...] = ()
    digests: tuple[TagDigest, ...] = ()
    history: tuple[HistoryEntry, ...] = ()

    def had(self, tag: str, digest: str) -> bool:
        """Whether this tag was ever selected with this digest (within the ring that the ledger keeps)."""
        return any(seen.tag == tag and seen.digest == digest for seen in self.digests)

    @property
    def rank(self) -> tuple[int, int]:
        """(epoch, sequence): the order in which two copies are compared."""
        return rank(self.selection)


def rank(selection: Selection | None) -> tuple[int, int]:
    """Return (epoch, sequence) of a selection, (0, 0) for none."""
    return (selection.epoch, selection.sequence) if selection else (0, 0)


def from_status(status: ImagePolicyStatus) -> Memory:
    """Read the copy in status. Nonces and digests stand in the ledger only, but for what status implies."""
    known = status.selection
    digests = (TagDigest(tag=known.tag, digest=known.digest),) if known and known.digest else ()
    nonces = (status.rollback.nonce,) if status.rollback else ()
    return Memory(known, tuple(status.blocked), status.rollback, nonces, digests, tuple(status.history))


def from_ledger(ledger: Ledger | None) -> Memory:
    """Read the copy in the ledger."""
    if ledger is None:
        return Memory()
    return Memory(
        ledger.selection,
        tuple(ledger.blocked),
        ledger.rollback,
        tuple(ledger.nonces),
        tuple(ledger.digests),
        tuple(ledger.history),
    )


def to_ledger(memory: Memory, image: str) -> Ledger:
    """Return the stored form of a memory."""
    return Ledger(
        image=image,
        selection=memory.selection,
        blocked=list(memory.blocked),
        rollback=memory.rollback,
        nonces=list(memory.nonces),
        digests=list(memory.digests),
        history=list(memory.history),
    )


def join(one: Memory, other: Memory) -> Memory:
    """Merge two copies: the greater (epoch, sequence) wins, what guards against going back is united.

    Commutative, associative and idempotent as long as equal ranks mean equal selections, which the API server's guard
    enforces for status; a forged equal rank is settled by the content, so that both orders give one answer.
    """
    low, high = sorted((one, other), key=_order)
    return Memory(
        selection=high.selection,
        blocked=_union(low.blocked, high.blocked, BLOCKED_LIMIT),
        rollback=high.rollback if high.selection else high.rollback or low.rollback,
        nonces=_union(low.nonces, high.nonces, NONCE_LIMIT),
        digests=_union(low.digests, high.digests, DIGEST_LIMIT),
        history=_merge_history(low.history, high.history),
    )


def _order(memory: Memory) -> tuple[tuple[int, int], str, str, tuple[str, ...], int]:
    selection = memory.selection
    return (
        memory.rank,
        selection.sort_key if selection else "",
        repr(selection),
        (repr(memory.rollback), *memory.blocked, *memory.nonces),
        len(memory.digests),
    )


def _union(low: tuple[T, ...], high: tuple[T, ...], limit: int) -> tuple[T, ...]:
    """Keep the older copy's own items first, then the newer copy's, at most `limit` of the youngest."""
    own = tuple(item for item in low if item not in high)
    return (own + high)[-limit:]


def _merge_history(low: tuple[HistoryEntry, ...], high: tuple[HistoryEntry, ...]) -> tuple[HistoryEntry, ...]:
    entries = {(entry.epoch, entry.sequence): entry for entry in low}
    entries |= {(entry.epoch, entry.sequence): entry for entry in high}
    return tuple(entries[key] for key in sorted(entries))[-HISTORY_LIMIT:]


def record(memory: Memory, selection: Selection, reason: str, who: str) -> Memory:
    """Return the memory after `selection` took the place of the one before."""
    before = memory.selection
    entry = HistoryEntry(
        time=selection.selected_at,
        cause=selection.cause,
        epoch=selection.epoch,
        sequence=selection.sequence,
        from_=label(before) if before else None,
        to=label(selection),
        reason=reason,
        who=who,
    )
    seen = (TagDigest(tag=selection.tag, digest=selection.digest),) if selection.digest else ()
    return replace(
        memory,
        selection=selection,
        rollback=memory.rollback if selection.cause is Cause.ROLLBACK else None,
        digests=_union(memory.digests, seen, DIGEST_LIMIT),
        history=(*memory.history, entry)[-HISTORY_LIMIT:],
    )


def record_rollback(memory: Memory, rollback: RollbackStatus, blocked: str | None) -> Memory:
    """Return the memory with a rollback's nonce used, its mark set and the tag it took back blocked."""
    return replace(
        memory,
        rollback=rollback,
        nonces=_union(memory.nonces, (rollback.nonce,), NONCE_LIMIT),
        blocked=_union(memory.blocked, (blocked,), BLOCKED_LIMIT) if blocked else memory.blocked,
    )


def label(selection: Selection) -> str:
    """Return tag@digest, or the tag alone where the digest is not known."""
    return f"{selection.tag}@{selection.digest}" if selection.digest else selection.tag

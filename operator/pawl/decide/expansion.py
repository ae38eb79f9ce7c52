"""When a claim grows, and to which size: one step at a time, up to `expansion.maxSize`.

The new size is kept in the memory before it is asked for, so that a crash in between repeats the asking and not the
step. Neighbours: `decide.pressure` says how full it is. Not here: writing claims, they are made from `StoreRef.size`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from pawl.api.quantities import amount_or, in_gibibytes
from pawl.api.registrystorage_status import StoreRef
from pawl.decide.storagefacts import Claim, Facts

PAUSE: Final = timedelta(hours=6)
"""Between two steps: clouds allow one change of a volume in about this time."""
EMERGENCY_PAUSE: Final = timedelta(minutes=10)
MEBIBYTE: Final = 1 << 20
GIBIBYTE: Final = 1 << 30


def grown(facts: Facts, store: StoreRef, filled: int | None) -> StoreRef:
    """Return the store with the size that it should have now."""
    claim = facts.claims.get(store.claim)
    if claim is None or filled is None or filled < facts.spec.pressure.expand_at or hindrance(facts, store):
        return store
    pause = EMERGENCY_PAUSE if filled >= facts.spec.pressure.read_only_at else PAUSE
    if _growing(claim, store) or (store.grown_at is not None and facts.now - store.grown_at < pause):
        return store
    size = _next_size(_base(claim, store), facts)
    return store.model_copy(update={"size": written(size), "grown_at": facts.now.replace(microsecond=0)})


def hindrance(facts: Facts, store: StoreRef) -> str:
    """Say why the store cannot grow and what to do, or nothing if it can."""
    if store.kind == "S3":
        return "a bucket does not grow by Pawl: raise storage.s3.quota if there is room, or delete images"
    if not store.own_claim:
        return f"claim {store.claim} is not Pawl's own: make it larger yourself, or delete images"
    claim, most = facts.claims.get(store.claim), amount_or(facts.spec.expansion.max_size)
    if claim is None or not claim.bound:
        return f"claim {store.claim} is not bound"
    if claim.grows is not True:
        return _fixed(claim)
    if most <= _base(claim, store):
        bound = f"{facts.spec.expansion.max_size} is reached" if most else "is not set"
        return f"expansion.maxSize {bound}: raise it, or delete images"
    return ""


def wishes(facts: Facts, stores: tuple[StoreRef, ...]) -> dict[str, int]:
    """Return claims that are smaller than they should be, and the bytes to ask for."""
    own = ((store, facts.claims.get(store.claim)) for store in stores if store.own_claim)
    return {
        store.claim: amount_or(store.size)
        for store, claim in own
        if claim is not None and claim.bound and claim.grows is True and claim.requested < amount_or(store.size)
    }


def refused(facts: Facts, store: StoreRef) -> str:
    """Say if the spec asks for a size that the class of the claim does not give, or nothing."""
    claim = facts.claims.get(store.claim)
    if not store.own_claim or claim is None or not claim.bound or claim.grows is not False:
        return ""
    return "" if amount_or(store.size) <= claim.requested else _fixed(claim)


def growing(facts: Facts, store: StoreRef) -> bool:
    """Whether the claim is on its way to a larger size."""
    claim = facts.claims.get(store.claim)
    return claim is not None and claim.grows is True and _growing(claim, store)


def written(size: int) -> str:
    """Write bytes as a quantity without a rest."""
    for unit, factor in (("Gi", GIBIBYTE), ("Mi", MEBIBYTE)):
        if size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def _base(claim: Claim, store: StoreRef) -> int:
    return max(claim.requested, amount_or(store.size))


def _growing(claim: Claim, store: StoreRef) -> bool:
    return claim.resizing or claim.capacity < _base(claim, store)


def _next_size(size: int, facts: Facts) -> int:
    unit = GIBIBYTE if size >= GIBIBYTE else MEBIBYTE
    wanted = size + max(size * facts.spec.expansion.step // 100, unit)
    return min(-(-wanted // unit) * unit, amount_or(facts.spec.expansion.max_size))


def _fixed(claim: Claim) -> str:
    why = "does not allow it" if claim.grows is False else "cannot be read"
    way = "raise storage.filesystem.series together with size, and the bytes move to a new claim"
    return f"the class of claim {claim.name} ({in_gibibytes(claim.capacity)}) {why}: {way}"

"""Whether a live object is as it should be: all that is wanted stands there, whatever else stands there too.

The API server fills in defaults, other managers add their own, amounts are written in another way: none of this is a
difference, so a steady state writes nothing. Neighbours: `serverobjects` makes what is wanted. Not here: reading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pawl.api.quantities import quantity

_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "volumes": ("name",),
    "env": ("name",),
    "imagePullSecrets": ("name",),
    "volumeMounts": ("mountPath",),
    "ownerReferences": ("uid",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
}
"""Lists that others may add to, and what tells their items apart. All other lists are one value."""
_PORT_KEYS: Final = ("port", "containerPort")
_AMOUNTS: Final = frozenset({"requests", "limits", "sizeLimit"})
_EMPTY: Final[tuple[object, ...]] = (None, "", False, 0, [], {}, ())


def covers(live: object, wanted: object, *, at: str = "", amounts: bool = False) -> bool:
    """Tell whether `wanted` is a part of `live`. `at` is the field, `amounts` whether strings are quantities."""
    amounts = amounts or at in _AMOUNTS
    if isinstance(wanted, Mapping):
        return isinstance(live, Mapping) and all(
            _covers_field(live, key, each, amounts=amounts) for key, each in wanted.items()
        )
    if isinstance(wanted, (list, tuple)):
        return isinstance(live, (list, tuple)) and _covers_list(live, wanted, at)
    return live == wanted or (amounts and _same_amount(live, wanted))


def _covers_field(live: Mapping[Any, object], key: str, wanted: object, *, amounts: bool) -> bool:
    if key not in live:
        return _is_empty(wanted)
    return covers(live[key], wanted, at=str(key), amounts=amounts)


def _is_empty(wanted: object) -> bool:
    """The API server leaves out what says nothing; but a 0 is said where there is a default, and that is filled in."""
    return any(wanted is each or (type(wanted) is type(each) and wanted == each) for each in _EMPTY)


def _covers_list(live: Sequence[object], wanted: Sequence[object], at: str) -> bool:
    keys = _KEYS.get(at) or _port_key(at, wanted)
    if keys is None:
        return len(live) == len(wanted) and all(covers(a, b, at="") for a, b in zip(live, wanted, strict=True))
    known = {_identity(each, keys): each for each in live}
    return all(_identity(each, keys) in known and covers(known[_identity(each, keys)], each) for each in wanted)


def _port_key(at: str, wanted: Sequence[object]) -> tuple[str, ...] | None:
    first = wanted[0] if at == "ports" and wanted else None
    return next(((key,) for key in _PORT_KEYS if isinstance(first, Mapping) and key in first), None)


def _identity(item: object, keys: tuple[str, ...]) -> tuple[object, ...]:
    return tuple(item.get(key) for key in keys) if isinstance(item, Mapping) else (item,)


def _same_amount(live: object, wanted: object) -> bool:
    try:
        return quantity(str(live)) == quantity(str(wanted))
    except ValueError:
        return False

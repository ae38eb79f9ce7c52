"""Two small containers of the index: rows by uid and namespace, and children by owner. Empty parts go away.

Neighbours: `index` is their only user. Not here: what the rows mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from pawl.decide.objects import Owner, PodRow, WorkloadRow

R = TypeVar("R", PodRow, WorkloadRow)


class Table(Generic[R]):
    """Rows by uid, and by namespace."""

    def __init__(self) -> None:
        self._rows: dict[str, R] = {}
        self._spaces: dict[str, dict[str, R]] = {}

    def get(self, uid: str) -> R | None:
        """Return a row or None."""
        return self._rows.get(uid)

    def rows(self, namespace: str | None = None) -> Sequence[R]:
        """Return the rows of a namespace, or (None) all."""
        return tuple((self._rows if namespace is None else self._spaces.get(namespace, {})).values())

    def put(self, row: R) -> R | None:
        """Keep a row. Returns the one before."""
        old = self._rows.get(row.uid)
        self._rows[row.uid] = row
        self._spaces.setdefault(row.namespace, {})[row.uid] = row
        return old

    def pop(self, uid: str) -> R | None:
        """Forget a row and return it, or None."""
        old = self._rows.pop(uid, None)
        if old is not None:
            space = self._spaces[old.namespace]
            del space[uid]
            if not space:
                del self._spaces[old.namespace]
        return old


class Family:
    """Owner -> children, by uid."""

    def __init__(self) -> None:
        self._children: dict[str, set[str]] = {}

    def of(self, owner: str) -> Iterable[str]:
        """Return the children of an owner."""
        return tuple(self._children.get(owner, ()))

    def add(self, owner: str, child: str) -> None:
        """Note a child."""
        self._children.setdefault(owner, set()).add(child)

    def drop(self, owner: str, child: str) -> None:
        """Forget a child."""
        children = self._children.get(owner)
        if children is None:
            return
        children.discard(child)
        if not children:
            del self._children[owner]


def controller_of(owners: Sequence[Owner]) -> Owner | None:
    """Return the owner that is the controller, or None."""
    return next((owner for owner in owners if owner.controller), None)

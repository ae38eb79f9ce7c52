"""What is known of the cluster, and the questions that it answers: owners, Pods of a workload, images, stamps.

Rows go in and out by `put` and `remove`; nothing here asks the API server, so a test may fill one by hand.
Neighbours: `world` feeds it from watches, `tables` and `images` keep its parts. Not here: judgement.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pawl.cluster.images import Images
from pawl.cluster.index_tables import Family, Table, controller_of
from pawl.decide.objects import NamespaceRow, NodeRow, Owner, PodRow, WorkloadRow
from pawl.decide.reference import Repository

Row = PodRow | WorkloadRow | NodeRow | NamespaceRow

MAX_DEPTH: Final = 8
"""Owners above owners that are walked; deeper chains are a mistake or a cycle."""
RESTARTABLE: Final = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
"""Kinds that can be the operator which made other objects."""
REPLICA_SET: Final = "ReplicaSet"
INDIRECT: Final = frozenset({"Deployment", "CronJob"})  # their Pods are made by what they make


@dataclass(frozen=True, slots=True)
class Change:
    """One row came, changed or went.

    `kind` is Pod, Node, Namespace or the kind of a workload; `uid` is the name for Nodes and Namespaces. `root_uid` is
    the uid of the workload (or foreign owner) to which a Pod or ReplicaSet belongs, else `uid`. A deletion carries the
    last row that was seen.
    """

    kind: str
    namespace: str
    uid: str
    root_uid: str
    deleted: bool
    row: Row


class Index:
    """Rows of workloads, Pods, Nodes and Namespaces. Queries return copies: they stay whole over an `await`."""

    def __init__(self) -> None:
        self._pods: Table[PodRow] = Table()
        self._workloads: Table[WorkloadRow] = Table()
        self._sets: Table[WorkloadRow] = Table()
        self._nodes: dict[str, NodeRow] = {}
        self._namespaces: dict[str, NamespaceRow] = {}
        self._pods_below = Family()
        self._below = Family()
        self._images = Images()
        self._stamps: dict[str, int] = {}
        self._clock = 0

    def workloads(self, namespace: str | None = None) -> Sequence[WorkloadRow]:
        """Return all workloads but ReplicaSets, of one namespace or (None) of all."""
        return self._workloads.rows(namespace)

    def workload(self, uid: str) -> WorkloadRow | None:
        """Return a workload, also a ReplicaSet, or None."""
        return self._workloads.get(uid) or self._sets.get(uid)

    def pods(self, namespace: str | None = None) -> Sequence[PodRow]:
        """Return all Pods, of one namespace or (None) of all."""
        return self._pods.rows(namespace)

    def pod(self, uid: str) -> PodRow | None:
        """Return one Pod or None."""
        return self._pods.get(uid)

    def pods_of(self, uid: str) -> Sequence[PodRow]:
        """Return the Pods whose root is this workload (or foreign owner); those of a CronJob belong to its Jobs."""
        row = self._workloads.get(uid)
        direct = () if row is not None and row.kind in INDIRECT else (uid,)
        makers = [*direct, *(each.uid for each in self._sets_of(uid))]
        found = (self._pods.get(pod) for maker in makers for pod in self._pods_below.of(maker))
        return tuple(pod for pod in found if pod is not None)

    def root_of(self, pod: PodRow) -> WorkloadRow | Owner | None:
        """Return what keeps a Pod alive: its workload, an owner of a kind that is not watched, or None if it is bare.

        Only the controller reference counts; the Deployment stands for its ReplicaSets, a Job for itself. A Pod that
        a Deployment controls directly was made by an operator in its own name: no rollout makes it anew.
        """
        owner = controller_of(pod.owners)
        if owner is None:
            return None
        replicas = self._sets.get(owner.uid)
        if replicas is None:
            row = self._workloads.get(owner.uid)
            return owner if row is None or row.kind in INDIRECT else row
        above = controller_of(replicas.owners)
        return replicas if above is None else self._workloads.get(above.uid) or above

    def parents_of(self, row: WorkloadRow | PodRow) -> tuple[WorkloadRow, ...]:
        """Return the nearest Deployments, StatefulSets and DaemonSets above a row, over all ownerReferences.

        References that are no controller's count too: Rook copies those of its own Pod, so that a DaemonSet belongs to
        the operator's ReplicaSet (rook `pkg/operator/discover/discover.go`). Cycles end; so does
        the walk after 8 steps.
        """
        found: dict[str, WorkloadRow] = {}
        seen, level = {row.uid}, {owner.uid for owner in row.owners}
        for _ in range(MAX_DEPTH):
            above = [known for uid in sorted(level - seen) if (known := self.workload(uid)) is not None]
            seen |= level
            found |= {each.uid: each for each in above if each.kind in RESTARTABLE}
            level = {owner.uid for each in above if each.kind not in RESTARTABLE for owner in each.owners}
        return tuple(found.values())

    def jobs_of(self, cronjob_uid: str) -> Sequence[WorkloadRow]:
        """Return the Jobs that a CronJob made."""
        found = (self._workloads.get(uid) for uid in self._below.of(cronjob_uid))
        return tuple(row for row in found if row is not None and row.kind == "Job")

    def nodes(self) -> Sequence[NodeRow]:
        """Return all nodes."""
        return tuple(self._nodes.values())

    def node(self, name: str) -> NodeRow | None:
        """Return one node or None."""
        return self._nodes.get(name)

    def namespaces(self) -> Sequence[NamespaceRow]:
        """Return all namespaces."""
        return tuple(self._namespaces.values())

    def namespace(self, name: str) -> NamespaceRow | None:
        """Return one namespace or None."""
        return self._namespaces.get(name)

    def with_repository_below(self, prefix: str) -> frozenset[str]:
        """Return the uids of workloads and Pods with an image at or below `host[:port][/path]` in normalised form."""
        return self._images.below(prefix)

    def repositories(self) -> Mapping[Repository, frozenset[str]]:
        """Return every repository in use with the uids of the workloads and Pods that name it."""
        return self._images.repositories()

    def unparsable(self) -> Mapping[str, frozenset[str]]:
        """Return every image that is no reference with the uids of the workloads and Pods that hold it."""
        return self._images.unparsable()

    def stamp(self, uid: str) -> int:
        """Return a number that grows whenever this workload, a Pod of it or a Job or ReplicaSet of it changes.

        Also for the roots of other Pods: the uid of a foreign owner, or of a bare Pod. 0 for what is not known.
        """
        return self._stamps.get(uid, 0)

    def put(self, row: Row) -> Change | None:
        """Keep a row in place of the one of the same uid. Returns what changed, None if the row is equal."""
        if isinstance(row, PodRow):
            return self._put_pod(row)
        if isinstance(row, WorkloadRow):
            return self._put_workload(row)
        return self._put_named(row)

    def remove(self, row: Row) -> Change | None:
        """Forget the row of this uid (or name). Returns None if it was not known."""
        if isinstance(row, PodRow):
            return self._remove_pod(row)
        if isinstance(row, WorkloadRow):
            return self._remove_workload(row)
        known: NodeRow | NamespaceRow | None
        known = self._nodes.pop(row.name, None) if isinstance(row, NodeRow) else self._namespaces.pop(row.name, None)
        return None if known is None else change_of(row, row.name, deleted=True)

    def rows_of(self, kind: str, namespace: str | None = None) -> Iterator[Row]:
        """Yield what is known of one kind, for a listing to find out what is gone."""
        if kind == "Pod":
            yield from self.pods(namespace)
        elif kind == "Node":
            yield from self.nodes()
        elif kind == "Namespace":
            yield from self.namespaces()
        else:
            table = self._sets if kind == REPLICA_SET else self._workloads
            yield from (row for row in table.rows(namespace) if row.kind == kind)

    def _put_named(self, row: NodeRow | NamespaceRow) -> Change | None:
        old: NodeRow | NamespaceRow | None
        if isinstance(row, NodeRow):
            old, self._nodes[row.name] = self._nodes.get(row.name), row
        else:
            old, self._namespaces[row.name] = self._namespaces.get(row.name), row
        return None if old == row else change_of(row, row.name, deleted=False)

    def _put_pod(self, row: PodRow) -> Change | None:
        old = self._pods.put(row)
        if old == row:
            return None
        if old is not None and old.owners != row.owners:
            self._leave(old)
        owner = controller_of(row.owners)
        if owner is not None:
            self._pods_below.add(owner.uid, row.uid)
        self._images.move(row.uid, old.spec if old is not None else None, row.spec)
        root = self._root_uid(row)
        self._bump(root)
        return change_of(row, root, deleted=False)

    def _remove_pod(self, row: PodRow) -> Change | None:
        old = self._pods.pop(row.uid)
        if old is None:
            return None
        self._images.move(old.uid, old.spec, None)
        self._leave(old)
        return change_of(row, self._root_uid(row), deleted=True)

    def _leave(self, pod: PodRow) -> None:
        """Take a Pod from its owner."""
        root, owner = self._root_uid(pod), controller_of(pod.owners)
        if owner is not None:
            self._pods_below.drop(owner.uid, pod.uid)
        self._touch(root)

    def _put_workload(self, row: WorkloadRow) -> Change | None:
        old = self._table(row).put(row)
        if old == row:
            return None
        self._relate(old, row)
        self._images.move(row.uid, old.spec if old is not None else None, row.spec)
        self._bump(row.uid)
        if old is not None and old.owners != row.owners:
            self._touch_owner(old)
        return change_of(row, self._bump_owner(row), deleted=False)

    def _remove_workload(self, row: WorkloadRow) -> Change | None:
        old = self._table(row).pop(row.uid)
        if old is None:
            return None
        self._relate(old, None)
        self._images.move(old.uid, old.spec, None)
        self._touch(old.uid)
        self._touch_owner(old)
        return change_of(row, self._bump_owner(row), deleted=True)

    def _relate(self, old: WorkloadRow | None, new: WorkloadRow | None) -> None:
        """Note whose child a workload is."""
        if old is not None:
            for owner in old.owners:
                self._below.drop(owner.uid, old.uid)
        if new is not None:
            for owner in new.owners:
                self._below.add(owner.uid, new.uid)

    def _bump_owner(self, row: WorkloadRow) -> str:
        """Tell the controller of a workload, if it is watched. Returns the root: of a ReplicaSet its Deployment."""
        owner = controller_of(row.owners)
        if owner is None:
            return row.uid
        if row.kind == REPLICA_SET or self._workloads.get(owner.uid) is not None:
            self._touch(owner.uid)
        return owner.uid if row.kind == REPLICA_SET else row.uid

    def _table(self, row: WorkloadRow) -> Table[WorkloadRow]:
        return self._sets if row.kind == REPLICA_SET else self._workloads

    def _sets_of(self, uid: str) -> Iterator[WorkloadRow]:
        for each in self._below.of(uid):
            row = self._sets.get(each)
            owner = controller_of(row.owners) if row is not None else None
            if row is not None and owner is not None and owner.uid == uid:
                yield row

    def _root_uid(self, pod: PodRow) -> str:
        root = self.root_of(pod)
        return pod.uid if root is None else root.uid

    def _touch(self, uid: str) -> None:
        """Move a stamp, or forget it with the last that it is about."""
        if self.workload(uid) is not None or self.pods_of(uid):
            self._bump(uid)
        else:
            self._stamps.pop(uid, None)

    def _touch_owner(self, row: WorkloadRow) -> None:
        if (owner := controller_of(row.owners)) is not None:
            self._touch(owner.uid)

    def _bump(self, uid: str) -> None:
        self._clock += 1
        self._stamps[uid] = self._clock


def change_of(row: Row, root_uid: str, *, deleted: bool) -> Change:
    """Return the change that a row stands for."""
    if isinstance(row, PodRow):
        return Change("Pod", row.namespace, row.uid, root_uid, deleted, row)
    if isinstance(row, WorkloadRow):
        return Change(row.kind, row.namespace, row.uid, root_uid, deleted, row)
    kind = "Node" if isinstance(row, NodeRow) else "Namespace"
    return Change(kind, row.name if kind == "Namespace" else "", row.name, root_uid, deleted, row)

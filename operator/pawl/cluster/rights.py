"""What Pawl may do: the one table of rights. RBAC rules and the page of rights are made from it.

A right is here because a call in this repository needs it; tests/cluster/test_rights*.py take both ways: what is called
and not here fails, and what is here and never called fails. Neighbours: `resources` names the kinds, `rights_docs`
prints the table. Not here: asking the API server what is granted.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pawl.cluster.resources import (
    BUDGETS,
    CERTIFICATES,
    CLAIMS,
    CLUSTER_IMAGE_OVERRIDES,
    CLUSTER_IMAGE_RULES,
    CONFIG_MAPS,
    CRON_JOBS,
    DAEMON_SETS,
    DEPLOYMENTS,
    EVENTS,
    IMAGE_OVERRIDES,
    IMAGE_POLICIES,
    IMAGE_RULES,
    INGRESSES,
    JOBS,
    LEASES,
    MUTATING_BINDINGS,
    MUTATING_POLICIES,
    MUTATING_WEBHOOKS,
    NAMESPACES,
    NODES,
    PODS,
    REGISTRY_STORAGES,
    REPLICA_SETS,
    REVISIONS,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    STATEFUL_SETS,
    STORAGE_CLASSES,
    Resource,
)

LEASE_NAME: Final = "pawl"
WEBHOOK_NAME: Final = "pawl"
WEBHOOK_SECRET: Final = "pawl-webhook"
GATE_NAMES: Final = ("pawl-namespace", "pawl-cluster", "pawl-namespace-templates", "pawl-cluster-templates")
PROOF_NAMES: Final = GATE_NAMES[:2]
"""What is asked for to find out which gate is at work."""


class Where(StrEnum):
    """Where a right is needed. The values are the keys of `charts/pawl/files/rights.yaml`."""

    CLUSTER = "cluster"
    WATCHED = "watched"
    NAMESPACED = "namespaced"
    OWN = "own"
    SECRETS = "secrets"
    SECRETS_WRITE = "secretsWrite"
    REGISTRIES = "registries"
    REGISTRIES_CLUSTER = "registriesCluster"
    MANAGE_GATE = "manageGate"
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True)
class Right:
    """One row. `names` restricts it to objects of these names; `feature` is what does not work without it."""

    where: Where
    resource: Resource
    verbs: tuple[str, ...]
    feature: str
    why: str
    subresource: str = ""
    names: tuple[str, ...] = ()

    @property
    def named(self) -> str:
        """The resource as RBAC names it: `imagepolicies/status`."""
        return f"{self.resource.plural}/{self.subresource}" if self.subresource else self.resource.plural

    @property
    def single(self) -> tuple[tuple[str, str, str], ...]:
        """Group, resource and verb, for each verb."""
        return tuple((self.resource.group, self.named, verb) for verb in self.verbs)

    def rule(self) -> dict[str, list[str]]:
        """Return the rule of a Role or ClusterRole."""
        named = {"resourceNames": list(self.names)} if self.names else {}
        return {"apiGroups": [self.resource.group], "resources": [self.named], "verbs": list(self.verbs)} | named


_READ: Final = ("get", "list", "watch")
_FOLLOW: Final = ("list", "watch")
_TABLE: Final = ("list", "watch", "create", "update", "delete")
_ROLL: Final = ("get", "list", "watch", "patch")
_KEEP: Final = ("watch", "create", "patch", "delete")
_OWN: Final = ("get", "list", "create", "patch", "delete")

RIGHTS: Final = (
    Right(Where.WATCHED, IMAGE_POLICIES, _READ, "policies", "what is wanted"),
    Right(Where.WATCHED, IMAGE_POLICIES, ("patch",), "policies", "selections", "status"),
    Right(Where.WATCHED, CONFIG_MAPS, ("get", "list", "create", "patch", "delete"), "policies", "ledgers; debts"),
    Right(Where.WATCHED, EVENTS, ("create",), "events", "changes of conditions"),
    Right(Where.WATCHED, PODS, _FOLLOW, "policies, overrides", "images that run; proofs"),
    Right(Where.WATCHED, IMAGE_OVERRIDES, (*_READ, "patch"), "overrides", "patch for finalizer and note alone"),
    Right(Where.WATCHED, IMAGE_OVERRIDES, ("patch",), "overrides", "what was found and done", "status"),
    Right(Where.WATCHED, IMAGE_RULES, _TABLE, "overrides", "tables of namespaces"),
    Right(Where.WATCHED, PODS, ("create",), "overrides", "the trial Pod alone, always as a dry run"),
    Right(Where.WATCHED, PODS, ("create",), "rollouts", "Pods that wait in vain, `onDelete: Evict`", "eviction"),
    Right(Where.WATCHED, DEPLOYMENTS, _ROLL, "rollouts", "rollouts, restarts, restoring"),
    Right(Where.WATCHED, STATEFUL_SETS, _ROLL, "rollouts", "rollouts, restarts, restoring"),
    Right(Where.WATCHED, DAEMON_SETS, _ROLL, "rollouts", "rollouts, restarts, restoring"),
    Right(Where.WATCHED, CRON_JOBS, _ROLL, "rollouts", "`templates: Reconcile`"),
    Right(Where.WATCHED, REPLICA_SETS, _FOLLOW, "overrides", "owners"),
    Right(Where.WATCHED, JOBS, (*_READ, "create", "delete"), "rollouts", "stuck Jobs, prepulls"),
    Right(Where.SECRETS, SECRETS, ("get",), "credentials", "pull Secrets that a policy, a Pod or an override names"),
    Right(Where.SECRETS, SERVICE_ACCOUNTS, ("get",), "credentials", "pull Secrets of ServiceAccounts"),
    Right(Where.SECRETS_WRITE, SECRETS, ("create", "patch", "delete"), "copies", "copies by `copyFrom`"),
    Right(Where.REGISTRIES, REGISTRY_STORAGES, (*_READ, "patch"), "registries", "patch for the finalizer alone"),
    Right(Where.REGISTRIES, REGISTRY_STORAGES, ("patch",), "registries", "what was found and done", "status"),
    Right(Where.REGISTRIES, DEPLOYMENTS, ("list", *_KEEP), "registries", "server and meter"),
    Right(Where.REGISTRIES, DAEMON_SETS, ("list", *_KEEP), "registries", "`access.nodeTrust`"),
    Right(Where.REGISTRIES, SERVICES, (*_READ, "create", "patch"), "registries", "the server's name and address"),
    Right(Where.REGISTRIES, INGRESSES, ("get", "list", *_KEEP), "registries", "service type Ingress"),
    Right(Where.REGISTRIES, BUDGETS, _OWN, "registries", "several replicas"),
    Right(Where.REGISTRIES, CONFIG_MAPS, ("list", *_KEEP), "registries", "configuration, orders, ledgers"),
    Right(Where.REGISTRIES, CLAIMS, ("get", "list", *_KEEP), "registries", "stores; deleted only if told to"),
    Right(Where.REGISTRIES, JOBS, ("list", "watch", "create", "delete"), "registries", "migration, collection, proofs"),
    Right(Where.REGISTRIES, PODS, _FOLLOW, "registries", "servers and work; images in use"),
    Right(Where.REGISTRIES, CERTIFICATES, _OWN, "registries", "`access.tls.issuerRef`"),
    Right(Where.REGISTRIES, REVISIONS, ("list",), "registries", "images that a rollback would go back to"),
    Right(Where.REGISTRIES_CLUSTER, STORAGE_CLASSES, ("get",), "registries", "whether claims of a class can grow"),
    Right(Where.CLUSTER, NAMESPACES, _FOLLOW, "overrides", "labels"),
    Right(Where.CLUSTER, NODES, _FOLLOW, "overrides", "platforms, prepulls"),
    Right(Where.CLUSTER, CLUSTER_IMAGE_OVERRIDES, (*_READ, "patch"), "overrides", "patch for finalizer and note alone"),
    Right(Where.CLUSTER, CLUSTER_IMAGE_OVERRIDES, ("patch",), "overrides", "what was found and done", "status"),
    Right(Where.CLUSTER, CLUSTER_IMAGE_RULES, _TABLE, "overrides", "the table of the cluster"),
    Right(Where.CLUSTER, MUTATING_POLICIES, ("get",), "gate", "which gate is at work", names=PROOF_NAMES),
    Right(Where.CLUSTER, MUTATING_BINDINGS, ("get",), "gate", "which gate is at work", names=PROOF_NAMES),
    Right(Where.CLUSTER, MUTATING_WEBHOOKS, ("get", "patch"), "gate", "the webhook", names=(WEBHOOK_NAME,)),
    Right(Where.NAMESPACED, NAMESPACES, ("get",), "overrides", "labels of the namespace itself"),
    Right(Where.OWN, LEASES, ("get", "update"), "election", "who leads", names=(LEASE_NAME,)),
    Right(Where.OWN, LEASES, ("create",), "election", "the first one makes it"),
    Right(Where.OWN, SECRETS, ("get", "update"), "webhook", "certificate of the webhook", names=(WEBHOOK_SECRET,)),
    Right(Where.OWN, SECRETS, ("create",), "webhook", "certificate of the webhook"),
    Right(Where.MANAGE_GATE, MUTATING_POLICIES, ("create",), "manage-gate", "the gate"),
    Right(Where.MANAGE_GATE, MUTATING_POLICIES, ("get", "patch"), "manage-gate", "the gate", names=GATE_NAMES),
    Right(Where.MANAGE_GATE, MUTATING_BINDINGS, ("create",), "manage-gate", "the gate"),
    Right(Where.MANAGE_GATE, MUTATING_BINDINGS, ("get", "patch"), "manage-gate", "the gate", names=GATE_NAMES),
    Right(Where.MANAGE_GATE, MUTATING_WEBHOOKS, ("create",), "manage-gate", "the gate"),
    Right(
        Where.MANAGE_GATE,
        MUTATING_WEBHOOKS,
        ("get", "patch", "delete"),
        "manage-gate",
        "the gate",
        names=(WEBHOOK_NAME,),
    ),
    Right(Where.MANAGE_GATE, IMAGE_RULES, ("get",), "manage-gate", "asked of whoever makes a policy with parameters"),
    Right(Where.MANAGE_GATE, CLUSTER_IMAGE_RULES, ("get",), "manage-gate", "as above"),
    Right(Where.OUTSIDE, NAMESPACES, ("create",), "election", "only if the namespace of the Lease may be missing"),
)

_SEEN: Final = ("imagepolicies", "imageoverrides", "imagerules", "registrystorages")
_WRITTEN: Final = ("imagepolicies", "imageoverrides", "registrystorages")
_EDIT: Final = ("create", "update", "patch", "delete", "deletecollection")


def rules(*places: Where) -> list[dict[str, list[str]]]:
    """Return the rules of these places, each as a Role takes it."""
    return [right.rule() for right in RIGHTS if right.where in places]


def people() -> dict[str, list[dict[str, list[str]]]]:
    """Return the rules that are added to Kubernetes' own roles of people.

    Who may edit may choose what runs there already; nobody but Pawl needs to write tables or statuses.
    """
    group = [IMAGE_POLICIES.group]
    view = {"apiGroups": group, "resources": list(_SEEN), "verbs": list(_READ)}
    edit = {"apiGroups": group, "resources": list(_WRITTEN), "verbs": list(_EDIT)}
    return {"view": [view], "edit": [edit], "admin": []}

"""How a registry is reached: names, certificates, users, and who gets their credentials.

Neighbours: `api.registrystorage_spec` holds the rest of the spec. Not here: how certificates are made.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from pawl.api.imageoverride_spec import LabelSelector
from pawl.api.meta import Duration, LocalRef, Model, Name

Host = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9.:\[\]-]+$")]
"""host[:port], as it stands before the first slash of an image."""

Annotations = Annotated[
    dict[Annotated[str, StringConstraints(max_length=317)], Annotated[str, StringConstraints(max_length=1024)]],
    Field(max_length=32),
]


class ServiceType(StrEnum):
    """How the server is offered. Ingress: a ClusterIP with an Ingress before it."""

    CLUSTER_IP = "ClusterIP"
    NODE_PORT = "NodePort"
    LOAD_BALANCER = "LoadBalancer"
    INGRESS = "Ingress"


class IssuerRef(Model):
    """An issuer of cert-manager."""

    name: Name = Field(description="Name of the issuer.")
    kind: Annotated[str, StringConstraints(max_length=63, pattern=r"^[A-Z][A-Za-z]*$")] = Field(
        "Issuer", description="Issuer or ClusterIssuer."
    )
    group: Annotated[str, StringConstraints(max_length=253, pattern=r"^[a-z0-9.-]+$")] = Field(
        "cert-manager.io", description="API group of the issuer."
    )


class ServerTLS(Model):
    """Where the certificate is from: exactly one. Default: Pawl makes an authority and renews it."""

    self_signed: bool = Field(
        default=False, description="An authority of Pawl's own; a new one is trusted before it is used."
    )
    secret_ref: LocalRef | None = Field(
        None, description="Secret with tls.crt and tls.key, and ca.crt for a private authority."
    )
    issuer_ref: IssuerRef | None = Field(None, description="cert-manager makes it.")
    disabled: bool = Field(default=False, description="Plain HTTP: nodes must be told to allow it.")


class Users(Model):
    """Who may log in: a user that Pawl makes, whose password it changes, and the users of `secretRef`."""

    secret_ref: LocalRef | None = Field(
        None,
        description="Secret whose keys are further users and whose values are their passwords; changes are followed.",
    )
    rotate_every: Duration = Field(
        "720h", description="Pawl's own user gets a successor after this; both are valid for a day. 1h to 8760h."
    )
    disabled: bool = Field(
        default=False, description="Nobody logs in: whoever reaches the registry may push and delete."
    )


class IngressOptions(Model):
    """The Ingress; large uploads need no buffering, no body limit and long timeouts, which Pawl sets for nginx."""

    class_name: Name | None = Field(None, description="Class of the Ingress.")
    annotations: Annotations = Field(default_factory=dict, description="Further annotations.")


class ServiceOptions(Model):
    """How the server is offered."""

    type: ServiceType = Field(ServiceType.CLUSTER_IP, description="ClusterIP, NodePort, LoadBalancer or Ingress.")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(5000, description="Port of the Service.")
    node_port: Annotated[int, Field(ge=1, le=65535)] | None = Field(None, description="For NodePort.")
    annotations: Annotations = Field(default_factory=dict, description="Annotations of the Service.")
    ingress: IngressOptions = Field(default_factory=IngressOptions, description="For Ingress.")


class PullSecrets(Model):
    """Which namespaces get a pull Secret for this registry."""

    namespace_selector: LabelSelector = Field(
        default_factory=LabelSelector, description="By labels of the namespace; nothing said means all."
    )
    name: Name | None = Field(None, description="Name of the Secret; default: the name of this resource and `-pull`.")


class RegistryAccess(Model):
    """How the registry is reached, and by whom."""

    host: Host | None = Field(
        None, description="host[:port] under which images are named. Default: the address of the Service."
    )
    tls: ServerTLS = Field(default_factory=ServerTLS, description="The certificate; default: selfSigned.")
    users: Users | None = Field(default_factory=Users, description="Who may log in.")
    anonymous_pull: bool = Field(
        default=False, description="Serve pulls without credentials on a port of their own, one above the Service's."
    )
    service: ServiceOptions = Field(default_factory=ServiceOptions, description="How the server is offered.")
    pull_secrets: PullSecrets | None = Field(None, description="Hand the pull Secret to these namespaces.")
    node_trust: bool = Field(
        default=False,
        description="Write certs.d/<host>/hosts.toml on every node. Needs a namespace that allows host paths.",
    )

    @property
    def open_to_all(self) -> bool:
        """Whether nobody needs to log in. A null `users` is an absent one, as for the API server: Pawl's own user."""
        return self.users is not None and self.users.disabled

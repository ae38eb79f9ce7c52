"""The settings of one operator process, frozen, each with its unit and reason. The command line fills them.

Neighbours: `cli.run` reads flags and variables, `operator` uses them. Not here: defaults of resources (`api`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pawl.cluster.leaserecord import Timing
from pawl.registry.proxies import ProxySettings


@dataclass(frozen=True, slots=True)
class Settings:
    """How one replica runs."""

    namespace: str = "pawl-system"
    """Where the Lease is."""
    kubeconfig: str | None = None
    """Path of a kubeconfig; None: KUBECONFIG, then the Pod's ServiceAccount."""
    host: str = "127.0.0.1"
    """Where /metrics, /healthz and /readyz listen."""
    port: int = 0
    """Their port; 0: a free one."""
    in_pod: bool = False
    """Loopback is never a registry in a Pod: it is the Pod itself."""
    plain_http_hosts: frozenset[str] = frozenset()
    """host:port that may be spoken to without TLS, besides loopback."""
    watch_namespaces: tuple[str, ...] = ()
    """Only these; empty: all."""
    proxies: ProxySettings = field(default_factory=ProxySettings)
    """For registries."""
    workers: int = 32
    """Policies reconciled at once."""
    workers_per_host: int = 16
    """Of these, at most so many for one registry: a slow host must not take all places."""
    override_workers: int = 4
    """Overrides reconciled at once; each may write to many workloads at a time."""
    registry_workers: int = 4
    """RegistryStorages looked at at once."""
    image: str = ""
    """Pawl's own image: the Jobs of RegistryStorages run from it. Empty: nothing that needs one is begun."""
    webhook: tuple[str, int] | None = None
    """Host and port of the webhook, for clusters without MutatingAdmissionPolicy; None: not served."""
    manage_gate: bool = False
    """Make the objects of the gate when leading; else only the webhooks of a configuration that is there are kept."""
    gate_recheck: float = 60.0
    """Seconds between two looks at which gate the API server has."""
    pull_secrets: tuple[str, ...] = ()
    """Names of Secrets that every Pod gets which Pawl makes, besides its own."""
    connections: int = 16
    """Requests to the API server at once; each connection costs a quarter of a MiB for TLS."""
    lease: Timing = field(default_factory=Timing)
    """Times of the election."""
    resync: float = 300.0
    """Seconds between two lists that check the watch."""

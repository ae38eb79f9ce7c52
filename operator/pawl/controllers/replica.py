"""The parts of one replica, built once: what leads and what only watches share them.

Neighbours: `operator` builds and runs, `term` works with them. Not here: behaviour.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from pawl.cluster.client import Cluster, Options
from pawl.cluster.events import Recorder, RecorderSettings
from pawl.cluster.lease import Candidate, Elector, LeaseState, new_identity
from pawl.controllers.gatekeeping import Gate, no_gate
from pawl.controllers.health import LoopLag
from pawl.controllers.metrics import Gauges, Metrics
from pawl.controllers.overridestore import OverrideStore
from pawl.controllers.queue import Key, QueueSettings, WorkQueue
from pawl.controllers.registrystore import KIND as REGISTRY
from pawl.controllers.registrystore import RegistryStore
from pawl.controllers.resync import Resync
from pawl.controllers.settings import Settings
from pawl.controllers.store import ObjectStore, PolicyStore
from pawl.controllers.tally import Tally
from pawl.controllers.watch import Watch
from pawl.decide.reference import UnparsableReference, parse
from pawl.registry.addresses import NetworkPolicy
from pawl.registry.client import ClientSettings, RegistryClient
from pawl.registry.scans import ScanHub
from pawl.registry.wire import Observation

LEASE = "pawl"


@dataclass(frozen=True, slots=True)
class Replica:
    """Everything that lives as long as the process."""

    settings: Settings
    identity: str
    cluster: Cluster
    metrics: Metrics
    tally: Tally
    store: PolicyStore
    overrides: OverrideStore
    registries: RegistryStore
    queue: WorkQueue
    override_queue: WorkQueue
    registry_queue: WorkQueue
    elector: Elector
    recorder: Recorder
    registry: RegistryClient
    network: NetworkPolicy
    gate: Gate
    complete: asyncio.Event
    """Set once the stores have every object that exists."""
    hub: ScanHub
    watch: Watch
    resyncs: tuple[Resync, ...]
    lag: LoopLag


class _Gauges:
    """The owners of the gauges; they are made after the metrics that show them."""

    def __init__(self) -> None:
        self.tally: Tally | None = None
        self.queue: WorkQueue | None = None
        self.elector: Elector | None = None
        self.recorder: Recorder | None = None
        self.lag = LoopLag()

    def gauges(self) -> Gauges:
        """Return the questions that a scrape asks."""
        default = Gauges()
        return Gauges(
            held=lambda: self.tally.held() if self.tally else {},
            tags=lambda: self.tally.tags() if self.tally else {},
            last_scan_age=self._scan_age,
            queue=lambda: self.queue.stats if self.queue else default.queue(),
            lease=lambda: self.elector.state if self.elector else LeaseState(leading=False, holder="", term=0),
            loop_lag=lambda: self.lag.worst,
            events_dropped=lambda: self.recorder.dropped if self.recorder else 0.0,
        )

    def _scan_age(self) -> float:
        oldest = self.tally.oldest_scan() if self.tally else None
        return asyncio.get_running_loop().time() - oldest if oldest is not None else 0.0


async def build(settings: Settings, gate_of: Callable[[Cluster], Gate] = no_gate) -> Replica:
    """Make all parts; nothing is sent yet. Raises InputError where no credentials for a cluster are found.

    `gate_of` makes the gate of a cluster: it lives in another room and is handed in.
    """
    owners, identity = _Gauges(), new_identity()
    metrics = Metrics(owners.gauges())
    cluster = await Cluster.connect(
        settings.kubeconfig, Options(observe=metrics.api_request, concurrency=settings.connections)
    )
    owners.tally = Tally(metrics)
    store = PolicyStore(lane_of)
    overrides, registries = OverrideStore(clustered=not settings.watch_namespaces), RegistryStore()
    owners.queue = WorkQueue(_queue_settings(settings, store, metrics))
    override_queue = WorkQueue(_plain_settings(settings.override_workers, metrics))
    registry_queue = WorkQueue(_plain_settings(settings.registry_workers, metrics))
    owners.elector = Elector(cluster, Candidate(settings.namespace, LEASE, identity), settings.lease)
    owners.recorder = Recorder(cluster, RecorderSettings(instance=identity))
    network = NetworkPolicy(deny_loopback=settings.in_pod, plain_http_hosts=settings.plain_http_hosts)
    registry = _registry(settings, network, metrics)
    stores = (store, *overrides.stores, registries.objects)
    wake = _waker(owners.queue, override_queue, registry_queue)
    return Replica(
        settings=settings,
        identity=identity,
        cluster=cluster,
        metrics=metrics,
        tally=owners.tally,
        store=store,
        overrides=overrides,
        registries=registries,
        queue=owners.queue,
        override_queue=override_queue,
        registry_queue=registry_queue,
        elector=owners.elector,
        recorder=owners.recorder,
        registry=registry,
        network=network,
        gate=gate_of(cluster),
        complete=asyncio.Event(),
        hub=ScanHub(registry),
        watch=Watch(stores, wake, cluster.connection_info, settings.watch_namespaces),
        resyncs=tuple(Resync(cluster, each, wake, _places(each, settings)) for each in stores),
        lag=owners.lag,
    )


def _waker(policies: WorkQueue, overrides: WorkQueue, registries: WorkQueue) -> Callable[[Key], None]:
    queues = {"ImagePolicy": policies, REGISTRY: registries}

    def wake(key: Key) -> None:
        queues.get(key.kind, overrides).add(key)

    return wake


def _places(store: ObjectStore, settings: Settings) -> tuple[str, ...]:
    """The namespaces to list one by one; kinds without namespaces are listed as a whole."""
    return settings.watch_namespaces if store.resource.namespaced else ()


def lane_of(image: str) -> str:
    """Return the registry host of an image; what cannot be parsed shares one lane."""
    try:
        return parse(image).host
    except UnparsableReference:
        return ""


def _plain_settings(workers: int, metrics: Metrics) -> QueueSettings:
    return QueueSettings(total=workers, waited=metrics.waited, ran=metrics.ran)


def _queue_settings(settings: Settings, store: PolicyStore, metrics: Metrics) -> QueueSettings:
    return QueueSettings(
        total=settings.workers,
        per_lane=settings.workers_per_host,
        lane_of=store.lane,
        waited=metrics.waited,
        ran=metrics.ran,
    )


def _registry(settings: Settings, network: NetworkPolicy, metrics: Metrics) -> RegistryClient:
    def observe(seen: Observation) -> None:
        metrics.registry_request(seen.host, seen.code, seen.seconds)

    return RegistryClient(network, observe, settings=ClientSettings(proxies=settings.proxies))

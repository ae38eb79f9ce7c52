"""All metrics of Pawl, in one registry of their own: every name and label stands here, in `overridemetrics` or in
`registrymetrics`.

Counters and histograms are told as things happen; gauges are read from their owners when somebody scrapes, so none can
go stale. Labels are words of bounded sets: kinds, results, reasons, at most a hundred hosts, and names of
RegistryStorages, which are few; never a tag, an image or a Pod. Names follow controller-runtime.
Neighbours: `health` serves all. Not here: HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, Metric, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from pawl import __version__
from pawl.cluster.lease import LeaseState
from pawl.controllers.overridemetrics import OverrideMetrics
from pawl.controllers.queue import Key, QueueStats
from pawl.controllers.registrymetrics import RegistryMetrics

MAX_HOSTS: Final = 100
OTHER: Final = "other"

REQUEST_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
REVIEW_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2)
WORK_BUCKETS: Final = (0.001, 0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60)
WAIT_BUCKETS: Final = (0.001, 0.01, 0.1, 0.5, 1, 5, 15, 60, 300)
LAG_BUCKETS: Final = (1, 10, 60, 300, 900, 3600, 4 * 3600, 86400, 7 * 86400)


def _zero() -> float:
    return 0.0


def _none() -> Mapping[str, float]:
    return {}


@dataclass(frozen=True, slots=True)
class Gauges:
    """Where the gauges are read at each scrape. All of these are called on the event loop and must be quick."""

    held: Callable[[], Mapping[str, float]] = _none
    """Policies that hold, by reason."""
    tags: Callable[[], Mapping[str, float]] = _none
    """Tags in the last complete scans, by registry host."""
    last_scan_age: Callable[[], float] = _zero
    """Seconds since the oldest of the last scans."""
    queue: Callable[[], QueueStats] = lambda: QueueStats(0, 0, 0)
    lease: Callable[[], LeaseState] = lambda: LeaseState(leading=False, holder="", term=0)
    loop_lag: Callable[[], float] = _zero
    """Seconds that the event loop was late at worst in the last minute."""
    events_dropped: Callable[[], float] = _zero


class Metrics:
    """The metrics of one process. The methods are the hooks that other rooms call."""

    def __init__(self, gauges: Gauges | None = None) -> None:
        self.registry = CollectorRegistry()
        self._hosts = _Hosts(MAX_HOSTS)
        self._decided = _Decided(self.registry)
        self._outside = _Outside(self.registry)
        self._worked = _Worked(self.registry)
        self.overrides = OverrideMetrics(self.registry)
        self.registries = RegistryMetrics(self.registry)
        self.registry.register(_Live(gauges or Gauges(), self._hosts))
        ProcessCollector(registry=self.registry)

    def scan(self, result: str) -> None:
        """A scan of a repository ended: complete, partial, failed or unchanged."""
        self._decided.scans.labels(result).inc()

    def selection(self, cause: str, lag: float | None = None) -> None:
        """A selection changed, by its cause. `lag` is the seconds since the chosen image was first seen."""
        self._decided.selections.labels(cause).inc()
        if lag is not None:
            self._decided.lag.observe(max(lag, 0.0))

    def reconciled(self, kind: str, result: str, seconds: float) -> None:
        """A reconcile of one object ended."""
        self._decided.reconciles.labels(kind, result).inc()
        self._decided.reconcile_seconds.labels(kind, result).observe(seconds)

    def registry_request(self, host: str, code: str, seconds: float) -> None:
        """A registry answered, or did not: then `code` names the failure."""
        label = self._hosts.label(host)
        self._outside.registry_requests.labels(label, code).inc()
        self._outside.registry_seconds.labels(label).observe(seconds)

    def api_request(self, verb: str, resource: str, code: int, seconds: float) -> None:
        """The API server answered, or did not: then `code` is 0. Fits `pawl.cluster.client.Observe`."""
        self._outside.api_requests.labels(verb, resource, str(code) if code else "none").inc()
        self._outside.api_seconds.labels(verb).observe(seconds)

    def webhook_review(self, result: str, seconds: float) -> None:
        """The webhook answered a review: Rewritten, Unchanged or Failed."""
        self._outside.reviews.labels(result).inc()
        self._outside.review_seconds.observe(seconds)

    def waited(self, key: Key, seconds: float) -> None:
        """A key waited for a worker. Fits `QueueSettings.waited`."""
        self._worked.waits.labels(key.kind).observe(seconds)

    def ran(self, key: Key, seconds: float) -> None:
        """A worker was busy with a key. Fits `QueueSettings.ran`."""
        self._worked.runs.labels(key.kind).observe(seconds)


class _Hosts:
    """The first hundred hosts by name, all further ones as one: a user's spec must not grow the metrics."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: set[str] = set()

    def label(self, host: str) -> str:
        if host not in self._known:
            if len(self._known) >= self._limit:
                return OTHER
            self._known.add(host)
        return host

    def sums(self, values: Mapping[str, float]) -> dict[str, float]:
        """Return the values by label; those of unnamed hosts are added up."""
        result: dict[str, float] = {}
        for host, value in values.items():
            label = self.label(host)
            result[label] = result.get(label, 0.0) + value
        return result


class _Decided:
    """What came of looking at objects."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.scans = Counter("pawl_scans", "Scans of repositories by result.", ["result"], registry=registry)
        self.selections = Counter(
            "pawl_selections",
            "Changes of selections by cause (first sight, advance, rollback...).",
            ["cause"],
            registry=registry,
        )
        self.lag = Histogram(
            "pawl_selection_lag_seconds",
            "From the first sight of an image to its selection.",
            buckets=LAG_BUCKETS,
            registry=registry,
        )
        self.reconciles = Counter(
            "pawl_reconcile", "Reconciles by kind and result.", ["kind", "result"], registry=registry
        )
        self.reconcile_seconds = Histogram(
            "pawl_reconcile_time_seconds",
            "Duration of reconciles.",
            ["kind", "result"],
            buckets=WORK_BUCKETS,
            registry=registry,
        )


class _Outside:
    """Requests to registries and to the API server, and what the API server asks."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry_requests = Counter(
            "pawl_registry_requests", "Requests to registries by host and code.", ["host", "code"], registry=registry
        )
        self.registry_seconds = Histogram(
            "pawl_registry_request_duration_seconds",
            "Duration of requests to registries.",
            ["host"],
            buckets=REQUEST_BUCKETS,
            registry=registry,
        )
        self.api_requests = Counter(
            "pawl_api_requests",
            "Requests to the API server by verb, resource and code.",
            ["verb", "resource", "code"],
            registry=registry,
        )
        self.api_seconds = Histogram(
            "pawl_api_request_duration_seconds",
            "Duration of requests to the API server.",
            ["verb"],
            buckets=REQUEST_BUCKETS,
            registry=registry,
        )
        self.reviews = Counter(
            "pawl_webhook_reviews",
            "Reviews that the webhook answered, by result (Rewritten, Unchanged, Failed).",
            ["result"],
            registry=registry,
        )
        self.review_seconds = Histogram(
            "pawl_webhook_review_duration_seconds",
            "From a review's arrival to its answer.",
            buckets=REVIEW_BUCKETS,
            registry=registry,
        )


class _Worked:
    """The queue of keys."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.waits = Histogram(
            "pawl_workqueue_queue_duration_seconds",
            "How long a key that was due waited for a worker.",
            ["kind"],
            buckets=WAIT_BUCKETS,
            registry=registry,
        )
        self.runs = Histogram(
            "pawl_workqueue_work_duration_seconds",
            "How long a worker was busy with a key.",
            ["kind"],
            buckets=WORK_BUCKETS,
            registry=registry,
        )


class _Live(Collector):
    """The gauges, asked for at each scrape."""

    def __init__(self, gauges: Gauges, hosts: _Hosts) -> None:
        self._gauges = gauges
        self._hosts = hosts

    def collect(self) -> Iterable[Metric]:
        """Yield all gauges with their values of now."""
        gauges, queue, lease = self._gauges, self._gauges.queue(), self._gauges.lease()
        states = {"waiting": queue.waiting, "due": queue.due, "running": queue.running}
        yield _family("pawl_held", "Policies that hold, by reason.", "reason", gauges.held())
        tags = self._hosts.sums(gauges.tags())
        yield _family("pawl_registry_tags", "Tags in the last complete scans, by host.", "host", tags)
        yield _family("pawl_workqueue_depth", "Keys in the queue by state.", "state", states)
        yield _family("pawl_build_info", "The running version.", "version", {__version__: 1})
        for name, text, value in (
            ("pawl_last_scan_age_seconds", "Age of the oldest of the last scans.", gauges.last_scan_age()),
            ("pawl_leader", "1 while this replica holds the Lease for sure.", float(lease.leading)),
            ("pawl_lease_term", "The greatest term of the Lease seen by this replica.", lease.term),
            ("pawl_event_loop_lag_seconds", "Worst lag of the event loop in the last minute.", gauges.loop_lag()),
            ("pawl_events_dropped", "Kubernetes Events that could not be sent.", gauges.events_dropped()),
        ):
            yield GaugeMetricFamily(name, text, value=value)


def _family(name: str, text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label])
    for word, value in values.items():
        family.add_metric([word], value)
    return family

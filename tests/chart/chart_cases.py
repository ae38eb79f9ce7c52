"""Values for the tests: for each value of the chart one that must show in what is rendered, and combinations.

Neighbours: `rendering` renders them. Not here: bad values (`test_chart_refusals`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.chart.rendering import Json

DIGEST = "sha256:" + "a" * 64


@dataclass(frozen=True)
class Case:
    """A value that differs from its default. `beside`: other values without which it has no meaning."""

    value: Any
    beside: Json = field(default_factory=dict)


MONITOR: Json = {"metrics": {"serviceMonitor": {"enabled": True}}}
RULE: Json = {"metrics": {"prometheusRule": {"enabled": True}}}
BOARD: Json = {"metrics": {"dashboard": {"enabled": True}}}
CERTIFICATE: Json = {"webhook": {"certManager": {"enabled": True}}}

CASES: dict[str, Case] = {
    "global.imageRegistry": Case("mirror.corp"),
    "global.imagePullSecrets": Case(["all"]),
    "image.registry": Case("other.corp:5000/deep"),
    "image.repository": Case("team/pawl"),
    "image.tag": Case("9.9.9"),
    "image.digest": Case(DIGEST),
    "image.pullPolicy": Case("Always"),
    "imagePullSecrets": Case(["one", {"name": "two"}]),
    "nameOverride": Case("latch"),
    "fullnameOverride": Case("latch"),
    "commonLabels": Case({"team": "images"}),
    "crds.enabled": Case(False),
    "crds.keep": Case(False),
    "replicas": Case(3),
    "watchNamespaces": Case(["shop", "blog"]),
    "logLevel": Case("debug"),
    "plainHTTPHosts": Case(["registry.lan:5000", "10.0.0.1:5000"]),
    "bindAddress": Case("::"),
    "gate.enabled": Case(False),
    "gate.policy": Case("Never"),
    "webhook.annotations": Case({"admissions.enforcer/disabled": "true"}),
    "webhook.certManager.enabled": Case(True),
    "webhook.certManager.issuerRef": Case({"name": "corp", "kind": "ClusterIssuer"}, CERTIFICATE),
    "webhook.certManager.duration": Case("100h", CERTIFICATE),
    "webhook.certManager.renewBefore": Case("10h", CERTIFICATE),
    "rbac.create": Case(False),
    "rbac.aggregate": Case(False),
    "rbac.secrets.scope": Case("Namespaces"),
    "rbac.secrets.namespaces": Case(["shop"], {"rbac": {"secrets": {"scope": "Namespaces"}}}),
    "rbac.registries": Case(False),
    "rbac.secrets.write": Case(False),
    "rbac.customResources": Case([{"apiGroups": ["ceph.rook.io"], "resources": ["cephclusters"], "verbs": ["get"]}]),
    "serviceAccount.create": Case(False, {"serviceAccount": {"name": "own"}}),
    "serviceAccount.name": Case("own"),
    "serviceAccount.annotations": Case({"cloud/role": "puller"}),
    "annotations": Case({"a": "b"}),
    "podAnnotations": Case({"a": "b"}),
    "podLabels": Case({"a": "b"}),
    "priorityClassName": Case("system-cluster-critical"),
    "priorityClass.create": Case(True),
    "priorityClass.value": Case(5, {"priorityClass": {"create": True}}),
    "resources": Case({"limits": {"cpu": "1"}}),
    "nodeSelector": Case({"kubernetes.io/arch": "amd64"}),
    "tolerations": Case([{"operator": "Exists"}]),
    "affinity": Case({"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}),
    "topologySpreadConstraints": Case([]),
    "podSecurityContext": Case({"fsGroup": 5, "runAsUser": None}),
    "securityContext": Case({"runAsUser": 5}),
    "hostUsers": Case(False),
    "dnsPolicy": Case("Default"),
    "dnsConfig": Case({"options": [{"name": "ndots", "value": "1"}]}),
    "terminationGracePeriodSeconds": Case(40),
    "strategy": Case({"type": "Recreate", "rollingUpdate": None}),
    "revisionHistoryLimit": Case(1),
    "pdb.enabled": Case(False),
    "pdb.minAvailable": Case("50%"),
    "pdb.maxUnavailable": Case(1),
    **{
        f"probes.{probe}.{key}": Case(17)
        for probe in ("startup", "liveness", "readiness")
        for key in ("periodSeconds", "failureThreshold", "timeoutSeconds")
    },
    "extraEnv": Case([{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}]),
    "extraEnvFrom": Case([{"configMapRef": {"name": "settings"}}]),
    "extraVolumes": Case([{"name": "ca", "configMap": {"name": "ca"}}]),
    "extraVolumeMounts": Case([{"name": "tmp", "mountPath": "/more"}]),
    "extraContainers": Case([{"name": "side", "image": "registry.corp/side:1"}]),
    "initContainers": Case([{"name": "first", "image": "registry.corp/first:1"}]),
    "extraObjects": Case(
        [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-x"}},
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-y\n",
        ]
    ),
    "networkPolicy.enabled": Case(False),
    "networkPolicy.metricsFrom": Case([{"namespaceSelector": {}}]),
    "networkPolicy.egress": Case([{"ports": [{"port": 443}]}]),
    "metrics.service.annotations": Case({"prometheus.io/scrape": "true"}),
    "metrics.serviceMonitor.enabled": Case(True),
    "metrics.serviceMonitor.namespace": Case("monitoring", MONITOR),
    "metrics.serviceMonitor.labels": Case({"release": "prometheus"}, MONITOR),
    "metrics.serviceMonitor.interval": Case("10s", MONITOR),
    "metrics.serviceMonitor.scrapeTimeout": Case("5s", MONITOR),
    "metrics.serviceMonitor.relabelings": Case([{"action": "labeldrop", "regex": "pod"}], MONITOR),
    "metrics.serviceMonitor.metricRelabelings": Case([{"action": "drop", "regex": "python_.*"}], MONITOR),
    "metrics.prometheusRule.enabled": Case(True),
    "metrics.prometheusRule.namespace": Case("monitoring", RULE),
    "metrics.prometheusRule.labels": Case({"release": "prometheus"}, RULE),
    "metrics.prometheusRule.alertLabels": Case({"team": "images"}, RULE),
    "metrics.prometheusRule.disabled": Case(["PawlScansHang"], RULE),
    "metrics.prometheusRule.runbookURL": Case("https://runbooks.corp/pawl#", RULE),
    "metrics.prometheusRule.extraRules": Case([{"alert": "Mine", "expr": "pawl_leader == 0"}], RULE),
    "metrics.dashboard.enabled": Case(True),
    "metrics.dashboard.namespace": Case("monitoring", BOARD),
    "metrics.dashboard.labels": Case({"grafana": "yes"}, BOARD),
    "metrics.dashboard.annotations": Case({"folder": "images"}, BOARD),
    "test.enabled": Case(False),
    "test.seconds": Case(5),
}

EVERYTHING: Json = {
    "metrics": {part: {"enabled": True} for part in ("serviceMonitor", "prometheusRule", "dashboard")},
    **CERTIFICATE,
    "priorityClass": {"create": True},
    "imagePullSecrets": ["one"],
    "global": {"imagePullSecrets": ["all", "one"]},
}

MATRIX: dict[str, Json] = {
    "defaults": {},
    "everything": EVERYTHING,
    "namespaced": {"watchNamespaces": ["shop", "blog"], "crds": {"enabled": False}, "gate": {"enabled": False}},
    "namespaced, with the gate": {"watchNamespaces": ["shop"], "imagePullSecrets": ["one"]},
    "one replica": {"replicas": 1},
    "no gate": {"gate": {"enabled": False}},
    "webhook only": {"gate": {"policy": "Never"}},
    "Secrets of some namespaces": {"rbac": {"secrets": {"scope": "Namespaces", "namespaces": ["shop", "blog"]}}},
    "digest and mirror": {"global": {"imageRegistry": "mirror.corp/all"}, "image": {"digest": DIGEST}},
    "host in the repository": {"image": {"registry": "", "repository": "registry.corp:5000/team/pawl"}},
    "rights by others": {"rbac": {"create": False}, "serviceAccount": {"create": False, "name": "given"}},
}


def nested(path: str, value: Any) -> Json:
    """Return values that set one path."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return dict(value)

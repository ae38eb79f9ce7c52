"""Workloads of every kind with one image, as manifests; fields of the spec come by their own names.

    stateful_set("db", image, replicas=3, updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 2}})

Their Pods carry the label `app` with the name. Neighbours: `rookstage` makes what Rook makes. Not here: applying.
"""

from __future__ import annotations

from typing import Any

from tests.cluster.api import Json

from pawl.cli.demo_rook_objects import DELAY


def deployment(name: str, image: str, **spec: Any) -> Json:
    return _selecting("Deployment", name, image, {"replicas": 1} | spec)


def daemon_set(name: str, image: str, **spec: Any) -> Json:
    return _selecting("DaemonSet", name, image, spec)


def stateful_set(name: str, image: str, **spec: Any) -> Json:
    return _selecting("StatefulSet", name, image, {"replicas": 1, "serviceName": name} | spec)


def job(name: str, image: str, *, runs: str = "", **spec: Any) -> Json:
    """A standalone Job; `runs` is how long a simulated Pod runs, as Go writes durations."""
    return _body("batch/v1", "Job", name, {"template": _once(name, image, runs)} | spec)


def cron_job(name: str, image: str, *, runs: str = "", **spec: Any) -> Json:
    """A CronJob that makes a Job each minute."""
    template = {"spec": {"template": _once(name, image, runs)}}
    return _body("batch/v1", "CronJob", name, {"schedule": "* * * * *", "jobTemplate": template} | spec)


def bare_pod(name: str, image: str, **spec: Any) -> Json:
    body = _body("v1", "Pod", name, pod_spec(image) | spec)
    return body | {"metadata": {"name": name, "labels": {"app": name}}}


def pod_spec(image: str) -> Json:
    return {"containers": [{"name": "app", "image": image}]}


def _selecting(kind: str, name: str, image: str, spec: Json) -> Json:
    template = {"metadata": {"labels": {"app": name}}, "spec": pod_spec(image)}
    return _body("apps/v1", kind, name, {"selector": {"matchLabels": {"app": name}}, "template": template} | spec)


def _once(name: str, image: str, runs: str) -> Json:
    metadata: Json = {"labels": {"app": name}} | ({"annotations": {DELAY: runs}} if runs else {})
    return {"metadata": metadata, "spec": pod_spec(image) | {"restartPolicy": "Never"}}


def _body(version: str, kind: str, name: str, spec: Json) -> Json:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}

"""The meter beside the server: it reads the store, and tells how full it is and what a collection would do.

Neighbours: `jobs.meter` is its program. Not here: what the figures mean (`pressure`).
"""

from __future__ import annotations

from typing import Any

from pawl.api.registrywork import ORDER_DIRECTORY, ORDER_FILE, TOKEN_VARIABLE, WORK_PORT, Order, Task
from pawl.decide.registrynames import CONFIG, METER, SERVER, STORE, labels, metadata, selector
from pawl.decide.serverobjects_pod import (
    WORKER_RESOURCES,
    Container,
    Mount,
    Shape,
    beside,
    claim,
    config_map,
    from_secret,
    pod_spec,
    scratch,
    store_secrets,
)
from pawl.decide.serverobjects_server import ServerPlan, alone, shared
from pawl.decide.workplaces import place_of, worker_args

Json = dict[str, Any]


def meter_parts(plan: ServerPlan, image: str, *, apart: bool = False) -> tuple[Json, ...]:
    """Return the meter's order and Deployment; nothing for a claim that one Pod only may use.

    `apart`: its Pod goes, and comes again beside the server.
    """
    if alone(plan.store):
        return ()
    order = Order(task=Task.METER, id=plan.store.id, source=place_of(plan.store, "source"))
    head = metadata(plan.identity, plan.names.meter, METER)
    text = order.model_dump_json(by_alias=True, exclude_none=True)
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": head, "data": {ORDER_FILE: text}}
    return (config, _deployment(plan, image, 0 if apart and not shared(plan.store) else 1))


def _deployment(plan: ServerPlan, image: str, replicas: int) -> Json:
    name = plan.identity.name
    affinity = {} if shared(plan.store) else beside(selector(name, SERVER))
    notes = {
        STORE: plan.store.id,
        CONFIG: f"{plan.access.internal_version}-{plan.access.version_of(plan.store)}",
    }
    pod = pod_spec(
        plan.spec,
        [_container(plan, image)],
        Shape(pull_secrets=plan.pull_secrets, affinity=affinity, more={"terminationGracePeriodSeconds": 10}),
    )
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(plan.identity, plan.names.meter, METER),
        "spec": {
            "replicas": replicas,
            "revisionHistoryLimit": 1,
            "selector": {"matchLabels": selector(name, METER)},
            "strategy": {"type": "Recreate"},
            "template": {"metadata": {"labels": labels(name, METER), "annotations": notes}, "spec": pod},
        },
    }


def _container(plan: ServerPlan, image: str) -> Container:
    return Container(
        name="meter",
        image=image,
        args=worker_args(Task.METER),
        env=(from_secret(TOKEN_VARIABLE, plan.access.internal_secret, "token"),),
        mounts=(config_map(ORDER_DIRECTORY, plan.names.meter), *_store(plan), scratch("/tmp")),  # noqa: S108
        resources=WORKER_RESOURCES,
        more={
            "ports": [{"name": "work", "containerPort": WORK_PORT}],
            "readinessProbe": {"tcpSocket": {"port": "work"}, "periodSeconds": 10, "timeoutSeconds": 5},
        },
    )


def _store(plan: ServerPlan) -> tuple[Mount, ...]:
    if plan.store.kind == "S3":
        return store_secrets(plan.store, "source")
    return (claim("/pawl/source", plan.names.claim(plan.store), writable=False),)

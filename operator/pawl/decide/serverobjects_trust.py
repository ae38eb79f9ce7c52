"""The DaemonSet that tells every node whom to trust: it writes one directory below containerd's `certs.d`.

It runs as root, for the directory is the node's, and may do nothing else. Neighbours: `jobs.trust` is its program.
Not here: the authorities (`serverobjects_front`).
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from pawl.api.registrywork import ORDER_DIRECTORY, ORDER_FILE, TOKEN_VARIABLE, Order, Place, Task
from pawl.decide.registrynames import CONFIG, TRUST, labels, metadata, selector
from pawl.decide.serverobjects_pod import (
    WORKER_RESOURCES,
    Container,
    Mount,
    Shape,
    config_map,
    from_secret,
    pod_spec,
    scratch,
)
from pawl.decide.serverobjects_server import ServerPlan
from pawl.decide.workplaces import CA_DIRECTORY, endpoint_of, worker_args

Json = dict[str, Any]

CERTS_ON_NODE: Final = "/etc/containerd/certs.d"
CERTS: Final = "/pawl/certs.d"


def trust_parts(plan: ServerPlan, image: str) -> tuple[Json, ...]:
    """Return the order and the DaemonSet; nothing where nobody asked for it or the address is not known yet."""
    if not plan.spec.access.node_trust or not plan.access.address:
        return ()
    endpoint = endpoint_of(plan.access).model_copy(update={"credentials": ""})
    order = Order(
        task=Task.TRUST,
        id=plan.access.address,
        host=plan.access.address,
        also=list(plan.access.also),
        endpoint=endpoint,
        target=Place(kind="Filesystem", path=CERTS),
    )
    head = metadata(plan.identity, plan.names.trust, TRUST)
    text = order.model_dump_json(by_alias=True, exclude_none=True)
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": head, "data": {ORDER_FILE: text}}
    return (config, _daemon_set(plan, image))


def _daemon_set(plan: ServerPlan, image: str) -> Json:
    name = plan.identity.name
    shape = Shape(
        pull_secrets=plan.pull_secrets,
        privileged_user=True,
        more={
            "tolerations": [{"operator": "Exists"}],
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "terminationGracePeriodSeconds": 10,
        },
    )
    names = hashlib.sha256(repr((plan.access.address, plan.access.also)).encode()).hexdigest()[:16]
    notes = {CONFIG: f"{names}-{plan.access.internal_version}"}
    pod = pod_spec(plan.spec, [_container(plan, image)], shape)
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": metadata(plan.identity, plan.names.trust, TRUST),
        "spec": {
            "revisionHistoryLimit": 1,
            "selector": {"matchLabels": selector(name, TRUST)},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%"}},
            "template": {"metadata": {"labels": labels(name, TRUST), "annotations": notes}, "spec": pod},
        },
    }


def _container(plan: ServerPlan, image: str) -> Container:
    # As a directory, so that a new authority arrives without a restart.
    authorities = (config_map(CA_DIRECTORY, plan.names.ca),) if plan.access.ca else ()
    node = Mount(CERTS, {"hostPath": {"path": CERTS_ON_NODE, "type": "DirectoryOrCreate"}}, writable=True)
    return Container(
        name="trust",
        image=image,
        args=worker_args(Task.TRUST),
        env=(from_secret(TOKEN_VARIABLE, plan.access.internal_secret, "token"),),
        mounts=(config_map(ORDER_DIRECTORY, plan.names.trust), *authorities, node, scratch("/tmp")),  # noqa: S108
        resources=WORKER_RESOURCES,
    )

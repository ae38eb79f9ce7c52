"""`pawl gate`: prints the objects by which the API server rewrites images, ready for `kubectl apply -f -`.

Neighbours: `admission.gate` makes them; `pawl run --manage-gate` applies the same, the chart ships them. Not here:
tables.
"""

from __future__ import annotations

import click


@click.command("gate")
@click.option("--namespace", default="pawl-system", show_default=True, help="Pawl's own namespace; never rewritten.")
@click.option(
    "--webhook",
    default="",
    metavar="URL|SERVICE",
    help="For clusters without MutatingAdmissionPolicy: where `pawl run --webhook` is reached. The leader adds the CA.",
)
@click.option("--beta", is_flag=True, help="For clusters that serve MutatingAdmissionPolicy as v1beta1 only.")
def gate(namespace: str, webhook: str, *, beta: bool) -> None:
    """Print the gate: pawl gate | kubectl apply -f -"""
    from pawl.admission.gate import Served, gate_manifests
    from pawl.admission.webhookconfig import Endpoint
    from pawl.api.documents import as_yaml

    served: Served = "webhook" if webhook else "policy-v1beta1" if beta else "policy-v1"
    documents = gate_manifests(namespace, served, Endpoint(webhook) if webhook else None)
    click.echo("---\n".join(as_yaml(document) for document in documents), nl=False)

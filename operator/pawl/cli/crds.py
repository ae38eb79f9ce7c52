"""`pawl crds`: prints the CustomResourceDefinitions, ready for `kubectl apply -f -`.

Neighbours: `api.crd` builds them, `crds/` holds the same as files. Not here: applying them.
"""

from __future__ import annotations

import json

import click


@click.command("crds")
@click.option("-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", help="Form of the output.")
def crds(output: str) -> None:
    """Print the custom resource definitions: pawl crds | kubectl apply -f -"""
    from pawl.api.crd import crds as documents
    from pawl.api.documents import as_yaml

    if output == "json":
        click.echo(json.dumps({"apiVersion": "v1", "kind": "List", "items": documents()}, indent=2))
    else:
        click.echo("---\n".join(as_yaml(document) for document in documents()), nl=False)

"""What an Application tracks and what it does not: Pawl's own objects carry no mark of Argo CD."""

from __future__ import annotations

import json

import pytest
import yaml
from tests.cluster.api import Json
from tests.cluster.override_stage_specs import enforcement
from tests.cluster.override_stage_workloads import deployment
from tests.gitops.argolua import ROOT, run
from tests.gitops.places import Place, on_place
from tests.unit.test_docs import FENCE

MARKS = {"app.kubernetes.io/instance": "shop", "argocd.argoproj.io/instance": "shop"}
TRACKING = {"argocd.argoproj.io/tracking-id": "shop:pawl.dev/ImageOverride:shop/private"}
SECRET_TYPE = "kubernetes.io/dockerconfigjson"


@pytest.mark.cluster
@pytest.mark.timeout(200)
@on_place()
def test_what_pawl_makes_carries_no_mark_of_its_override(place: Place) -> None:
    """Argo CD marks the override by label or annotation; the table and the copied Secret must not look tracked."""
    with place.scene() as scene:
        scene.push()
        scene.start(deployment("web", scene.source()))
        scene.stage.apply(secret(scene.stage.namespace))
        body = scene.mirror(
            enforcement=enforcement(),
            pullSecrets=[{"name": "copy", "copyFrom": {"namespace": scene.stage.namespace, "name": "source"}}],
        )
        body["metadata"] |= {"labels": MARKS, "annotations": TRACKING}
        scene.stage.apply(body)
        for plural, name in (("secrets", "copy"), ("imagerules", "pawl")):
            scene.stage.wait(lambda at=(plural, name): scene.stage.find(*at), name)  # type: ignore[misc]
        made = [scene.stage.read("imagerules", "pawl"), scene.stage.read("secrets", "copy")]
        (pod,) = scene.stage.pods("web")
    for one in [*made, pod]:
        marks = json.dumps([one["metadata"].get("labels", {}), one["metadata"].get("annotations", {})])
        assert "argocd" not in marks
        assert "app.kubernetes.io/instance" not in marks


def secret(namespace: str) -> Json:
    grant = {"pawl.dev/allow-copy-to": namespace}
    metadata = {"name": "source", "annotations": grant, "labels": MARKS}
    data = {".dockerconfigjson": '{"auths": {}}'}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": SECRET_TYPE, "stringData": data}


def snippet() -> str:
    """The health of Applications that the page tells its readers to add."""
    page = (ROOT / "docs/gitops.md").read_text()
    blocks = [yaml.safe_load(text) for kind, text in FENCE.findall(page) if kind == "yaml"]
    (data,) = [block["data"] for block in blocks if block["kind"] == "ConfigMap"]
    return str(data["resource.customizations.health.argoproj.io_Application"])


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ({}, {"status": "Progressing", "message": ""}),
        ({"health": {"status": "Healthy"}}, {"status": "Healthy", "message": ""}),
        ({"health": {"status": "Degraded", "message": "one"}}, {"status": "Degraded", "message": "one"}),
    ],
)
def test_the_pages_health_of_applications_passes_on_what_argo_found(status: Json, told: Json) -> None:
    assert run(snippet(), {"kind": "Application", "status": status}) == told

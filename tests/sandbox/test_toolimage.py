"""Images with the static program: their bytes, and that the registry has what was pushed."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace

import pytest
from tests.sandbox.conftest import Running

from pawl.sandbox import tool_binary, tool_image
from pawl.sandbox.images import INDEX, MANIFEST
from pawl.sandbox.rest import Api
from pawl.sandbox.toolimage import ToolImage, build

IMAGE = ToolImage("shop/web", "v1", ("serve", ":8080"))


def test_the_layer_holds_the_program_and_nothing_else() -> None:
    with tarfile.open(fileobj=io.BytesIO(build(IMAGE, b"elf").blobs[0].body)) as archive:
        assert archive.getnames() == ["tool"]
        assert archive.getmember("tool").mode == 0o555


def test_the_config_starts_it_as_nobody_in_particular() -> None:
    config = json.loads(build(IMAGE, b"elf").blobs[1].body)
    assert config["config"]["Entrypoint"] == ["/tool"]
    assert config["config"]["Cmd"] == ["serve", ":8080"]
    assert config["config"]["User"] == "65532"
    assert (config["os"], config["architecture"]) == ("linux", "amd64")


def test_equal_images_have_equal_digests_and_others_do_not() -> None:
    digests = {build(each, b"elf").top.digest for each in (IMAGE, replace(IMAGE), replace(IMAGE, text="other"))}
    assert len(digests) == 2


def test_several_platforms_make_an_index() -> None:
    built = build(replace(IMAGE, platforms=("linux/amd64", "linux/arm64")), b"elf")
    assert built.top.media_type == INDEX
    assert [each.media_type for each in built.manifests] == [MANIFEST, MANIFEST]
    listed = [each["platform"]["architecture"] for each in json.loads(built.top.body)["manifests"]]
    assert listed == ["amd64", "arm64"]


@pytest.mark.cluster
@pytest.mark.timeout(1800)
def test_the_registry_has_what_was_pushed(cluster: Running) -> None:
    digest = tool_image(str(cluster.registry), IMAGE)
    assert build(IMAGE, tool_binary().read_bytes()).top.digest == digest
    assert Api(f"http://{cluster.registry}").get("/v2/shop/web/tags/list").body["tags"] == ["v1"]

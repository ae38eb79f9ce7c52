"""The client against a real API server: verbs, refusals and the connection's own values."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import yaml
from tests.cluster.identities import kubeconfig_of

from pawl.api.errors import ApiUnavailable, Conflict, Forbidden, Invalid, NotFound
from pawl.cluster.client import Cluster, Options
from pawl.cluster.connect import HttpTransport
from pawl.cluster.credentials import Place
from pawl.cluster.resources import CONFIG_MAPS, IMAGE_POLICIES, NAMESPACES, SECRETS, Resource
from pawl.sandbox import Cluster as Sandbox

pytestmark = pytest.mark.cluster

DEPLOYMENTS = Resource("apps", "v1", "deployments")


@pytest.fixture
async def client(cluster: Sandbox) -> AsyncIterator[Cluster]:
    async with await Cluster.connect(str(cluster.kubeconfig)) as opened:
        yield opened


def config_map(name: str, **data: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


async def test_the_life_of_an_object(client: Cluster, namespace: str) -> None:
    made = json.loads(await client.create(CONFIG_MAPS, namespace, config_map("a", k="1")))
    with pytest.raises(Conflict, match="already exists"):
        await client.create(CONFIG_MAPS, namespace, config_map("a"))
    made["data"] = {"k": "2"}
    newer = json.loads(await client.replace(CONFIG_MAPS, namespace, "a", made))
    with pytest.raises(Conflict, match="has been modified"):
        await client.replace(CONFIG_MAPS, namespace, "a", made)
    assert json.loads(await client.get(CONFIG_MAPS, namespace, "a"))["data"] == {"k": "2"}
    with pytest.raises(Conflict):
        await client.delete(CONFIG_MAPS, namespace, "a", uid="another")
    with pytest.raises(Conflict):
        await client.delete(CONFIG_MAPS, namespace, "a", resource_version="1")
    await client.delete(CONFIG_MAPS, namespace, "a", uid=newer["metadata"]["uid"], propagation="Background")
    with pytest.raises(NotFound, match=rf"^configmaps {namespace}/a does not exist$"):
        await client.get(CONFIG_MAPS, namespace, "a")


async def test_patches_of_three_kinds(client: Cluster, namespace: str) -> None:
    made = json.loads(await client.create(CONFIG_MAPS, namespace, config_map("a", k="1", gone="x")))
    version = made["metadata"]["resourceVersion"]
    merged = json.loads(await client.merge_patch(CONFIG_MAPS, namespace, "a", {"data": {"gone": None}}))
    assert merged["data"] == {"k": "1"}
    stale = {"metadata": {"resourceVersion": version}, "data": {"k": "2"}}
    with pytest.raises(Conflict):
        await client.merge_patch(CONFIG_MAPS, namespace, "a", stale)
    test = [{"op": "test", "path": "/data/k", "value": "9"}]
    with pytest.raises(Invalid):
        await client.json_patch(CONFIG_MAPS, namespace, "a", test)
    await client.json_patch(CONFIG_MAPS, namespace, "a", [{"op": "add", "path": "/data/n", "value": "é"}])
    applied = json.loads(await client.apply(CONFIG_MAPS, namespace, "a", config_map("a", k="3")))
    assert applied["data"] == {"k": "3", "n": "é"}
    managers = {entry["manager"]: entry["operation"] for entry in applied["metadata"]["managedFields"]}
    assert set(managers) == {"pawl"}
    with pytest.raises(Conflict, match="conflict"):
        await client.apply(CONFIG_MAPS, namespace, "a", config_map("a", k="4"), manager="other", force=False)


async def test_a_status_is_patched_by_its_subresource(client: Cluster, namespace: str, installed: list[str]) -> None:
    assert installed
    body = {
        "apiVersion": IMAGE_POLICIES.api_version,
        "kind": "ImagePolicy",
        "metadata": {"name": "web"},
        "spec": {"image": "registry.example.com/shop/web", "select": {"semver": {"range": "*"}}},
    }
    made = json.loads(await client.create(IMAGE_POLICIES, namespace, body))
    status = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "status": {"observedGeneration": 1}}
    patched = json.loads(await client.merge_patch(IMAGE_POLICIES, namespace, "web", status, "status"))
    assert patched["status"]["observedGeneration"] == 1
    with pytest.raises(Conflict):
        await client.merge_patch(IMAGE_POLICIES, namespace, "web", status, "status")
    with pytest.raises(Invalid, match=r'ImagePolicy\.pawl\.dev "web" is invalid'):
        await client.merge_patch(IMAGE_POLICIES, namespace, "web", {"status": {"observedGeneration": "x"}}, "status")


async def test_lists_come_in_pages_with_selectors_and_without_contents(client: Cluster, namespace: str) -> None:
    for number in range(7):
        body = config_map(f"c{number}", k="v" * 100)
        body["metadata"] = {"name": f"c{number}", "labels": {"odd": str(number % 2)}}
        await client.create(CONFIG_MAPS, namespace, body)
    pages = [json.loads(page) async for page in client.list_pages(CONFIG_MAPS, namespace, "odd=0", limit=2)]
    assert [len(page["items"]) for page in pages if page["items"]] == [2, 2]  # the last page may be empty
    names = [item["metadata"]["name"] async for page in client.list_pages(CONFIG_MAPS, namespace, "odd in (0, 1)",
             limit=2, metadata_only=True) for item in json.loads(page)["items"]]  # fmt: skip
    assert names == [f"c{number}" for number in range(7)]
    only = [json.loads(page) async for page in client.list_pages(CONFIG_MAPS, None, metadata_only=True)]
    assert all("data" not in item for page in only for item in page["items"])
    one = [json.loads(page) async for page in client.list_pages(CONFIG_MAPS, None, field_selector="metadata.name=c3")]
    assert [item["metadata"]["name"] for page in one for item in page["items"]] == ["c3"]


async def test_what_is_missing_is_told_apart(client: Cluster, namespace: str) -> None:
    with pytest.raises(NotFound, match='namespaces "nowhere" not found'):
        await client.create(CONFIG_MAPS, "nowhere", config_map("a"))
    with pytest.raises(
        NotFound, match=r"gadgets\.pawl\.dev is not served by this cluster: apply the output of `pawl crds`"
    ):
        await client.get(Resource("pawl.dev", "v1alpha1", "gadgets"), namespace, "a")


async def test_a_missing_right_is_a_sentence_that_says_which(cluster: Sandbox, namespace: str, tmp_path: Path) -> None:
    async with await Cluster.connect(await kubeconfig_of(cluster, namespace, "nobody", tmp_path)) as nobody:
        user = f"system:serviceaccount:{namespace}:nobody"
        with pytest.raises(Forbidden) as caught:
            await nobody.get(SECRETS, namespace, "x")
        assert str(caught.value) == (
            f"may not get secrets in namespace {namespace}: grant {user} the verb 'get' on 'secrets' in API group ''"
        )
        with pytest.raises(Forbidden, match=r"grant .* the verb 'patch' on 'deployments/scale' in API group 'apps'"):
            await nobody.merge_patch(DEPLOYMENTS, namespace, "x", {}, "scale")
        with pytest.raises(Forbidden, match=r"may not create namespaces: grant .* the verb 'create' on 'namespaces'"):
            await nobody.create(NAMESPACES, None, {"metadata": {"name": "x"}})


async def test_refused_credentials_are_told_with_a_way_out(cluster: Sandbox, tmp_path: Path) -> None:
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": "stale"}
    path = tmp_path / "stale"
    path.write_text(yaml.safe_dump(config))
    async with await Cluster.connect(str(path)) as stale:
        with pytest.raises(Forbidden, match="does not accept these credentials to get namespaces default: renew"):
            await stale.get(NAMESPACES, None, "default")


def token_moved_to(kubeconfig: str, file: Path) -> str:
    """Let the kubeconfig name a file for its token, and return the token."""
    path = Path(kubeconfig)
    config = yaml.safe_load(path.read_text())
    token: str = config["users"][0]["user"].pop("token")
    config["users"][0]["user"]["tokenFile"] = str(file)
    path.write_text(yaml.safe_dump(config))
    return token


async def test_a_renewed_token_file_is_read_when_the_old_token_is_refused(
    cluster: Sandbox, namespace: str, tmp_path: Path
) -> None:
    path = await kubeconfig_of(cluster, namespace, "renewed", tmp_path)
    file = tmp_path / "token"
    token = token_moved_to(path, file)
    file.write_text("stale")
    async with Cluster(await HttpTransport.open(Place(path), reload_pause=0.0)) as client:
        with pytest.raises(Forbidden, match="does not accept these credentials"):
            await client.get(SECRETS, namespace, "x")
        file.write_text(f"{token}\n")
        with pytest.raises(Forbidden, match=f"grant system:serviceaccount:{namespace}:renewed"):
            await client.get(SECRETS, namespace, "x")


async def test_the_connections_values_serve_another_client(client: Cluster) -> None:
    values = await client.connection_info()
    assert values.expiration is not None
    context = ssl.create_default_context(cafile=values.ca_path)
    if values.certificate_path:
        context.load_cert_chain(values.certificate_path, values.private_key_path)
    headers = {"Authorization": f"{values.scheme} {values.token}"} if values.token else {}
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))
    async with session, session.get(f"{values.server}/api/v1/namespaces/default", headers=headers) as response:
        assert response.status == 200


async def test_an_unknown_authority_is_told(cluster: Sandbox, tmp_path: Path) -> None:
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    for key in ("certificate-authority", "certificate-authority-data"):
        config["clusters"][0]["cluster"].pop(key, None)
    path = tmp_path / "no-ca"
    path.write_text(yaml.safe_dump(config))
    async with await Cluster.connect(str(path), Options(tries=1)) as client:
        with pytest.raises(ApiUnavailable, match=r"its certificate is not trusted .* check the CA of the kubeconfig"):
            await client.get(NAMESPACES, None, "default")


async def test_two_hundred_requests_at_once_all_end_well(cluster: Sandbox) -> None:
    codes: list[int] = []
    options = Options(observe=lambda _verb, _resource, code, _seconds: codes.append(code))
    async with await Cluster.connect(str(cluster.kubeconfig), options) as client:
        await asyncio.gather(*(client.get(NAMESPACES, None, "default") for _ in range(200)))
    assert codes == [200] * 200

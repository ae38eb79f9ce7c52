"""Bad input of every kind on a real API server: each fault has its word, names the way out, loses nothing, and heals.

Every row is played with two policies: `old` held a selection before the fault, `new` came while it lasted. Rows of one
table run side by side, each with a registry of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.cluster import hostile
from tests.cluster.api import Api, Json
from tests.cluster.coherence import condition, says, true_types
from tests.cluster.hostile import HostileRegistry
from tests.cluster.operators import Operator, Shop, handled, operator_of, selected, spec
from tests.support.registry import Auth
from tests.support.tls import Authority

from pawl.sandbox import Cluster

pytestmark = pytest.mark.cluster

USER, PASSWORD = "robot", "S3cr3t-of-the-shop"
OTHER_PASSWORD = "An0ther-S3cr3t"
INTERVAL = 10.0


@pytest.fixture(scope="module")
def operator(cluster: Cluster, installed: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    assert installed
    with operator_of(cluster.kubeconfig, tmp_path_factory.mktemp("inputs")) as running:
        yield running
        for secret in (PASSWORD, OTHER_PASSWORD):
            assert secret not in running.text, "a password is in the log"


@pytest.fixture
def shop(api: Api, namespace: str, operator: Operator) -> Shop:
    return Shop(api, namespace, operator)


@dataclass
class Scene:
    """One row being played. `good` are the fields of a spec that works."""

    shop: Shop
    registry: HostileRegistry
    name: str
    good: Json = field(default_factory=dict)

    def spec(self, **broken: Any) -> Json:
        fields = {name: value for name, value in broken.items() if value is not None}
        made = spec(self.registry.host, access=self.good.get("access", {}), **fields)
        return {name: value for name, value in made.items() if name not in broken or name in fields}


Act = Callable[[Scene], object]


def nothing(_scene: Scene) -> None:
    return None


@dataclass(frozen=True)
class Fault:
    """`reason` and a part of the message; `edit` is the spec while it lasts, `breaks` and `heals` change the world."""

    reason: str
    way_out: str
    edit: Json = field(default_factory=dict)
    prepare: Act = nothing
    breaks: Act = nothing
    heals: Act = nothing
    lasting: bool = True
    tls: bool = False


def behave(**how: Any) -> Act:
    return lambda scene: scene.registry.behave(**how)


def script(how: hostile.Script) -> Act:
    return lambda scene: setattr(scene.registry, "script", how)


def unscript(scene: Scene) -> None:
    scene.registry.script = None


def whole(scene: Scene) -> None:
    scene.registry.behave()


# what is wrong with the spec

SPECS = {
    "range": Fault("InvalidRange", "range '>=1.2.0 <'", {"select": {"semver": {"range": ">=1.2.0 <"}}}),
    "explosion": Fault("InvalidPattern", r"repeat less often", {"tags": {"include": r"^\pL{1,200}$"}}),
    "extract": Fault("InvalidExtract", "nobody", {"tags": {"include": "^v(?P<a>.*)$", "extract": "${nobody}"}}),
    "floor": Fault("InvalidFloor", "floor", {"floor": {"tag": "no-version"}}),
    "link-local": Fault("ForbiddenTarget", "never dialled", {"image": "169.254.169.254/shop/web", "access": None}),
    "plain": Fault("ForbiddenTarget", "--plain-http-hosts", {"image": "registry.example.com:5000/shop/web"}),
}

# what is wrong with Secrets and accounts


def basic(scene: Scene) -> None:
    """A registry that wants a password, and a Secret that has it."""
    scene.registry.auth = Auth("basic", {USER: PASSWORD})
    scene.shop.pull_secret(scene.name, scene.registry.host, USER, PASSWORD)
    scene.good = {"access": {"pullSecretRef": {"name": scene.name}}}


def bearer(scene: Scene) -> None:
    basic(scene)
    scene.registry.auth = Auth("bearer", {USER: PASSWORD})


def account(scene: Scene) -> None:
    """The same by a ServiceAccount."""
    basic(scene)
    body = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": scene.name}}
    scene.shop.api.post(scene.shop.core("serviceaccounts"), body | {"imagePullSecrets": [{"name": scene.name}]})
    scene.good = {"access": {"serviceAccountName": scene.name}}


def trusted(scene: Scene) -> None:
    scene.shop.secret(scene.name, {"ca.crt": AUTHORITY.pem})
    scene.good = {"access": {"plainHTTP": False, "caSecretRef": {"name": scene.name}}}


def no_secret(scene: Scene) -> None:
    scene.shop.api.delete(scene.shop.core("secrets", scene.name))


def no_account(scene: Scene) -> None:
    scene.shop.api.delete(scene.shop.core("serviceaccounts", scene.name))


def holds(**values: str) -> Act:
    named = {key.replace("_", "."): value for key, value in values.items()}
    return lambda scene: scene.shop.secret(scene.name, named)


def other_host(scene: Scene) -> None:
    scene.shop.pull_secret(scene.name, "other.example.com", USER, PASSWORD)


def other_password(scene: Scene) -> None:
    scene.shop.pull_secret(scene.name, scene.registry.host, USER, OTHER_PASSWORD)


CONFIG = {".dockerconfigjson": '{"auths": {"here": {"auth": "S3cr3t-of-the-shop"}}}'}
AUTHORITY = Authority()
SECRETS = {
    "no-secret": Fault("SecretNotFound", "create it or name another", {}, basic, no_secret, basic),
    "wrong-key": Fault("SecretInvalid", "has no key .dockerconfigjson", {}, basic, holds(password=PASSWORD), basic),
    "malformed": Fault("SecretInvalid", "is not JSON", {}, basic, holds(_dockerconfigjson=PASSWORD), basic),
    "no-base64": Fault("SecretInvalid", "base64", {}, basic, lambda s: s.shop.secret(s.name, CONFIG), basic),
    "no-entry": Fault("SecretInvalid", "add one under auths", {}, basic, other_host, basic),
    "no-account": Fault("ServiceAccountNotFound", "create it or name another", {}, account, no_account, account),
    "no-pull-secret": Fault("SecretNotFound", "create it", {}, account, no_secret, account),
    "password": Fault("Unauthorized", "check the credentials", {}, basic, other_password, basic),
    "token": Fault("Unauthorized", "check the credentials", {}, bearer, other_password, bearer),
    "no-ca-key": Fault("SecretInvalid", "has no key ca.crt", {}, trusted, holds(ca_pem="x"), trusted, tls=True),
    "no-ca": Fault("Untrusted", "no PEM certificate", {}, trusted, holds(ca_crt="none"), trusted, tls=True),
    "other-ca": Fault(
        "Untrusted",
        "caSecretRef",
        {},
        trusted,
        lambda s: s.shop.secret(s.name, {"ca.crt": Authority().pem}),
        trusted,
        tls=True,
    ),
}


# what is wrong with the registry


def locked(scene: Scene) -> None:
    scene.registry.auth = Auth("basic", {USER: PASSWORD})


def foreign(scene: Scene) -> None:
    scene.registry.auth = Auth("bearer", {USER: PASSWORD}, realm="https://tokens.example.com/token")


def welcome(scene: Scene) -> None:
    scene.registry.auth = Auth()


LASTING = {
    "401": Fault("Unauthorized", "spec.access.pullSecretRef", {}, nothing, locked, welcome),
    "403": Fault("Denied", "spec.access.pullSecretRef", {}, nothing, behave(fail=403), whole),
    "404": Fault("RepositoryNotFound", "not found", {}, nothing, behave(fail=404), whole),
    "realm": Fault("ForeignRealm", "spec.access.tokenRealms", {}, basic, foreign, basic),
    "endless": Fault("TooLarge", "more than 1000 pages", {}, nothing, script(hostile.endless), unscript),
}
PASSING = {
    "500": Fault("Unreachable", "failed with 500", {}, nothing, behave(fail=500), whole, lasting=False),
    "503": Fault("Unreachable", "failed with 503", {}, nothing, behave(fail=503), whole, lasting=False),
    "torn": Fault("Unreachable", "broke", {}, nothing, behave(truncate=5), whole, lasting=False),
    "html": Fault("BadAnswer", "web page", {}, nothing, behave(html=True), whole, lasting=False),
    "type": Fault("BadAnswer", "web page", {}, nothing, script(hostile.wrong_type), unscript, lasting=False),
    "json": Fault("BadAnswer", "not JSON", {}, nothing, script(hostile.wrong_json), unscript, lasting=False),
    "shape": Fault("BadAnswer", "unexpected shape", {}, nothing, script(hostile.wrong_shape), unscript, lasting=False),
    "loop": Fault("BadAnswer", "no new tag", {}, nothing, script(hostile.looping), unscript, lasting=False),
    "away": Fault("BadAnswer", "not on this registry", {}, nothing, script(hostile.elsewhere), unscript, lasting=False),
    "drip": Fault(
        "Unreachable", "spec.timeout", {"timeout": "1s"}, nothing, script(hostile.drip), unscript, lasting=False
    ),
}


async def play(shop: Shop, name: str, fault: Fault) -> None:
    """One row: hold, break, say, heal, advance."""
    options = {"tls": AUTHORITY.server("127.0.0.1")} if fault.tls else {}
    async with HostileRegistry(**options) as registry:
        scene = Scene(shop, registry, name)
        registry.push("shop/web", "v1.0.0")
        fault.prepare(scene)
        old, new = f"{name}-old", f"{name}-new"
        shop.create(scene.spec(), old)
        held = await shop.tag("v1.0.0", old)
        fault.breaks(scene)
        if fault.edit:
            shop.edit(old, **fault.edit)
        judge(await shop.until(lambda seen: broken(seen, fault), old), fault, held)
        shop.create(scene.spec(**fault.edit), new)
        judge(await shop.until(lambda seen: broken(seen, fault), new), fault, None)
        fault.heals(scene)
        if fault.edit:
            shop.edit(old, **(dict.fromkeys(fault.edit) | scene.spec()))
            shop.edit(new, **(dict.fromkeys(fault.edit) | scene.spec()))
        registry.push("shop/web", "v1.1.0")
        await asyncio.gather(*(healed(shop, policy) for policy in (old, new)))
        assert selected(shop.read(old))["sequence"] == 2


def broken(policy: Json, fault: Fault) -> bool:
    return says(policy, "ScanComplete") == ("False", fault.reason)


def judge(policy: Json, fault: Fault, held: Json | None) -> None:
    """The words for this fault, and nothing lost."""
    said = condition(policy, "ScanComplete")
    assert said is not None
    assert fault.way_out in said["message"], said["message"]
    assert not {PASSWORD, OTHER_PASSWORD} & set(said["message"].split())
    assert PASSWORD not in str(policy)
    assert ("Stalled" in true_types(policy)) == fault.lasting
    assert ("Reconciling" in true_types(policy)) == (not fault.lasting and held is None)
    if held is not None:
        assert selected(policy) == held
        assert says(policy, "Ready") == ("True", "Selected")
    else:
        assert says(policy, "Ready") == ("False", fault.reason)
        assert "selection" not in policy["status"]


async def healed(shop: Shop, name: str) -> None:
    """After a wish, or by itself at the next look; Secrets are kept for five seconds."""
    wish = shop.annotate(name)
    found = await shop.until(
        lambda policy: handled(policy, wish) and selected(policy).get("tag") == "v1.1.0", name, INTERVAL * 1.2 + 3
    )
    assert true_types(found) <= {"Ready", "ScanComplete", "Bootstrapped"}


async def all_of(shop: Shop, faults: dict[str, Fault]) -> None:
    """Play rows side by side and tell which failed."""
    ends = await asyncio.gather(*(play(shop, name, fault) for name, fault in faults.items()), return_exceptions=True)
    failed = {name: end for name, end in zip(faults, ends, strict=True) if isinstance(end, BaseException)}
    assert not failed, "\n\n".join(f"{name}: {type(end).__name__}: {end}" for name, end in failed.items())


async def test_faults_of_the_spec(shop: Shop) -> None:
    await all_of(shop, SPECS)


async def test_faults_of_secrets_and_accounts(shop: Shop) -> None:
    await all_of(shop, SECRETS)


async def test_registries_that_refuse(shop: Shop) -> None:
    await all_of(shop, LASTING)


async def test_registries_that_fail(shop: Shop) -> None:
    await all_of(shop, PASSING)

"""The keys that a Pod's images are pulled with: what the kubelet will hold in its hand on the node.

The ServiceAccount's list is taken only where the Pod has none (admission plugin `ServiceAccount`); what an override
adds comes behind, as the gate runs after that plugin. Of several Secrets that fit the kubelet tries each in turn, the
most specific entry first; without one that fits it pulls as nobody. A Secret that does not exist is passed over, one
that cannot be read as JSON fails the pull (kubelet: `pkg/credentialprovider/secrets`, `getPullSecretsForPod`).
Neighbours: `cluster.secrets` reads, `registry.credentials` parses, `sightings` and `explain` ask with them. Not here:
credentials of the node itself (its files and plugins), which nobody outside the node can see.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from pawl.api.errors import ClusterError, Invalid, NotFound, Stalled
from pawl.api.reasons import Reason
from pawl.cluster.secrets import SecretData, SecretReader
from pawl.controllers.access import CONFIG_KEY
from pawl.controllers.outcomes import from_cluster
from pawl.decide.reference import Repository
from pawl.registry.credentials import Credentials, Keyring, merge, opaque, parse_dockerconfigjson

CONFIG_TYPE: Final = "kubernetes.io/dockerconfigjson"
LEGACY_TYPE: Final = "kubernetes.io/dockercfg"
LEGACY_KEY: Final = ".dockercfg"


@dataclass(frozen=True, slots=True)
class Puller:
    """Who pulls.

    Attributes:
        namespace: of the Pod; all Secrets are read there.
        pull_secrets: imagePullSecrets that the Pod or the template lists itself, in order.
        added: those that an override adds, in order.
        account: the Pod's ServiceAccount; empty is `default`.

    """

    namespace: str
    pull_secrets: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    account: str = "default"


@dataclass(frozen=True, slots=True)
class Key:
    """Credentials and the name of the Secret that they stand in."""

    secret: str
    credentials: Credentials


class PodKeys:
    """The keys of one Pod. Shows names of Secrets, never what is in them.

    `absent` are the objects that the Pod names and that do not exist, as `Secret regcred` or `ServiceAccount builder`.
    """

    __slots__ = ("_rings", "absent", "namespace")

    def __init__(self, namespace: str, rings: tuple[tuple[str, Keyring], ...], absent: tuple[str, ...] = ()) -> None:
        self.namespace = namespace
        self.absent = absent
        self._rings = rings

    def fitting(self, repository: Repository) -> tuple[Key, ...]:
        """Return the keys for a repository in the order in which they are tried, one a Secret, equal ones once."""
        best = merge([ring for _, ring in self._rings]).lookup(repository.host, repository.path)
        offers = ((name, ring.lookup(repository.host, repository.path)) for name, ring in self._rings)
        found = [Key(name, credentials) for name, credentials in offers if credentials is not None]
        unique: dict[str, Key] = {}
        for key in sorted(found, key=lambda key: key.credentials != best):
            unique.setdefault(key.credentials.fingerprint(), key)
        return tuple(unique.values())

    def fingerprint(self, repository: Repository) -> str:
        """Return an opaque key, equal for Pods that show a repository the same credentials. Good in this process."""
        return opaque(*(key.credentials.fingerprint() for key in self.fitting(repository)))

    def __repr__(self) -> str:
        return f"PodKeys({self.namespace}, secrets={[name for name, _ in self._rings]}, absent={list(self.absent)})"


class PullKeys:
    """Reads the keys of Pods."""

    def __init__(self, secrets: SecretReader) -> None:
        self._secrets = secrets

    async def of(self, puller: Puller) -> PodKeys:
        """Return the keys of a Pod.

        Raises Stalled(SecretInvalid) for a Secret on which the kubelet fails too, Stalled(MissingRight), or Retry.
        """
        absent: list[str] = []
        rings: list[tuple[str, Keyring]] = []
        for name in dict.fromkeys((*await self._listed(puller, absent), *puller.added)):
            secret = await self._secret(puller.namespace, name)
            if secret is None:
                absent.append(f"Secret {name}")
            elif (ring := _keyring(name, secret)) is not None:
                rings.append((name, ring))
        return PodKeys(puller.namespace, tuple(rings), tuple(absent))

    async def _listed(self, puller: Puller, absent: list[str]) -> tuple[str, ...]:
        """Return the list before the override adds to it. A list of empty names is a list too."""
        if puller.pull_secrets:
            return tuple(name for name in puller.pull_secrets if name)
        account = puller.account or "default"
        try:
            return (await self._secrets.service_account(puller.namespace, account)).image_pull_secrets
        except NotFound:
            absent.append(f"ServiceAccount {account}")
            return ()
        except ClusterError as error:
            raise from_cluster(error, f"ServiceAccount {account}") from error

    async def _secret(self, namespace: str, name: str) -> SecretData | None:
        try:
            return await self._secrets.secret(namespace, name)
        except NotFound:
            return None
        except Invalid as error:
            raise Stalled(Reason.SECRET_INVALID, f"Secret {name}: {error}") from error
        except ClusterError as error:
            raise from_cluster(error, f"Secret {name}") from error


def _keyring(name: str, secret: SecretData) -> Keyring | None:
    """Read a Secret as the kubelet does: by its type, and another type or an empty value is no key and no fault."""
    raw = _config(secret)
    if not raw:
        return None
    try:
        return parse_dockerconfigjson(raw)
    except ValueError as error:
        raise Stalled(Reason.SECRET_INVALID, f"Secret {name}: {error}; no node pulls with it") from error


def _config(secret: SecretData) -> bytes:
    if secret.type == CONFIG_TYPE:
        return secret.get(CONFIG_KEY, b"")
    legacy = secret.get(LEGACY_KEY, b"") if secret.type == LEGACY_TYPE else b""
    return msgspec.json.encode({"auths": msgspec.Raw(legacy)}) if legacy else b""

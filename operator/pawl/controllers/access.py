"""From `spec.access` to a way into the registry: Secrets and ServiceAccounts are read when they are used.

What is missing or malformed is Stalled with the name of the Secret and the key, never with a value.
Neighbours: `cluster.secrets` reads, `registry.credentials` parses, `gather` asks. Not here: tokens, requests.
"""

from __future__ import annotations

from pawl.api.errors import ClusterError, Invalid, NotFound, Stalled
from pawl.api.imagepolicy import ImagePolicySpec
from pawl.api.reasons import Reason
from pawl.cluster.secrets import SecretData, SecretReader
from pawl.controllers.outcomes import from_cluster
from pawl.decide.durations import parse_duration
from pawl.decide.reference import Repository
from pawl.registry.credentials import ANONYMOUS, Credentials, Keyring, merge, parse_dockerconfigjson
from pawl.registry.targets import Access, Endpoint

CONFIG_KEY = ".dockerconfigjson"
CA_KEY = "ca.crt"


class AccessReader:
    """Resolves `spec.access` in the policy's own namespace; a reference to another one cannot be written."""

    def __init__(self, secrets: SecretReader) -> None:
        self._secrets = secrets

    async def resolve(self, namespace: str, spec: ImagePolicySpec, repository: Repository) -> Access:
        """Return endpoint and credentials. Raises Stalled or Retry."""
        wish = spec.access
        endpoint = Endpoint(
            host=repository.host,
            plain_http=wish.plain_http,
            ca_pem=await self.ca(namespace, wish.ca_secret_ref.name) if wish.ca_secret_ref else None,
            timeout=parse_duration(spec.timeout).total_seconds(),
            token_realms=tuple(wish.token_realms),
        )
        return Access(endpoint, await self._credentials(namespace, spec, repository))

    async def _credentials(self, namespace: str, spec: ImagePolicySpec, repository: Repository) -> Credentials:
        """The named pull Secret must fit the registry; a ServiceAccount's Secrets may, as the kubelet has it."""
        wish = spec.access
        if wish.pull_secret_ref is not None:
            found = (await self._keyring(namespace, wish.pull_secret_ref.name)).lookup(repository.host, repository.path)
            if found is None and wish.service_account_name is None:
                text = f"Secret {wish.pull_secret_ref.name} has no entry for {repository.host}; add one under auths"
                raise Stalled(Reason.SECRET_INVALID, text)
            if found is not None:
                return found
        if wish.service_account_name is not None:
            keyring = await self._account_keyring(namespace, wish.service_account_name)
            return keyring.lookup(repository.host, repository.path) or ANONYMOUS
        return ANONYMOUS

    async def _account_keyring(self, namespace: str, name: str) -> Keyring:
        try:
            account = await self._secrets.service_account(namespace, name)
        except NotFound as error:
            text = f"ServiceAccount {name} does not exist in namespace {namespace}; create it or name another"
            raise Stalled(Reason.SERVICE_ACCOUNT_NOT_FOUND, text) from error
        except ClusterError as error:
            raise from_cluster(error, f"ServiceAccount {name}") from error
        return merge([await self._keyring(namespace, secret) for secret in account.image_pull_secrets])

    async def _keyring(self, namespace: str, name: str) -> Keyring:
        raw = await self._value(namespace, name, CONFIG_KEY)
        try:
            return parse_dockerconfigjson(raw)
        except ValueError as error:
            raise Stalled(Reason.SECRET_INVALID, f"Secret {name}: {error}") from error

    async def ca(self, namespace: str, name: str) -> str:
        """Return the PEM certificates of a Secret. Raises Stalled or Retry."""
        raw = await self._value(namespace, name, CA_KEY)
        try:
            return raw.decode("ascii")
        except UnicodeDecodeError as error:
            raise Stalled(Reason.SECRET_INVALID, f"Secret {name}: {CA_KEY} is no PEM certificate") from error

    async def _value(self, namespace: str, name: str, key: str) -> bytes:
        secret = await self._secret(namespace, name)
        if key not in secret:
            raise Stalled(Reason.SECRET_INVALID, f"Secret {name} has no key {key}; it has {_keys(secret)}")
        return secret[key]

    async def _secret(self, namespace: str, name: str) -> SecretData:
        try:
            return await self._secrets.secret(namespace, name)
        except NotFound as error:
            text = f"Secret {name} does not exist in namespace {namespace}; create it or name another"
            raise Stalled(Reason.SECRET_NOT_FOUND, text) from error
        except Invalid as error:
            raise Stalled(Reason.SECRET_INVALID, f"Secret {name}: {error}") from error
        except ClusterError as error:
            raise from_cluster(error, f"Secret {name}") from error


def _keys(secret: SecretData) -> str:
    return ", ".join(sorted(secret)[:5]) or "no keys"

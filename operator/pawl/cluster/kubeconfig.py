"""What a kubeconfig says of an API server: contexts, merged files, exec plugins, OIDC, TLS, as kubectl reads them.

The `kubernetes` client does the reading, and only here: importing it takes ten MiB and a tenth of a second, so this
module is imported when a kubeconfig is to be read. Neighbours: `servers` holds the answer. Not here: which file.
"""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import UTC, datetime

from kubernetes.aio.client import Configuration
from kubernetes.aio.client.rest import RESTClientObject
from kubernetes.aio.config import ConfigException, load_kube_config
from yaml import YAMLError

from pawl.cluster.servers import Server


async def read(paths: str) -> Server:
    """Read one file or a list of files as KUBECONFIG names them. Raises ValueError and what a malformed file causes."""
    configuration = Configuration()
    # persist_config off: an operator never writes into its user's kubeconfig.
    reading: Awaitable[object] = load_kube_config(  # type: ignore[no-untyped-call]
        config_file=paths, client_configuration=configuration, persist_config=False
    )
    try:
        loader = await reading
    except (ConfigException, YAMLError) as error:
        raise ValueError(str(error)) from error
    return _server(configuration, _seconds(getattr(loader, "exec_plugin_expiry", None)))


def _seconds(expiry: datetime | None) -> float | None:
    return None if expiry is None else (expiry - datetime.now(UTC)).total_seconds()


def _server(configuration: Configuration, expires_in: float | None) -> Server:
    rest = RESTClientObject(configuration)  # builds the TLS context; its own session is never opened
    return Server(
        url=configuration.host.rstrip("/"),
        authorization=_authorization(configuration.api_key.get("BearerToken")),
        tls=rest.ssl_context,
        ca_path=configuration.ssl_ca_cert,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        insecure=not configuration.verify_ssl,
        tls_server_name=configuration.tls_server_name,
        proxy=configuration.proxy,
        expires_in=expires_in,
    )


def _authorization(value: str | None) -> str | None:
    if value is None:
        return None
    scheme, _, secret = value.strip().partition(" ")
    # A newline at the end of a token file would otherwise end the header.
    return f"{scheme.capitalize()} {secret.strip()}"

"""`pawl run`: the operator. Every flag is also a variable, PAWL_ and the flag's name.

Neighbours: `controllers.operator` runs. Not here: anything that the operator does.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal
from urllib.request import getproxies

import click

from pawl.api.errors import InputError
from pawl.controllers.logs import LEVELS, LogSettings, configure
from pawl.controllers.operator import Operator
from pawl.controllers.replica import build
from pawl.controllers.settings import Settings
from pawl.decide.reference import UnparsableReference, parse
from pawl.registry.proxies import ProxySettings

Certificates = Literal["Pawl", "Secret"]

NAME: Final = re.compile(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?")
TOKEN: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


@click.command(context_settings={"auto_envvar_prefix": "PAWL"})
@click.option("--namespace", default="pawl-system", show_default=True, help="Where the Lease is.")
@click.option("--bind", default=None, metavar="HOST:PORT", help="Metrics and health. Default: in a Pod 0.0.0.0:8080.")
@click.option(
    "--webhook", default=None, metavar="HOST:PORT", help="Where to serve the webhook if the cluster needs it."
)
@click.option(
    "--webhook-certificates",
    type=click.Choice(["Pawl", "Secret"], case_sensitive=False),
    default="Pawl",
    show_default=True,
    help="Who writes Secret pawl-webhook: Pawl, or something else such as cert-manager.",
)
@click.option(
    "--manage-gate/--no-manage-gate", default=None, help="Apply `pawl gate`. Default: outside a Pod, not inside."
)
@click.option("--plain-http-hosts", default="", metavar="H,..", help="host:port that may be spoken to without TLS.")
@click.option("--pull-secrets", default="", metavar="A,B", help="Pull Secrets for every Pod that Pawl makes.")
@click.option("--image", default="", metavar="IMAGE", help="Pawl's own image, for the Jobs of RegistryStorages.")
@click.option("--watch-namespaces", default="", metavar="A,B", help="Only these namespaces. Default: all.")
@click.option("--kubeconfig", default=None, metavar="FILE", help="Default: KUBECONFIG, then the Pod's ServiceAccount.")
@click.option("--log-level", type=click.Choice(LEVELS), default="info", show_default=True)
def run(
    namespace: str,
    bind: str | None,
    webhook: str | None,
    webhook_certificates: Certificates,
    manage_gate: bool | None,  # noqa: FBT001 - click hands it over
    plain_http_hosts: str,
    pull_secrets: str,
    image: str,
    watch_namespaces: str,
    kubeconfig: str | None,
    log_level: str,
) -> None:
    """Run the operator until SIGTERM."""
    in_pod = is_in_pod(os.environ, TOKEN)
    host, port = address(bind, in_pod=in_pod)
    if len(_names("--namespace", namespace)) != 1:
        raise InputError("--namespace: name exactly one namespace")
    settings = Settings(
        namespace=namespace,
        kubeconfig=kubeconfig,
        host=host,
        port=port,
        in_pod=in_pod,
        webhook=_place("--webhook", webhook) if webhook is not None else None,
        manage_gate=not in_pod if manage_gate is None else manage_gate,
        plain_http_hosts=frozenset(_words(plain_http_hosts)),
        pull_secrets=_names("--pull-secrets", pull_secrets),
        image=_image(image),
        watch_namespaces=_names("--watch-namespaces", watch_namespaces),
        proxies=_proxies(getproxies()),
    )
    configure(LogSettings(level=log_level))
    asyncio.run(_main(settings, webhook_certificates))


async def _main(settings: Settings, certificates: Certificates) -> None:
    if not settings.watch_namespaces:
        await (await _operator(settings, certificates)).run(asyncio.Event())
        return
    from pawl.cli.run_places import live, until_other, usable
    from pawl.cluster.client import Cluster, Options

    async with await Cluster.connect(settings.kubeconfig, Options(tries=1)) as cluster:
        known, stop = await usable(cluster, settings), asyncio.Event()
        operator = await _operator(known, certificates)
        if settings.in_pod:
            other = until_other(cluster, settings.watch_namespaces, known.watch_namespaces)
            await live(operator.run(stop), stop, other)
        else:
            await operator.run(stop)


async def _operator(settings: Settings, certificates: Certificates) -> Operator:
    from pawl.cli.run_gate import GatePlace, ReplicaGate

    place = GatePlace(settings.namespace, settings.webhook, settings.in_pod, certificates, settings.watch_namespaces)
    return Operator(await build(settings, lambda cluster: ReplicaGate(cluster, place)))


def is_in_pod(environment: Mapping[str, str], token: Path) -> bool:
    """Whether this process runs in a Pod: the API server's address is given and a token is mounted."""
    return "KUBERNETES_SERVICE_HOST" in environment and token.exists()


def address(bind: str | None, *, in_pod: bool) -> tuple[str, int]:
    """Split HOST:PORT; the default is 0.0.0.0:8080 in a Pod and a free loopback port elsewhere. Raises InputError."""
    if bind is None:
        return ("0.0.0.0", 8080) if in_pod else ("127.0.0.1", 0)  # noqa: S104 - the kubelet probes the Pod's address
    return _place("--bind", bind)


def _place(flag: str, text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise InputError(f"{flag} {text} is not HOST:PORT; write it like 127.0.0.1:8080")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _image(text: str) -> str:
    """Return an image as it was written. Raises InputError for what is no reference."""
    if text:
        try:
            parse(text)
        except UnparsableReference as error:
            raise InputError(f"--image: {error}; write it like registry.example.com/pawl:1.0") from error
    return text


def _names(flag: str, text: str) -> tuple[str, ...]:
    """Split names of Kubernetes objects. Raises InputError for what can be none."""
    found = tuple(dict.fromkeys(_words(text)))
    for name in found:
        if not NAME.fullmatch(name) or len(name) > 253:
            raise InputError(f"{flag}: {name} is no name of a Kubernetes object; write names with commas between")
    return found


def _proxies(environment: Mapping[str, str]) -> ProxySettings:
    try:
        return ProxySettings.of(environment)
    except ValueError as error:
        raise InputError(str(error)) from error

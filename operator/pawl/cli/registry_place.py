"""Which store a command of `pawl registry` is about: a directory, a bucket, or that of a RegistryStorage by name.

Neighbours: `registry_usage`, `registry_plan`, `registry_migrate` and `registry_verify` ask. Not here: what is read.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from pawl.api.errors import InputError
from pawl.api.registrystorage import RegistryStorage
from pawl.api.registrywork import Place
from pawl.decide.layout import ROOT
from pawl.jobs.copystore import CopyStore, Patience

F = TypeVar("F", bound=Callable[..., Any])

_PATIENCE: Final = 1.0
"""Seconds for which a bucket that refuses is asked again."""
_URL: Final = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>.*))?")


@dataclass(frozen=True, slots=True)
class S3Options:
    """How a bucket is reached; the same for all buckets of a command."""

    endpoint: str = ""
    region: str = "us-east-1"
    credentials: str = ""
    ca_file: str = ""
    virtual_host: bool = False


@dataclass(frozen=True, slots=True)
class Where:
    """What the command line says: a store offline, or a name in the cluster."""

    path: str | None
    s3: str | None
    name: str | None
    namespace: str | None
    kubeconfig: str | None
    options: S3Options

    @property
    def place(self) -> Place | None:
        """The store that is read offline, None where a name is asked for. Raises InputError unless one is said."""
        said = [each for each in (self.path, self.s3, self.name) if each]
        if len(said) != 1:
            raise InputError("say which registry: NAME of a RegistryStorage, or one of --path DIR and --s3 URL")
        return place_of(self.path or self.s3 or "", self.options) if not self.name else None


def s3_options(command: F) -> F:
    """Add the options that say how a bucket is reached."""
    for option in (
        click.option("--virtual-host", is_flag=True, help="The bucket is part of the host's name, as AWS prefers it."),
        click.option("--ca-file", default="", metavar="FILE", help="CA certificate of the endpoint."),
        click.option("--credentials", default="", metavar="DIR", help="Directory with files accessKey and secretKey."),
        click.option("--region", default="us-east-1", show_default=True, envvar="AWS_REGION"),
        click.option("--endpoint", default="", metavar="URL", help="http(s)://host[:port] of S3 or MinIO; none: AWS."),
    ):
        command = option(command)
    return command


def where_options(command: F) -> F:
    """Add NAME, the options that name a store offline, and where the cluster is."""
    command = s3_options(command)
    for option in (
        click.option("--kubeconfig", default=None, envvar="PAWL_KUBECONFIG", metavar="FILE", help="For NAME."),
        click.option("-n", "--namespace", default=None, metavar="NS", help="Of NAME. Default: that of the context."),
        click.option("--s3", default=None, metavar="s3://BUCKET/PREFIX", help="Bucket with docker/registry/v2 in it."),
        click.option("--path", default=None, metavar="DIR", help="Directory with docker/registry/v2 in it."),
        click.argument("name", required=False),
    ):
        command = option(command)
    return command


def where_of(said: dict[str, Any]) -> Where:
    """Read what `where_options` added, and take it out of the parameters of a command."""
    options = S3Options(**{key: said.pop(key) for key in ("endpoint", "region", "credentials", "ca_file")})
    options = S3Options(
        options.endpoint, options.region, options.credentials, options.ca_file, said.pop("virtual_host")
    )
    names = ("path", "s3", "name", "namespace", "kubeconfig")
    return Where(**{key: said.pop(key) for key in names}, options=options)


def place_of(text: str, options: S3Options) -> Place:
    """Read DIR or s3://BUCKET/PREFIX. Raises InputError."""
    if not text.startswith("s3://"):
        return Place(kind="Filesystem", path=str(Path(text).absolute()))
    found = _URL.fullmatch(text)
    if found is None:
        raise InputError(f"{text} is no bucket: write it like s3://images or s3://images/prefix")
    if options.endpoint and not options.endpoint.startswith(("http://", "https://")):
        raise InputError(f"--endpoint {options.endpoint} is no URL: write it like http://minio:9000")
    for file in (options.ca_file, *(f"{options.credentials}/{key}" for key in _keys(options))):
        if file and not Path(file).is_file():
            raise InputError(f"cannot read {file}: no such file")
    return Place(
        kind="S3",
        bucket=found["bucket"],
        root_directory=(found["prefix"] or "").strip("/"),
        endpoint=options.endpoint,
        region=options.region,
        credentials=options.credentials,
        ca_file=options.ca_file,
        path_style=not options.virtual_host,
    )


def _keys(options: S3Options) -> tuple[str, ...]:
    return ("accessKey", "secretKey") if options.credentials else ()


@asynccontextmanager
async def opened(place: Place) -> AsyncIterator[CopyStore]:
    """Open a store for reading. Raises InputError where there is no registry in it, StoreError where it is away."""
    _refuse_directory(place)
    store = _store(place)
    try:
        if not await _holds_registry(store):
            raise InputError(f"{store.label} holds no registry: nothing is under {ROOT} there; name what holds docker/")
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def target(place: Place) -> AsyncIterator[CopyStore]:
    """Open a store that may be empty, to look at its room. Raises InputError where a directory is none."""
    _refuse_directory(place)
    store = _store(place)
    try:
        yield store
    finally:
        await store.close()


def _store(place: Place) -> CopyStore:
    """A store that says at once what is wrong with it: a person waits, and wrong credentials stay wrong."""
    from pawl.jobs.bucket import Bucket
    from pawl.jobs.open import open_store

    return Bucket(place, Patience(total=_PATIENCE)) if place.kind == "S3" else open_store(place)


def _refuse_directory(place: Place) -> None:
    """Raise InputError where a directory is none; a path one level too deep or too high is the usual slip."""
    if place.kind == "Filesystem" and not Path(place.path).is_dir():
        raise InputError(f"{place.path} is no directory")


async def _holds_registry(store: CopyStore) -> bool:
    pages = store.list(f"{ROOT}/")
    try:
        async for page in pages:
            if page:
                return True
        return False
    finally:
        if isinstance(pages, AsyncGenerator):
            await pages.aclose()


async def live(where: Where) -> RegistryStorage:
    """Read the RegistryStorage that is named. Raises ClusterError, and InputError where it cannot be read."""
    import msgspec

    from pawl.cli.status_place import current_namespace
    from pawl.cli.table_registry import UnreadableRegistry, read_registry
    from pawl.cluster.client import Cluster
    from pawl.cluster.resources import REGISTRY_STORAGES

    namespace = where.namespace or current_namespace(where.kubeconfig)
    async with await Cluster.connect(where.kubeconfig) as cluster:
        seen = read_registry(msgspec.json.decode(await cluster.get(REGISTRY_STORAGES, namespace, where.name or "")))
    if isinstance(seen, UnreadableRegistry):
        raise InputError(f"{namespace}/{where.name} cannot be read by this version: {seen.fault}")
    return seen

"""The sandbox's registry: distribution with its filesystem driver, deletes allowed (tags too), plain HTTP."""

from __future__ import annotations

import secrets
from pathlib import Path

import yaml

from pawl.sandbox.files import PRIVATE, write_whole
from pawl.sandbox.place import Place
from pawl.sandbox.processes import Command
from pawl.sandbox.rest import Api

ENVIRON = {"OTEL_TRACES_EXPORTER": "none"}
"""Without it distribution 3 sends traces to localhost:4318 and logs each failure."""


def config(place: Place, secret: str) -> str:
    """The configuration file. `secret` signs upload state between requests."""
    return yaml.safe_dump(
        {
            "version": "0.1",
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {
                "delete": {"enabled": True},
                "filesystem": {"rootdirectory": str(place.directory / "registry")},
                "maintenance": {"uploadpurging": {"enabled": False}},
            },
            "http": {"addr": place.registry, "secret": secret, "relativeurls": True},
        }
    )


def registry(place: Place) -> Command:
    """The process; its configuration must have been written by `write_config`."""
    return Command("registry", (place.binary("registry"), "serve", str(_config_path(place))), ENVIRON)


def write_config(place: Place) -> None:
    """Write the configuration file and make the store's directory."""
    (place.directory / "registry").mkdir(parents=True, exist_ok=True)
    write_whole(_config_path(place), config(place, secrets.token_hex(16)), PRIVATE)


def answers(host: str) -> bool:
    """Whether a registry speaks on `host` (`host:port`)."""
    return Api(f"http://{host}").get("/v2/").status == 200


def _config_path(place: Place) -> Path:
    return place.directory / "registry.yaml"

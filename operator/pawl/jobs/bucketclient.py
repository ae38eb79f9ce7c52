"""The client of a bucket, as a place describes it.

Neighbours: `bucket` uses it, and makes another once it is refused. Not here: requests.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from obstore.store import S3Store

from pawl.api.registrywork import Place

if TYPE_CHECKING:  # the library has these for type checkers alone
    from obstore.store import ClientConfig, RetryConfig, S3Config

_RETRIES: Final[RetryConfig] = {"max_retries": 5, "retry_timeout": timedelta(seconds=60)}


def connect(place: Place) -> S3Store:
    """Return a client with the credentials that the files hold now."""
    config: S3Config = {
        "bucket": place.bucket,
        "region": place.region,
        "virtual_hosted_style_request": not place.path_style,
        "disable_bulk_delete": True,
    }
    if place.endpoint:
        config["endpoint"] = place.endpoint
    if place.credentials:
        directory = Path(place.credentials)
        config["access_key_id"] = (directory / "accessKey").read_text().strip()
        config["secret_access_key"] = (directory / "secretKey").read_text().strip()
    client: ClientConfig = {
        "allow_http": place.endpoint.startswith("http://"),
        "connect_timeout": "10s",
        "read_timeout": "60s",
        "timeout": "15m",
    }
    if place.ca_file:
        client["root_certificate"] = Path(place.ca_file).read_bytes()
    return S3Store(config=config, client_options=client, retry_config=_RETRIES)

"""One signed request to an S3 server of ours: making a bucket, which no library at hand does.

AWS Signature Version 4 for requests without body and query. Not an S3 client: the operator's Jobs use `obstore`.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

from pawl.api.errors import SandboxError

REGION = "us-east-1"
EMPTY = hashlib.sha256(b"").hexdigest()
SIGNED = "host;x-amz-content-sha256;x-amz-date"
MADE, EXISTS = 200, 409


@dataclass(frozen=True)
class Keys:
    """Who asks."""

    access_key: str
    secret_key: str = field(repr=False)


def make_bucket(endpoint: str, keys: Keys, name: str) -> str:
    """Make a bucket and return its name; one that is there is kept. Raises SandboxError when it is refused."""
    host = urlsplit(endpoint).netloc
    connection = http.client.HTTPConnection(host, timeout=10)
    try:
        connection.request("PUT", f"/{name}", headers=signed(keys, "PUT", host, f"/{name}", datetime.now(UTC)))
        answer = connection.getresponse()
        said = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise SandboxError(f"bucket {name}: {endpoint} does not answer ({error}): see whether it runs") from error
    finally:
        connection.close()
    if answer.status not in {MADE, EXISTS}:
        raise SandboxError(f"bucket {name}: refused ({answer.status}, {_code(said)}): see the rules for names")
    return name


def signed(keys: Keys, method: str, host: str, path: str, now: datetime) -> dict[str, str]:
    """Headers that sign a request for `path`, which needs no escaping. Pure."""
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/{REGION}/s3/aws4_request"
    asked = f"{method}\n{path}\n\nhost:{host}\nx-amz-content-sha256:{EMPTY}\nx-amz-date:{stamp}\n\n{SIGNED}\n{EMPTY}"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(asked.encode()).hexdigest()}"
    key = f"AWS4{keys.secret_key}".encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    credential = f"AWS4-HMAC-SHA256 Credential={keys.access_key}/{scope}"
    return {
        "Host": host,
        "x-amz-date": stamp,
        "x-amz-content-sha256": EMPTY,
        "Authorization": f"{credential}, SignedHeaders={SIGNED}, Signature={_hmac(key, text).hex()}",
    }


def _code(said: bytes) -> str:
    found = re.search(r"<Code>(\w+)</Code>", said.decode(errors="replace"))
    return found[1] if found else "no reason given"


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()

"""A bare client of the API server for tests: raw writes of every kind, and what came back. No retries."""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

Json = dict[str, Any]

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"
POLICIES = "apis/pawl.dev/v1alpha1"


@dataclass(frozen=True)
class Answer:
    """What the API server said: `code`, the whole `body`, and `message` of a refusal."""

    code: int
    body: Json

    @property
    def ok(self) -> bool:
        return self.code < 300

    @property
    def message(self) -> str:
        return str(self.body.get("message", "")) if not self.ok else ""


class Api:
    """One connection to the API server of a kubeconfig, as its user."""

    def __init__(self, kubeconfig: Path) -> None:
        server, context = _connection(yaml.safe_load(kubeconfig.read_text()))
        self._http = httpx.Client(base_url=server, verify=context, timeout=30, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def get(self, path: str) -> Answer:
        return self._send("GET", path)

    def post(self, path: str, body: Json) -> Answer:
        return self._send("POST", path, body, params={"fieldValidation": "Strict"})

    def put(self, path: str, body: Json) -> Answer:
        return self._send("PUT", path, body, params={"fieldValidation": "Strict"})

    def merge(self, path: str, body: Json) -> Answer:
        return self._send("PATCH", path, body, MERGE)

    def json_patch(self, path: str, *operations: Json) -> Answer:
        return self._send("PATCH", path, list(operations), JSON_PATCH)

    def apply(self, path: str, body: Json, manager: str = "test", *, force: bool = True) -> Answer:
        return self._send("PATCH", path, body, APPLY, {"fieldManager": manager, "force": str(force).lower()})

    def delete(self, path: str) -> Answer:
        return self._send("DELETE", path)

    def _send(
        self,
        method: str,
        path: str,
        body: object = None,
        media: str = "application/json",
        params: Json | None = None,
    ) -> Answer:
        content = None if body is None else json.dumps(body)
        answer = self._http.request(method, path, content=content, headers={"Content-Type": media}, params=params)
        is_json = "json" in answer.headers.get("Content-Type", "")  # a path that nobody serves answers in plain text
        return Answer(answer.status_code, answer.json() if is_json else {"message": answer.text})


def _connection(config: Json) -> tuple[str, ssl.SSLContext]:
    context = _named(config["contexts"], config["current-context"])["context"]
    cluster = _named(config["clusters"], context["cluster"])["cluster"]
    user = _named(config["users"], context["user"])["user"]
    tls = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    with tempfile.NamedTemporaryFile() as pair:  # the ssl module takes certificates from files only
        for key in ("client-certificate-data", "client-key-data"):
            pair.write(base64.b64decode(user[key]))
        pair.flush()
        tls.load_cert_chain(pair.name)
    return cluster["server"], tls


def _named(entries: list[Json], name: str) -> Json:
    return next(entry for entry in entries if entry["name"] == name)

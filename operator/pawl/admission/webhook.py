"""The webhook: the gate for clusters whose API server cannot rewrite by itself. Serves on every replica.

A review is answered from memory; whatever goes wrong is answered "allowed" without a patch, and counted.
Neighbours: `admission.review` judges, `admission.tablefeed` holds the tables, `admission.certificates` the TLS pair.
Not here: the configuration that sends reviews here (`admission.webhookconfig`).
"""

from __future__ import annotations

import ssl
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

import msgspec
import structlog
from aiohttp import web

from pawl.admission.certificates import Bundle
from pawl.admission.review import Lookup, review
from pawl.admission.scope import PATH

MAX_BODY: Final = 3 << 20
"""Bytes; the API server takes no larger request either."""

Outcome = Literal["Rewritten", "Unchanged", "Failed"]
Count = Callable[[Outcome, float], None]
"""Called once a review with what came of it and the seconds that it took."""

log = structlog.get_logger(__name__)


class _Uid(msgspec.Struct):
    uid: str = ""


class _Asked(msgspec.Struct):
    request: _Uid


_ASKED: Final = msgspec.json.Decoder(_Asked)
_ENCODER: Final = msgspec.json.Encoder()


def uncounted(outcome: Outcome, seconds: float) -> None:
    """Count nothing: for users of the webhook without metrics."""


class WebhookServer:
    """An HTTPS server on which the API server asks. `start` and `close` once each."""

    def __init__(self, lookup: Lookup, own_namespace: str, bundle: Bundle, count: Count = uncounted) -> None:
        self._lookup = lookup
        self._own_namespace = own_namespace
        self._count = count
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        self._runner: web.AppRunner | None = None
        self.reload(bundle)

    def reload(self, bundle: Bundle) -> None:
        """Serve new connections with another certificate; open ones go on."""
        with tempfile.TemporaryDirectory() as place:  # the ssl module takes certificates from files only
            pair = Path(place, "pair.pem")
            pair.touch(mode=0o600)
            pair.write_bytes(bundle.key + b"\n" + bundle.certificate)
            self._tls.load_cert_chain(pair)

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port: of the system's choice where `port` is 0. Raises OSError if it is taken."""
        application = web.Application(client_max_size=MAX_BODY)
        application.router.add_post(PATH, self._mutate)
        self._runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=2.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port, ssl_context=self._tls).start()
        return self.port

    @property
    def port(self) -> int:
        """The port on which it listens; 0 before `start`."""
        return int(self._runner.addresses[0][1]) if self._runner is not None else 0

    async def close(self) -> None:
        """Stop listening; reviews in flight are answered."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _mutate(self, request: web.Request) -> web.Response:
        begin = time.perf_counter()
        try:
            body = self.answer(await request.read(), begin)
        except web.HTTPRequestEntityTooLarge:
            body = self._failed(b"", "the review is larger than 3 MiB", begin)
        return web.Response(body=body, content_type="application/json")

    def answer(self, raw: bytes, begin: float | None = None) -> bytes:
        """Answer one review that came at `begin`, of the performance counter; never raises."""
        begin = time.perf_counter() if begin is None else begin
        try:
            verdict = review(raw, self._lookup, self._own_namespace)
        except Exception as error:  # noqa: BLE001 - an image that stays is better than a Pod that is refused
            return self._failed(raw, str(error) or type(error).__name__, begin)
        self._count("Rewritten" if verdict.changed else "Unchanged", time.perf_counter() - begin)
        return verdict.body

    def _failed(self, raw: bytes, cause: str, begin: float) -> bytes:
        self._count("Failed", time.perf_counter() - begin)
        log.warning("review could not be judged; the object is left as it is", error=" ".join(cause.split()))
        try:
            uid = _ASKED.decode(raw).request.uid
        except (msgspec.MsgspecError, UnicodeDecodeError):
            uid = ""
        response = {"uid": uid, "allowed": True}
        return _ENCODER.encode({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})

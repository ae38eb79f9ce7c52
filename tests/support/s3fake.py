"""An S3 server that does what no honest one does: odd keys, refusals in the middle, bodies cut in half.

Neighbours: `minio` and `rclone` are honest ones.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from aiohttp import web

Fault = Callable[["Fake", web.Request], "web.StreamResponse | None"]
MODIFIED = "2026-01-01T00:00:00.000Z"


@dataclass
class Fake:
    """One bucket. `fault` answers a request in its place, or returns None; `seen` holds what was asked."""

    objects: dict[str, bytes] = field(default_factory=dict)
    page: int = 3
    fault: Fault = lambda _fake, _request: None
    seen: list[str] = field(default_factory=list)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    aborted: list[str] = field(default_factory=list)
    endpoint: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        key = request.match_info.get("key", "")
        self.seen.append(f"{request.method} {request.path_qs}")
        if (wrong := self.fault(self, request)) is not None:
            return wrong
        if request.method == "GET" and not key:
            return self._list(request)
        if "uploads" in request.query or "uploadId" in request.query:
            return self._multipart(request, key, body)
        if request.method == "PUT":
            self.objects[key] = body
            return web.Response(headers={"ETag": '"x"'})
        if request.method == "DELETE":
            self.objects.pop(key, None)
            return web.Response(status=204)
        return self._get(request, key)

    def _get(self, request: web.Request, key: str) -> web.Response:
        if key not in self.objects:
            return refusal(404, "NoSuchKey")
        body, headers = self.objects[key], {"ETag": '"x"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
        if request.method == "HEAD":
            return web.Response(headers={**headers, "Content-Length": str(len(body))})
        if "Range" not in request.headers:
            return web.Response(body=body, headers=headers)
        start, end = (int(part) for part in request.headers["Range"].removeprefix("bytes=").split("-"))
        part = body[start : end + 1]
        headers["Content-Range"] = f"bytes {start}-{start + len(part) - 1}/{len(body)}"
        return web.Response(status=206, body=part, headers=headers)

    def _list(self, request: web.Request) -> web.Response:
        after = request.query.get("continuation-token") or request.query.get("start-after", "")
        keys = sorted(key for key in self.objects if key.startswith(request.query.get("prefix", "")) and key > after)
        shown, more = keys[: self.page], len(keys) > self.page
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.objects[key])}</Size><ETag>x</ETag>"
            f"<LastModified>{MODIFIED}</LastModified></Contents>"
            for key in shown
        )
        token = f"<NextContinuationToken>{escape(shown[-1])}</NextContinuationToken>" if more else ""
        text = f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{token}{rows}</ListBucketResult>"
        return web.Response(text=text, content_type="application/xml")

    def _multipart(self, request: web.Request, key: str, body: bytes) -> web.Response:
        if "uploads" in request.query:
            self.uploads[key] = {}
            number = f"<UploadId>{len(self.uploads)}</UploadId>"
            text = f"<InitiateMultipartUploadResult>{number}</InitiateMultipartUploadResult>"
            return web.Response(text=text, content_type="application/xml")
        if request.method == "PUT":
            self.uploads[key][int(request.query["partNumber"])] = body
            return web.Response(headers={"ETag": '"p"'})
        if request.method == "DELETE":
            self.uploads.pop(key, None)
            self.aborted.append(key)
            return web.Response(status=204)
        self.objects[key] = b"".join(part for _, part in sorted(self.uploads.pop(key).items()))
        text = "<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>"
        return web.Response(text=text, content_type="application/xml")


def refusal(status: int, code: str) -> web.Response:
    """What S3 says when it says no."""
    text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>"
    return web.Response(status=status, text=text, content_type="application/xml")


@asynccontextmanager
async def s3_fake(fake: Fake) -> AsyncIterator[Fake]:
    """Serve it as bucket `odd` until the block ends."""
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/odd", fake.answer)
    app.router.add_route("*", "/odd/{key:.*}", fake.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        fake.endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield fake
    finally:
        await runner.cleanup()

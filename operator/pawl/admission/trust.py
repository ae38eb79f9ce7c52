"""What the API server trusts against what a replica serves: how a certificate is changed without a failed handshake.

Order: the new authority is trusted beside the old one, then the new certificate is served, and the old authority goes
when no replica can still serve what it signed. Works on the text of PEM, so that a replica without a webhook loads no
cryptography for it. Neighbours: `admission.certificates` has the pairs, `admission.webhookconfig` says where
authorities stand. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

MAX_OLD: Final = 2
"""Authorities of earlier certificates that are trusted beside those of the present one."""

_BLOCK: Final = re.compile(rb"-----BEGIN CERTIFICATE-----\s*([A-Za-z0-9+/=\s]+?)\s*-----END CERTIFICATE-----")


def blocks(pem: bytes) -> tuple[bytes, ...]:
    """Return the certificates of a PEM text, none twice, whatever stands between them and however lines are cut."""
    return tuple(dict.fromkeys(b"".join(found.split()) for found in _BLOCK.findall(pem)))


def joined(certificates: Iterable[bytes]) -> bytes:
    """Return certificates (`blocks`) as a PEM text."""
    return b"".join(_framed(each) for each in certificates)


def merged(own: bytes, live: bytes) -> bytes:
    """Return the authorities of our certificate, and behind them some that were trusted already."""
    known = blocks(own)
    older = [each for each in blocks(live) if each not in known]
    return joined([*known, *older[:MAX_OLD]])


def may_serve(fresh: bytes, serving: bytes, live: bytes | None) -> bool:
    """Tell by their authorities whether a new certificate may be served in the place of the present one.

    It may where it is trusted, or where the present one is not either. `live` is what the API server trusts, None where
    it asks no webhook.
    """
    if live is None:
        return True
    trusted = blocks(live)
    return all(each in trusted for each in blocks(fresh)) or not any(each in trusted for each in blocks(serving))


def _framed(body: bytes) -> bytes:
    lines = [body[start : start + 64] for start in range(0, len(body), 64)]
    return b"\n".join([b"-----BEGIN CERTIFICATE-----", *lines, b"-----END CERTIFICATE-----", b""])

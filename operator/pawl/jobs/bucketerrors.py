"""What a bucket says when it says no, as errors of a store.

Neighbours: `bucket` asks. Not here: whether to try again.
"""

from __future__ import annotations

import re
from typing import Final

from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

from pawl.jobs.store import ObjectMissing, StoreError, StoreFull, StoreRefused

_CODE: Final = re.compile(r"<Code>([A-Za-z0-9]+)</Code>")
_FULL: Final = re.compile(r"StorageFull|QuotaExceeded|InsufficientStorage|507 ")
_REFUSED: Final = {
    "AccessDenied",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
}
"""What a refused listing says: the library has no kind of error of its own for it."""
_NO_BUCKET: Final = "NoSuchBucket"
_LONGEST: Final = 160
_ODD_KEY: Final = "object with invalid path"


class OddKey(StoreRefused):
    """A listing holds a key that the library cannot read, and ends there: no other try gets beyond it."""


def told(error: Exception, label: str, key: str) -> StoreError:
    """Return the error of a store that this one is. Its text never holds credentials: they travel as a signature."""
    text = str(error)
    found = _CODE.search(text)
    code = found.group(1) if found else ""
    about = f"{label}, {key or 'its keys'}"
    if _ODD_KEY in text:
        said = text.partition(f"{_ODD_KEY}: ")[2].partition("\n")[0][:_LONGEST]
        return OddKey(f"{about}: no server wrote this key, and nothing behind it can be listed: {said}; delete it")
    if code == _NO_BUCKET:
        return StoreRefused(f"{label}: there is no such bucket; make it, or name another")
    if isinstance(error, PermissionDeniedError | UnauthenticatedError) or code in _REFUSED:
        return StoreRefused(f"{about}: refused ({code or 'no code'}); look at accessKey, secretKey and their rights")
    if _FULL.search(text):
        return StoreFull(f"{about}: {code or 'full'}; make room, or raise its quota")
    if isinstance(error, FileNotFoundError):
        if "ocation" in text or code:
            return ObjectMissing(f"{about}: there is no such object")
        return StoreRefused(
            f"{label}: {error.strerror}: {error.filename}; mount the Secret with accessKey and secretKey"
        )
    return StoreError(f"{about}: {code or _first_line(text)}; look at the server and the way to it")


def _first_line(text: str) -> str:
    return text.partition("\n")[0].split(" - ", 1)[-1][:_LONGEST]

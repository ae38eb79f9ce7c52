"""The command line as scripts meet it: exit code, standard output, standard error."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass

from pawl.cli.main import invoke


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


def pawl(*arguments: str) -> Ended:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = invoke(list(arguments))
    return Ended(code, out.getvalue(), err.getvalue())

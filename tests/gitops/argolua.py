"""Argo CD's Lua: version 5.1 with the basic and the table library, `require("os")` for the time, and nothing else.

Scripts see the object as the global `obj` and return a table. Not here: gopher-lua itself, nor its limit of a second.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

from lupa import lua51

Json = dict[str, Any]

ROOT: Final = Path(__file__).parents[2]
GROUP: Final = ROOT / "deploy/argocd/resource_customizations/pawl.dev"

CLOSED: Final = ("string", "math", "io", "os", "debug", "coroutine", "dofile", "loadfile", "python")
"""Globals that Argo CD's interpreter does not have."""

_SHUT: Final = """
local tell = now
getmetatable("").__index = nil
for name in pairs(package.loaded) do package.loaded[name] = nil end
package.loadlib, package.loaders = nil, { package.loaders[1] }
package.preload.os = function() return { time = tell, date = tell } end
now = nil
"""


def run(script: str, obj: Json) -> Any:
    """Run a script over an object; what it returns, as JSON would carry it. LuaError where it fails."""
    lua = _interpreter()
    lua.globals().obj = _table(lua, obj)
    return _plain(lua.execute(script))


def health(obj: Json) -> Json:
    """Run the health check of the group."""
    found: Json = run((GROUP / "_/health.lua").read_text(), obj)
    return found


def discover(obj: Json, kind: str = "") -> Json:
    """Run the discovery of the actions of a kind."""
    found: Json = run((GROUP / (kind or obj["kind"]) / "actions/discovery.lua").read_text(), obj)
    return found


def act(name: str, obj: Json) -> Json:
    """Run one action; the object after it."""
    found: Json = _mended(run((GROUP / obj["kind"] / f"actions/{name}/action.lua").read_text(), obj), obj)
    return found


def _mended(new: Any, old: Any) -> Any:
    """Give an empty list back its form where the object had an empty map, as Argo CD does."""
    if new == [] and isinstance(old, dict):
        return old
    if isinstance(new, dict) and isinstance(old, dict):
        return {key: _mended(value, old.get(key)) for key, value in new.items()}
    if isinstance(new, list) and isinstance(old, list):
        return [_mended(one, old[at] if at < len(old) else None) for at, one in enumerate(new)]
    return new


def _interpreter() -> Any:
    lua = lua51.LuaRuntime(register_eval=False, register_builtins=False, unpack_returned_tuples=True)
    lua.globals().now = _now
    lua.execute(_SHUT + "".join(f"_G[{name!r}] = nil\n" for name in CLOSED))
    return lua


def _now(form: str = "") -> Any:
    return time.strftime(form.removeprefix("!"), time.gmtime()) if form else int(time.time())


def _table(lua: Any, value: Any) -> Any:
    if isinstance(value, dict):
        return lua.table_from({key: _table(lua, one) for key, one in value.items()})
    if isinstance(value, list):
        return lua.table_from([_table(lua, one) for one in value])
    return value


def _plain(value: Any) -> Any:
    """As Argo CD's encoder does: a table with keys 1..n is a list, and an empty table is an empty list."""
    if lua51.lua_type(value) != "table":
        return int(value) if isinstance(value, float) and value.is_integer() else value
    keys = list(value)
    if keys == list(range(1, len(keys) + 1)):
        return [_plain(value[key]) for key in keys]
    return {key: _plain(value[key]) for key in keys}

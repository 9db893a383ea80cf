"""The validator of FOCUS, in an environment of its own: it needs older releases than the platform does."""

from __future__ import annotations

import subprocess
import venv
from pathlib import Path
from typing import Final

_LOCK: Final = Path(__file__).resolve().parents[2] / "requirements" / "focus.txt"
_VERSION: Final = "1.0"


def validate(file: Path) -> subprocess.CompletedProcess[str]:
    """Install what the lock names beside the file, and let it judge the file."""
    place = file.parent / "focus"
    venv.create(place, with_pip=True)
    program = place / "bin"
    install: list[str | Path] = [
        program / "python",
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--quiet",
        "install",
        "--require-hashes",
    ]
    subprocess.run([*install, "-r", _LOCK], check=True)
    packages = next((place / "lib").glob("python*/site-packages"))
    return subprocess.run(
        [program / "focus-validator", "--data-file", file, "--validate-version", _VERSION],
        capture_output=True,
        text=True,
        check=False,
        cwd=packages,  # It looks for its list of currencies from there.
    )

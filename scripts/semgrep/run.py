"""Run semgrep with the rules of this folder over the program; first prove that each rule finds what it is for.

semgrep pins what the program does not, so it has an environment of its own, made at the first run from
requirements/semgrep.txt. It reads local rules only and sends nothing anywhere.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
HERE: Final = Path(__file__).resolve().parent
LOCK: Final = ROOT / "requirements" / "semgrep.txt"
VENV: Final = ROOT / ".venv-semgrep"
_EXAMPLES: Final = HERE / "examples.py"
_FOUND: Final = re.compile(r"# found: ([a-z-]+)$")


def ensure_installed() -> Path:
    """Return the program, installing what the lock file says where it is not there yet."""
    mark, wanted = VENV / ".installed", hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if not mark.exists() or mark.read_text() != wanted:
        print("semgrep: installing requirements/semgrep.txt", file=sys.stderr)
        mark.unlink(missing_ok=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
        pip = [str(VENV / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--require-hashes", "--requirement", str(LOCK)], check=True)
        mark.write_text(wanted)
    return VENV / "bin" / "semgrep"


def scan(program: Path) -> list[tuple[Path, int, str, str]]:
    """Return file, line, rule and message of everything that the rules find."""
    command = [str(program), "scan", "--config", str(HERE / "rules.yml"), "--json", "--quiet", "--metrics", "off"]
    options = ["--disable-version-check", "--no-git-ignore", "--jobs", "2", "--timeout", "30"]
    done = subprocess.run(
        [*command, *options, "src", str(_EXAMPLES.relative_to(ROOT))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.stdout:
        raise SystemExit(f"semgrep did not run: {done.stderr.strip()[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    if answer["errors"]:
        raise SystemExit(f"semgrep could not read everything: {answer['errors'][:3]}")
    return [
        (Path(one["path"]), one["start"]["line"], one["check_id"].rpartition(".")[2], one["extra"]["message"])
        for one in answer["results"]
    ]


def main() -> int:
    """Print what breaks a rule; 1 when something does, or when a rule does not find its example."""
    found = scan(ensure_installed())
    examples = _EXAMPLES.relative_to(ROOT)
    caught = {(line, rule) for path, line, rule, _ in found if path == examples}
    lines = _EXAMPLES.read_text(encoding="utf-8").splitlines()
    meant = {(number, match[1]) for number, line in enumerate(lines, 1) if (match := _FOUND.search(line))}
    for number, rule in sorted(meant ^ caught):
        what = "is not found" if (number, rule) in meant else "is found and should pass"
        print(f"{examples}:{number}: {rule}: the example {what}")
    real = [finding for finding in found if finding[0] != examples]
    for path, line, rule, message in sorted(real):
        print(f"{path}:{line}: {rule}: {message}")
    return 1 if real or meant != caught else 0


if __name__ == "__main__":
    sys.exit(main())

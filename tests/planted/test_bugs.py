"""Each planted bug makes the suite fail, in a copy of the tree; without one, the same tests pass there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.planted.bugs import BUGS, Bug

_ROOT: Final = Path(__file__).parents[2]
_COPIED: Final = ("src", "tests", "migrations", "vendor", "docs/reference")
_FAILED: Final = 1
"""What pytest returns when tests ran and some failed: neither an error of its own nor nothing to run."""
_QUICK: Final = BUGS[2:4]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_stands_where_it_can_be_planted(bug: Bug) -> None:
    text = (_ROOT / "src" / "zentry" / bug.file).read_text(encoding="utf-8")

    assert text.count(bug.before) == 1, "the code has changed: plant the bug anew"
    assert all((_ROOT / test).exists() for test in bug.tests)


@pytest.mark.parametrize(
    "bug",
    [pytest.param(bug, marks=() if bug in _QUICK else pytest.mark.long) for bug in BUGS],
    ids=lambda bug: bug.name,
)
def test_a_planted_bug_is_found(bug: Bug, tmp_path: Path) -> None:
    _copy_tree(tmp_path)
    file = tmp_path / "src" / "zentry" / bug.file
    file.write_text(file.read_text(encoding="utf-8").replace(bug.before, bug.after), encoding="utf-8")

    code, output = _run_tests(tmp_path, bug.tests, chosen=bug.chosen)

    print(output[-2000:])
    assert code == _FAILED, output[-4000:]


@pytest.mark.long
def test_without_a_bug_the_same_tests_pass(tmp_path: Path) -> None:
    _copy_tree(tmp_path)
    tests = sorted({test for bug in BUGS for test in bug.tests})

    code, output = _run_tests(tmp_path, tests, chosen="not postgresql")

    assert code == 0, output[-4000:]


def _copy_tree(target: Path) -> None:
    for name in _COPIED:
        shutil.copytree(_ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(_ROOT / "pyproject.toml", target)


def _run_tests(tree: Path, tests: Sequence[str], *, chosen: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-n", "0", "-k", chosen, *tests],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": f"{tree / 'src'}{os.pathsep}{tree}", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr

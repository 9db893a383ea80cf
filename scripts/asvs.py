"""Write docs/security/asvs.md from docs/security/asvs.txt: a requirement, and the tests or the reason behind it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
SOURCE: Final = ROOT / "docs" / "security" / "asvs.txt"
PAGE: Final = ROOT / "docs" / "security" / "asvs.md"
_REASONS: Final = ("exception: ", "not applicable: ")
_CHAPTERS: Final = {
    "1": "Encoding and sanitization",
    "2": "Validation and business logic",
    "3": "Web frontend",
    "4": "API and web service",
    "5": "Files",
    "6": "Authentication",
    "7": "Sessions",
    "8": "Authorization",
    "9": "Self-contained tokens",
    "10": "OAuth and OIDC",
    "11": "Cryptography",
    "12": "Communication",
    "13": "Configuration",
    "14": "Data protection",
    "15": "Coding and architecture",
    "16": "Logging and errors",
    "17": "WebRTC",
}
_TEST: Final = re.compile(r"^(?:async )?def test_(\w+)\(", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Row:
    """One requirement."""

    requirement: str
    level: str
    text: str
    tests: tuple[str, ...]
    reason: str

    @property
    def chapter(self) -> str:
        """The chapter that it stands in."""
        return self.requirement.partition(".")[0]


def read(text: str) -> Iterator[Row]:
    """Return the rows of the data file."""
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        requirement, level, wording, behind = (part.strip() for part in line.split("|"))
        has_reason = behind.startswith(_REASONS)
        tests = () if has_reason else tuple(behind.split())
        yield Row(requirement, level, wording, tests, behind if has_reason else "")


def known_tests(root: Path) -> dict[str, str]:
    """Return file::name of every test, with the path of its file."""
    found: dict[str, str] = {}
    for file in sorted((root / "tests").rglob("test_*.py")):
        stem = file.stem.removeprefix("test_")
        for name in _TEST.findall(file.read_text(encoding="utf-8")):
            found[f"{stem}::{name}"] = file.relative_to(root).as_posix()
    return found


def problems(rows: list[Row], tests: dict[str, str]) -> list[str]:
    """Return what is wrong with the rows: no test and no reason, or a test that does not exist."""
    found = [f"{row.requirement} has neither a test nor a reason" for row in rows if not row.tests and not row.reason]
    found += [
        f"{row.requirement} names {test}, which does not exist"
        for row in rows
        for test in row.tests
        if test not in tests
    ]
    numbers = [row.requirement for row in rows]
    return found + [f"{number} stands twice" for number in sorted(set(numbers)) if numbers.count(number) > 1]


def page(rows: list[Row], tests: dict[str, str]) -> str:
    """Return the page."""
    single = [row for row in rows if row.level != "-"]
    tested = sum(bool(row.tests) for row in single)
    excepted = sum(row.reason.startswith(_REASONS[0]) for row in single)
    lines = [
        "# OWASP ASVS 5.0, levels 1 and 2",
        "",
        "What each requirement asks for, in our words, and what proves it here. Made by `make docs` from `asvs.txt`;",
        "a test fails when a row names neither a test that exists nor a reason.",
        "",
        f"{len(single)} requirements: {tested} held by tests, {excepted} exceptions,",
        f"{len(single) - tested - excepted} that do not apply. Sections that do not apply at all have one row.",
    ]
    for number, title in _CHAPTERS.items():
        lines += [
            "",
            f"## {number} {title}",
            "",
            "| Requirement | Level | It asks for | Held by |",
            "|---|---|---|---|",
        ]
        lines += [_line(row, tests) for row in rows if row.chapter == number]
    return "\n".join(lines) + "\n"


def _line(row: Row, tests: dict[str, str]) -> str:
    behind = row.reason or ", ".join(_named(test, tests) for test in row.tests)
    return f"| {row.requirement} | {row.level} | {row.text} | {behind} |"


def _named(test: str, tests: dict[str, str]) -> str:
    return f"[`{test.replace('::', ': ').replace('_', ' ')}`](../../{tests[test]})"


def main() -> None:
    """Write the page, or say what is wrong with the data."""
    rows, tests = list(read(SOURCE.read_text(encoding="utf-8"))), known_tests(ROOT)
    wrong = problems(rows, tests)
    if wrong:
        raise SystemExit("docs/security/asvs.txt:\n  " + "\n  ".join(wrong))
    text = page(rows, tests)
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        PAGE.write_text(text, encoding="utf-8")
        print(f"wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()

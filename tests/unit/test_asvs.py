"""The ASVS matrix: every row is held by a test that exists or has a reason, and the page says what the data says."""

from __future__ import annotations

from pathlib import Path

from scripts import asvs

ROOT = Path(__file__).parents[2]
# Sections that requirements on documentation ask for.
SECTIONS = {
    "docs/security/threat-model.md": (
        "What is worth stealing or breaking",
        "Where trust ends",
        "How they would try",
        "Ways to sign in",
        "What is costly",
        "Cryptography in use",
        "What is logged where",
    ),
    "docs/security/updates.md": ("Once a month, and when a vulnerability is told",),
    "docs/guides/operating.md": ("Production settings", "Logs"),
}


def _rows() -> list[asvs.Row]:
    return list(asvs.read(asvs.SOURCE.read_text(encoding="utf-8")))


def test_every_requirement_is_held_by_a_test_or_has_a_reason() -> None:
    rows = _rows()

    assert asvs.problems(rows, asvs.known_tests(ROOT)) == []
    assert sum(row.level in {"1", "2"} for row in rows) > 190
    assert not [row.requirement for row in rows if "pending" in row.reason]


def test_a_row_without_either_or_with_a_test_that_is_gone_is_a_problem() -> None:
    rows = list(
        asvs.read("1.1.1 | 2 | something |\n1.1.2 | 1 | other | gone::nothing\n1.1.2 | 1 | twice | exception: so")
    )

    assert asvs.problems(rows, {}) == [
        "1.1.1 has neither a test nor a reason",
        "1.1.2 names gone::nothing, which does not exist",
        "1.1.2 stands twice",
    ]


def test_the_page_is_what_the_data_says() -> None:
    assert asvs.PAGE.read_text(encoding="utf-8") == asvs.page(_rows(), asvs.known_tests(ROOT)), "run make docs"


def test_documents_have_the_sections_that_requirements_ask_for() -> None:
    for name, sections in SECTIONS.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        assert [section for section in sections if f"## {section}\n" not in text] == [], name

"""What can be checked in the documentation is checked: links, settings, paths, words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from zentry.cli.configuration import variable_of
from zentry.platform.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "examples").glob("*.md"),
        *(ROOT / "benchmarks").glob("*.md"),
    ]
)
TEXTS = [*PAGES, *sorted((ROOT / "examples").glob("*.sh"))]
# Variables that are read by something else than the settings.
OTHER_VARIABLES = {"ZENTRY_URL", "ZENTRY_TEST_POSTGRES_URL"}
# Paths that are served and stand outside the OpenAPI document.
OTHER_PATHS = {"/docs", "/redoc", "/openapi.json", "/console"}

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|<img[^>]*\ssrc=\"([^\"]+)\"")
VARIABLE = re.compile(r"ZENTRY_[A-Z0-9_]*[A-Z0-9]")
METHOD_AND_PATH = re.compile(r"\b(GET|POST|PUT|PATCH|DELETE) (/[^\s`|,;\"')]*)")
URL_PATH = re.compile(r"(?:127\.0\.0\.1:8000|\$ZENTRY_URL|\$URL)(/[^\s`|,;\"')]*)")
FORBIDDEN = {
    "a TODO without an issue number": re.compile(r"\bTODO\b(?!\s*\(?#\d+)"),
    "a path of somebody's machine": re.compile(r"(?<![\w.-])/(?:root|work|home|Users)/"),
    "a host of a package registry": re.compile(
        r"pypi\.org|pythonhosted\.org|registry\.npmjs\.org|npmjs\.com|proxy\.golang\.org|crates\.io|docker\.io"
    ),
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def prose_of(text: str) -> str:
    """Return a page without its code blocks."""
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors_of(page: Path) -> set[str]:
    """Return the anchors that a page's headings give."""
    headings = re.findall(r"^#+ (.+)$", prose_of(page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def known_variables() -> set[str]:
    """Return every environment variable of the settings, groups included."""
    document = Settings.model_json_schema()
    names = set(OTHER_VARIABLES)
    for name, schema in document["properties"].items():
        names.add(variable_of((name,)))
        group = document["$defs"].get(str(schema.get("$ref", "")).rsplit("/", 1)[-1], {})
        names |= {variable_of((name, field)) for field in group.get("properties", {})}
    return names


def operations() -> list[tuple[str, re.Pattern[str]]]:
    """Return method and path of every operation; a parameter stands for one segment, whatever it is called."""
    document = json.loads((ROOT / "docs" / "reference" / "openapi.json").read_text(encoding="utf-8"))
    return [
        (method.upper(), re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path))))
        for path, item in document["paths"].items()
        for method in item
    ]


def named_paths(text: str) -> Iterator[tuple[str | None, str]]:
    for method, path in METHOD_AND_PATH.findall(text):
        yield method, path
    for path in URL_PATH.findall(text):
        yield None, path


def is_served(method: str | None, path: str) -> bool:
    path = path.partition("?")[0].rstrip(".:*…") or "/"
    if path in OTHER_PATHS or path.startswith("/v1"):
        return True
    return any(method in {None, known} and pattern.fullmatch(path) for known, pattern in operations())


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for markdown, image in LINK.findall(prose_of(page.read_text(encoding="utf-8"))):
        target, _, anchor = (markdown or image).partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        file = (page.parent / target).resolve() if target else page
        is_there = file.exists() and (not anchor or file.suffix != ".md" or anchor in anchors_of(file))
        if not is_there:
            broken.append(markdown or image)

    assert broken == []


@pytest.mark.parametrize("page", TEXTS, ids=name_of)
def test_every_variable_that_is_named_exists(page: Path) -> None:
    named = set(VARIABLE.findall(page.read_text(encoding="utf-8")))

    assert named - known_variables() == set()


@pytest.mark.parametrize("page", TEXTS, ids=name_of)
def test_every_path_that_is_named_is_served(page: Path) -> None:
    text = page.read_text(encoding="utf-8")

    assert [(method, path) for method, path in named_paths(text) if not is_served(method, path)] == []


@pytest.mark.parametrize("page", TEXTS, ids=name_of)
def test_no_page_holds_what_does_not_belong_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")

    assert [what for what, pattern in FORBIDDEN.items() if pattern.search(text)] == []


def test_every_page_can_be_reached_from_the_index_or_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md", ROOT / "docs" / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md" or not page.exists():
            continue
        reached.add(page)
        for markdown, _ in LINK.findall(page.read_text(encoding="utf-8")):
            target = markdown.partition("#")[0]
            if target and not re.match(r"[a-z]+:", target):
                waiting.append((page.parent / target).resolve())

    assert [name_of(page) for page in PAGES if page not in reached] == []


def test_every_decision_has_its_four_parts() -> None:
    parts = ["Context", "Decision", "Consequences", "Alternatives"]
    wrong = []
    for page in sorted((ROOT / "docs" / "decisions").glob("0*.md")):
        headings = re.findall(r"^## (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        if headings != parts:
            wrong.append(page.name)

    assert wrong == []

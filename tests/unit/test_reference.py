"""The reference pages say what the code says."""

from __future__ import annotations

import json
from collections import Counter

from scripts import reference
from zentry.schema.vms import VMStatus
from zentry.vms.states import TRANSITIONS


def test_the_reference_in_the_repository_is_what_the_code_generates() -> None:
    wanted = reference.generate()

    there = {path.name: path.read_text(encoding="utf-8") for path in reference.TARGET.iterdir()}

    stale = sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))
    assert not stale, f"docs/reference is out of date ({', '.join(stale)}): run make docs"


def test_each_error_that_has_a_code_of_its_own_has_another_one() -> None:
    reference.import_everything()

    codes = Counter(kind.code for kind in reference.error_classes() if reference.has_own_code(kind))

    assert [code for code, count in codes.items() if count > 1] == []


def test_each_error_says_what_it_means() -> None:
    reference.import_everything()

    assert [kind.__name__ for kind in reference.error_classes() if "__doc__" not in vars(kind)] == []


def test_the_states_page_draws_every_transition() -> None:
    page = reference.states_page([])

    assert all(f"    {before} --> {after}: {event}\n" in page for (before, event), after in TRANSITIONS.items())
    assert all(f"`{status}`" in page for status in VMStatus)


def test_the_openapi_document_in_the_repository_is_json_with_every_path() -> None:
    document = json.loads((reference.TARGET / "openapi.json").read_text(encoding="utf-8"))

    assert document["info"]["title"] == "Zentry Cloud API"
    assert {"/auth/signup", "/projects", "/vms", "/billing/history", "/monitoring/dashboard"} <= document[
        "paths"
    ].keys()

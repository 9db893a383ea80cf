"""E-mails and names."""

from __future__ import annotations

from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import StringConstraints, TypeAdapter, ValidationError

from zentry.accounts.identity import MAX_NAME_LENGTH, MIN_NAME_LENGTH, NAME_PATTERN, clean_name, find_email, parse_email
from zentry.platform.errors import InvalidInput

DOCUMENTED: TypeAdapter[str] = TypeAdapter(
    Annotated[str, StringConstraints(min_length=MIN_NAME_LENGTH, max_length=MAX_NAME_LENGTH, pattern=NAME_PATTERN)]
)


@pytest.mark.parametrize(
    "name",
    ["Ada", "Ada Lovelace", "O'Neill-Smith Jr.", "José", "李小龍", "नमस्ते", "Мария", "محمد", "R2 D2", "Zoe\u0301"],
)
def test_people_may_be_called_that(name: str) -> None:
    assert clean_name(f"  {name} ") == name


@pytest.mark.parametrize(
    "name", ["", "A", " A ", "  ", "x" * 101, "a<b>", "a\0b", "a\tb", "Ada\n", "a_b", "a/b", "💥💥", "²²"]
)
def test_people_may_not_be_called_that(name: str) -> None:
    with pytest.raises(InvalidInput):
        clean_name(name)


@given(st.text(st.characters(exclude_categories=["Cs", "Cn"]) | st.sampled_from(" -'.aé語9"), max_size=8))
def test_the_documented_rule_for_names_is_the_rule(name: str) -> None:
    try:
        clean_name(name)
        is_accepted = True
    except InvalidInput:
        is_accepted = False

    try:
        DOCUMENTED.validate_python(name)
        is_documented = True
    except ValidationError:
        is_documented = False

    assert is_accepted == is_documented


@pytest.mark.parametrize(
    ("text", "shown", "key"),
    [
        ("ada@example.com", "ada@example.com", "ada@example.com"),
        ("Ada.L@EXAMPLE.com", "Ada.L@example.com", "ada.l@example.com"),
        ("ada+cloud@example.test", "ada+cloud@example.test", "ada+cloud@example.test"),
        ("JOSÉ@example.com", "JOSÉ@example.com", "josé@example.com"),
    ],
)
def test_an_address_has_one_form_and_one_key(text: str, shown: str, key: str) -> None:
    address = parse_email(text)

    assert (address.text, address.key) == (shown, key)


NO_ADDRESSES = [
    "",
    "ada",
    "ada@",
    "@example.com",
    "ada@host",
    "ada@test",
    "a b@example.com",
    "ada@exa mple.com",
    "Ada <ada@example.com>",
    "ada@example.com\n",
    "ada\0@example.com",
    "ada@[127.0.0.1]",
    "ada@example..com",
    "x" * 250 + "@example.com",
]


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_what_is_no_address_is_refused(text: str) -> None:
    assert find_email(text) is None
    with pytest.raises(InvalidInput):
        parse_email(text)

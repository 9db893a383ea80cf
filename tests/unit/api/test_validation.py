"""Schema errors are told in words that somebody understands who has never heard of the library behind."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import Field, SecretStr, ValidationError

from zentry.api.validation import field_errors
from zentry.platform.wire import WriteModel


class _Wish(WriteModel):
    name: str = Field(min_length=2, max_length=4)
    title: str = Field(default="x", min_length=1)
    password: SecretStr = Field(default=SecretStr("12345678"), min_length=8)
    keys: list[str] = Field(default=[], max_length=1)
    count: int = Field(default=1, ge=1, le=3)
    amount: float = Field(default=1, ge=1e-06, le=1_000_000.0)


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({}, "name", "is required"),
        ({"name": "a"}, "name", "must have at least 2 characters"),
        ({"name": "abcde"}, "name", "must have at most 4 characters"),
        ({"name": 7}, "name", "must be a string"),
        ({"name": "ab", "password": "short"}, "password", "must have at least 8 characters"),
        ({"name": "ab", "keys": ["a", "b"]}, "keys", "must have at most 1 items"),
        ({"name": "ab", "title": ""}, "title", "must not be empty"),
        ({"name": "ab", "keys": "a"}, "keys", "must be a list"),
        ({"name": "ab", "count": "1"}, "count", "must be a whole number"),
        ({"name": "ab", "count": 0}, "count", "must be 1 or more"),
        ({"name": "ab", "count": 4}, "count", "must be 3 or less"),
        ({"name": "ab", "amount": 2e6}, "amount", "must be 1000000 or less"),
        ({"name": "ab", "amount": 0}, "amount", "must be 0.000001 or more"),
        ({"name": "ab", "role": "admin"}, "role", "is no field of this request"),
    ],
)
def test_what_does_not_fit_is_told_in_words(body: dict[str, Any], field: str, message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        _Wish.model_validate(body)

    told = field_errors([{**error, "loc": ("body", *error["loc"])} for error in refused.value.errors()])

    assert [(one["field"], one["message"]) for one in told] == [(field, message)]

"""Wire models that several domains share."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Final

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue


class WriteModel(BaseModel):
    """A request body: unknown fields and silent coercions are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, str_max_length=65_536)


class ReadModel(BaseModel):
    """An answer: numbers are JSON numbers, times end in Z."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


def none_of(words: Iterable[str]) -> dict[str, JsonValue]:
    """Return, for a field's JSON schema, that it is none of these words in any case and with any spaces around."""
    spelled = ("".join(f"[{letter.upper()}{letter.lower()}]" for letter in word) for word in sorted(words))
    return {"not": {"pattern": f"^ *({'|'.join(spelled)}) *$"}}


_GIVEN: Final[dict[str, JsonValue]] = {"not": {"type": "null"}}
_LEFT_OUT: Final[dict[str, JsonValue]] = {"type": "null"}


def one_field_of(*names: str) -> dict[str, JsonValue]:
    """Return, for a model's JSON schema, that exactly one of these fields is given; null gives nothing."""
    return {
        "anyOf": [
            {
                "required": [name],
                "properties": {other: _GIVEN if other == name else _LEFT_OUT for other in names},
            }
            for name in names
        ]
    }


def fields_together(*names: str) -> dict[str, JsonValue]:
    """Return, for a model's JSON schema, that either all of these fields are given or none; null gives nothing."""
    return {
        "anyOf": [
            {"properties": dict.fromkeys(names, _LEFT_OUT)},
            {"required": list(names), "properties": dict.fromkeys(names, _GIVEN)},
        ]
    }


_WORDS: Final[dict[str, str]] = {}


def pattern_in_words(pattern: str, words: str) -> str:
    """Return the pattern; a text that does not match it is refused with these words, a sentence for a person."""
    assert _WORDS.setdefault(pattern, words) == words, f"{pattern} has two sets of words"
    return pattern


def words_of_pattern(pattern: str) -> str | None:
    """Return how a pattern is put to a person, if it was said."""
    return _WORDS.get(pattern)


_UNSEEN: Final = r"\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff"
TITLE_PATTERN: Final = pattern_in_words(
    rf"^[^ \xa0{_UNSEEN}](?:[^{_UNSEEN}]*[^ \xa0{_UNSEEN}])?$",
    "A name has no control characters, none that are not seen or turn the direction, and no spaces around it.",
)
"""A name for people in any script. What could hide in it, or make it read as another, is refused."""


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE: Final = BeforeValidator(_whole)
"""For an integer of a request, after its bounds: JSON has one kind of number, so 7.0 is 7."""

CATALOGUE: Final = "x-catalogue"


def one_of_catalogue(kind: str) -> dict[str, JsonValue]:
    """Return, for a field's JSON schema, that a running server completes it with what its catalogue holds."""
    return {CATALOGUE: kind}


class ErrorResponse(ReadModel):
    """Every error of the API: the platform's envelope and RFC 9457 in one object."""

    success: bool = Field(default=False, description="Always false.")
    error_code: str = Field(description="Stable code to program against.", examples=["NOT_FOUND"])
    message: str = Field(description="What went wrong and what may be done, for a person.")
    details: dict[str, JsonValue] | None = Field(default=None, description="Facts of this error.")
    timestamp: datetime
    type: str = Field(description="URI of the kind of problem (RFC 9457).")
    title: str = Field(description="The kind of problem in words (RFC 9457).")
    status: int = Field(description="The HTTP status (RFC 9457).")
    detail: str = Field(description="The same text as `message` (RFC 9457).")
    instance: str = Field(description="The path that was asked for (RFC 9457).")
    request_id: str = Field(description="Name this when you ask for help.")


class APIResponse(ReadModel):
    """The answer of an action."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "success": True,
                    "message": "VM started",
                    "data": None,
                    "errors": None,
                    "timestamp": "2026-01-31T12:00:00Z",
                }
            ]
        }
    )

    success: bool
    message: str
    data: dict[str, JsonValue] | None = None
    errors: list[str] | None = None
    timestamp: datetime


Limit = Annotated[int, Field(ge=1, le=500)]


def _no_number(value: object) -> object:
    if isinstance(value, (int, float)):
        raise ValueError("Send an ISO 8601 time with its zone, such as 2026-01-31T12:00:00Z.")  # noqa: TRY004 - pydantic's
    return value


GivenTime = Annotated[
    AwareDatetime, Field(strict=False, examples=["2026-06-01T12:00:00Z"]), BeforeValidator(_no_number)
]
"""An instant in a request body: a text, since a number could be seconds or milliseconds."""

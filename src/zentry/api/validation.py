"""What does not fit its schema, put to a person: the place and the rule, never the value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from zentry.platform.wire import words_of_pattern

_MAX_FIELD_ERRORS: Final = 50
_MAX_FIELD_NAME: Final = 200
_MAX_MESSAGE: Final = 500
_NUMBER: Final = "must be a number"
_WHOLE: Final = "must be a whole number"
_TIME: Final = "must be a time such as 2026-01-31T12:00:00Z"
_OBJECT: Final = "must be a JSON object"

# By Pydantic's name of the rule, whose own sentences speak of inputs and items. Rules without words keep theirs.
_WORDS: Final[Mapping[str, str]] = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "datetime_from_date_parsing": _TIME,
    "datetime_parsing": _TIME,
    "datetime_type": _TIME,
    "dict_type": _OBJECT,
    "enum": "must be {expected}",
    "extra_forbidden": "is no field of this request",
    "finite_number": "must be a finite number",
    "float_parsing": _NUMBER,
    "float_type": _NUMBER,
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be {ge} or more",
    "int_from_float": _WHOLE,
    "int_parsing": _WHOLE,
    "int_type": _WHOLE,
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be {le} or less",
    "list_type": "must be a list",
    "literal_error": "must be {expected}",
    "missing": "is required",
    "model_attributes_type": _OBJECT,
    "model_type": _OBJECT,
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} characters",
    "string_type": "must be a string",
    "timezone_aware": _TIME,
}
# One rule for secrets, whose length is told in characters, and for lists.
_LENGTHS: Final[Mapping[str, str]] = {
    "too_long": "must have at most {max_length} {things}",
    "too_short": "must have at least {min_length} {things}",
}


def field_errors(errors: Sequence[Any]) -> list[dict[str, str]]:
    """Return schema errors as the envelope shows them."""
    return [_field_error(error) for error in errors[:_MAX_FIELD_ERRORS]]


def _field_error(error: Mapping[str, Any]) -> dict[str, str]:
    kind = str(error["type"])
    location: Iterable[Any] = error["loc"][1:]  # The first part says body, query, path or header.
    message = _message(kind, error)
    if kind == "json_invalid":
        message, location = f"The body is not valid JSON, at character {error['loc'][-1]}.", ()
    field = ".".join(str(part) for part in location)
    return {"field": field[:_MAX_FIELD_NAME], "message": message[:_MAX_MESSAGE], "type": kind}


def _message(kind: str, error: Mapping[str, Any]) -> str:
    facts = {name: _plain(fact) for name, fact in error.get("ctx", {}).items()}
    if facts.get("min_length") == 1:
        return "must not be empty"
    if kind in _LENGTHS:
        return _LENGTHS[kind].format(**facts, things="characters" if facts.get("field_type") == "Value" else "items")
    if kind in _WORDS:
        return _WORDS[kind].format(**facts)
    own = str(error["msg"]).removeprefix("Value error, ")
    return words_of_pattern(facts["pattern"]) or own if kind == "string_pattern_mismatch" else own


def _plain(fact: Any) -> Any:
    """Write a number as people do: 1000000 and 0.000001, not 1000000.0 and 1e-06."""
    return f"{fact:f}".rstrip("0").rstrip(".") if isinstance(fact, float) else fact

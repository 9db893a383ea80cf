"""Labels and the selectors that find machines by them; the grammar is that of Kubernetes.

A key is a name of up to 63 characters, with a DNS name and a slash before it where several tools
label the same machine. A selector is a list of requirements, parted by commas, all of which a
machine has to meet; `!=` and `notin` are also met by a machine that does not have the key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from zentry.platform.errors import InvalidInput

MAX_LABELS: Final = 32
MAX_KEY_LENGTH: Final = 253
MAX_SELECTOR_LENGTH: Final = 1000
_MAX_REQUIREMENTS: Final = 16
_MAX_VALUES: Final = 32

_NAME: Final = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_DNS_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
KEY_PATTERN: Final = rf"^(?:{_DNS_LABEL}(?:\.{_DNS_LABEL})*/)?{_NAME}$"
VALUE_PATTERN: Final = rf"^(?:{_NAME})?$"

_KEY: Final = re.compile(KEY_PATTERN.replace("$", r"\Z"))
_VALUE: Final = re.compile(VALUE_PATTERN.replace("$", r"\Z"))
_REQUIREMENT: Final = re.compile(
    r"""\s*(?:
        !\s*(?P<absent>[^\s,=!()]+)
        | (?P<key>[^\s,=!()]+)\s*(?:
            (?P<operator>==|=|!=)\s*(?P<value>[^\s,=!()]*)
            | (?P<set>in|notin)\s*\((?P<values>[^()]*)\)
        )?
    )\s*(?:,|\Z)""",
    re.VERBOSE,
)


class Match(StrEnum):
    """How a requirement looks at a key."""

    IN = "in"
    NOT_IN = "notin"
    EXISTS = "exists"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition of a selector."""

    key: str
    match: Match
    values: tuple[str, ...] = ()


def parse_selector(text: str) -> tuple[Requirement, ...]:
    """Return the requirements of a selector, or raise `InvalidInput` that names the part which is none."""
    found: list[Requirement] = []
    position = 0
    while position < len(text):
        part = _REQUIREMENT.match(text, position)
        if part is None or part.end() == position:
            raise _refused(f"{text[position : position + 40].strip()!r} is no requirement")
        found.append(_requirement(part))
        position = part.end()
    if not found or text.rstrip().endswith(","):
        raise _refused("a requirement is missing")
    if len(found) > _MAX_REQUIREMENTS:
        raise _refused(f"there are more than {_MAX_REQUIREMENTS} requirements")
    return tuple(found)


def _requirement(part: re.Match[str]) -> Requirement:
    key = part["absent"] or part["key"]
    if len(key) > MAX_KEY_LENGTH or not _KEY.match(key):
        raise _refused(f"{key!r} is no label key")
    if part["absent"]:
        return Requirement(key, Match.ABSENT)
    if part["operator"]:
        match = Match.NOT_IN if part["operator"] == "!=" else Match.IN
        return Requirement(key, match, (_value(part["value"]),))
    if part["set"]:
        values = tuple(dict.fromkeys(_value(value.strip()) for value in part["values"].split(",")))
        if len(values) > _MAX_VALUES:
            raise _refused(f"{key!r} is compared with more than {_MAX_VALUES} values")
        return Requirement(key, Match(part["set"]), values)
    return Requirement(key, Match.EXISTS)


def _value(text: str) -> str:
    if not _VALUE.match(text):
        raise _refused(f"{text!r} is no label value")
    return text


def _refused(reason: str) -> InvalidInput:
    return InvalidInput.at(
        "label_selector",
        f"This is no label selector: {reason}. Write it as in `env=prod,tier!=web,zone in (a,b),!legacy`.",
    )

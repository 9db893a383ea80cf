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
from zentry.platform.wire import pattern_in_words

MAX_LABELS: Final = 32
MAX_KEY_LENGTH: Final = 253
MAX_SELECTOR_LENGTH: Final = 1000
_MAX_REQUIREMENTS: Final = 16

_NAME: Final = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_DNS_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
KEY_PATTERN: Final = pattern_in_words(
    rf"^(?:{_DNS_LABEL}(?:\.{_DNS_LABEL})*/)?{_NAME}$",
    "This is no key of a label: up to 63 letters, digits, `-`, `_` and `.`, a letter or digit at both ends, and maybe "
    "a DNS name and `/` before it, as in `env` and `example.com/team`.",
)
VALUE_PATTERN: Final = pattern_in_words(
    rf"^(?:{_NAME})?$",
    "This is no value of a label: none, or up to 63 letters, digits, `-`, `_` and `.`, a letter or digit at both ends.",
)

_KEY: Final = KEY_PATTERN[1:-1]
_VALUE: Final = VALUE_PATTERN[1:-1]
_VALUES: Final = rf" *{_VALUE} *(?:, *{_VALUE} *)*"
_REQUIREMENT: Final = rf" *(?:! *{_KEY}|{_KEY} *(?:(?:==|=|!=) *{_VALUE}| +(?:in|notin) *\({_VALUES}\))?) *"
_NO_SELECTOR: Final = (
    f"This is no label selector of at most {_MAX_REQUIREMENTS} requirements. "
    "Write it as in `env=prod,tier!=web,zone in (a,b),!legacy`."
)
SELECTOR_PATTERN: Final = pattern_in_words(
    rf"^{_REQUIREMENT}(?:,{_REQUIREMENT}){{0,{_MAX_REQUIREMENTS - 1}}}$", _NO_SELECTOR
)

_SELECTOR: Final = re.compile(SELECTOR_PATTERN.replace("$", r"\Z"))
_PARTS: Final = re.compile(
    rf" *(?:! *(?P<absent>{_KEY})|(?P<key>{_KEY}) *"
    rf"(?:(?P<operator>==|=|!=) *(?P<value>{_VALUE})| +(?P<set>in|notin) *\((?P<values>{_VALUES})\))?) *(?:,|\Z)"
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
    """Return the requirements of a selector, or raise `InvalidInput`."""
    if len(text) > MAX_SELECTOR_LENGTH or not _SELECTOR.match(text):
        raise InvalidInput.at("label_selector", _NO_SELECTOR)
    return tuple(_requirement(part) for part in _PARTS.finditer(text))


def _requirement(part: re.Match[str]) -> Requirement:
    if part["absent"]:
        return Requirement(part["absent"], Match.ABSENT)
    if part["operator"]:
        match = Match.NOT_IN if part["operator"] == "!=" else Match.IN
        return Requirement(part["key"], match, (part["value"],))
    if part["set"]:
        values = dict.fromkeys(value.strip() for value in part["values"].split(","))
        return Requirement(part["key"], Match(part["set"]), tuple(values))
    return Requirement(part["key"], Match.EXISTS)

"""E-mails and names: one written form, and one key that says what "the same" means."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Final

from email_validator import EmailNotValidError, validate_email

from zentry.platform.errors import InvalidInput

MAX_EMAIL_LENGTH: Final = 254
MIN_NAME_LENGTH: Final = 2
MAX_NAME_LENGTH: Final = 100
NAME_PATTERN: Final = r"^ *[\p{L}\p{M}\p{Nd}.'-][\p{L}\p{M}\p{Nd} .'-]*[\p{L}\p{M}\p{Nd}.'-] *$"
"""The rule of `clean_name` as clients read it in the schema."""

_NAME_SIGNS: Final = frozenset(" -'.")


@dataclass(frozen=True, slots=True)
class EmailAddress:
    """An address as it is shown, and the case-folded key by which it is found."""

    text: str
    key: str


def parse_email(text: str) -> EmailAddress:
    """Return the address that `text` spells, or raise `InvalidInput`."""
    address = find_email(text)
    if address is None:
        raise InvalidInput.at("email", "This is not an e-mail address.", type_="value_error.email")
    return address


def find_email(text: str) -> EmailAddress | None:
    """Return the address that `text` spells, if it spells one; no name server is asked."""
    if len(text) > MAX_EMAIL_LENGTH:
        return None
    try:
        # The reserved domain .test is let through: it is what a laptop's accounts end in.
        valid = validate_email(text, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return None
    if "." not in valid.domain:
        return None
    return EmailAddress(text=valid.normalized, key=valid.normalized.casefold())


def clean_name(text: str) -> str:
    """Return a person's name without the spaces around it, or raise `InvalidInput`.

    Marks are allowed beside letters: half the scripts of the world cannot write a name without them.
    """
    name = text.strip(" ")
    if not MIN_NAME_LENGTH <= len(name) <= MAX_NAME_LENGTH:
        raise InvalidInput.at("name", f"A name has {MIN_NAME_LENGTH} to {MAX_NAME_LENGTH} characters.")
    if not all(_fits_name(character) for character in name):
        raise InvalidInput.at("name", "A name has letters, digits, spaces, hyphens, apostrophes and dots only.")
    return name


def _fits_name(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] in "LM" or category == "Nd" or character in _NAME_SIGNS

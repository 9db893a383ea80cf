"""Passwords that are tried first: a list that ships with the platform, and what people make of its entries.

The whole password is compared, never a part of it: a common word inside of a long password does no
harm. What counts as the whole is a little wider than the letters of the list, because guessers try
the same turns: a year or some digits behind it, an exclamation mark, two entries in a row, digits for
letters, a few characters over and over, a walk along the keyboard, the names of product and owner.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final

import zentry

_LONGEST_UNIT: Final = 4
_SHORTEST_PART: Final = 4
_SHORTEST_WALK: Final = 4
_PRODUCT: Final = frozenset({"zentry", "zentrycloud", "zentry cloud", "zentry-cloud", "cloud"})
_LEET: Final = str.maketrans({"@": "a", "4": "a", "3": "e", "1": "i", "!": "i", "0": "o", "$": "s", "5": "s", "7": "t"})
_TAIL: Final = re.compile(r"(?:(?:19|20)\d\d|\d{1,6})?[!?.*#_-]{0,3}")
_ROWS: Final = ("1234567890", "qwertyuiop", "qwertzuiop", "asdfghjkl", "zxcvbnm", "abcdefghijklmnopqrstuvwxyz")
_WALKS: Final = tuple(walk for row in _ROWS for walk in (row * 2, (row * 2)[::-1]))


def is_guessable(folded: str, *, own: Iterable[str] = ()) -> bool:
    """Tell whether a normalised, case-folded password is listed, or one of the turns on what is listed."""
    words = _PRODUCT | {word for word in own if len(word) >= _SHORTEST_PART}
    return _is_known(folded, words) or _is_pair(folded, words) or _is_walk(folded) or _is_repeated(folded)


def _is_known(text: str, words: frozenset[str]) -> bool:
    """Tell whether it is an entry or a word, with or without a tail of digits and marks."""
    if _is_entry(text, words):
        return True
    for at in range(len(text) - 1, _SHORTEST_PART - 1, -1):
        if not _TAIL.fullmatch(text, at):
            if text[at].isalpha():
                break
            continue
        if _is_entry(text[:at], words):
            return True
    return False


def _is_pair(text: str, words: frozenset[str]) -> bool:
    return any(
        _is_entry(text[:at], words) and _is_entry(text[at:], words)
        for at in range(_SHORTEST_PART, len(text) - _SHORTEST_PART + 1)
    )


def _is_entry(text: str, words: frozenset[str]) -> bool:
    """Tell whether it is listed or a word, as it is or with digits and signs for letters."""
    listed = listed_passwords()
    plain = text.translate(_LEET)
    return text in listed or text in words or plain in listed or plain in words


def _is_repeated(text: str) -> bool:
    return any(
        text == (text[:length] * len(text))[: len(text)] and len(text) >= 2 * length
        for length in range(1, _LONGEST_UNIT + 1)
    )


def _is_walk(text: str) -> bool:
    """Tell whether it is made of one or two walks along a row, forwards or backwards."""
    ends = (text[:_SHORTEST_WALK], text[-_SHORTEST_WALK:])
    if not all(any(end in walk for walk in _WALKS) for end in ends):
        return False
    for at in (len(text), *range(_SHORTEST_WALK, len(text) - _SHORTEST_WALK + 1)):
        parts = [part for part in (text[:at], text[at:]) if part]
        if all(any(part in walk for walk in _WALKS) for part in parts):
            return True
    return False


@cache
def listed_passwords() -> frozenset[str]:
    """Return the entries of both lists, case-folded."""
    own = resources.files(__package__).joinpath("common_passwords.txt").read_text(encoding="utf-8").splitlines()
    vendored = json.loads((_vendor_directory() / "popular-passwords" / "data.json").read_text(encoding="utf-8"))
    return frozenset(line for line in own if line and not line.startswith("#")) | {
        entry.casefold() for entry in vendored
    }


def _vendor_directory() -> Path:
    """Return where vendored files lie: in the wheel, else in the repository."""
    package = Path(zentry.__file__).parent
    installed = package / "_vendor"
    return installed if installed.is_dir() else package.parents[1] / "vendor"

"""R26: whatever comes from outside is read or refused with an error of ours; nothing else is raised."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from typing import Any, Final
from uuid import UUID

import pytest

from zentry.accounts.addresses import client_address, network_of, parse_networks
from zentry.accounts.identity import clean_name, find_email
from zentry.accounts.personal_tokens import is_personal_token
from zentry.accounts.tokens import AccessTokens, hash_refresh_token
from zentry.accounts.windows import RecentRequests
from zentry.api.middleware.guard import check_json
from zentry.operations.idempotency import idempotency_key
from zentry.platform.clock import ManualClock
from zentry.platform.errors import ZentryError
from zentry.platform.etags import parse_if_match
from zentry.platform.ids import parse_id
from zentry.platform.money import InvalidAmount, from_credits
from zentry.platform.pagination import decode_cursor, encode_cursor
from zentry.platform.sealing import Sealer, Unreadable
from zentry.vms.labels import parse_selector
from zentry.vms.public_keys import parse_public_key

ID: Final = UUID("01980f3c-7c1e-7d42-9a56-2f4f0f1f6a10")
CLOCK: Final = ManualClock(datetime(2026, 3, 2, 12, tzinfo=UTC))
TOKENS: Final = AccessTokens("k" * 64, clock=CLOCK, life_seconds=3600)
SEALER: Final = Sealer("k" * 64, "l" * 64)
PROXIES: Final = parse_networks(["10.0.0.0/8"])
EXPECTED: Final = (ZentryError, InvalidAmount, Unreadable)
PIECES: Final = (
    *(
        "",
        " ",
        "\0",
        "\n",
        ".",
        "..",
        "/",
        ":",
        "@",
        "=",
        "==",
        "!=",
        ",",
        "(",
        ")",
        "in",
        "notin",
        "[",
        "]",
        "{",
        "}",
        '"',
        "'",
        "\\",
    ),
    *(
        "é",
        "\u0345",
        "\u202e",
        "\ud800",
        "🏳️",
        "٣",
        "İ",
        "ﬀ",
        "-",
        "_",
        "+",
        "%",
        "%00",
        "0",
        "1",
        "9" * 40,
        "1e400",
        "NaN",
        "-0",
    ),
    *(
        "eyJ",
        "zr_",
        "zpat_",
        "W/",
        "*",
        "ssh-ed25519 ",
        "AAAA",
        "ssh-rsa ",
        "10.0.0.1",
        "::1",
        "[::1]:80",
        "true",
        "null",
        "\\u0000",
    ),
)


def _scope(text: str) -> dict[str, Any]:
    return {"client": ("10.0.0.1", 1), "headers": [(b"x-forwarded-for", text.encode("utf-8", "replace"))]}


# What reads it, and something well formed for the edits to start from.
TARGETS: Final[dict[str, tuple[Callable[[str], object], str]]] = {
    "access token": (
        TOKENS.verify,
        TOKENS.issue(user_id=ID, session_id=ID, now=CLOCK.now(), not_after=CLOCK.now().replace(year=2100))[0],
    ),
    "refresh token": (hash_refresh_token, "zr_" + "A" * 43),
    "personal token": (is_personal_token, "zpat_" + "A" * 49),
    "cursor": (decode_cursor, encode_cursor(1, CLOCK.now(), ID)),
    "id": (parse_id, str(ID)),
    "e-mail": (find_email, "ada.lovelace@example.com"),
    "name": (clean_name, "Ada Lovelace"),
    "label selector": (parse_selector, "env==prod,tier in (a,b),!old"),
    "public key": (
        parse_public_key,
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7n4Qf1rQ0Y8mE0m0m5xk5tJ3d3m3mS3v0v0v0v0v0v ada",
    ),
    "If-Match": (parse_if_match, 'W/"abc", "def"'),
    "body": (lambda text: check_json(text.encode("utf-8", "surrogatepass"), max_depth=32), '{"a":[1,{"b":"c"}]}'),
    "forwarded address": (lambda text: network_of(client_address(_scope(text), PROXIES)), "198.51.100.1, 10.0.0.2"),
    "amount": (lambda text: from_credits(_number(text)), "12.345678"),
    "sealed text": (lambda text: SEALER.unseal(_bytes(text), owner=ID), SEALER.seal("secret", owner=ID).hex()),
    "idempotency key": (
        lambda text: idempotency_key(ID, route="r", header=text, content=text.encode("utf-8", "replace")),
        "k1",
    ),
    "recent requests": (
        lambda text: RecentRequests.from_bytes(_bytes(text)[: len(_bytes(text)) // 12 * 12]).take(1, 5),
        "00" * 24,
    ),
}


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.5


def _bytes(text: str) -> bytes:
    return bytes(ord(character) & 0xFF for character in text)


def _edited(text: str, chance: Random) -> str:
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        at = chance.randrange(len(text) + 1)
        end = at + chance.choice((0, 0, 1, 1, 3, 9))
        piece = chance.choice((*PIECES, chr(chance.randrange(0x20, 0x3000)), text[at:end] * 2, text[:4]))
        text = f"{text[:at]}{piece}{text[end:]}"[:4000]
    return text


def surprises(name: str, *, count: int, seed: int) -> list[str]:
    """Return what made the reader raise something else than an error of ours."""
    read, good = TARGETS[name]
    chance, found = Random(seed), []
    for _ in range(count):
        text = _edited(good, chance) if chance.random() < 0.8 else _edited("", chance)
        try:
            read(text)
        except EXPECTED:
            continue
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            found.append(f"{text!r}: {type(error).__name__}: {error}")
    return found


@pytest.mark.parametrize("name", TARGETS)
def test_what_comes_from_outside_is_read_or_refused_in_our_words(name: str) -> None:
    assert surprises(name, count=1_500, seed=26) == []


@pytest.mark.long
@pytest.mark.parametrize("name", TARGETS)
def test_a_hundred_thousand_texts_are_read_or_refused_in_our_words(name: str) -> None:
    assert surprises(name, count=100_000, seed=2611) == []

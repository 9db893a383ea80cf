"""Access tokens: one spelling is accepted, everything near it is not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import string
from datetime import timedelta
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.unit.accounts.world import SIGNING_KEY, START
from zentry.accounts.errors import InvalidAccessToken, InvalidRefreshToken
from zentry.accounts.tokens import AccessTokens, SystemSecrets, hash_refresh_token, new_refresh_token
from zentry.platform.clock import ManualClock
from zentry.platform.keys import SigningKeyUnusable

USER = UUID("01980f3c-7c1e-7d42-9a56-2f4f0f1f6a10")
SESSION = UUID("01980f3c-7c1e-7d42-9a56-2f4f0f1f6a11")
NOW = int(START.timestamp())


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def tokens(clock: ManualClock) -> AccessTokens:
    return AccessTokens(SIGNING_KEY, clock=clock, life_seconds=3600)


def good(tokens: AccessTokens) -> str:
    return tokens.issue(user_id=USER, session_id=SESSION, now=START, not_after=START + timedelta(days=7))[0]


def header_of(text: str) -> dict[str, Any]:
    return dict(jwt.get_unverified_header(text))


def claims_of(text: str) -> dict[str, Any]:
    return dict(jwt.decode(text, options={"verify_signature": False}))


def encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def sign(header: Any, payload: Any, *, key: str = SIGNING_KEY, digest: str = "sha256") -> str:
    """Sign whatever it is, as somebody who holds the key could."""
    parts = [
        part if isinstance(part, bytes) else json.dumps(part, separators=(",", ":")).encode()
        for part in (header, payload)
    ]
    signed = ".".join(encode(part) for part in parts)
    return f"{signed}.{encode(hmac.digest(key.encode(), signed.encode(), digest))}"


def test_a_token_says_who_and_which_session(tokens: AccessTokens) -> None:
    claims = tokens.verify(good(tokens))

    assert (claims.user_id, claims.session_id) == (USER, SESSION)
    assert claims.expires_at == START + timedelta(seconds=3600)


def test_the_tests_sign_as_the_platform_does(tokens: AccessTokens) -> None:
    text = good(tokens)

    assert sign(header_of(text), claims_of(text)) == text


def test_a_token_lives_until_its_last_second(tokens: AccessTokens, clock: ManualClock) -> None:
    text = good(tokens)

    clock.advance(timedelta(seconds=3599, milliseconds=999))
    tokens.verify(text)
    clock.advance(timedelta(milliseconds=1))

    with pytest.raises(InvalidAccessToken):
        tokens.verify(text)


def test_a_token_does_not_outlive_its_session(tokens: AccessTokens) -> None:
    end = START + timedelta(seconds=100)

    text, lives_seconds = tokens.issue(user_id=USER, session_id=SESSION, now=START, not_after=end)

    assert lives_seconds == 100
    assert tokens.verify(text).expires_at == end


def test_a_token_of_a_host_whose_clock_is_a_little_ahead_is_accepted(tokens: AccessTokens) -> None:
    ahead = START + timedelta(seconds=30)

    text, _ = tokens.issue(user_id=USER, session_id=SESSION, now=ahead, not_after=ahead + timedelta(days=1))

    assert tokens.verify(text).user_id == USER


def test_no_character_of_a_token_can_be_changed(tokens: AccessTokens) -> None:
    text = good(tokens)
    alphabet = string.ascii_letters + string.digits + "-_.=+/ \n"
    accepted = []

    for at, old in enumerate(text):
        for new in alphabet if at > len(text) - 3 else (alphabet[(alphabet.index(old) + 1) % len(alphabet)], "=", "."):
            changed = text[:at] + new + text[at + 1 :]
            try:
                tokens.verify(changed)
            except InvalidAccessToken:
                continue
            accepted.append(changed)

    assert set(accepted) <= {text}


BAD_CLAIMS: dict[str, dict[str, Any]] = {
    "another audience": {"aud": "elsewhere"},
    "a list of audiences": {"aud": ["zentry-api"]},
    "another issuer": {"iss": "elsewhere"},
    "a subject that is no id": {"sub": "ada@example.com"},
    "a subject that is a number": {"sub": 7},
    "a session that is no id": {"sid": "1"},
    "a session that is a list": {"sid": []},
    "an end in the past": {"iat": NOW - 10, "exp": NOW - 5},
    "an end at this very second": {"iat": NOW - 10, "exp": NOW},
    "an end that is text": {"exp": str(NOW + 60)},
    "an end that is a fraction": {"exp": NOW + 60.5},
    "an end that is true": {"iat": 0, "exp": True},
    "an end beyond any number": {"exp": float("inf")},
    "an end that is not a number": {"exp": float("nan")},
    "an end in a thousand years": {"exp": NOW + 1000 * 365 * 86400},
    "an end of three hundred digits": {"exp": 10**300},
    "a start in the far future": {"iat": NOW + 4000, "exp": NOW + 5000},
    "a start after the end": {"iat": NOW + 30, "exp": NOW + 20},
    "a start that is text": {"iat": "0"},
    "a start that is null": {"iat": None},
    "a claim too many": {"admin": True},
    "a time before which it is void": {"nbf": NOW + 10_000},
}


@pytest.mark.parametrize("changes", BAD_CLAIMS.values(), ids=BAD_CLAIMS.keys())
def test_a_signed_token_with_wrong_claims_is_refused(tokens: AccessTokens, changes: dict[str, Any]) -> None:
    text = good(tokens)

    with pytest.raises(InvalidAccessToken):
        tokens.verify(sign(header_of(text), {**claims_of(text), **changes}))


@pytest.mark.parametrize("claim", ["sub", "sid", "iat", "exp", "iss", "aud"])
def test_every_claim_is_required(tokens: AccessTokens, claim: str) -> None:
    text = good(tokens)
    claims = claims_of(text)

    del claims[claim]

    with pytest.raises(InvalidAccessToken):
        tokens.verify(sign(header_of(text), claims))


BAD_HEADERS: dict[str, dict[str, Any]] = {
    "no algorithm": {"alg": "none"},
    "no algorithm in odd case": {"alg": "nOnE"},
    "a stronger algorithm": {"alg": "HS512"},
    "a key pair": {"alg": "RS256"},
    "no type": {"typ": None},
    "the common type": {"typ": "JWT"},
    "an unknown key": {"kid": "0000000000000000"},
    "no key": {"kid": None},
    "a path for a key": {"kid": "../../dev/null"},
    "a statement for a key": {"kid": "' OR 1=1 --"},
    "a list for a key": {"kid": ["a"]},
    "a key inside": {"jwk": {"kty": "oct", "k": "AAAA"}},
    "a key elsewhere": {"jku": "http://127.0.0.1/keys"},
    "a critical extension": {"crit": ["exp"]},
    "a detached payload": {"crit": ["b64"], "b64": False},
    "another field": {"x5u": "http://127.0.0.1/"},
}


@pytest.mark.parametrize("changes", BAD_HEADERS.values(), ids=BAD_HEADERS.keys())
def test_a_signed_token_with_another_header_is_refused(tokens: AccessTokens, changes: dict[str, Any]) -> None:
    text = good(tokens)

    with pytest.raises(InvalidAccessToken):
        tokens.verify(sign({**header_of(text), **changes}, claims_of(text)))


def test_a_claim_that_stands_twice_is_refused(tokens: AccessTokens) -> None:
    text = good(tokens)
    claims = json.dumps(claims_of(text), separators=(",", ":"))
    twice = ('{"sub":"01980f3c-7c1e-7d42-9a56-ffffffffffff",' + claims[1:]).encode()

    with pytest.raises(InvalidAccessToken):
        tokens.verify(sign(header_of(text), twice))


def test_another_key_and_another_digest_are_refused(tokens: AccessTokens) -> None:
    text = good(tokens)

    for forged in (
        sign(header_of(text), claims_of(text), key="x" * 40),
        sign(header_of(text), claims_of(text), digest="sha512"),
        text.rpartition(".")[0] + ".",
        text.rpartition(".")[0],
        text + ".",
        text + "." + text,
        f" {text}",
        f"{text}\n",
        "",
        "undefined",
        "null",
        "a" * 1_000_000,
        "." * 1000,
        "é" * 40,
        "\ud800",
        "[" * 500,
    ):
        with pytest.raises(InvalidAccessToken):
            tokens.verify(forged)


@pytest.fixture(scope="module")
def pem() -> str:
    private = Ed25519PrivateKey.generate()
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def test_a_key_pair_signs_with_its_one_algorithm_and_no_character_can_be_changed(clock: ManualClock, pem: str) -> None:
    pair = AccessTokens(pem, clock=clock, life_seconds=3600)
    text = good(pair)
    [public] = pair.public_keys
    raw = base64.urlsafe_b64decode(public["x"] + "=")

    assert pair.verify(text).user_id == USER
    assert header_of(text) == {"alg": "EdDSA", "typ": "at+jwt", "kid": public["kid"]}
    for at in range(len(text) - 90, len(text)):
        for new in "AQgwBx_=":
            if new != text[at]:
                with pytest.raises(InvalidAccessToken):
                    pair.verify(text[:at] + new + text[at + 1 :])
    # Whoever has the public key alone cannot make it the secret of the other algorithm.
    for secret in (raw, public["x"].encode(), pem.encode()):
        for algorithm in ("HS256", "EdDSA"):
            header = {"alg": algorithm, "typ": "at+jwt", "kid": public["kid"]}
            signed = f"{encode(json.dumps(header, separators=(',', ':')).encode())}.{text.split('.')[1]}"
            with pytest.raises(InvalidAccessToken):
                pair.verify(f"{signed}.{encode(hmac.digest(secret, signed.encode(), 'sha256'))}")


def test_a_previous_key_is_believed_and_a_forgotten_one_is_not(
    tokens: AccessTokens, clock: ManualClock, pem: str
) -> None:
    text = good(tokens)

    renewed = AccessTokens(pem, clock=clock, life_seconds=3600, previous_keys=[SIGNING_KEY])
    later = AccessTokens(pem, clock=clock, life_seconds=3600)

    assert renewed.verify(text).user_id == USER
    assert later.verify(good(renewed)).user_id == USER
    with pytest.raises(InvalidAccessToken):
        later.verify(text)


@pytest.mark.parametrize("text", ["short", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"])
def test_what_is_no_key_signs_nothing(clock: ManualClock, text: str) -> None:
    with pytest.raises(SigningKeyUnusable):
        AccessTokens(text, clock=clock, life_seconds=3600)


def test_refresh_tokens_are_long_random_and_kept_as_a_hash() -> None:
    first, second = (new_refresh_token(SystemSecrets()) for _ in range(2))

    assert first != second
    assert first.startswith("zr_")
    assert len(first) == 46
    assert hash_refresh_token(first) == hashlib.sha256(first.encode()).hexdigest()


@pytest.mark.parametrize("text", ["", "zr_", "zr_short", "xx_" + "a" * 43, "zr_" + "a" * 44, "zr_" + "é" * 43, "\0"])
def test_what_cannot_be_a_refresh_token_is_refused_unseen(text: str) -> None:
    with pytest.raises(InvalidRefreshToken):
        hash_refresh_token(text)

"""Passwords: which are accepted, and what is kept of them."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Iterator
from importlib import resources

import bcrypt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from zentry.accounts.errors import HashingBusy, WeakPassword
from zentry.accounts.passwords import PasswordHasher, PasswordPolicy
from zentry.platform.settings import SecuritySettings

SETTINGS = SecuritySettings(bcrypt_cost=4)
POLICY = PasswordPolicy(SETTINGS)
COMMON = [
    line
    for line in resources.files("zentry.accounts").joinpath("common_passwords.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
]


@pytest.fixture
def hasher() -> Iterator[PasswordHasher]:
    made = PasswordHasher(SETTINGS)
    yield made
    made.close()


async def test_a_password_fits_its_hash_and_no_other_does(hasher: PasswordHasher) -> None:
    hashed = await hasher.hash("correct horse battery")

    assert await hasher.verify("correct horse battery", hashed)
    assert not await hasher.verify("correct horse batterY", hashed)


async def test_the_last_of_256_characters_counts(hasher: PasswordHasher) -> None:
    long = "語" * 255

    hashed = await hasher.hash(long + "a")

    assert await hasher.verify(long + "a", hashed)
    assert not await hasher.verify(long + "b", hashed)


async def test_what_follows_a_zero_byte_counts(hasher: PasswordHasher) -> None:
    hashed = await hasher.hash("password\0one")

    assert not await hasher.verify("password\0two", hashed)


async def test_two_spellings_of_the_same_text_are_the_same_password(hasher: PasswordHasher) -> None:
    hashed = await hasher.hash(unicodedata.normalize("NFD", "crème brûlée"))

    assert await hasher.verify(unicodedata.normalize("NFC", "crème brûlée"), hashed)


async def test_the_stored_hash_is_not_of_the_bare_password(hasher: PasswordHasher) -> None:
    hashed = await hasher.hash("correct horse battery")

    assert not bcrypt.checkpw(b"correct horse battery", hashed.encode())


async def test_nobody_has_the_password_of_the_dummy(hasher: PasswordHasher) -> None:
    assert not await hasher.verify("nobody has this password", None)


async def test_a_hash_of_another_cost_is_outdated(hasher: PasswordHasher) -> None:
    dearer = PasswordHasher(SecuritySettings(bcrypt_cost=5))

    hashed = await hasher.hash("correct horse battery")
    dearer.close()

    assert not hasher.is_outdated(hashed)
    assert dearer.is_outdated(hashed)


async def test_whoever_finds_the_queue_full_is_sent_away() -> None:
    hasher = PasswordHasher(SecuritySettings(bcrypt_cost=8, hash_threads=1, hash_queue=2))

    outcomes = await asyncio.gather(*(hasher.hash(str(n)) for n in range(10)), return_exceptions=True)
    afterwards = await hasher.hash("there is room again")
    hasher.close()

    assert [isinstance(outcome, HashingBusy) for outcome in outcomes] == [False] * 3 + [True] * 7
    assert afterwards.startswith("$2b$08$")


async def test_a_request_that_goes_away_gives_its_place_back() -> None:
    hasher = PasswordHasher(SecuritySettings(bcrypt_cost=8, hash_threads=1, hash_queue=1))
    waiting = [asyncio.create_task(hasher.hash(str(n))) for n in range(2)]
    await asyncio.sleep(0)

    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await asyncio.sleep(0.2)

    assert await hasher.verify("1", await hasher.hash("1"))
    hasher.close()


@pytest.mark.parametrize("password", COMMON)
def test_a_common_password_is_refused_in_any_case(password: str) -> None:
    with pytest.raises(WeakPassword):
        POLICY.check(password.upper(), email="ada@example.com", name="Ada")


def test_there_are_enough_common_passwords_to_matter() -> None:
    assert len(COMMON) >= 200
    assert min(map(len, COMMON)) >= SETTINGS.password_min_length


@pytest.mark.parametrize("password", ["ada.lovelace@example.com", "Ada.Lovelace", "ada lovelace", "ADA LOVELACE"])
def test_the_own_email_and_name_are_refused(password: str) -> None:
    with pytest.raises(WeakPassword):
        POLICY.check(password, email="ada.lovelace@example.com", name="Ada Lovelace")


@pytest.mark.parametrize("password", ["", "seven77", "ﬃ" * 2, "x" * 257])
def test_a_password_of_the_wrong_length_is_refused(password: str) -> None:
    with pytest.raises(WeakPassword):
        POLICY.check(password, email="ada@example.com", name="Ada")


def test_the_operator_may_demand_longer_passwords() -> None:
    policy = PasswordPolicy(SecuritySettings(password_min_length=15))

    with pytest.raises(WeakPassword, match="15"):
        policy.check("fourteen chars", email="ada@example.com", name="Ada")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=15, max_size=64))
def test_any_composition_is_accepted(password: str) -> None:
    folded = unicodedata.normalize("NFKC", password).casefold()
    assume(folded not in {*COMMON, "ada@example.com"})
    assume(len(set(password)) > 1 and len(unicodedata.normalize("NFKC", password)) >= 8)

    POLICY.check(password, email="ada@example.com", name="Ada")

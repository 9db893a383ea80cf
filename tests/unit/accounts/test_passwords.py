"""Passwords: which are accepted, and what is kept of them."""

from __future__ import annotations

import asyncio
import string
import unicodedata
from collections.abc import Iterator
from importlib import resources
from random import Random

import bcrypt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from zentry.accounts.blocklist import is_guessable, listed_passwords
from zentry.accounts.errors import HashingBusy, WeakPassword
from zentry.accounts.passwords import PasswordHasher, PasswordPolicy, threads_of
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


@pytest.mark.parametrize(("wanted", "processors", "threads"), [(0, 1, 1), (0, 2, 1), (0, 3, 2), (0, 64, 2), (4, 2, 4)])
def test_hashing_leaves_a_processor_to_others(wanted: int, processors: int, threads: int) -> None:
    assert threads_of(SecuritySettings(hash_threads=wanted), processors=processors) == threads


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


LISTED = sorted(listed_passwords())


def test_every_listed_password_that_is_long_enough_is_refused_in_any_case_and_form() -> None:
    """R17: each entry as it is, and every hundredth with each turn that guessers try."""
    turns = ("{}2024", "{}1", "{}123!", "{}!", "{}?", "{0}{0}")
    accepted = [entry for entry in LISTED if len(entry) >= 8 and not _is_refused(entry.upper())]
    accepted += [turn.format(entry) for entry in LISTED[::100] for turn in turns if not _is_refused(turn.format(entry))]

    assert len(LISTED) > 30_000
    assert accepted == []


@pytest.mark.parametrize(
    "password",
    [
        "p@ssw0rd",
        "P4$$w0rd2023!",
        "passwordpassword",
        "passwordsunshine",
        "abcabcabcabc",
        "1212121212121",
        "qwertyuiopasdfghjkl",
        "0987654321poiuytrewq",
        "zyxwvutsrqponm",
        "ZentryCloud2026",
        "zentry123!",
        "adalovelace1999",
        "lovelace.ada99",
    ],
)
def test_what_guessers_make_of_words_is_refused(password: str) -> None:
    assert _is_refused(password, email="lovelace.ada@example.com", name="Ada Lovelace")


@pytest.mark.parametrize("count", [2_000, pytest.param(10_000, marks=pytest.mark.long)])
def test_random_passwords_of_any_composition_are_accepted(count: int) -> None:
    """R17: fifteen to sixty-four characters each."""
    random = Random(17)
    alphabets = (string.ascii_lowercase, string.digits, string.printable.strip(), "äöüßñøłжшщ語字🐎 ")

    for _ in range(count):
        alphabet = random.choice(alphabets)
        password = "".join(random.choice(alphabet) for _ in range(random.randint(15, 64)))
        POLICY.check(password, email="ada@example.com", name="Ada")


def _is_refused(password: str, *, email: str = "ada@example.com", name: str = "Ada") -> bool:
    try:
        POLICY.check(password, email=email, name=name)
    except WeakPassword:
        return True
    return False


async def test_argon2id_can_be_chosen_and_what_is_stored_moves_to_it(hasher: PasswordHasher) -> None:
    chosen = PasswordHasher(SecuritySettings(password_hash="argon2id", argon2_memory_mib=8, argon2_rounds=1))
    old = await hasher.hash("correct horse battery")

    new = await chosen.hash("correct horse battery")

    assert new.startswith("$argon2id$v=19$m=8192,t=1,p=1$")
    for either in (hasher, chosen):
        for hashed in (old, new):
            assert await either.verify("correct horse battery", hashed)
            assert not await either.verify("correct horse batterY", hashed)
        assert not await either.verify("nobody has this password", None)
        assert not await either.verify("!", "!"), "an account that was deleted has no password"
    assert [chosen.is_outdated(old), chosen.is_outdated(new), hasher.is_outdated(new)] == [True, False, True]
    assert not await chosen.verify("語" * 255 + "b", await chosen.hash("語" * 255 + "a"))
    chosen.close()


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=15, max_size=64))
def test_any_composition_is_accepted(password: str) -> None:
    folded = unicodedata.normalize("NFKC", password).casefold()
    assume(folded not in {*COMMON, "ada@example.com"})
    assume(not is_guessable(folded) and len(unicodedata.normalize("NFKC", password)) >= 8)

    POLICY.check(password, email="ada@example.com", name="Ada")

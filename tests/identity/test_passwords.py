"""Argon2id over the exact bytes, the same work for nobody, and few at a time."""

import asyncio

import pytest
from argon2 import PasswordHasher

from broker.core.errors import Unavailable
from broker.core.secret import Secret
from broker.identity import passwords as module
from broker.identity.passwords import Passwords, password_problem


class CountingHasher(PasswordHasher):
    """Counts verifications, and can be held back."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.verified = 0
        self.running = 0
        self.most_running = 0

    def verify(self, known: str | bytes, password: str | bytes) -> bool:  # type: ignore[override]
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            self.verified += 1
            return bool(super().verify(known, password))
        finally:
            self.running -= 1


def test_the_real_costs_are_those_of_the_library() -> None:
    parameters = PasswordHasher()
    assert (parameters.type.name, parameters.time_cost, parameters.memory_cost) == ("ID", 3, 65_536)


@pytest.mark.parametrize(
    "password", ["violet-kettle-orbit-47", " leading and trailing ", "🔑" * 12, "ﬁne\u0301", "x" * 1024]
)
async def test_a_password_is_its_exact_bytes(passwords: Passwords, password: str) -> None:
    hashed = await passwords.hash(Secret(password))
    assert hashed.startswith("$argon2id$")
    assert password not in hashed
    assert await passwords.verify(hashed, Secret(password))
    assert not await passwords.verify(hashed, Secret(password[:-1]))
    assert not await passwords.verify(hashed, Secret(password.strip() + "\u00e9"))


async def test_what_comes_after_72_bytes_counts(passwords: Passwords) -> None:
    hashed = await passwords.hash(Secret("x" * 80))
    assert not await passwords.verify(hashed, Secret("x" * 79 + "y"))


async def test_letters_that_look_alike_are_not_alike(passwords: Passwords) -> None:
    hashed = await passwords.hash(Secret("caf\u00e9-caf\u00e9-caf\u00e9"))
    assert not await passwords.verify(hashed, Secret("cafe\u0301-cafe\u0301-cafe\u0301"))


async def test_more_than_1024_bytes_match_nothing(passwords: Passwords) -> None:
    hashed = await passwords.hash(Secret("x" * 1025))
    assert not await passwords.verify(hashed, Secret("x" * 1025))


@pytest.mark.parametrize("known", [None, "", "-", "$argon2id$broken"])
async def test_a_person_who_is_not_there_has_no_password(passwords: Passwords, known: str | None) -> None:
    assert not await passwords.verify(known, Secret("nobody"))
    assert not await passwords.verify(known, Secret(""))


async def test_nobody_costs_as_much_as_somebody() -> None:
    hasher = CountingHasher()
    passwords = Passwords(hasher)
    hashed = await passwords.hash(Secret("violet-kettle-orbit-47"))
    for known in (hashed, None):
        before = hasher.verified
        await passwords.verify(known, Secret("wrong-wrong-wrong"))
        assert hasher.verified - before == 1
    assert passwords._nobody is not None
    assert passwords._nobody.split("$")[:4] == hashed.split("$")[:4]


async def test_few_are_verified_at_once() -> None:
    hasher = CountingHasher()
    passwords = Passwords(hasher)
    hashed = await passwords.hash(Secret("violet-kettle-orbit-47"))
    await passwords.verify(hashed, Secret("x"))
    await asyncio.gather(*(passwords.verify(hashed, Secret("x")) for _ in range(40)))
    assert 1 <= hasher.most_running <= module.AT_ONCE


async def test_too_many_are_told_to_come_back() -> None:
    passwords = Passwords.cheap()
    hashed = await passwords.hash(Secret("violet-kettle-orbit-47"))
    many = [passwords.verify(hashed, Secret("x")) for _ in range(module.MOST_WAITING + 50)]
    answers = await asyncio.gather(*many, return_exceptions=True)
    assert {type(answer) for answer in answers} == {bool, Unavailable}


@pytest.mark.parametrize(
    "password", ["passwordpassword", "PASSWORDPASSWORD", "qwertyuiop123", "aaaaaaaaaaaaaa", "121212121212"]
)
def test_well_known_passwords_are_not_taken(password: str) -> None:
    assert "stolen" in (password_problem(Secret(password)) or "")


@pytest.mark.parametrize("password", ["violet-kettle-orbit-47", "zwölf zeichen", "ääääääääbbbbbb"])
def test_other_long_passwords_are(password: str) -> None:
    assert password_problem(Secret(password)) is None

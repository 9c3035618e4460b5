"""What is sealed opens only in its place, with its key."""

import traceback
from base64 import b64decode, b64encode
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.errors import Unavailable
from broker.core.secret import Secret
from broker.vault.vault import Place, Vault

PLACE = Place("credential", "crd_1", "usr_1", "openai", 1)
KEY = Secret("sk-proj-0123456789-canary")
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.fixture
def vault() -> Vault:
    return Vault(b"m" * 32)


@given(TEXT)
def test_what_was_sealed_opens_in_its_place(text: str) -> None:
    vault = Vault(b"m" * 32)
    assert vault.open(vault.seal(Secret(text), PLACE), PLACE) == Secret(text)


@pytest.mark.parametrize(
    "elsewhere",
    [
        replace(PLACE, table="signing_key"),
        replace(PLACE, row="crd_2"),
        replace(PLACE, owner="usr_2"),
        replace(PLACE, owner="operator"),
        replace(PLACE, provider="anthropic"),
        replace(PLACE, version=2),
    ],
    ids=["table", "row", "owner", "operator", "provider", "version"],
)
def test_a_sealed_value_copied_to_another_place_does_not_open(vault: Vault, elsewhere: Place) -> None:
    sealed = vault.seal(KEY, PLACE)
    with pytest.raises(Unavailable):
        vault.open(sealed, elsewhere)


def test_another_master_key_does_not_open(vault: Vault) -> None:
    with pytest.raises(Unavailable):
        Vault(b"n" * 32).open(vault.seal(KEY, PLACE), PLACE)


def test_a_data_key_of_another_record_does_not_open(vault: Vault) -> None:
    one, other = vault.seal(KEY, PLACE).split("."), vault.seal(KEY, PLACE).split(".")
    with pytest.raises(Unavailable):
        vault.open(".".join([one[0], other[1], one[2]]), PLACE)


@given(st.integers(0, 10_000), st.integers(0, 7))
def test_a_changed_bit_does_not_open(position: int, bit: int) -> None:
    vault = Vault(b"m" * 32)
    form, *parts = vault.seal(KEY, PLACE).split(".")
    raw = [bytearray(b64decode(part)) for part in parts]
    part = raw[position % 2]
    part[position % len(part)] ^= 1 << bit
    with pytest.raises(Unavailable):
        vault.open(".".join([form, *(b64encode(each).decode() for each in raw)]), PLACE)


@pytest.mark.parametrize(
    "sealed", ["", "v1", "v1..", "v1.a.b", "v1.AAAA.AAAA", "v2.AAAA.AAAA", "v1.!.!", "a.b.c.d", "é.é.é"]
)
def test_what_was_never_sealed_does_not_open(vault: Vault, sealed: str) -> None:
    with pytest.raises(Unavailable):
        vault.open(sealed, PLACE)


def test_no_nonce_and_no_data_key_is_used_twice(vault: Vault) -> None:
    sealed = [vault.seal(KEY, PLACE).split(".")[1:] for _ in range(500)]
    nonces = [b64decode(part)[:12] for parts in sealed for part in parts]
    assert len(set(nonces)) == 1000
    assert len({part for parts in sealed for part in parts}) == 1000


def test_a_sealed_value_does_not_contain_what_it_hides(vault: Vault) -> None:
    sealed = vault.seal(KEY, PLACE)
    parts = [b64decode(part) for part in sealed.split(".")[1:]]
    assert all(b"canary" not in part and b"m" * 8 not in part for part in parts)


def test_a_failure_tells_neither_the_secret_nor_the_key(vault: Vault) -> None:
    with pytest.raises(Unavailable) as caught:
        Vault(b"n" * 32).open(vault.seal(KEY, PLACE), PLACE)
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert KEY.reveal() not in shown
    assert "nnnnnnnn" not in shown
    assert repr(vault) == "<vault>"


def test_derived_keys_differ_by_purpose_and_by_master_key(vault: Vault) -> None:
    keys = {vault.derive("forms"), vault.derive("subjects"), Vault(b"n" * 32).derive("forms"), b"m" * 32}
    assert len(keys) == 4
    assert vault.derive("forms") == Vault(b"m" * 32).derive("forms")


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_master_key_of_another_length_is_none(length: int) -> None:
    with pytest.raises(ValueError):
        Vault(b"m" * length)

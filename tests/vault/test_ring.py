"""The master keys of the file, as a running process follows them."""

from base64 import b64encode
from pathlib import Path

import pytest

from broker.core.errors import CannotStart, Unavailable
from broker.core.secret import Secret
from broker.vault.master_key import make_master_key
from broker.vault.ring import KeyFile, Ring, read_ring, write_ring
from broker.vault.vault import Place, Vault

PLACE = Place("t", "r", "o")
ONE, TWO, THREE = (letter * 32 for letter in (b"1", b"2", b"3"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "master.key"
    make_master_key(file, lambda length: ONE[:length])
    return file


def test_a_file_with_the_one_key_of_before_is_a_ring(path: Path) -> None:
    assert path.read_bytes() == b64encode(ONE) + b"\n"
    assert read_ring(path) == Ring((ONE,))


@pytest.mark.parametrize("ring", [Ring((ONE,)), Ring((TWO, ONE)), Ring((ONE,), TWO), Ring((TWO, ONE), THREE)])
def test_what_was_written_is_read(path: Path, ring: Ring) -> None:
    write_ring(path, ring)
    assert read_ring(path) == ring
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_running_vault_seals_with_the_new_key_at_once_and_opens_the_old(path: Path) -> None:
    vault = Vault(KeyFile(path))
    old = vault.seal(Secret("a"), PLACE)
    write_ring(path, Ring((TWO, ONE)))
    new = vault.seal(Secret("b"), PLACE)
    assert Vault(TWO).open(new, PLACE) == Secret("b")
    assert vault.open(old, PLACE) == Secret("a")
    with pytest.raises(Unavailable):
        Vault(ONE).open(new, PLACE)


def test_a_vault_that_never_sealed_since_opens_what_another_sealed_with_the_new_key(path: Path) -> None:
    vault = Vault(KeyFile(path))
    write_ring(path, Ring((TWO, ONE)))
    assert vault.open(Vault(TWO).seal(Secret("b"), PLACE), PLACE) == Secret("b")


def test_the_key_to_come_opens_and_does_not_seal(path: Path) -> None:
    vault = Vault(KeyFile(path))
    write_ring(path, Ring((ONE,), TWO))
    assert vault.open(Vault(TWO).seal(Secret("b"), PLACE), PLACE) == Secret("b")
    assert vault.mark() == Vault(ONE).mark()


def test_a_resealed_value_keeps_its_ciphertext_and_opens_with_the_new_key_only(path: Path) -> None:
    vault = Vault(KeyFile(path))
    old = vault.seal(Secret("a"), PLACE)
    write_ring(path, Ring((TWO, ONE)))
    new = vault.reseal(old, PLACE)
    assert new.split(".")[2] == old.split(".")[2]
    assert Vault(TWO).open(new, PLACE) == Secret("a")
    with pytest.raises(Unavailable):
        Vault(ONE).open(new, PLACE)
    with pytest.raises(Unavailable):
        vault.reseal(old, Place("t", "another", "o"))


def test_a_key_that_left_the_file_is_forgotten_with_the_next_change(path: Path) -> None:
    vault = Vault(KeyFile(path))
    old = vault.seal(Secret("a"), PLACE)
    for ring in (Ring((TWO,)), Ring((THREE, TWO))):
        write_ring(path, ring)
        vault.seal(Secret("b"), PLACE)
    with pytest.raises(Unavailable):
        vault.open(old, PLACE)


def test_nothing_is_sealed_while_the_file_holds_no_key(path: Path) -> None:
    vault = Vault(KeyFile(path))
    sealed = vault.seal(Secret("a"), PLACE)
    path.write_bytes(b"half a k")
    with pytest.raises(Unavailable):
        vault.seal(Secret("b"), PLACE)
    assert vault.open(sealed, PLACE) == Secret("a")


def test_a_file_that_was_there_at_the_start_only_goes_on_being_used(path: Path) -> None:
    vault = Vault(KeyFile(path))
    path.unlink()
    assert vault.open(vault.seal(Secret("a"), PLACE), PLACE) == Secret("a")


@pytest.mark.parametrize("text", [b"next " + b64encode(ONE), b64encode(ONE) + b"\nnext x", b64encode(ONE) + b"\nx"])
def test_a_line_that_is_no_key_is_refused(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    with pytest.raises(CannotStart, match="does not hold a master key"):
        read_ring(path)


def test_a_link_to_the_file_stays_a_link(path: Path) -> None:
    link = path.with_name("link.key")
    link.symlink_to(path)
    write_ring(link, Ring((TWO,)))
    assert link.is_symlink()
    assert read_ring(path) == Ring((TWO,))


def test_no_key_shows_in_a_ring_or_a_vault(path: Path) -> None:
    write_ring(path, Ring((TWO, ONE), THREE))
    shown = repr(read_ring(path)) + repr(Vault(KeyFile(path))) + repr(next(KeyFile(path).opening("")))
    for key in (ONE, TWO, THREE):
        assert key.decode() not in shown
        assert b64encode(key).decode() not in shown

"""A key stays open for a moment: for the row that was named, and no longer than until the next look."""

from broker.core.credential import SealedKey
from broker.core.secret import Secret
from broker.proxy.opened import MOST, OpenedKeys

ROW = SealedKey("crd_1", "usr_1", "openai", "stored", "v1.a.b", 1, "working", None)


class Vault:
    def __init__(self, key: Secret | None) -> None:
        self.key = key
        self.opened: list[SealedKey] = []

    def open(self, row: SealedKey) -> Secret | None:
        self.opened.append(row)
        return self.key


def test_a_key_is_opened_once_between_two_looks() -> None:
    vault = Vault(Secret("sk-one"))
    keys = OpenedKeys(vault.open)
    assert [keys(ROW), keys(ROW)] == [Secret("sk-one")] * 2
    assert vault.opened == [ROW]
    keys.forget()
    vault.key = Secret("sk-two")
    assert keys(ROW) == Secret("sk-two")


def test_a_row_that_was_replaced_or_removed_is_another_row() -> None:
    vault = Vault(Secret("sk-one"))
    keys = OpenedKeys(vault.open)
    keys(ROW)
    vault.key = None
    assert keys(ROW._replace(version=2, sealed="v1.c.d")) is None
    assert keys(ROW._replace(removed_at=1)) is None


def test_no_more_than_so_many_are_kept() -> None:
    vault = Vault(Secret("sk-one"))
    keys = OpenedKeys(vault.open)
    for number in range(MOST + 1):
        keys(ROW._replace(version=number))
    assert len(keys._opened) == MOST

"""A secret shows itself to nobody who does not ask by name."""

import copy
import json
import logging
import pickle
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass

import pytest

from broker.core.secret import Secret

TEXT = "sk-proj-0123456789-canary"
SECRET = Secret(TEXT)


@dataclass(frozen=True)
class _Holder:
    key: Secret


def test_it_is_in_no_text_made_of_it() -> None:
    texts = [
        repr(SECRET), str(SECRET), f"{SECRET}", f"{SECRET!r:>40}", f"{SECRET:s}", "%s %r" % (SECRET, SECRET),  # noqa: UP031
        "{} {!a}".format(SECRET, SECRET), ascii(SECRET), repr([SECRET]), repr({"key": SECRET}), repr(_Holder(SECRET)),  # noqa: UP032
        logging.makeLogRecord({"msg": "key %s", "args": (SECRET,)}).getMessage(), repr(vars(_Holder(SECRET))),
    ]  # fmt: skip
    assert [text for text in texts if TEXT in text or "<secret>" not in text] == []


@pytest.mark.parametrize(
    "sink",
    [pickle.dumps, copy.deepcopy, copy.copy, json.dumps, lambda s: asdict(_Holder(s)), "".join],
    ids=["pickle", "deepcopy", "copy", "json", "asdict", "join"],
)
def test_it_cannot_leave_by_a_back_door(sink: Callable[[object], object]) -> None:
    with pytest.raises(TypeError) as caught:
        sink(SECRET)
    assert TEXT not in str(caught.value)


def test_a_traceback_with_the_values_of_its_variables_does_not_show_it() -> None:
    def fail(key: Secret) -> None:
        raise RuntimeError("with " + str(key))

    with pytest.raises(RuntimeError) as caught:
        fail(SECRET)
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "key = <secret>" in shown
    assert TEXT not in shown


def test_who_asks_by_name_gets_it() -> None:
    assert SECRET.reveal() == TEXT


def test_a_hint_is_given_of_long_secrets_only() -> None:
    assert Secret("a" * 8 + "wxyz").hint() == "wxyz"
    assert Secret("a" * 7 + "wxyz").hint() == ""


def test_secrets_are_compared_by_what_they_hold() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1

"""A key that cannot stand in a header must not be quoted by the error that says so."""

import io

import pytest

from broker.core.secret import Secret
from broker.ops import log
from broker.providers.registry import Registry
from tests.proxy.world import World

ODD = "clé très secrète du fournisseur"


@pytest.mark.parametrize("value", [ODD, "two lines\nof it", "“quoted”", "with\x00nul", " "])
def test_what_cannot_stand_in_a_header_is_no_key(value: str) -> None:
    assert Registry({"OPENAI_API_KEY": value}).environment_key("openai") is None


def test_what_stands_around_a_key_is_taken_off() -> None:
    assert Registry({"OPENAI_API_KEY": " sk-abc\n"}).environment_key("openai") == Secret("sk-abc")


async def test_an_error_about_a_key_does_not_quote_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    said = io.StringIO()
    log.configure(said)
    monkeypatch.setattr("broker.proxy.lifecycle.open_credential", lambda *_: Secret(ODD))
    answered = await world.call(await world.token())
    [row] = await world.at_rest()
    assert (answered.status, row.mark, row.cost) == (503, "not_run", 0)
    assert "call.broke" in said.getvalue()
    assert not any(word in said.getvalue() for word in ODD.split())

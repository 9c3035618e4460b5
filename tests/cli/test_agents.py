"""broker grant show: what an app gave to its agents."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Broker, rows
from tests.cli.stage import Stage, furnished


@pytest.fixture
def stage(broker: Broker) -> Stage:
    return furnished(broker)


def test_a_grants_agents_are_listed_each_below_the_one_it_was_made_by(stage: Stage, data: Path) -> None:
    grant_id = stage.add("--token").json()["grant_id"]
    ((access_id,),) = rows(data, f"SELECT id FROM access WHERE grant_id = '{grant_id}'")
    ((app,),) = rows(data, "SELECT jti FROM access_token")
    cap = {
        "models": ["gpt-4o-mini"],
        "actions": ["chat"],
        "budget": {"amount": "1.00", "currency": "USD", "per": "grant"},
    }
    for jti, parent, name in (("tok_a", app, 'Rese"archer'), ("tok_b", "tok_a", "Helper\x1b[2J")):
        rows(
            data,
            "INSERT INTO access_token (jti, grant_id, client_id, parent_jti, created_at, ends_at, caps, name) SELECT "
            f"'{jti}', grant_id, client_id, '{parent}', created_at, ends_at, '{json.dumps({access_id: cap})}', '{name}' "
            f"FROM access_token WHERE jti = '{app}'",
        )
    out = stage.broker("grant", "show", grant_id).out
    assert out.splitlines()[-2:] == [
        '  agent "Rese\\"archer" tok_a: $0.00 of $1.00; gpt-4o-mini',
        '    agent "Helper\\u001b[2J" tok_b: $0.00 of $1.00; gpt-4o-mini',
    ]

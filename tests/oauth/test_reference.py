"""docs/reference/oauth.md says what is so: its metadata, each parameter by leaving it out, each answer by its members."""

import ast
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Any

import httpx
import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.oauth.grant_types import DEVICE_CODE, TOKEN_EXCHANGE
from broker.oauth.token_exchange import ACCESS_TOKEN
from broker.store.grant_tables import Grant
from tests.oauth.devices import approve
from tests.oauth.prover import Prover
from tests.oauth.world import ASKED, CALLBACK, CHALLENGE, ISSUER, VERIFIER, Registered, World, narrowed
from tests.rooms import CHECKOUT

PAGE = (CHECKOUT / "docs" / "reference" / "oauth.md").read_text("utf-8")
LESS = narrowed(models=["gpt-4o"])
RESOURCE = {"resource": f"{ISSUER}/proxy"}

Fields = dict[str, str]
Make = Callable[[World, Registered], Awaitable[Fields]]
"""A right request with every parameter there is, fresh each time."""


async def _pushed(world: World, client: Registered) -> Fields:
    return {
        "response_type": "code",
        "redirect_uri": CALLBACK,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "authorization_details": json.dumps(ASKED),
        "state": "s",
        "response_mode": "query",
        "dpop_jkt": Prover().jkt,
        "grant_management_action": "create",
    } | RESOURCE


async def _code(world: World, client: Registered) -> Fields:
    code, _ = await world.code(client)
    given = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER, "redirect_uri": CALLBACK}
    return given | RESOURCE | {"authorization_details": LESS}


async def _refresh(world: World, client: Registered) -> Fields:
    token = (await world.tokens(client))["refresh_token"]
    return {"grant_type": "refresh_token", "refresh_token": token, "authorization_details": LESS} | RESOURCE


async def _device_code(world: World, client: Registered) -> Fields:
    form = {"authorization_details": json.dumps(ASKED)} | client.fields()
    code = (await world.http.post("/oauth/device_authorization", data=form)).json()["device_code"]
    await approve(world, code)
    return {"grant_type": DEVICE_CODE, "device_code": code, "authorization_details": LESS} | RESOURCE


async def _service(world: World, client: Registered) -> Fields:
    async def work(tx: AsyncSession) -> Grant:
        grant = await world.grant(tx, client.id)
        grant.origin = "operator"
        return grant

    grant = await world.db.write(work)
    return {"grant_type": "client_credentials", "grant_id": grant.id, "authorization_details": LESS} | RESOURCE


async def _exchange(world: World, client: Registered) -> Fields:
    token = (await world.tokens(client))["access_token"]
    fields = {"grant_type": TOKEN_EXCHANGE, "subject_token": token, "subject_token_type": ACCESS_TOKEN}
    more = {"requested_token_type": ACCESS_TOKEN, "agent_name": "Researcher", "audience": f"{ISSUER}/proxy"}
    return fields | more | RESOURCE | {"authorization_details": LESS}


async def _device(world: World, client: Registered) -> Fields:
    return {"authorization_details": json.dumps(ASKED), "device_name": "Television"} | RESOURCE


async def _token(world: World, client: Registered) -> Fields:
    return {"token": (await world.tokens(client))["access_token"], "token_type_hint": "access_token"}


REQUESTS: dict[str, Make] = {
    "`/oauth/par`": _pushed,
    "`/oauth/token` with a code": _code,
    "`/oauth/token` with a refresh token": _refresh,
    "`/oauth/token` with a device code": _device_code,
    "`/oauth/token` for a service": _service,
    "`/oauth/token` with an access token": _exchange,
    "`/oauth/device_authorization`": _device,
    "`/oauth/revoke`": _token,
    "`/oauth/introspect`": _token,
}


def section(name: str) -> str:
    found = re.search(rf"^##+ {re.escape(name)}\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, name
    return found[1]


def examples(text: str) -> list[Any]:
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]


def parameters(name: str) -> dict[str, str]:
    """Name → the error without it, empty where it may be left out."""
    rows = re.findall(r"^\| `(\w+)` \| (`\w+`|–) \|", section(name), re.MULTILINE)
    return {parameter: error.strip("`–") for parameter, error in rows}


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    return [shape(inner) for inner in value] if isinstance(value, list) else type(value)


async def sent(world: World, client: Registered, name: str, fields: Mapping[str, str | list[str]]) -> httpx.Response:
    path = re.findall(r"`(.+?)`", name)[0]
    return await world.http.post(path, data={**fields, **client.fields()})


def test_every_endpoint_that_is_told_of_is_tried() -> None:
    told = re.findall(r"^### (.+)$", section_of_endpoints(), re.MULTILINE)
    assert told == list(REQUESTS)


def section_of_endpoints() -> str:
    return PAGE.partition("\n## Endpoints\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("name", REQUESTS)
async def test_a_request_with_everything_is_answered_as_told(world: World, name: str) -> None:
    client = await world.register(public=False)
    fields = await REQUESTS[name](world, client)
    assert set(parameters(name)) == set(fields)
    answer = await sent(world, client, name, fields)
    assert answer.status_code == (201 if name == "`/oauth/par`" else 200), answer.text
    text = section(name)
    like_a_code = "The answer is that to a code." in text
    told = examples(section("`/oauth/token` with a code") if like_a_code else text)
    assert [shape(example) for example in told] == ([shape(answer.json())] if answer.content else [])


@pytest.mark.parametrize("name", REQUESTS)
async def test_each_parameter_left_out_is_answered_as_told(world: World, name: str) -> None:
    client = await world.register(public=False)
    answered = {}
    for parameter in parameters(name):
        fields = await REQUESTS[name](world, client)
        without = {each: value for each, value in fields.items() if each != parameter}
        answer = await sent(world, client, name, without)
        assert answer.is_success or answer.status_code == 400
        answered[parameter] = "" if answer.is_success else answer.json()["error"]
    assert answered == parameters(name)


@pytest.mark.parametrize("name", REQUESTS)
async def test_no_parameter_may_stand_twice(world: World, name: str) -> None:
    client = await world.register(public=False)
    fields = await REQUESTS[name](world, client)
    for parameter, value in fields.items():
        twice = await sent(world, client, name, {**fields, parameter: [value, value]})
        assert (twice.status_code, twice.json()["error"]) == (400, "invalid_request")


async def test_the_metadata_told_is_the_metadata_served(world: World) -> None:
    server, resource = examples(section("Metadata"))
    assert (await world.http.get("/.well-known/oauth-authorization-server")).json() == server
    assert (await world.http.get("/.well-known/oauth-protected-resource/proxy")).json() == resource


def rows() -> list[tuple[str, str]]:
    """What must hold, and the tests that show it."""
    found = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", PAGE.partition("\n## What must hold\n")[2], re.MULTILINE)
    return [(must, shown) for must, shown in found if must not in ("must", "---") and not set(must) <= set("-")]


@cache
def _shown_in(path: str) -> frozenset[str]:
    tree = ast.parse((CHECKOUT / "tests" / path).read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds) and node.name.startswith("test_"))


@pytest.mark.parametrize(("must", "shown"), rows(), ids=lambda text: text[:60])
def test_what_must_hold_is_shown_by_the_tests_it_names(must: str, shown: str) -> None:
    named = re.findall(r"`([\w/.]+)::(\w+)`", shown)
    assert named
    assert [name for path, name in named if name not in _shown_in(path)] == []


def test_nothing_is_said_twice_of_what_must_hold() -> None:
    said = [must for must, _ in rows()]
    assert len(set(said)) == len(said)
    assert len(said) > 100

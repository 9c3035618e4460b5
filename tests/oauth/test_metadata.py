"""What clients may discover."""

import json
import re

from authlib.oauth2.rfc8414 import AuthorizationServerMetadata

from broker.core.access import ALL_ACTIONS
from broker.core.details import _REQUEST_FIELDS, _TOKEN_FIELDS, parse_details
from tests.oauth.world import ASKED, ISSUER, World
from tests.rooms import CHECKOUT


async def test_the_server_describes_itself_and_nothing_it_cannot_do(world: World) -> None:
    answer = await world.http.get("/.well-known/oauth-authorization-server")
    body = answer.json()
    assert answer.headers["access-control-allow-origin"] == "*"
    assert body["issuer"] == ISSUER
    assert body["code_challenge_methods_supported"] == ["S256"]
    assert {"authorization_code", "refresh_token", "client_credentials"} <= set(body["grant_types_supported"])
    assert body["grant_management_actions_supported"] == ["create", "merge", "replace", "query", "revoke"]
    assert body["device_authorization_endpoint"] == f"{ISSUER}/oauth/device_authorization"
    further = [f"urn:ietf:params:oauth:grant-type:{name}" for name in ("device_code", "token-exchange")]
    assert body["grant_types_supported"][-2:] == further
    assert body["response_types_supported"] == ["code"]
    assert body["authorization_response_iss_parameter_supported"] is True
    assert body["authorization_details_types_supported"] == ["ai_model_access", "llm-inference"]


async def test_the_document_is_valid_for_a_server_on_https(world: World) -> None:
    body = (await world.http.get("/.well-known/oauth-authorization-server")).json()
    secure = json.loads(json.dumps(body).replace("http://127.0.0.1:8080", "https://broker.example"))
    AuthorizationServerMetadata(secure).validate()


async def test_every_endpoint_that_is_described_is_there(world: World) -> None:
    body = (await world.http.get("/.well-known/oauth-authorization-server")).json()
    for name, address in body.items():
        if name == "grant_management_endpoint":
            assert (await world.http.get(f"{address}/grt_1")).status_code == 401
        elif name.endswith("_endpoint"):
            assert (await world.http.post(address)).status_code in (400, 401), name
    assert (await world.http.get(body["jwks_uri"])).json()["keys"][0]["alg"] == "ES256"


async def test_the_resource_describes_itself(world: World) -> None:
    body = (await world.http.get("/.well-known/oauth-protected-resource/proxy")).json()
    assert body["resource"] == f"{ISSUER}/proxy"
    assert body["authorization_servers"] == [ISSUER]
    assert body["bearer_methods_supported"] == ["header"]


async def test_there_is_no_openid_configuration(world: World) -> None:
    assert (await world.http.get("/.well-known/openid-configuration")).status_code == 404


async def test_the_schema_knows_the_members_that_the_server_takes(world: World) -> None:
    schema = (await world.http.get("/schemas/ai_model_access.json")).json()
    assert set(schema["properties"]) == _REQUEST_FIELDS
    assert parse_details(json.dumps(ASKED))
    assert all(set(schema["required"]) <= element.keys() for element in ASKED)


def test_the_reference_names_every_member_and_action() -> None:
    page = (CHECKOUT / "docs" / "reference" / "access-type.md").read_text("utf-8")
    named = set(re.findall(r"`([a-z_]+)`", page))
    assert named >= _TOKEN_FIELDS | set(ALL_ACTIONS)

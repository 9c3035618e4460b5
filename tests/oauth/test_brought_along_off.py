"""Where the operator alone says who is a client."""

from pathlib import Path

import pytest

from broker.oauth.metadata import server_metadata
from broker.settings import Settings
from tests.oauth.published import PublishedWeb
from tests.oauth.test_client_documents import URL, document
from tests.oauth.test_registration import APP
from tests.oauth.world import Registered, World


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, client_registration=False, client_documents=False)


async def test_nobody_registers(world: World) -> None:
    assert (await world.http.post("/oauth/register", json=APP)).status_code == 404
    for method in ("GET", "PUT", "DELETE"):
        assert (await world.http.request(method, "/oauth/register/cli_1")).status_code == 404


async def test_an_address_is_no_client_and_is_not_asked(world: World, web: PublishedWeb) -> None:
    web.publish(URL, document())
    assert (await world.authorize(Registered(URL, None))).status_code == 400
    assert (await world.push(Registered(URL, None))).status_code == 401
    assert web.asked == []


def test_neither_is_offered(settings: Settings) -> None:
    told = server_metadata(settings)
    assert "registration_endpoint" not in told
    assert told["client_id_metadata_document_supported"] is False


def test_both_are_offered_where_they_are_on(tmp_path: Path) -> None:
    told = server_metadata(Settings(data_dir=tmp_path, client_registration=True))
    assert told["registration_endpoint"] == f"{told['issuer']}/oauth/register"
    assert told["client_id_metadata_document_supported"] is True


def test_by_default_documents_are_taken_and_registrations_are_not() -> None:
    assert (Settings().client_documents, Settings().client_registration) == (True, False)

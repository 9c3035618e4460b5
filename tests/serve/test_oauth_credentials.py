"""Twenty calls over two workers at the end of an access token: it is renewed once, and all of them are answered."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.cli.desk import Desk, at_desk
from broker.core.secret import Secret
from broker.store.tables import User
from broker.vault.credentials import add_tokens
from broker.vault.oauth_tokens import Tokens
from tests.fake_authorization_server import CLIENT_ID, CLIENT_SECRET, AuthorizationServer
from tests.fake_provider import Asked, FakeProvider, completion, provider_in_a_thread, usage, whole
from tests.serve.installation import ASK, Installation

REFUSED = {
    "error": {"message": "Bad token.", "type": "invalid_request_error", "param": None, "code": "invalid_api_key"}
}


@pytest.fixture
def server() -> AuthorizationServer:
    return AuthorizationServer()


@pytest.fixture
def provider(server: AuthorizationServer) -> Iterator[FakeProvider]:
    """Its API and its authorization server, at one address."""

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.target == "/token":
            await server(asked, writer)
        elif asked.header("authorization") == f"Bearer {server.good}":
            writer.write(whole(completion(used=usage())))
        else:
            writer.write(whole(REFUSED, 401))

    with provider_in_a_thread(answer) as started:
        yield started


def connected(server: AuthorizationServer) -> str:
    """The id of an account of ana's whose access token has just ended."""

    async def work(desk: Desk) -> str:
        ana: User = await desk.user("ana@example.com")
        vault, now = await desk.vault(), desk.now()
        server.tokens()
        tokens = Tokens(Secret(server.good), Secret(server.refresh), now)

        async def write(tx: AsyncSession) -> str:
            row = await add_tokens(
                tx, vault, provider="openai", tokens=tokens, name="Account", user_id=ana.id, now=now, by="x"
            )
            return row.id

        return await desk.db.write(write)

    return at_desk(work)


def test_one_of_two_workers_renews_it_for_both(
    tmp_path: Path, provider: FakeProvider, server: AuthorizationServer
) -> None:
    settings = {"BROKER_WORKERS": "2", "BROKER_PROVIDER_OPENAI_BASE_URL": provider.url}
    place = Installation(tmp_path, settings)
    place.furnish()
    where = ("--authorize-url", f"{provider.url}/authorize", "--token-url", f"{provider.url}/token")
    place.broker(
        "provider", "oauth", "openai", *where, "--client-id", CLIENT_ID, "--secret-stdin", stdin=CLIENT_SECRET + "\n"
    )
    granted = place.grant()
    with place.serving() as running:
        # A token that ends while the server runs; the broker looks ahead, so it has ended before it was sealed.
        with place.at():
            credential_id = connected(server)
        place.broker("grant", "keys", granted.grant_id, "--credential", credential_id)

        def call(_: int) -> int:
            with httpx.Client(trust_env=False, timeout=30) as app:
                headers = {"authorization": f"Bearer {granted.token}", "connection": "close"}
                address = f"{running.address}/proxy/openai/v1/chat/completions"
                return app.post(address, json=ASK, headers=headers).status_code

        with ThreadPoolExecutor(20) as pool:
            assert list(pool.map(call, range(20))) == [200] * 20
        assert server.refreshes == 1
        assert len(running.workers()) == 2
    assert place.broker("ledger", "verify").startswith("OK")
    written = b"".join(path.read_bytes() for path in running.data.iterdir() if path.is_file())
    for secret in (server.good, server.refresh, CLIENT_SECRET):
        assert secret.encode() not in written

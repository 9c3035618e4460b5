"""The official google-genai SDK, unmodified: files that it uploads, in two requests of which the second has no token."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from google import genai
from google.genai import errors, types

from tests.fake_google_state import KeepingGoogle
from tests.fake_provider import FakeProvider, provider_in_a_thread
from tests.serve.installation import Granted, Installation, dollars
from tests.serve.running import PATIENCE

MODEL = "gemini-3-flash-preview"
PICTURE = b"\x89PNG\r\n\x1a\n" + b"\x00drawn" * 100
RESUMABLE = {"x-goog-upload-protocol": "resumable", "x-goog-upload-command": "start"}
SAID = {"x-goog-upload-header-content-type": "image/png", "x-goog-upload-header-content-length": str(len(PICTURE))}
WHOLE = {"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "0"}


def code_of(refused: errors.APIError) -> str:
    """Ours; Google's own `code` is the status."""
    return str(refused.details["error"]["details"][0]["reason"])


@dataclass
class Place:
    installation: Installation
    address: str
    provider: FakeProvider
    kept: KeepingGoogle

    def client(self, granted: Granted, **more: Any) -> genai.Client:
        options = types.HttpOptions(base_url=f"{self.address}/proxy/google", timeout=int(PATIENCE * 1_000), **more)
        return genai.Client(api_key=granted.token, http_options=options)

    def grant(self, **more: Any) -> Granted:
        usual = {"provider": "google", "models": [MODEL], "actions": ["chat", "files", "vision"]}
        return self.installation.grant(**(usual | more))

    def announce(self, granted: Granted, headers: dict[str, str], body: Any = None) -> httpx.Response:
        token = {"x-goog-api-key": granted.token}
        url = f"{self.address}/proxy/google/upload/v1beta/files"
        return httpx.post(url, headers=headers | token, json={} if body is None else body)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    kept = KeepingGoogle()
    with provider_in_a_thread(kept) as provider:
        folder = tmp_path_factory.mktemp("files")
        installation = Installation(folder, {"BROKER_PROVIDER_GOOGLE_BASE_URL": provider.url})
        installation.furnish("google")
        with installation.serving() as server:
            yield Place(installation, server.address, provider, kept)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    (path := tmp_path / "drawn.png").write_bytes(PICTURE)
    return path


@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_a_file_is_uploaded_shown_listed_and_deleted(place: Place, picture: Path, version: str) -> None:
    with place.client(place.grant(), api_version=version) as client:
        made = client.files.upload(file=picture, config={"display_name": "Grüße"})
        assert made.name is not None
        assert (made.mime_type, made.display_name, made.state) == ("image/png", "Grüße", types.FileState.ACTIVE)
        assert place.kept.files[made.name] == ({"mimeType": "image/png", "displayName": "Grüße"}, PICTURE)
        assert client.files.get(name=made.name).uri == made.uri
        assert [file.name for file in client.files.list()] == [made.name]
        client.files.delete(name=made.name)
        assert list(client.files.list()) == []
    assert made.name not in place.kept.files


async def test_it_is_uploaded_without_waiting_too(place: Place) -> None:
    client = place.client(await asyncio.to_thread(place.grant)).aio
    made = await client.files.upload(file=BytesIO(PICTURE), config={"mime_type": "image/png"})
    assert made.name is not None
    assert place.kept.files[made.name][1] == PICTURE


def test_a_picture_that_was_uploaded_is_held_as_any_other(place: Place, picture: Path) -> None:
    granted = place.grant()
    with place.client(granted) as client:
        made = client.files.upload(file=picture)
        config = types.GenerateContentConfig(max_output_tokens=100)
        assert client.models.generate_content(model=MODEL, contents=["What?", made], config=config).text == "Hello."
        count = client.models.count_tokens(model=MODEL, contents=["What?", made])
    assert count.total_tokens == 10
    # 10 tokens at $0.50 and 5 at $3 a million.
    assert place.installation.settled(granted.grant_id) == 20
    sent = [asked for asked in place.provider.asked if asked.target.endswith(":generateContent")][-1].json()
    assert set(sent["contents"][0]["parts"][1]["fileData"].values()) == {made.uri, "image/png"}


def test_a_document_is_held_at_all_that_the_model_reads(place: Place) -> None:
    granted, poor = place.grant(), place.grant(budget=dollars(500_000))
    config = types.GenerateContentConfig(max_output_tokens=100)
    inline = types.Part.from_bytes(data=b"%PDF-1.7", mime_type="application/pdf")
    with place.client(granted) as client:
        made = client.files.upload(file=BytesIO(b"%PDF-1.7"), config={"mime_type": "application/pdf"})
        for part in (made, inline):
            assert client.models.generate_content(model=MODEL, contents=["What?", part], config=config).text == "Hello."
    assert place.installation.settled(granted.grant_id) == 40
    with place.client(poor) as client, pytest.raises(errors.ClientError) as refused:
        client.models.generate_content(model=MODEL, contents=["What?", inline], config=config)
    # A context of 1,048,576 at $0.50 a million tokens, and 100 at $3.
    assert refused.value.details["error"]["required"] == 524_288 + 300


def test_a_film_is_held_as_if_all_of_it_were_sound(place: Place) -> None:
    granted, poor = place.grant(), place.grant(budget=dollars(1_000_000))
    config = types.GenerateContentConfig(max_output_tokens=100)
    with place.client(granted) as client:
        made = client.files.upload(file=BytesIO(b"moving"), config={"mime_type": "video/mp4"})
        assert client.models.generate_content(model=MODEL, contents=["What?", made], config=config).text == "Hello."
    # Its usage says nothing of what was sound: 10 tokens at $1, and 5 at $3 a million.
    assert place.installation.settled(granted.grant_id) == 25
    inline = types.Part.from_bytes(data=b"moving", mime_type="video/mp4")
    with place.client(poor) as client, pytest.raises(errors.ClientError) as refused:
        client.models.generate_content(model=MODEL, contents=["What?", inline], config=config)
    # A context of 1,048,576 at $1 a million tokens, and 100 at $3.
    assert refused.value.details["error"]["required"] == 1_048_576 + 300


def test_what_is_no_picture_may_be_kept_and_not_be_read(place: Place) -> None:
    granted = place.grant()
    video = types.Part.from_uri(file_uri="https://youtu.be/x", mime_type="video/mp4")
    with place.client(granted) as client:
        document = client.files.upload(file=BytesIO(b"%PDF-1.7"), config={"mime_type": "application/pdf"})
        film = client.files.upload(file=BytesIO(b"moving"), config={"mime_type": "video/mp4"})
        no_picture = client.files.upload(file=BytesIO(b"plain"), config={"mime_type": "image/png"})
        assert document.uri is not None
        assert film.uri is not None
        posing = types.Part.from_uri(file_uri=document.uri, mime_type="image/png")
        hiding = types.Part.from_uri(file_uri=film.uri, mime_type="text/plain")
        arrived = len(place.provider.asked)
        with pytest.raises(errors.ClientError) as refused:
            client.models.generate_content(model=MODEL, contents=["What?", hiding])
        assert code_of(refused.value) == "not_found"
        for part, words in (
            (posing, "is no picture"),
            (no_picture, "is no picture"),
            (video, "parts.fileData"),
        ):
            with pytest.raises(errors.ClientError, match=words) as refused:
                client.models.generate_content(model=MODEL, contents=["What?", part])
            assert code_of(refused.value) == "not_boundable"
    assert len(place.provider.asked) == arrived


def test_each_grant_sees_its_own_and_nothing_else(place: Place, picture: Path) -> None:
    with place.client(place.grant()) as client:
        made = client.files.upload(file=picture)
        assert made.name is not None
    arrived = len(place.provider.asked)
    with place.client(place.grant()) as client:
        for name in (made.name, "files/never"):
            for ask in (client.files.get, client.files.delete):
                with pytest.raises(errors.ClientError) as refused:
                    ask(name=name)
                assert (refused.value.code, code_of(refused.value)) == (404, "not_found")
        with pytest.raises(errors.ClientError) as refused:
            client.models.generate_content(model=MODEL, contents=["What?", made])
        assert code_of(refused.value) == "not_found"
        assert len(place.provider.asked) == arrived
        assert list(client.files.list()) == []


def test_a_file_needs_its_action_before_a_byte_leaves(place: Place, picture: Path) -> None:
    arrived = len(place.provider.asked)
    for granted, code in ((place.grant(actions=["chat"]), "action_not_granted"),):
        with place.client(granted) as client, pytest.raises(errors.ClientError) as refused:
            client.files.upload(file=picture)
        assert (refused.value.code, code_of(refused.value)) == (403, code)
    assert len(place.provider.asked) == arrived


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (RESUMABLE, {}, 400),
        (SAID, {}, 400),
        (SAID | {"x-goog-upload-protocol": "raw"}, {}, 400),
        (RESUMABLE | SAID | {"x-goog-upload-header-content-type": "a\tb"}, {}, 400),
        (RESUMABLE | SAID | {"x-goog-upload-header-content-length": "-1"}, {}, 400),
        (RESUMABLE | SAID | {"x-goog-upload-header-content-length": str(8 * 1024 * 1024 + 1)}, {}, 413),
        (RESUMABLE | SAID, {"file": {"name": "files/mine"}}, 403),
        (RESUMABLE | SAID, {"file": {"displayName": 5}}, 400),
        (RESUMABLE | SAID, {"other": 1}, 403),
        (RESUMABLE | SAID, [], 400),
    ],
    ids=["no size", "no protocol", "another", "no kind", "less than nothing", "too large", "a name", "a number", "a member", "an array"],
)  # fmt: skip
def test_what_is_announced_must_be_a_file(place: Place, headers: dict[str, str], body: Any, status: int) -> None:
    arrived = len(place.provider.asked)
    answered = place.announce(place.grant(), headers, body)
    assert (answered.status_code, "x-goog-upload-url" in answered.headers) == (status, False)
    assert len(place.provider.asked) == arrived


def test_the_address_is_worth_that_one_file_and_nothing_else(place: Place) -> None:
    granted = place.grant()
    url = place.announce(granted, RESUMABLE | SAID).headers["x-goog-upload-url"]
    assert url.startswith(f"{place.address}/proxy/google/upload/v1beta/files?upload_id=")
    assert granted.token not in url
    arrived = len(place.provider.asked)
    for address, headers, data, status in (
        (url, WHOLE, PICTURE + b"x", 413),
        (url, WHOLE, PICTURE[:-1], 400),
        (url, {"x-goog-upload-command": "upload", "x-goog-upload-offset": "0"}, PICTURE, 400),
        (url, WHOLE | {"x-goog-upload-offset": "1"}, PICTURE, 400),
        (url.replace("upload_id=", "upload_id=A"), WHOLE, PICTURE, 401),
        (url.partition("?")[0], WHOLE, PICTURE, 401),
        (
            url.replace("/upload/v1beta/files", "/v1beta/models/gemini-3-flash-preview:generateContent"),
            WHOLE,
            b"{}",
            401,
        ),
        (url.replace("/upload/v1beta/files", "/v1beta/files"), WHOLE, PICTURE, 401),
        (url, WHOLE | {"x-goog-api-key": place.grant().token}, PICTURE, 404),
    ):
        assert httpx.post(address, headers=headers, content=data).status_code == status
    assert len(place.provider.asked) == arrived
    assert httpx.post(url, headers=WHOLE, content=PICTURE).headers["x-goog-upload-status"] == "final"
    assert httpx.post(url, headers=WHOLE | {"x-goog-api-key": granted.token}, content=PICTURE).status_code == 200
    place.installation.broker("grant", "revoke", granted.grant_id)
    assert httpx.post(url, headers=WHOLE, content=PICTURE).status_code == 401

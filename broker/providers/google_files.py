"""Files that Google keeps for two days, free of charge; of pictures among them it is known what they can cost in a request.

"Files API", as of November 2026. Google's libraries send a file in two requests; to Google it goes in one, of two parts (RFC 2387).
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from broker.core.errors import CallRefused
from broker.core.handle import Entropy, system_entropy
from broker.core.strict_json import JSONValue, NotStrict, dumps, loads
from broker.core.usage import NO_USAGE, Usage
from broker.providers.body import not_bounded, shown
from broker.providers.client import Headers
from broker.providers.dialect import Body, Endpoint, Kept, Meter, Name, Reading, refuse_request
from broker.providers.google_listing import ListOwn
from broker.providers.google_media import KINDS, document_name, sort_of
from broker.providers.google_request import spelt
from broker.providers.images import DOCUMENT, facts_of
from broker.providers.kept_requests import About, NoMeter, asking
from broker.providers.registry import Provider

UPLOADS = ("/upload/v1/files", "/upload/v1beta/files")
KEPT_FOR = 48 * 3_600
"""Seconds: "files are stored for 48 hours"."""
MOST_BYTES = 8 * 1024 * 1024
"""What Google's libraries send in one piece."""
_KIND = re.compile(rb"[a-z]+/[A-Za-z0-9][A-Za-z0-9.+-]{0,99}", re.ASCII)
_SIZE = re.compile(rb"[0-9]{1,12}", re.ASCII)
_NAME = re.compile(r"files/([A-Za-z0-9_-]{1,128})", re.ASCII)
_PATH = re.compile(r"/v1(?:beta)?/files(?:/([A-Za-z0-9_-]{1,128}))?", re.ASCII)
PATHS = (*UPLOADS, *(f"/{version}/files{about}" for version in ("v1", "v1beta") for about in ("", "/{file_id}")))
_FILE = frozenset(["displayName", "mimeType", "sizeBytes"])
_LONGEST_NAME = 512
_BOUNDARY_BYTES = 18


class Announced(NamedTuple):
    """What the first of two requests says of a file."""

    kind: str
    name: str
    size: int


def read_announced(headers: Headers, raw: bytes) -> Announced:
    """Raises CallRefused."""
    told = dict(headers)
    if (told.get(b"x-goog-upload-protocol"), told.get(b"x-goog-upload-command")) != (b"resumable", b"start"):
        raise refuse_request(
            "A file is announced first here, by X-Goog-Upload-Protocol: resumable and the command start."
        )
    kind, size = (
        told.get(b"x-goog-upload-header-content-type", b""),
        told.get(b"x-goog-upload-header-content-length", b""),
    )
    if not _KIND.fullmatch(kind) or not _SIZE.fullmatch(size):
        raise refuse_request("X-Goog-Upload-Header-Content-Type and -Content-Length must say what the file is.")
    return Announced(kind.decode(), _name(raw), int(size))


def _name(raw: bytes) -> str:
    """The one that is to be shown; the one that a file is found by is Google's to give."""
    try:
        body = loads(raw or b"{}")
    except NotStrict as error:
        raise refuse_request("The body is not strict JSON.") from error
    outer = spelt(body) if isinstance(body, dict) else {}
    file = outer.get("file") or {}
    if not isinstance(body, dict) or not isinstance(file, dict):
        raise refuse_request("The body must be an object with file.")
    known = spelt(file)
    named = [shown(name) for name in outer.keys() - {"file"}] + [f"file.{shown(name)}" for name in known.keys() - _FILE]
    if unknown := not_bounded(named):
        raise CallRefused("not_boundable", unknown)
    name = known.get("displayName") or ""
    if not isinstance(name, str) or len(name) > _LONGEST_NAME:
        raise refuse_request("displayName must be a string.")
    return name


class MakeFile:
    """POST /upload/…/files, of which this reads the second request; what the first says is in its address."""

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        raise refuse_request("A file is announced first here.")

    def read_file(self, kind: str, name: str, data: bytes, provider: Provider) -> Reading:
        """As `read`, of the bytes of a file."""
        content_type, sent = _in_two_parts(kind, name, data)
        return asking("POST", "files")._replace(
            content_type=content_type,
            render=lambda _: sent,
            target=f"{UPLOADS[1]}?uploadType=multipart",
            unbounded=not_bounded([] if provider.name == "google" else ["files at this provider"]),
            kept=_kept(facts_of(data) if kind in KINDS else "{}", sort_of(kind)),
        )

    def usage(self, answer: JSONValue) -> tuple[Usage | None, bool]:
        return NO_USAGE, False

    def meter(self, *, wants_usage: bool) -> Meter:
        return NoMeter()


def endpoint(method: str, path: str) -> Endpoint | None:
    if method not in methods(path):
        return None
    if path in UPLOADS:
        return MakeFile()
    match = _PATH.fullmatch(path)
    if match is None or match[1] is None:
        return ListOwn("file", "files", "files")
    return About(asking(method, "files", Name("file", match[1])), "google")


def methods(path: str) -> tuple[str, ...]:
    if path in UPLOADS:
        return ("POST",)
    match = _PATH.fullmatch(path)
    if match is None:
        return ()
    return ("GET", "DELETE") if match[1] else ("GET",)


def _in_two_parts(kind: str, name: str, data: bytes, entropy: Entropy = system_entropy) -> tuple[bytes, bytes]:
    boundary = entropy(_BOUNDARY_BYTES).hex().encode()
    told = dumps({"file": {"mimeType": kind} | ({"displayName": name} if name else {})})
    first = b"--%b\r\ncontent-type: application/json; charset=utf-8\r\n\r\n%b\r\n" % (boundary, told)
    second = b"--%b\r\ncontent-type: %b\r\n\r\n%b\r\n--%b--\r\n" % (boundary, kind.encode(), data, boundary)
    return b"multipart/related; boundary=" + boundary, first + second


def _kept(facts: str, sort: str) -> Callable[[JSONValue, Usage | None], tuple[Kept, ...]]:
    def read(answer: JSONValue, usage: Usage | None) -> tuple[Kept, ...]:
        told = answer.get("file") if isinstance(answer, dict) else None
        name = told.get("name") if isinstance(told, dict) else None
        match = _NAME.fullmatch(name) if isinstance(name, str) else None
        if match is None:
            return ()
        file = Kept(Name("file", match[1]), ends_in=KEPT_FOR, facts=facts)
        return (file, _as_document(match[1], sort)) if sort else (file,)

    return read


def _as_document(file_id: str, sort: str) -> Kept:
    return Kept(document_name(file_id, sort), ends_in=KEPT_FOR, facts=f'{{"{DOCUMENT}":true}}')

"""Bodies in parts (multipart/form-data, RFC 7578): what an endpoint takes of them, and how they are sent on."""

from collections.abc import Mapping
from hashlib import sha256
from typing import NamedTuple

from broker.core.errors import CallRefused
from broker.core.handle import Entropy, system_entropy
from broker.core.strict_json import JSONValue, dumps

Texts = dict[str, JSONValue]
"""The texts of a form, as the JSON they stand for."""

_BOUNDARY_BYTES = 18


class File(NamedTuple):
    """A part that is a file; `name` and `kind` (its media type) are clean, and may stand in a header."""

    name: str
    kind: str
    data: bytes

    def __repr__(self) -> str:
        return f"<file {self.kind}, {len(self.data)} bytes>"


class FormRule(NamedTuple):
    """How the parts of an endpoint are read; whether a text is known there is for the endpoint to say, as with JSON."""

    files: Mapping[str, int]
    """The most of each."""
    lists: frozenset[str] = frozenset()
    """Texts that may stand several times, also under their name with brackets."""
    numbers: frozenset[str] = frozenset()
    flags: frozenset[str] = frozenset()


class Form(NamedTuple):
    """A body that came in parts: its texts, and its files."""

    body: Texts
    files: Mapping[str, tuple[File, ...]]

    @property
    def file_bytes(self) -> int:
        return sum(len(file.data) for files in self.files.values() for file in files)

    def digest(self) -> bytes:
        """Of what it says, whatever its boundary, its parts' order and their headers' spelling: one that comes again has the same."""
        seen = sha256(dumps(sorted(self.body.items())))
        for name, files in sorted(self.files.items()):
            for file in files:
                seen.update(dumps(["", name, file.name, file.kind, len(file.data)]))
                seen.update(file.data)
        return seen.digest()

    def only_file(self) -> File:
        """The one part called `file`; raises CallRefused where there are none or several."""
        files = self.files.get("file", ())
        if len(files) != 1:
            raise CallRefused("invalid_request", "file must be a file.")
        return files[0]


def not_in_parts() -> CallRefused:
    return CallRefused("unsupported_media_type", "The body must be multipart/form-data.")


def rendered_form(
    body: Texts, files: Mapping[str, tuple[File, ...]], entropy: Entropy = system_entropy
) -> tuple[bytes, bytes]:
    """The content type and the bytes of a body in parts; its boundary is drawn, so that nothing in it can be one."""
    boundary = entropy(_BOUNDARY_BYTES).hex().encode()
    pieces: list[bytes] = []
    for name, value in body.items():
        several = isinstance(value, list)
        for each in value if isinstance(value, list) else [value]:
            key = f"{name}[]" if several else name
            pieces.append(
                b'--%b\r\ncontent-disposition: form-data; name="%b"\r\n\r\n%b\r\n'
                % (boundary, key.encode(), _text(each))
            )
    for name, held in files.items():
        key = f"{name}[]" if len(held) > 1 else name
        for file in held:
            disposition = f'form-data; name="{key}"; filename="{file.name}"'
            head = f"content-disposition: {disposition}\r\ncontent-type: {file.kind}".encode()
            pieces.append(b"--%b\r\n%b\r\n\r\n%b\r\n" % (boundary, head, file.data))
    pieces.append(b"--%b--\r\n" % boundary)
    return b"multipart/form-data; boundary=" + boundary, b"".join(pieces)


def _text(value: JSONValue) -> bytes:
    if isinstance(value, bool):
        return b"true" if value else b"false"
    return str(value).encode()

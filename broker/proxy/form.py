"""A body in parts (multipart/form-data, RFC 7578) with one reading only: each part once, clean names, nothing beside the parts."""

import re

from multipart import MultipartError, MultipartSegment, PushMultipartParser

from broker.core.errors import CallRefused
from broker.core.strict_json import JSONValue
from broker.providers.dialect import refuse_request
from broker.providers.form import File, Form, FormRule, Texts

_BOUNDARY = re.compile(
    rb"""multipart/form-data; ?boundary=(?:"([A-Za-z0-9'()+_,./:=? -]{1,70})"|([A-Za-z0-9'+_.-]{1,70}))""",
    re.ASCII | re.IGNORECASE,
)
_NAME = re.compile(r"([A-Za-z][A-Za-z0-9_.-]{0,63})(\[\])?", re.ASCII)
_DISPOSITION = re.compile(
    r"""form-data; ?name="?[A-Za-z0-9_.\[\]-]+"?(?:; ?filename=(?:"(?:[^"\\]|\\.)*"|[^";\s]+))?(?:; ?filename\*=[^";\s]+)?""",
    re.ASCII | re.IGNORECASE,
)
_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,8}", re.ASCII)
_UNCLEAN = re.compile(r"[^A-Za-z0-9._-]+", re.ASCII)
_KIND = re.compile(r"[a-z]{1,20}/[a-z0-9.+-]{1,60}", re.ASCII)
_PARTS, _HEADERS, _HEADER_BYTES = 128, 4, 1_024
_TEXT_BYTES = 1_048_576
_HARMLESS_ENCODINGS = (None, "7bit", "8bit", "binary")
UNKNOWN_KIND = "application/octet-stream"


def parse_form(raw: bytes, content_type: bytes, rule: FormRule) -> Form:
    """Raises CallRefused; what no rule names comes back, too, so that the endpoint can refuse it by name."""
    boundary = _boundary(content_type)
    if not raw.startswith(b"--" + boundary) or not raw.removesuffix(b"\r\n").endswith(b"\r\n--%b--" % boundary):
        raise _refused("something stands beside its parts")
    gathered = _Gathered(rule)
    try:
        with PushMultipartParser(
            boundary,
            len(raw),
            strict=True,
            max_segment_count=_PARTS,
            max_header_count=_HEADERS,
            max_header_size=_HEADER_BYTES,
        ) as parser:
            for event in parser.parse(raw):
                gathered.take(event)
    except (MultipartError, UnicodeError) as error:
        raise _refused(str(error)) from error
    if raw.count(b"--%b--" % boundary) != 1:
        raise _refused("it ends twice")
    return Form(gathered.body, {name: tuple(files) for name, files in gathered.files.items()})


class _Gathered:
    """The parts as they come."""

    def __init__(self, rule: FormRule) -> None:
        self.body: Texts = {}
        self.files: dict[str, list[File]] = {}
        self._rule = rule
        self._segment: MultipartSegment | None = None
        self._pieces: list[bytes] = []

    def take(self, event: MultipartSegment | bytes | bytearray | None) -> None:
        if isinstance(event, MultipartSegment):
            self._segment, self._pieces = event, []
        elif event is not None:
            self._pieces.append(bytes(event))
        elif self._segment is not None:
            self._end(self._segment, b"".join(self._pieces))

    def _end(self, segment: MultipartSegment, data: bytes) -> None:
        match = _NAME.fullmatch(segment.name or "")
        heads = {name for name, _ in segment.headerlist}
        disposition = segment.header("Content-Disposition") or ""
        if match is None or len(heads) != len(segment.headerlist) or not _DISPOSITION.fullmatch(disposition):
            raise _refused("a part has no name that can be read")
        if segment.header("Content-Transfer-Encoding") not in _HARMLESS_ENCODINGS:
            raise _refused("a part is encoded")
        name = match[1]
        if segment.filename is None:
            self._take_text(name, data, several=match[2] is not None)
        elif len(self.files.setdefault(name, [])) == self._rule.files.get(name, 1):
            raise refuse_request(f"{name} stands too often.")
        else:
            self.files[name].append(File(clean_name(segment.filename), clean_kind(segment.content_type), data))

    def _take_text(self, name: str, data: bytes, *, several: bool) -> None:
        if len(data) > _TEXT_BYTES:
            raise refuse_request(f"{name} is too long.")
        text = data.decode("utf-8")
        if name not in self._rule.lists:
            if name in self.body or several:
                raise refuse_request(f"{name} must stand once.")
            self.body[name] = self._value(name, text)
            return
        held = self.body.setdefault(name, [])
        if isinstance(held, list):
            held.append(text)

    def _value(self, name: str, text: str) -> JSONValue:
        if name in self._rule.numbers and _NUMBER.fullmatch(text):
            return int(text)
        if name in self._rule.flags and text in ("true", "false"):
            return text == "true"
        return text


def clean_name(told: str) -> str:
    """The last part of a path, without anything that a header or a file system could read otherwise."""
    last = re.split(r"[/\\]", told)[-1]
    return _UNCLEAN.sub("_", last)[-100:].lstrip(".-") or "file"


def clean_kind(told: str | None) -> str:
    return told if told is not None and _KIND.fullmatch(told) else UNKNOWN_KIND


def _boundary(content_type: bytes) -> bytes:
    match = _BOUNDARY.fullmatch(content_type.strip())
    if match is None:
        raise _refused("its boundary cannot be read")
    return match[1] or match[2]


def _refused(why: str) -> CallRefused:
    return CallRefused("invalid_request", "The body is not a strict multipart form.", detail=why)

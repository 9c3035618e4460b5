"""Files that Anthropic keeps: free of charge, and of pictures among them it is known what they can cost in a message."""

import re
from collections.abc import Callable

from broker.core.strict_json import JSONValue
from broker.core.usage import NO_USAGE, Usage
from broker.providers.body import not_bounded, shown
from broker.providers.dialect import Body, Endpoint, Kept, Listed, Meter, Name, Reading
from broker.providers.form import Form, FormRule, not_in_parts, rendered_form
from broker.providers.images import facts_of
from broker.providers.kept_requests import About, AboutMany, NoMeter, asking
from broker.providers.registry import Provider

FILES = "/v1/files"
_LONGEST_LIST = 1_000
_ID = re.compile(r"file_[A-Za-z0-9_-]{1,128}", re.ASCII)
_PATH = re.compile(rf"{FILES}(?:/({_ID.pattern})(/content)?)?", re.ASCII)
PATHS = (FILES, f"{FILES}/{{file_id}}", f"{FILES}/{{file_id}}/content")
_METHODS = {None: ("GET", "DELETE"), "/content": ("GET",)}
_CONTENTS = frozenset(
    [b"application/octet-stream", b"application/binary", b"text/plain", b"text/csv", b"image/png", b"image/jpeg"]
)
_FORM = FormRule(files={"file": 1})


class MakeFile:
    """POST /v1/files."""

    form = _FORM

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        raise not_in_parts()

    def read_form(self, form: Form, size: int, provider: Provider, path: str) -> Reading:
        file = form.only_file()
        unknown = [shown(name) for name in form.body.keys() | (form.files.keys() - {"file"})]
        if provider.name != "anthropic":
            unknown.append("files at this provider")
        kind, sent = rendered_form({}, {"file": (file,)})
        return asking("POST", "files")._replace(
            content_type=kind,
            render=lambda _: sent,
            target=path,
            unbounded=not_bounded(unknown),
            kept=_kept(facts_of(file.data)),
        )

    def usage(self, answer: JSONValue) -> tuple[Usage | None, bool]:
        return NO_USAGE, False

    def meter(self, *, wants_usage: bool) -> Meter:
        return NoMeter()


def endpoint(method: str, path: str) -> Endpoint | None:
    if method not in methods(path):
        return None
    if path == FILES:
        listing = asking("GET", "files")._replace(lists=Listed("file", 0))
        return MakeFile() if method == "POST" else AboutMany(listing, "anthropic", (), _LONGEST_LIST)
    match = _PATH.fullmatch(path)
    reading = asking(method, "files", Name("file", match[1] if match else ""))
    return About(reading._replace(gives=_CONTENTS) if path.endswith("/content") else reading, "anthropic")


def methods(path: str) -> tuple[str, ...]:
    match = _PATH.fullmatch(path)
    if match is None:
        return ()
    return _METHODS[match[2]] if match[1] else ("GET", "POST")


def _kept(facts: str) -> Callable[[JSONValue, Usage | None], tuple[Kept, ...]]:
    def read(answer: JSONValue, usage: Usage | None) -> tuple[Kept, ...]:
        file_id = answer.get("id") if isinstance(answer, dict) else None
        if not isinstance(file_id, str) or not _ID.fullmatch(file_id):
            return ()
        return (Kept(Name("file", file_id), facts=facts),)

    return read

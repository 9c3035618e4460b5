"""Reads a page into what a person could see and use: headings, text, links, fields, forms."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"meta", "link", "input", "br", "hr", "img", "rect", "line", "path", "circle"}


@dataclass
class Field:
    name: str
    kind: str
    value: str = ""
    checked: bool = False
    id: str = ""
    options: list[str] = field(default_factory=list)
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass
class Button:
    label: str = ""
    name: str = ""
    value: str = ""


@dataclass
class Form:
    action: str
    method: str
    fields: list[Field] = field(default_factory=list)
    buttons: list[Button] = field(default_factory=list)

    def value(self, name: str) -> str:
        """What stands in the field as the page came."""
        (found,) = [each for each in self.fields if each.name == name and _is_sent(each)]
        return found.value

    def filled(self, button: str, typed: dict[str, str | list[str]]) -> list[tuple[str, str]]:
        """The pairs a browser sends: a list ticks exactly those boxes of that name."""
        unknown = typed.keys() - {each.name for each in self.fields}
        if unknown:
            raise AssertionError(f"the form has no field {sorted(unknown)}")
        pairs: list[tuple[str, str]] = []
        for each in self.fields:
            wanted = typed.get(each.name)
            if each.kind in ("checkbox", "radio") and wanted is not None:
                if each.value in ([wanted] if isinstance(wanted, str) else wanted):
                    pairs.append((each.name, each.value))
            elif isinstance(wanted, str):
                pairs.append((each.name, wanted))
            elif _is_sent(each):
                pairs.append((each.name, each.value))
        pressed = next(each for each in self.buttons if each.label == button)
        return [*pairs, (pressed.name, pressed.value)] if pressed.name else pairs


@dataclass
class Page:
    title: str = ""
    text: str = ""
    """All text, in order, with single spaces."""
    headings: list[tuple[int, str]] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)
    """Text and address."""
    forms: list[Form] = field(default_factory=list)
    loose: list[Field] = field(default_factory=list)
    """Fields and their forms' fields alike, for looking at attributes."""
    ids: list[str] = field(default_factory=list)
    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    @property
    def h1(self) -> str:
        (heading,) = [text for level, text in self.headings if level == 1]
        return heading

    def field(self, name: str) -> Field:
        return next(each for each in self.loose if each.name == name)


def read_page(text: str) -> Page:
    reader = _Reader()
    reader.feed(text)
    reader.close()
    reader.page.text = _plain(reader.words)
    return reader.page


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self.words: list[str] = []
        self._open: list[tuple[str, dict[str, str], int]] = []
        self._form: Form | None = None
        self._select: Field | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.page.tags.append((tag, found))
        if "id" in found:
            self.page.ids.append(found["id"])
        if tag == "form":
            self._form = Form(found.get("action", ""), found.get("method", "get").lower())
            self.page.forms.append(self._form)
        elif tag in ("input", "textarea", "select"):
            self._add_field(tag, found)
        elif tag == "option" and self._select is not None:
            self._select.options.append(found.get("value", ""))
            if "selected" in found or len(self._select.options) == 1:
                self._select.value = found.get("value", "")
        if tag not in _VOID:
            self._open.append((tag, found, len(self.words)))

    def handle_endtag(self, tag: str) -> None:
        while self._open:
            opened, found, start = self._open.pop()
            if opened == tag:
                self._close(tag, found, self.words[start:])
                return

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def _add_field(self, tag: str, found: dict[str, str]) -> None:
        kind = found.get("type", "text") if tag == "input" else tag
        value = found.get("value", "on" if kind in ("checkbox", "radio") else "")
        added = Field(found.get("name", ""), kind, value, "checked" in found, found.get("id", ""), [], found)
        self.page.loose.append(added)
        if self._form is not None:
            self._form.fields.append(added)
        if tag == "select":
            self._select = added

    def _close(self, tag: str, found: dict[str, str], words: list[str]) -> None:
        text = _plain(words)
        if tag == "title":
            self.page.title = text
        elif tag in ("h1", "h2", "h3"):
            self.page.headings.append((int(tag[1]), text))
        elif tag == "a":
            self.page.links.append((text, found.get("href", "")))
        elif tag == "button" and self._form is not None and found.get("type", "submit") == "submit":
            self._form.buttons.append(Button(text, found.get("name", ""), found.get("value", "")))
        elif tag == "form":
            self._form = None
        elif tag == "select":
            self._select = None


def _is_sent(each: Field) -> bool:
    return bool(each.name) and (each.kind not in ("checkbox", "radio") or each.checked)


def _plain(words: list[str]) -> str:
    return " ".join("".join(words).split())

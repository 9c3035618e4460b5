"""Forms and queries: strict percent-decoding, no field too many, and a repeated field never chosen from silently."""

from urllib.parse import parse_qsl

from broker.core.errors import BadForm

MAX_BYTES = 262_144
MAX_FIELDS = 2_000


class Form:
    """The fields of an urlencoded form or query; an empty value counts as absent (RFC 6749 §3.1)."""

    def __init__(self, fields: dict[str, list[str]]) -> None:
        self._fields = fields

    def one(self, name: str) -> str | None:
        """Raises BadForm when the field stands twice."""
        values = self._fields.get(name, [])
        if len(values) > 1:
            raise BadForm(detail=f"{name} stands twice")
        return values[0] or None if values else None

    def text(self, name: str) -> str:
        return self.one(name) or ""

    def all(self, name: str) -> list[str]:
        return [value for value in self._fields.get(name, []) if value]

    def names(self) -> list[str]:
        return list(self._fields)

    def has_repeated(self) -> bool:
        """RFC 6749 §3.2: "Request and response parameters MUST NOT be included more than once."."""
        return any(len(values) > 1 for values in self._fields.values())

    def __repr__(self) -> str:
        return f"<form {sorted(self._fields)}>"


def parse_form(raw: bytes) -> Form:
    """Reads application/x-www-form-urlencoded; raises BadForm."""
    if len(raw) > MAX_BYTES:
        raise BadForm(detail="form too large")
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise BadForm(detail="form not readable") from error
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        if "\x00" in name or "\x00" in value:
            raise BadForm(detail="NUL in a form")
        fields.setdefault(name, []).append(value)
    return Form(fields)

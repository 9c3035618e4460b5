"""Of the query of a GET what crosses: which part of a list is wanted, and nothing else."""

import re
from urllib.parse import parse_qsl, urlencode

SIZE, USUAL_PAGE = "pageSize", 20
"""What Google calls the length of a page, and how long one is where the app says nothing."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
_CROSSING = {
    "limit": re.compile(r"[0-9]{1,5}", re.ASCII),
    SIZE: re.compile(r"[1-9][0-9]{0,4}", re.ASCII),
    "order": re.compile("asc|desc"),
    "after": _ID,
    "after_id": _ID,
    "before_id": _ID,
}


def paging(query: bytes) -> str:
    """With its question mark; of a name that comes twice the last counts."""
    if not query:
        return ""
    asked = dict(parse_qsl(query.decode("latin-1")))
    crossing = {name: asked[name] for name, form in _CROSSING.items() if form.fullmatch(asked.get(name, ""))}
    return f"?{urlencode(crossing)}" if crossing else ""
